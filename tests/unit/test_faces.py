"""Pictures with several faces, from the YAML to hits, montage and training: each face is an item and a query of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import face, group, head, overlap
from fakes import Grid
from PIL import Image

from visualsearch import DataError, PictureError, VisualSearch
from visualsearch.cli import main
from visualsearch.crops import detection
from visualsearch.crops.cascade import Cascade
from visualsearch.datatypes import Item
from visualsearch.presentation.palette import LIGHT

YAML = """
out: model
gallery: {folder: gallery}
crop: {name: mtcnn}
extractor: {name: "fakes:Grid", cells: 8}
classifier: {name: extractor}
routing: {keep: 1}
"""

PLACES = [(10, 40, 200), (230, 10, 260), (500, 50, 220)]
"""Of the faces in the group pictures, which have the colours 0, 1 and 2; so have the people anna, bert and cleo."""

PEOPLE = ("anna", "bert", "cleo")


@pytest.fixture(scope="module", autouse=True)
def looks() -> Iterator[list[int]]:
    """Load the networks once, and yield how many pictures each of their passes saw."""
    cascade, seen = Cascade(), list[int]()

    def watched(batch: Any, confidence: float) -> Any:
        seen.append(len(batch))
        return cascade(batch, confidence)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detection, "Cascade", lambda: watched)
        yield seen


@pytest.fixture
def yml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the YAML of four people's pictures, a group of three, and one of nobody."""
    for seed, name in enumerate(PEOPLE):
        for number in range(4):
            save(tmp_path / f"gallery/{name}/{number}.png", face(190 + 5 * number, seed))
    save(tmp_path / "gallery/party/group.png", group(PLACES, 740, 300))
    save(tmp_path / "gallery/party/nobody.png", np.full((200, 300, 3), 90, np.uint8))
    save(tmp_path / "others.png", group([(x, y + 6, side - 9) for x, y, side in PLACES], 760, 320))
    (tmp_path / "application.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "application.yaml"


def save(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def items(search: VisualSearch) -> list[Item]:
    with search._searcher().use() as searcher:
        return [item for page in searcher.store.pages() for item in page]


def test_each_face_is_an_item_and_each_face_of_a_query_finds_its_own(yml: Path) -> None:
    with VisualSearch.from_yaml(yml) as search:
        summary = search.index()
        assert [(one.path, one.reason) for one in summary.failed] == [("party/nobody.png", "no face found")]
        faces = sorted((item for item in items(search) if item.path == "party/group.png"), key=lambda item: item.id)
        assert [item.id[-2:] for item in faces] == ["-0", "-1", "-2"]
        for item, seed in zip(faces, (1, 2, 0), strict=True):  # the largest first
            left, top, side = PLACES[seed]
            assert overlap(item.box, head(side, left, top)) > 0.7
        answers = list(search.search_each(["others.png", "gallery/party/nobody.png", "gallery/anna/0.png"], k=5))
        for answer, seed in zip(answers[:3], (1, 2, 0), strict=True):
            left, top, side = PLACES[seed]
            assert overlap(answer.query.box, head(side - 9, left, top + 6)) > 0.7
            assert {hit.path for hit in answer.hits} == {
                "party/group.png",
                *(f"{PEOPLE[seed]}/{number}.png" for number in range(4)),
            }
            mine = next(hit for hit in answer.hits if hit.path == "party/group.png")
            assert mine.box == faces[(1, 2, 0).index(seed)].box
        assert (answers[3].error, answers[3].hits, answers[3].query.box) == ("no face found", (), None)
        assert answers[4].hits[0].path == "anna/0.png"
        assert search.search("others.png").query.box == answers[0].query.box
        with pytest.raises(PictureError, match="nobody.png: no face found") as caught:
            search.search("gallery/party/nobody.png")
        assert caught.value.slug == "no-crop"
        rank = next(hit.rank for hit in answers[0].hits if hit.path == "party/group.png")
        assert f"rank {rank}" in search.why_not("others.png", "party/group.png", k=5)


def test_pictures_without_a_face_wait_until_they_or_the_crop_change(yml: Path, looks: list[int]) -> None:
    with VisualSearch.from_yaml(yml) as search:
        search.index()
    looks.clear()
    with VisualSearch.from_yaml(yml) as search:
        assert search.index().unchanged == 13
        assert looks == [], "neither faces nor their absence are looked for again"
        save(yml.parent / "gallery/party/nobody.png", face(180, 5))
        assert (search.index().failed, looks) == ((), [1])
    save(yml.parent / "gallery/party/nobody.png", group([(-118, 0, 200)], 150, 200))
    with VisualSearch.from_yaml(yml, ["crop.confidence=1"]) as search:
        with pytest.raises(DataError, match="the index was made with"):
            search.search("others.png")
        assert len(search.index().failed) == 14
    with VisualSearch.from_yaml(yml) as search:
        assert len(search.index().failed) <= 1, "another confidence tries them again"


def test_what_only_queries_heed_rebuilds_nothing(yml: Path) -> None:
    with VisualSearch.from_yaml(yml) as search:
        search.index()
        rows = {answer.query.path: answer.query.box for answer in search.evaluate().answers}
    embedded = Grid.embedded
    with VisualSearch.from_yaml(yml, ["crop.query=central"]) as search:
        assert search.index().unchanged == 13
        assert Grid.embedded == embedded
        (answer,) = search.search_each(["others.png"])
        evaluation = search.evaluate()
    assert overlap(answer.query.box, head(251, 230, 16)) > 0.7
    assert any("no face found" in note for note in evaluation.summary["notes"]) is False
    assert len(evaluation.rows) == 13, "one for each picture with a face"
    for answer in evaluation.answers:
        assert overlap(answer.query.box, rows[answer.query.path] or (0, 0, 1, 1)) > 0.9
        assert answer.query.path is not None
        assert all(not answer.query.path.endswith(hit.path) for hit in answer.hits), "left out with all its faces"


def test_training_looks_once_at_each_picture(yml: Path, looks: list[int]) -> None:
    with VisualSearch.from_yaml(yml, ["gallery.path={label}/{number}"]) as search:
        search.index()
    looks.clear()
    with VisualSearch.from_yaml(yml, ["gallery.path={label}/{number}"]) as search:
        training = search.train()
        assert (training.pictures, training.groups) == (13, 11), "faces, and the pictures that hold them together"
        assert sum(looks) == 13, "two pictures are calibrated on"
        answers = list(search.search_each(["others.png"]))
    assert len(answers) == 3
    save(yml.parent / "gallery/party/group.png", face(200, 7))
    with VisualSearch.from_yaml(yml) as search, pytest.raises(DataError, match="no such crop any more"):
        search.train()


def test_the_command_says_which_face(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "-q"]) == 0
    capsys.readouterr()
    assert main(["search", "others.png", "-k", "2", "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    left, top, right, bottom = answers[0]["query"]["box"]
    assert main(["search", "others.png", "-k", "2", "--why", "--montage", "hits.png"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("compared 15 of 15 faces (100 %)") == 3, "of 13 pictures, one with three"
    assert f"others.png ({right - left} × {bottom - top} pixels at {left}, {top})" in shown
    assert shown.count("others.png (") == 3
    with Image.open("hits.png") as montage:
        colours = montage.convert("RGB").getcolors(2**24)
    frame = tuple(int(LIGHT.accent[i : i + 2], 16) for i in (1, 3, 5))
    framed = sum(number for number, colour in colours if colour == frame)
    assert framed > 9 * 200, "three queries and their six hits, each with its face in a frame"
    assert main(["search", "gallery/party/nobody.png"]) == 3
    assert "no face found" in " ".join(capsys.readouterr().err.split())
