"""The pages do what they say: README.md, CONTRIBUTING.md and docs/weights.md on a small gallery, two on a real server.

A ``python`` or ``yaml`` block whose first line is a comment with a file name is written to that
file; other Python blocks are programs. Of a ``console`` block every line behind ``$`` is run. The
folder they run in has the sample's files in small, pictures under ``photos`` and a ``query.jpg``.
What the pages on Elasticsearch ask of a server is asked of one: programs, and requests such as ``GET _cat/nodes``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import servers
from elasticsearch import Elasticsearch

from visualsearch.datatypes import Hit, Item, Matrix, Source
from visualsearch.stores.elasticsearch import ElasticsearchShelf

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/weights.md")
SERVER_PAGES = ("docs/elasticsearch.md", "docs/production.md")
OTHER_PAGES = tuple(f"docs/{page}.md" for page in ("faces", "baselines", "evaluation", "routing", "verdicts"))
RUN_BY_CI = ("make demo", "make test", "make check", "make soak")

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?:file: )?([\w/]+\.(?:py|yaml|csv))\n")
_REQUEST = re.compile(r"(?:^|`)(GET|PUT|POST|DELETE) ([^\s`]+)(?: (\{.*\}))?`?", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """Return the name of the file that the block is, or None."""
        match = _FILE.match(self.text)
        return match[1] if match else None

    @property
    def commands(self) -> list[str]:
        """Return the command lines of a console block that are not left to CI."""
        lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        return [line for line in lines if not line.startswith(RUN_BY_CI)]


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = (ROOT / page).read_text()
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder like a checkout, with three categories of the sample."""
    for name in ("VisualSearch.py", "src", "resources", "models/starter"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "application.yaml", tmp_path)
    sample = ROOT / "data" / "sample"
    labels = sorted(path.name for path in (sample / "gallery").iterdir() if path.is_dir())[:3]
    for part, each in (("gallery", 16), ("queries", 4)):
        for label in labels:
            copy(sorted((sample / part / label).glob("*.jpg"))[:each], tmp_path / "data/sample" / part / label)
    copy(sorted((sample / "strangers").rglob("*.jpg"))[:4], tmp_path / "data/sample/strangers")
    shutil.copytree(tmp_path / "data/sample/gallery", tmp_path / "photos")
    shutil.copy(next((tmp_path / "data/sample/queries" / labels[0]).iterdir()), tmp_path / "query.jpg")
    return tmp_path


def copy(pictures: list[Path], to: Path) -> None:
    """Copy pictures into a folder, which is made."""
    assert pictures
    to.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        shutil.copy(picture, to)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which ``visualsearch`` and ``python`` are those of this checkout."""
    programs = folder / ".bin"
    programs.mkdir()
    for name, call in (("python", ""), ("visualsearch", " -m visualsearch")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{call} "$@"\n')
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{folder}"}


def run(command: list[str], folder: Path, env: dict[str, str], where: str) -> None:
    """Run a command; its output is the message if it fails."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{where}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(page: str, folder: Path) -> None:
    env = environment(folder)
    for block in blocks(page):
        where = f"{page}, line {block.line}"
        if block.file is not None:
            (folder / block.file).write_text(block.text)
        elif block.language == "python":
            run([sys.executable, "-c", block.text], folder, env, where)
        elif block.language == "console":
            for command in block.commands:
                run(["bash", "-euo", "pipefail", "-c", command], folder, env, f"{where}: {command}")


@pytest.mark.parametrize("page", (*PAGES, *SERVER_PAGES, *OTHER_PAGES))
def test_blocks_have_a_known_language(page: str) -> None:
    assert {block.language for block in blocks(page)} <= {"python", "yaml", "console", "text"}
    for block in blocks(page):
        if block.language == "console":
            assert block.text.startswith("$ "), f"{page}, line {block.line}: a console block begins with `$ `"


@pytest.mark.parametrize("page", (*PAGES, *SERVER_PAGES, *OTHER_PAGES))
def test_links_lead_somewhere(page: str) -> None:
    missing = [link for link in _LINK.findall((ROOT / page).read_text()) if not ((ROOT / page).parent / link).exists()]
    assert missing == []


# ------------------------------------------------------------------------------- on a server


def mugs_and_bowls() -> tuple[list[Item], Matrix]:
    """Return items as a gallery of faces would have them: columns, buckets and boxes, one in no bucket."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((32, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = []
    for number in range(32):
        label = ("mug", "bowl")[number % 2]
        path = f"{label}/{label}{number // 8:02}-{number // 2 % 4}.jpg"
        buckets = () if number == 31 else (label,)
        source = Source(f"content {number}", "stamp", "look")
        items.append(Item(f"{number:02}-0", path, {"label": label}, buckets, source, (1, 2, 30 + number, 40)))
    return items, vectors


@pytest.fixture(scope="module")
def backups(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where the server may put snapshots."""
    return tmp_path_factory.mktemp("backups")


@pytest.fixture(scope="module")
def shelf(backups: Path) -> Iterator[ElasticsearchShelf]:
    """Return the shelf of a gallery ``photos`` in a cluster of this module's own, with one version of its index."""
    with servers.cluster(servers.VERSIONS[0], settings={"path.repo": str(backups)}) as cluster:
        options = ElasticsearchShelf.Options(hosts=tuple(cluster.addresses), index="photos")
        made = ElasticsearchShelf(options, Path("/unused/model/index"))
        fill(made)
        yield made


def fill(shelf: ElasticsearchShelf) -> None:
    """Publish one more version of the index, with the same items."""
    store = shelf.begin("made for a test", 16)
    store.upsert(*mugs_and_bowls())
    shelf.publish(store)


def nearest(shelf: ElasticsearchShelf, place: int, k: int = 5) -> tuple[Hit, ...]:
    """Return the product's own hits for an item's vector, within its buckets."""
    items, vectors = mugs_and_bowls()
    store = shelf.live()
    assert store is not None
    with closing(store):
        [found] = store.search(vectors[place : place + 1], k, [frozenset(items[place].buckets)], {})
    return found.hits


def test_the_plain_client_reads_what_the_page_says(shelf: ElasticsearchShelf, tmp_path: Path) -> None:
    [program] = [block.text for block in blocks("docs/elasticsearch.md") if block.file == "read_index.py"]
    text = program.replace("http://127.0.0.1:9200", shelf._options.hosts[0])
    assert text != program
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    items, _ = mugs_and_bowls()
    place = next(place for place, item in enumerate(items) if item.path == "mug/mug01-0.jpg")
    box = dict(zip(("left", "top", "right", "bottom"), items[place].box or (), strict=True))
    assert done.stdout.splitlines() == [
        "visualsearch-photos-v1: 32 items, 16 dimensions, flat",
        "bucket mug: 16",
        "bucket bowl: 15",
        f"item mug/mug01-0.jpg: {{'label': 'mug'}}, box {box}, 16 numbers",
        *(f"{hit.score:.4f} {hit.path}" for hit in nearest(shelf, place)),
    ]


def test_what_the_page_on_production_asks_is_answered_and_a_snapshot_comes_back(
    shelf: ElasticsearchShelf, backups: Path
) -> None:
    fill(shelf)
    before = nearest(shelf, 0)
    text = (ROOT / "docs" / "production.md").read_text().replace("/mnt/backup", str(backups / "backup"))
    asked = [found.groups() for found in _REQUEST.finditer(text) if found[2] != "path"]
    with Elasticsearch(list(shelf._options.hosts)) as client:
        answers = {path: ask(client, method, path, body) for method, path, body in asked}
        restored = nearest(shelf, 0)
        fill(shelf)
        shelf.begin("made for a test", 16).close()
        versions = sorted(client.indices.get(index="visualsearch-photos-v*"))
    assert {"PUT", "POST", "GET", "DELETE"} <= {method for method, _, _ in asked}
    assert answers["_snapshot/backup/monday?wait_for_completion=true"]["snapshot"]["state"] == "SUCCESS"
    assert answers["visualsearch-photos/_stats/store,docs,refresh,merge,search"]["_all"]["primaries"]["docs"]["count"]
    assert restored == before
    assert len(before) == 5
    assert versions == [f"visualsearch-photos-v{number}" for number in (2, 3, 4)]  # three, at the end of a rebuild


def ask(client: Elasticsearch, method: str, path: str, body: str | None) -> Any:
    """Return what a request of the page is answered with; a status of 400 or above is an error."""
    headers = {"accept": "application/json", "content-type": "application/json"}
    answer = client.perform_request(method, f"/{path}", headers=headers, body=json.loads(body) if body else None)
    assert not (isinstance(answer.body, dict) and answer.body.get("timed_out")), path
    return answer.body
