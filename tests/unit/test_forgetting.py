"""A person who is forgotten: every file of the model is searched for what was known of them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Grid, paint, paint_gallery
from numpy.typing import NDArray
from PIL import Image
from traces import bits, spellings, traces

from visualsearch import UsageError, VisualSearch
from visualsearch.cli import main
from visualsearch.datatypes import Crop
from visualsearch.files import erase, erasing, write_text
from visualsearch.stages import forgetting
from visualsearch.stores.embedded import EmbeddedShelf

NAME = "Wilhelmina Ünforgettable"
PEOPLE = (NAME, "Ada", "Bob")

YAML = """
out: model
gallery: {folder: gallery}
extractor: {name: "fakes:Grid"}
classifier: {name: extractor}
routing: {keep: 0.5, widen: []}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a gallery of three people, indexed, trained and measured; one picture is torn."""
    paint_gallery(tmp_path / "gallery", PEOPLE)
    (tmp_path / "gallery" / NAME / "torn.png").write_text(f"no picture of {NAME}")
    (tmp_path / "application.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    assert main(["-q"]) == 0
    return tmp_path


def embedded(folder: Path) -> NDArray[np.float32]:
    """Return what the extractor makes of the pictures of the one to be forgotten, computed here."""
    grid = Grid(Grid.Options(name="grid"), None, folder)
    files = sorted((folder / "gallery" / NAME).glob("W*.png"))
    return grid.embed([Crop(np.asarray(Image.open(file).convert("RGB"))) for file in files])


def known(folder: Path) -> list[bytes]:
    """Return the bytes by which the person would be known: name, vectors, ids of items."""
    name = [*spellings(NAME), *spellings(json.dumps(NAME)[1:-1]), *spellings("Wilhelmina")]
    return [*name, *(one for vector in embedded(folder) for one in bits(vector))]


def opened() -> VisualSearch:
    return VisualSearch.from_yaml("application.yaml")


def test_nothing_of_a_forgotten_person_is_in_any_file(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", "-q", "--report", "model/mine/of my own.html"])
    main(["search", "-q", "gallery/Ada/Ada00.png", "--montage", "model/hits.png"])
    shutil.copy("model/queries.npz", "model/.queries-abc123.npz")  # as a writing that was killed leaves it
    (folder / "model" / "notes.html").write_text("<p>of the user</p>")
    shutil.copy("gallery/Bob/Bob00.png", "model/portrait.png")
    wanted = known(folder)
    before = {Path(trace.removeprefix("the name ")).parts[0] for trace in traces(folder / "model", wanted)}
    assert {"card.json", "queries.npz", "report.html", "run.jsonl", ".queries-abc123.npz"} <= before
    assert any(name.endswith(".sqlite") for name in before)
    capfd.readouterr()
    assert main(["forget", "--where", f"label={NAME}"]) == 0
    said = capfd.readouterr().out
    assert traces(folder / "model", wanted) == []
    assert "forgot 7 pictures" in said and "forgotten-1" in said and "pictures themselves are yours" in said
    left = {path.relative_to(folder / "model").as_posix() for path in (folder / "model").rglob("*") if path.is_file()}
    assert {"notes.html", "portrait.png"} <= left
    assert not left & {"hits.png", "mine/of my own.html", "report/montage.png", "report/report.html"}
    assert len(list((folder / "gallery" / NAME).iterdir())) == 7, "pictures are the user's"


def test_the_class_is_renamed_and_never_predicted_until_the_next_training(folder: Path) -> None:
    with opened() as search:
        assert search._parts.classifier is not None
        before = search._parts.classifier.predict(_crops(folder))
        gone = search.forget(where={"label": NAME})
        assert (len(gone), isinstance(gone, list)) == (7, True)
        classifier = search._parts.classifier
        assert classifier is not None
        assert classifier.buckets == ("Ada", "Bob", "forgotten-1") == tuple(search.card()["training"]["buckets"])
        after = classifier.predict(_crops(folder))
        assert after.sum(axis=1) == pytest.approx(np.ones(len(after)), abs=1e-6)
        expected = before[:, :2] / before[:, :2].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(after, np.column_stack([expected, np.zeros(len(expected))]), atol=1e-5)
        answer = search.search(folder / "gallery/Ada/Ada01.png", k=3)
        assert answer.hits[0].path == "Ada/Ada01.png" and answer.route and answer.route.compared < 1
        assert search._parts.model.damaged() == []
        assert search.evaluate().summary["queries"] == 12
        assert search.index().added == 0
        search.train()
        assert search._parts.classifier.buckets == ("Ada", "Bob")


def _crops(folder: Path) -> list[Crop]:
    return [Crop(np.asarray(Image.open(file).convert("RGB"))) for file in sorted(folder.glob("gallery/*/*[0-9].png"))]


def test_a_second_person_gets_another_number_and_the_first_keeps_theirs(folder: Path) -> None:
    with opened() as search:
        search.forget(where={"label": "Ada"})
        search.forget(where={"label": NAME})
        assert search._parts.classifier and search._parts.classifier.buckets == ("forgotten-1", "Bob", "forgotten-2")


def test_a_person_with_pictures_left_keeps_the_name_and_loses_the_picture(folder: Path) -> None:
    vector = bits(embedded(folder)[0])
    paths = [one for name in (f"{NAME}00.png", "torn.png") for one in spellings(f"{NAME}/{name}")]
    with opened() as search:
        assert search.forget([f"{NAME}/{NAME}00.png", f"{NAME}/torn.png"]) == [
            f"{NAME}/{NAME}00.png",
            f"{NAME}/torn.png",
        ]
        assert search._parts.classifier and search._parts.classifier.buckets == ("Ada", "Bob", NAME)
    assert traces(folder / "model", [*vector, *paths]) == []
    assert traces(folder / "model", spellings(NAME))


@pytest.mark.parametrize("step", ["_parted", "_update_card", "erase_names", "erase_results", "_erase"])
def test_interrupted_anywhere_the_same_command_completes_it(
    step: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = getattr(forgetting, step)

    def interrupted(*arguments: Any) -> None:
        done(*arguments)
        raise KeyboardInterrupt

    wanted = known(folder)
    with monkeypatch.context() as patched, opened() as search:
        patched.setattr(forgetting, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            search.forget(where={"label": NAME})
    with opened() as search:
        assert any(one.what == "forget" and one.level == "problem" for one in search.check())
        search.forget([f"{NAME}/{NAME}00.png"])  # it may be gone already, and that is no error then
        assert traces(folder / "model", wanted) == []
        assert not any(one.what == "forget" for one in search.check())
        with pytest.raises(UsageError, match="not in it"):
            search.forget([f"{NAME}/{NAME}00.png"])


def test_an_index_that_is_being_built_and_one_that_others_read_forget_too(folder: Path) -> None:
    wanted = known(folder)
    with opened() as search:
        shelf = EmbeddedShelf(EmbeddedShelf.Options(), folder / "model/index")
        old = shelf.live()
        assert old is not None
        search.index(rebuild=True)  # `old` is superseded now, and open
        Grid.fails_after = 8
        try:
            with pytest.raises(KeyboardInterrupt):
                search.index(rebuild=True)
        finally:
            Grid.fails_after = None
        building = shelf.begin(old.fingerprint, old.dim)
        items = [item for page in old.pages() for item in page]
        building.upsert(items, old.vectors([item.id for item in items]))
        building.close()
        assert len(list((folder / "model/index").glob("embedded-*.sqlite"))) == 3
        search.forget(where={"label": NAME})
        assert traces(folder / "model", wanted) == []
        assert old.count() == 12
        old.close()
        search.index(rebuild=True)
        assert search.count() == 12


def test_a_classifier_that_cannot_forget_is_removed(folder: Path) -> None:
    card = folder / "model/classifier/card.json"
    card.write_text(card.read_text().replace('"name": "extractor"', '"name": "fakes:Grid"'))
    with opened() as search:
        gone = search.forget(where={"label": NAME})
        assert any("classifier: removed" in line for line in gone.erased)
        assert not search.trained
        assert search.search(folder / "gallery/Ada/Ada00.png").hits[0].path == "Ada/Ada00.png"
    assert traces(folder / "model", known(folder)) == []


def test_nothing_that_matches_erases_nothing(folder: Path) -> None:
    before = {path: path.read_bytes() for path in (folder / "model").rglob("*") if path.is_file()}
    with opened() as search, pytest.raises(UsageError, match="nothing was changed, for no picture has label 'nobody'"):
        search.forget(where={"label": "nobody"})
    assert {path: path.read_bytes() for path in (folder / "model").rglob("*") if path.is_file()} == before


def test_a_file_is_overwritten_before_its_name_goes(tmp_path: Path) -> None:
    """Seen through a handle that was open before; a file with another name keeps its bytes for that."""
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"name" * 1000)
    with file.open("rb") as seen:
        erase(file)
        assert (seen.read(), file.exists()) == (bytes(4000), False)
    erase(file)
    file.write_text("first")
    with file.open("rb") as seen:
        with erasing(file):
            write_text(file, "second")
        assert (seen.read(), file.read_text()) == (bytes(5), "second")
    os.link(file, other)
    erase(file)
    assert (file.exists(), other.read_text()) == (False, "second")
    with erasing(other):
        other.read_text()
    assert other.read_text() == "second"


def test_a_gallery_inside_the_model_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a montage of ours that the user put there."""
    monkeypatch.chdir(tmp_path)
    paint_gallery(tmp_path / "model/gallery", PEOPLE)
    (tmp_path / "application.yaml").write_text(re.sub("folder: gallery", "folder: model/gallery", YAML))
    assert main(["-q"]) == 0
    shutil.copy("model/report/montage.png", "model/gallery/Ada/montage.png")
    paint(tmp_path / "model/gallery/Ada/new.png", seed=99)
    with opened() as search:
        search.forget(["Ada/Ada00.png"])
    assert (tmp_path / "model/gallery/Ada/montage.png").exists() and not (
        tmp_path / "model/report/montage.png"
    ).exists()
