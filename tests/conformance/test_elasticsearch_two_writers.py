"""Several processes at one index of a cluster: nothing is lost, nothing is there twice, and a second run mends the rest.

Where two must overlap they wait for each other: ``Meeting`` is an extractor that goes on with a
batch only when somebody else has come as far.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from fakes import Grid, paint, paint_gallery
from servers import Cluster

from visualsearch import VisualSearch
from visualsearch.datatypes import Crop, Matrix
from visualsearch.gallery import content_hash
from visualsearch.images import decode

ROOT = Path(__file__).parents[2]
PATIENCE_S = 200.0
"""After this a meeting is over, and the test has failed."""

YAML = """
name: shop
out: {out}
gallery: {{folder: {gallery}}}
extractor: {{name: "{extractor}", cells: {cells}}}
store: {store}
"""


class Meeting(Grid):
    """Grid, in a process that waits in the folder MEETING, with each batch embedded and not yet written."""

    batches = 0

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Embed, tell that it is done, and wait for another to come as far, or for the door to be opened."""
        rows = super().embed(crops)
        Meeting.batches += 1
        folder, end = Path(os.environ["MEETING"]), time.monotonic() + PATIENCE_S
        (folder / f"{Meeting.batches}-{os.getpid()}").touch()
        while len(list(folder.glob(f"{Meeting.batches}-*"))) < 2 and not (folder / "open").exists():
            assert time.monotonic() < end, "nobody came"
            time.sleep(0.02)
        return rows


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    told: Any
    """What it printed as JSON: on stdout, or the error on stderr."""


class Shops:
    """Machines, each with a folder of its own, that share one index in a cluster; and an embedded twin."""

    def __init__(self, folder: Path, upstream: str) -> None:
        """Work in ``folder``."""
        self.folder = folder
        self.meeting = folder / "meeting"
        self.meeting.mkdir()
        self.index = f"two-{secrets.token_hex(4)}"
        self._store = f"{{name: elasticsearch, hosts: ['{upstream}'], index: {self.index}, refresh_s: 0.2}}"
        self.client = Elasticsearch(upstream)

    def yaml(self, machine: str, *, gallery: str = "gallery", cells: int = 4, meets: bool = False) -> Path:
        """Write a machine's YAML; the machine ``twin`` has the embedded store."""
        extractor = "conformance.test_elasticsearch_two_writers:Meeting" if meets else "fakes:Grid"
        store = "{name: embedded}" if machine.startswith("twin") else self._store
        file = self.folder / f"{machine}-{gallery}-{cells}-{meets}.yaml"
        file.write_text(YAML.format(out=machine, gallery=gallery, extractor=extractor, cells=cells, store=store))
        return file

    def opened(self, machine: str, **options: Any) -> VisualSearch:
        """Open a machine in this process, where nobody is waited for."""
        return VisualSearch.from_yaml(self.yaml(machine, **options))

    def indexed(self, machine: str, **options: Any) -> None:
        """Index in this process."""
        with self.opened(machine, **options) as search:
            search.index()

    def begin(self, machine: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start a command in a process of its own."""
        yml = self.yaml(machine, meets=True, **options)
        path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")])
        program = [sys.executable, str(ROOT / "VisualSearch.py"), "-yml", str(yml), "--json", *arguments]
        environment = {**os.environ, "PYTHONPATH": path, "MEETING": str(self.meeting)}
        return subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def await_batch(self, number: int, process: subprocess.Popen[bytes]) -> None:
        """Return when a process has embedded its batch ``number`` and waits to write it; those before are written."""
        while not list(self.meeting.glob(f"{number}-{process.pid}")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)

    def ended(self, *processes: subprocess.Popen[bytes]) -> list[Ended]:
        """Wait for all; who is alone waits for nobody."""
        while len(processes) > 1 and all(process.poll() is None for process in processes):
            time.sleep(0.02)
        (self.meeting / "open").touch()
        return [_ended(process) for process in processes]

    def close(self) -> None:
        """Remove what is left in the cluster."""
        for name in self.client.indices.get(index=f"visualsearch-{self.index}*"):
            self.client.indices.delete(index=name)
        self.client.close()


def _ended(process: subprocess.Popen[bytes]) -> Ended:
    out, err = process.communicate(timeout=PATIENCE_S)
    printed = (out if process.returncode == 0 else err).decode()
    assert b"Traceback" not in out + err and printed.startswith("{"), (process.returncode, out, err)
    told = json.loads(printed)
    return Ended(process.returncode, told if process.returncode == 0 else told["error"])


@pytest.fixture
def shops(tmp_path: Path, elasticsearch_server: Callable[[str], Cluster]) -> Iterator[Shops]:
    """Yield machines with a gallery of 150 pictures, three batches, one of which is torn."""
    gallery = paint_gallery(tmp_path / "gallery", each=50)
    (gallery / "red/torn.png").write_text("no picture")
    made = Shops(tmp_path, elasticsearch_server("8.19.0").addresses[0])
    yield made
    made.close()


def contents(search: VisualSearch) -> dict[str, Any]:
    """Return everything that an index holds, vectors included, each item once."""
    with closing(search._parts.shelf.live()) as store:
        items = [item for page in store.pages(40) for item in page]
        assert len({item.id for item in items}) == len({item.path for item in items}) == len(items) == store.count()
        return {
            "items": items,
            "vectors": store.vectors([item.id for item in items]).tobytes(),
            "failures": store.failures(),
            "buried": store.buried(),
            "buckets": store.bucket_counts(),
        }


def found(search: VisualSearch, *pictures: Path) -> list[list[tuple[str, Any]]]:
    """Return the paths and scores of what some pictures find."""
    answers = search.search_each(pictures, k=12)
    return [[(hit.path, pytest.approx(hit.score, abs=1e-5)) for hit in answer.hits] for answer in answers]


def check_whole(shops: Shops, machine: str, twin: str = "twin", **options: Any) -> None:
    """Compare an index with that of the embedded twin, and look for what should not lie about in the cluster."""
    queries = sorted((shops.folder / "gallery").glob("*/*0.png"))
    with shops.opened(machine, **options) as here, shops.opened(twin, **options) as there:
        assert contents(here) == contents(there)
        assert found(here, *queries) == found(there, *queries)
        assert shops.client.count(index=f"visualsearch-{shops.index}")["count"] == there.count()
    alias = f"visualsearch-{shops.index}"
    assert len(shops.client.indices.get_alias(name=alias)) == 1
    assert not shops.client.indices.exists_alias(name=f"{alias}-next")
    assert len(shops.client.indices.get(index=f"{alias}-v*")) <= 2


def losers(*ended: Ended) -> list[str]:
    """Return the slugs of those that did not get through, each with one sentence and code 4."""
    lost = [one for one in ended if one.code]
    for one in lost:
        assert one.code == 4
        assert "\n" not in one.told["message"] and one.told["message"].endswith(".")
    return [one.told["slug"] for one in lost]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait until servers have nothing on their disks of what was forgotten: test_stores.py does, once."""
    monkeypatch.setattr("visualsearch.stores.elasticsearch.expunge", lambda *_: 0)


def test_two_first_indexes_at_once_are_one(shops: Shops) -> None:
    """On two machines, batch by batch beside each other."""
    ended = shops.ended(shops.begin("one", "index"), shops.begin("two", "index"))
    assert losers(*ended) in ([], ["store-replaced"])
    assert [one.told["added"] for one in ended if one.code == 0][0] == 150
    shops.indexed("twin")
    check_whole(shops, "one")
    for machine in ("one", "two"):
        with shops.opened(machine) as search:
            assert search.index().unchanged == 150
    check_whole(shops, "two")


def test_of_two_indexes_at_once_in_one_folder_the_second_says_to_wait(shops: Shops) -> None:
    ended = shops.ended(shops.begin("one", "index"), shops.begin("one", "index"))
    assert losers(*ended) == ["busy"]
    (sentence,) = [one.told["message"] for one in ended if one.code]
    assert sentence.endswith("another process is indexing here. Wait for it, and run again.")
    shops.indexed("twin")
    check_whole(shops, "one")


def test_two_rebuilds_at_once_end_with_one_whole_index(shops: Shops) -> None:
    for machine in ("one", "twin"):
        shops.indexed(machine)
    (shops.folder / "gallery/red/red00.png").unlink()
    shops.indexed("twin")
    ended = shops.ended(*(shops.begin(machine, "index", "--rebuild") for machine in ("one", "two")))
    assert losers(*ended) in ([], ["store-replaced"])
    check_whole(shops, "one")
    shops.indexed("two")
    check_whole(shops, "two")


def test_of_two_rebuilds_for_different_embeddings_one_gives_way_and_can_be_run_again(shops: Shops) -> None:
    for machine, cells in (("one", 4), ("twin", 4), ("twin-5", 5)):
        shops.indexed(machine, cells=cells)
    first, second = shops.begin("one", "index", "--rebuild"), shops.begin("two", "index", cells=5)
    ended = shops.ended(first, second)
    assert losers(*ended) == ["store-replaced"]
    winner = [one.code for one in ended].index(0)
    check_whole(shops, ("one", "two")[winner], ("twin", "twin-5")[winner], cells=4 + winner)
    shops.indexed(("two", "one")[winner], cells=5 - winner)
    check_whole(shops, ("two", "one")[winner], ("twin-5", "twin")[winner], cells=5 - winner)


@pytest.mark.soak
def test_two_galleries_under_one_name_tear_no_picture_apart(shops: Shops) -> None:
    """A mistake of their owners: the same paths, other pictures. Each document is of one of both, and whole."""
    other = paint_gallery(shops.folder / "other", each=50)
    for number, file in enumerate(sorted(other.rglob("*.png"))):
        paint(file, seed=5_000 + number)
    ended = shops.ended(shops.begin("one", "index"), shops.begin("two", "index", gallery="other"))
    assert losers(*ended) in ([], ["store-replaced"])
    grid = Grid(Grid.Options(name="g"), None, shops.folder)
    of_content = {
        content_hash(file.read_bytes()): (file.relative_to(folder).as_posix(), file)
        for folder in (shops.folder / "gallery", other)
        for file in folder.glob("*/*[0-9].png")
    }
    with shops.opened("one") as search, closing(search._parts.shelf.live()) as store:
        items = [item for page in store.pages() for item in page]
        assert sorted(item.path for item in items) == sorted({path for path, _ in of_content.values()})
        for item, vector in zip(items, store.vectors([item.id for item in items]), strict=True):
            path, file = of_content[item.source.content]
            assert path == item.path
            np.testing.assert_array_equal(vector, grid.embed([Crop(decode(file.read_bytes()))])[0])
    shops.indexed("one")
    shops.indexed("twin")
    check_whole(shops, "one")


def test_an_index_and_a_forget_and_a_search_at_once(shops: Shops) -> None:
    """Pictures are added; one of the known is forgotten meanwhile, with a copy, and one that has just changed."""
    gallery = shops.folder / "gallery"
    for machine in ("one", "twin"):
        shops.indexed(machine)
    paint_gallery(gallery / "more", each=30)
    for number, file in enumerate(sorted((gallery / "more").rglob("*.png"))):
        paint(file, seed=9_000 + number)
    shutil.copyfile(gallery / "red/red00.png", gallery / "more/copy.png")
    paint(gallery / "red/red01.png", seed=8_000)
    forgotten = ["blue/blue00.png", "red/red00.png", "red/red01.png"]
    running = shops.begin("one", "index")
    shops.await_batch(1, running)
    with shops.opened("two") as search:
        assert search.forget(forgotten) == sorted([*forgotten, "more/copy.png"])
        (shops.meeting / "1-this").touch()
        shops.await_batch(2, running)
        for (path, score), *others in found(search, gallery / "green/green07.png", gallery / "blue/blue07.png"):
            assert (path[-6:], score) == ("07.png", 1.0)
            assert len({path for path, _ in others}) == 11
            assert not {path for path, _ in others} & {*forgotten[:2], "more/copy.png"}
    (ended,) = shops.ended(running)
    assert losers(ended) == []
    with shops.opened("twin") as twin:
        twin.forget(forgotten)
        twin.index()
    shops.indexed("two")
    check_whole(shops, "two")


def test_a_rebuild_while_others_search_and_forget(shops: Shops) -> None:
    """Who has the old index open goes on; what is forgotten while the new one is filled is not in it."""
    gallery = shops.folder / "gallery"
    queries = sorted(gallery.glob("*/*3.png"))
    for machine in ("one", "twin"):
        shops.indexed(machine)
    with shops.opened("one") as search, shops.opened("twin") as twin:
        expected = found(twin, *queries)
        running = shops.begin("two", "index", "--rebuild")
        (shops.meeting / "1-this").touch()
        shops.await_batch(2, running)
        assert found(search, *queries) == expected
        gone = expected[0][1][0]  # one of the hits
        for each in (search, twin):
            assert each.forget([gone]) == [gone]
        expected = found(twin, *queries)
        assert gone not in {path for hits in expected for path, _ in hits}
        assert found(search, *queries) == expected
        (ended,) = shops.ended(running)
        assert losers(ended) == []
        assert found(search, *queries) == expected, "the replaced index, still open"
        with shops.opened("two") as fresh:
            assert found(fresh, *queries) == expected
    check_whole(shops, "two")
