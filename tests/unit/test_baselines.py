"""Each configuration of the baselines on a small drawn gallery, and the figures computed again from its vectors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from drawn import face
from PIL import Image
from published import randomised, write_legacy

from tools.elasticsearch.java import Missing
from tools.protocols import categories, indexing
from tools.protocols.indexing import EMBEDDED, Place
from tools.protocols.people import PAIRS, People
from tools.protocols.rows import NOT_PUBLISHED, Row, Task, row_of
from tools.protocols.systems import CONFIGS, SYSTEMS
from visualsearch import VisualSearch
from visualsearch.extractors import facenet_network
from visualsearch.progress import silent
from visualsearch.runtimes.frameworks import import_keras

ROOT = Path(__file__).parents[2]
BY_ID = {system.id: system for system in SYSTEMS}

QUICK = ("runtime.engine=tensorflow", "classifier.train=head", "classifier.epochs=1", "classifier.copies=0")
"""What makes a configuration cheap and leaves the rest of it as it is."""

PEOPLE = ("anna", "bert", "cleo")


class NoServer:
    """A cluster on a machine without Java."""

    def __init__(self, **options: Any) -> None:
        """Take whatever is asked for."""

    def __enter__(self) -> None:
        """Do not start."""
        raise Missing("no Java was found.")

    def __exit__(self, *error: object) -> None:
        """Leave nothing behind."""


@pytest.fixture(scope="module", autouse=True)
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have a small FaceNet where DeepFace has its own, and no Java."""
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(facenet_network, "REPEATS", {"Block35": 1, "Block17": 1, "Block8": 1})
        (folder / ".deepface" / "weights").mkdir(parents=True)
        network = randomised(facenet_network.build(128), 1, centred=True)
        write_legacy(network, folder / ".deepface" / "weights" / "facenet_weights.h5")
        patch.setenv("DEEPFACE_HOME", str(folder))
        patch.setattr(indexing, "Cluster", NoServer)
        yield
    import_keras().backend.clear_session()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Return three people with two pictures each, a third one of cleo without a face, and two folds of pairs."""
    folder = tmp_path_factory.mktemp("people")
    for seed, name in enumerate(PEOPLE):
        for number in (1, 2):
            save(folder / f"faces/{name}/{name}_{number:04d}.png", face(150 + 20 * number, seed))
    save(folder / "faces/cleo/cleo_0003.png", np.full((120, 160, 3), 90, np.uint8))
    pairs = folder / "faces" / PAIRS
    pairs.write_text("2 1\nanna 1 2\nanna 1 bert 1\nbert 1 2\nbert 1 cleo 3\n")
    return Task(folder / "out", folder / "faces", pairs, overrides=QUICK)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """Return three categories with six pictures, the first four of each being the gallery."""
    folder = tmp_path_factory.mktemp("shapes")
    for name in ("blue disc", "green square", "red disc"):
        for number in range(6):
            save(folder / f"all/{name.replace(' ', '_')}/{number}.png", toys.picture(name, number).pixels)
    return Task(folder / "out", categories=categories.split(folder / "all", folder / "split", first=4), overrides=QUICK)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def measured(system: str, task: Task, patch: pytest.MonkeyPatch) -> Row:
    folder = task.people or (task.categories and task.categories.gallery)
    for name in ("LFW", "CALTECH101"):
        patch.setenv(name, str(folder))
    return row_of(BY_ID[system], task, silent)


def vectors_of(system: str, task: Task) -> dict[str, np.ndarray]:
    """Return each picture's vector, out of the index that was kept."""
    place = Place(BY_ID[system].file, task.out / "models" / system, task.overrides)
    with VisualSearch(place.settings(EMBEDDED)) as search:
        store = search._parts.shelf.live()
        assert store is not None
        with closing(store):
            [items] = store.pages()
            return dict(zip([item.path for item in items], store.vectors([item.id for item in items]), strict=True))


def hit_rate(vectors: dict[str, np.ndarray], paths: tuple[str, ...]) -> float:
    """Count again how often the nearest other picture shows the same person."""
    hits = []
    for path in paths:
        if path not in vectors:
            hits.append(False)
            continue
        others = {other: float(vectors[path] @ vectors[other]) for other in vectors if other != path}
        hits.append(Path(max(others, key=lambda other: others[other])).parent == Path(path).parent)
    return float(np.mean(hits))


FACES = {"s1a": 0, "s1b": 1, "s1c": 1, "s2a": 0, "s2b": 1, "lfw": 1}
"""The configurations for people, and how many of the pictures they find no face in."""

STORES = {"s1c": "milvus", "s2b": "embedded, for Elasticsearch did not start: no Java was found.", "lfw": "embedded"}


@pytest.mark.parametrize("system", FACES)
def test_each_configuration_for_people_runs_and_its_figures_are_those_of_its_vectors(
    system: str, people: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = measured(system, people, monkeypatch)
    assert row["measured"], row.get("note")
    assert row["store"] == STORES.get(system, "bruteforce")
    found = row["figures"]
    assert (found["pictures"], found["people"], found["without_face"]) == (7, 3, FACES[system])
    assert found["itself_first"] == found["left_in"]["1"] == pytest.approx((7 - FACES[system]) / 7)
    paths = People.of(people.people or Path()).paths
    vectors = vectors_of(system, people)
    assert len(vectors) == 7 - FACES[system]
    assert found["leave_one_out"]["hit_rate_at_1"] == pytest.approx(hit_rate(vectors, paths))
    assert (found["verification"]["pairs"], found["verification"]["without_face"]) == (4, FACES[system])
    assert found["ten"]["of"] == 1 + 1 + 2
    cost = json.loads((people.out / "models" / system / "cost.json").read_text())
    assert cost["pictures"] == 7 - FACES[system] and cost["peak_mib"] > 1
    with Image.open(people.out / row["pictures"]) as drawn:
        assert drawn.width > 500


def test_what_was_embedded_is_not_embedded_again(people: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    once, cost = measured("lfw", people, monkeypatch), people.out / "models" / "lfw" / "cost.json"
    before = json.loads(cost.read_text())
    again = measured("lfw", people, monkeypatch)
    after = json.loads(cost.read_text())
    assert (after["pictures"], after["seconds"]) == (before["pictures"], before["seconds"]) and after["pictures"] == 6
    assert again["figures"] == once["figures"]


@pytest.mark.parametrize("system", ["s4", "caltech101"])
def test_each_configuration_for_categories_runs_and_s4_compares_one_category_alone(
    system: str, shapes: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = measured(system, shapes, monkeypatch)
    assert row["measured"], row.get("note")
    found = row["figures"]
    assert found["queries"] == 6
    if system == "s4":
        assert found["routed"]["compared"] == pytest.approx(1 / 3)
        # in one category all hits are right or none is
        assert found["routed"]["hit_rate_at"]["1"] == found["classifier"]["top1"] == found["routed"]["map_at"]["20"]
    else:
        assert found["routed"]["compared"] > 1 / 3 - 1e-6
    with Image.open(shapes.out / row["pictures"]) as drawn:
        assert drawn.width > 500


def test_a_system_without_its_weights_is_a_row_that_says_the_two_ways_out(
    people: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    row = measured("s1c", Task(tmp_path, people.people, people.pairs), monkeypatch)
    assert (row["measured"], row["slug"], row["weights"]) == (False, "weights-missing", "published")
    assert row["note"].startswith(f"{NOT_PUBLISHED}: weights: expected DeepFace's facenet_weights.h5 at {tmp_path}")
    assert "fetch it from" in row["note"] and "or use weights: file:PATH" in row["note"]


def test_published_weights_are_the_same_file_with_one_word_changed() -> None:
    for system in SYSTEMS:
        text = system.file.read_text(encoding="utf-8")
        words = [word for word in ("starter", "random", "published") if f"weights: {word}" in text]
        assert (len(words) == 1) == (system.had is not None), system.id
    assert {file.stem for file in (CONFIGS / "baselines").iterdir()} | {"lfw", "caltech101"} == set(BY_ID)


def test_the_command_writes_a_row_for_each_system_also_where_nothing_could_be_measured(
    people: Task, tmp_path: Path
) -> None:
    told = ["--lfw", str(people.people), "--out", str(tmp_path), "--only", "s1c", "--limit", "2"]
    command = [sys.executable, str(ROOT / "tools" / "baselines.py"), *told]
    where = {**os.environ, "DEEPFACE_HOME": str(tmp_path)}
    ended = subprocess.run(command, env=where, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "trial-2-people"
    assert [row["id"] for row in json.loads((out / "baselines.json").read_text())] == ["s1c", "s3b"]
    for page in ("baselines.md", "baselines.html"):
        text = (out / page).read_text()
        assert NOT_PUBLISHED in text and "S3b: MTCNN" in text and "its training" not in text.partition("S3b")[0]
    assert len(list((out / "people").iterdir())) == 2
    nowhere = subprocess.run(
        [*command[:2], "--lfw", str(tmp_path / "none")], capture_output=True, text=True, timeout=200
    )
    assert nowhere.returncode == 3 and "expected a folder of pictures; there is no such folder" in nowhere.stderr
    wrong = subprocess.run([*command[:2], "--limit", "0"], capture_output=True, text=True, timeout=200)
    assert (wrong.returncode, wrong.stderr.splitlines()[-1][-42:]) == (2, "expected a whole number from 1; received 0")
