"""The main job with small plug-ins: index what changed, train, search; compared with hand counts and brute force."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Grid, Taught, paint, paint_gallery
from PIL import Image

from visualsearch import DataError, EngineError, PictureError, UsageError, VisualSearch
from visualsearch.stores.embedded_store import EmbeddedStore

YAML = """
name: painted
out: {out}
gallery: {{folder: {gallery}}}
extractor: {{name: "fakes:Grid", cells: {cells}}}
classifier: {{name: extractor}}
routing: {{keep: {keep}, widen: {widen}}}
search: {{k: 3}}
"""


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return paint_gallery(tmp_path / "gallery")


def opened(gallery: Path, cells: int = 4, keep: float = 0.5, widen: str = "[]") -> VisualSearch:
    yaml = gallery.parent / "painted.yaml"
    yaml.write_text(YAML.format(out=gallery.parent / "model", gallery=gallery, cells=cells, keep=keep, widen=widen))
    return VisualSearch.from_yaml(yaml)


def counts(summary: Any) -> dict[str, int]:
    told = {name: getattr(summary, name) for name in ("added", "changed", "renamed", "removed", "unchanged")}
    return {name: number for name, number in told.items() if number} | (
        {"failed": len(summary.failed)} if summary.failed else {}
    )


def indexed(search: VisualSearch) -> tuple[dict[str, int], int]:
    """Index and return what changed, and how many crops that embedded."""
    before = Grid.embedded
    return counts(search.index()), Grid.embedded - before


def contents(search: VisualSearch) -> dict[str, tuple[Any, ...]]:
    """Return everything that an index holds, vectors included."""
    store = search._parts.shelf.live()
    assert store is not None
    try:
        items = [item for page in store.pages() for item in page]
        vectors = store.vectors([item.id for item in items])
        return {
            item.id: (item.path, dict(item.columns), item.buckets, item.source.content, vector.tobytes())
            for item, vector in zip(items, vectors, strict=True)
        }
    finally:
        store.close()


def test_an_extractor_is_fitted_on_the_gallery_and_its_groups_before_the_first_index(gallery: Path) -> None:
    (gallery / "red" / "broken.png").write_text("no picture")
    overrides = ["extractor.name=fakes:Taught", "gallery.group=label", "queries.relevant=label"]
    yaml = gallery.parent / "taught.yaml"
    yaml.write_text(YAML.format(out=gallery.parent / "model", gallery=gallery, cells=4, keep=0.5, widen="[]"))
    Taught.lesson = None
    with VisualSearch.from_yaml(yaml, overrides) as search:
        search.index()
        notes = search.evaluate().summary["notes"]
    assert Taught.lesson is not None
    files = sorted(file for file in gallery.rglob("*.png") if file.name != "broken.png")
    assert Taught.lesson[1] == [file.parent.name for file in files]
    grid = Grid(Grid.Options(name="grid"), None, gallery)
    np.testing.assert_array_equal(Taught.lesson[0], grid.embed([_crop(file) for file in files]))
    assert sum("pictures that the extractor was fitted on: all figures are too good" in note for note in notes) == 1


def test_a_search_ranks_like_brute_force_over_the_files(gallery: Path) -> None:
    query = paint(gallery.parent / "query.png", seed=7, hue=1)
    files = sorted(gallery.rglob("*.png"))
    grid = Grid(Grid.Options(name="grid"), None, gallery)
    crops = [_crop(file) for file in (query, *files)]
    vectors = grid.embed(crops).astype(np.float64)
    expected = sorted(
        ((float(row @ vectors[0]), file) for row, file in zip(vectors[1:], files, strict=True)), reverse=True
    )
    with opened(gallery) as search:
        search.index()
        hits = search.search(query, k=5).hits
    assert [hit.path for hit in hits] == [file.relative_to(gallery).as_posix() for _, file in expected[:5]]
    assert [hit.score for hit in hits] == pytest.approx([score for score, _ in expected[:5]], abs=1e-5)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]


def _crop(file: Path) -> Any:
    from visualsearch.datatypes import Crop

    return Crop(np.asarray(Image.open(file).convert("RGB")))


def test_before_training_a_search_is_exhaustive_and_says_so(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        route = search.search(gallery / "red/red00.png").route
    assert route is not None
    assert (route.compared, route.buckets) == (1.0, ())
    assert "no classifier" in route.steps[0].why


def test_after_training_a_search_compares_only_the_predicted_bucket(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        before = contents(search)
        search.train()
        assert contents(search) == before, "training embeds nothing and moves nothing"
        answer = search.search(gallery / "red/red00.png")
    assert answer.route is not None
    assert [bucket.name for bucket in answer.route.buckets] == ["red"]
    assert answer.route.compared == pytest.approx(6 / 18)
    assert {hit.buckets for hit in answer.hits} == {("red",)}
    assert answer.route.promise == {"kind": "bucket", "level": 0.5, "n": 4, "held": True}  # a fifth of 18 groups
    assert (answer.verdict, answer.hits[0].match) == (None, None)


def test_too_few_hits_widen_and_every_step_is_told(gallery: Path) -> None:
    with opened(gallery, widen="[more, all]") as search:
        search.index()
        search.train()
        answer = search.search(gallery / "red/red00.png", k=15)
    assert answer.route is not None
    assert [step.buckets for step in answer.route.steps] == [1, 2, 0]
    assert [step.compared for step in answer.route.steps] == pytest.approx([6 / 18, 12 / 18, 1.0])
    assert answer.route.compared == 1.0
    assert len(answer.hits) == 15


def test_a_folder_added_after_training_is_found(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        search.train()
        new = paint(gallery / "violet/violet00.png", seed=77, hue=0)
        assert indexed(search) == ({"added": 1, "unchanged": 18}, 1)
        answer = search.search(new)
        assert answer.hits[0].path == "violet/violet00.png"
        assert answer.route is not None
        assert ("violet", None) in [(bucket.name, bucket.probability) for bucket in answer.route.buckets]
        notes = [finding.says for finding in search.check() if finding.level == "note"]
    assert any("violet" in says for says in notes)


def test_a_picture_without_bucket_is_compared_in_every_search(gallery: Path) -> None:
    paint(gallery / "loose.png", seed=5, hue=1)
    with opened(gallery) as search:
        search.index()
        search.train()
        route = search.search(gallery / "red/red00.png").route
    assert route is not None
    assert route.compared == pytest.approx(7 / 19)


def test_each_kind_of_change_is_told_apart_and_nothing_is_embedded_twice(gallery: Path) -> None:
    with opened(gallery) as search:
        assert indexed(search) == ({"added": 18}, 18)
        assert indexed(search) == ({"unchanged": 18}, 0)
        os.utime(gallery / "red/red00.png", (1, 1))
        assert indexed(search) == ({"unchanged": 18}, 0)
        (gallery / "red/red01.png").rename(gallery / "red/moved.png")
        shutil.copy(gallery / "red/red02.png", gallery / "blue/copy.png")
        paint(gallery / "red/red03.png", seed=999, hue=1)
        (gallery / "red/red04.png").unlink()
        paint(gallery / "green/new.png", seed=1000, hue=1)
        assert indexed(search) == ({"added": 2, "changed": 1, "renamed": 1, "removed": 1, "unchanged": 15}, 2)
        assert indexed(search) == ({"unchanged": 19}, 0)
        hits = search.search(gallery / "red/moved.png", k=19).hits
    assert len(hits) == len({hit.path for hit in hits}) == 19
    assert "red/red01.png" not in {hit.path for hit in hits}
    assert {hit.buckets for hit in hits if hit.path == "blue/copy.png"} == {("blue",)}


def test_other_content_with_the_same_size_and_time_is_a_change(gallery: Path) -> None:
    file = gallery / "red/red00.png"
    Image.new("RGB", (8, 8), (200, 10, 10)).save(file, compress_level=0)
    with opened(gallery) as search:
        search.index()
        stat = file.stat()
        Image.new("RGB", (8, 8), (10, 200, 10)).save(file, compress_level=0)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert file.stat().st_size == stat.st_size
        assert indexed(search) == ({"changed": 1, "unchanged": 17}, 1)


def test_a_bad_picture_is_remembered_and_tried_again_only_when_it_changes(
    gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = gallery / "red/bad.jpg"
    bad.write_text("Hello, I am no picture")
    with opened(gallery) as search:
        summary = search.index()
        assert [(one.path, bool(one.reason)) for one in summary.failed] == [("red/bad.jpg", True)]
        os.utime(bad, (1, 1))
        reads: list[Path] = []
        from visualsearch.stages import writing

        monkeypatch.setattr(writing, "decode", lambda data: reads.append(bad))
        assert indexed(search) == ({"unchanged": 18, "failed": 1}, 0)
        assert reads == []
        monkeypatch.undo()
        paint(gallery.parent / "good.png", seed=3).replace(bad)
        assert indexed(search) == ({"added": 1, "unchanged": 18}, 1)


@pytest.mark.parametrize("stop", [0, 5, 64, 100, 149])
def test_an_interrupted_index_ends_as_one_that_was_not(tmp_path: Path, stop: int) -> None:
    whole = paint_gallery(tmp_path / "whole/gallery", each=50)
    torn = paint_gallery(tmp_path / "torn/gallery", each=50)
    with opened(whole) as search:
        search.index()
        expected = contents(search)
    with opened(torn) as search:
        Grid.fails_after = stop
        try:
            with pytest.raises(KeyboardInterrupt):
                search.index()
        finally:
            Grid.fails_after = None
        done = indexed(search)
        assert contents(search) == expected
        assert indexed(search) == ({"unchanged": 150}, 0)
    assert done[1] < 150 or stop < 64, "what was written before the interruption is not embedded again"


def test_a_changed_extractor_rebuilds_beside_the_old_index(gallery: Path) -> None:
    query = gallery / "red/red00.png"
    with opened(gallery) as old:
        old.index()
        expected = old.search(query, k=18)
        with opened(gallery, cells=2) as new:
            with pytest.raises(DataError, match="run `visualsearch index`|Run `visualsearch index`"):
                new.search(query)
            Grid.fails_after = 0
            try:
                with pytest.raises(KeyboardInterrupt):
                    new.index()
            finally:
                Grid.fails_after = None
            assert old.search(query, k=18).hits == expected.hits
            assert indexed(new) == ({"added": 18}, 18)
            assert len(new.search(query, k=18).hits) == 18
        assert old.search(query, k=18).hits == expected.hits, "who had the old index open goes on with it"


def test_what_was_forgotten_stays_forgotten(gallery: Path) -> None:
    shutil.copy(gallery / "red/red00.png", gallery / "blue/copy.png")
    with opened(gallery) as search:
        search.index()
        assert search.forget(["red/red00.png"]) == ["blue/copy.png", "red/red00.png"]
        assert indexed(search)[1] == 0
        search.index(rebuild=True)
        assert "red/red00.png" not in {path for path, *_ in contents(search).values()}
        assert search.forget(where={"label": "green"}) == [f"green/green{i:02d}.png" for i in range(6)]
        search.index()
        assert len(contents(search)) == 11
        with pytest.raises(UsageError, match="nowhere"):
            search.forget(["nowhere.png"])


def test_a_gallery_that_vanished_deletes_nothing(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        expected = contents(search)
        shutil.move(gallery / "red", gallery.parent / "red")
        shutil.move(gallery / "blue", gallery.parent / "blue")
        with pytest.raises(DataError, match="12 of 18 indexed pictures are gone"):
            search.index()
        assert contents(search) == expected
        shutil.move(gallery, gallery.parent / "elsewhere")
        with pytest.raises(DataError):
            search.index()
        gallery.mkdir()
        with pytest.raises(DataError):
            search.index()
        assert contents(search) == expected
        shutil.rmtree(gallery)
        shutil.move(gallery.parent / "elsewhere", gallery)
        assert counts(search.index(prune=True)) == {"removed": 12, "unchanged": 6}


def test_a_gallery_that_moved_embeds_nothing_and_another_one_is_refused(gallery: Path, tmp_path: Path) -> None:
    with opened(gallery) as search:
        search.index()
    model = contents(search)
    moved = gallery.rename(tmp_path / "moved")
    with opened(moved) as search:
        assert indexed(search) == ({"unchanged": 18}, 0)
        assert search.index().former_gallery is None
    other = paint_gallery(tmp_path / "other", labels=("violet", "orange"))
    for number, picture in enumerate(other.rglob("*.png")):
        paint(picture, seed=1000 + number)
    for cells in (4, 2):  # as the index was made, and with another extractor, whose index would begin anew
        refusal = f"was indexed from {moved}, and 18 of its 18 .*`name:` of its own"
        with opened(other, cells=cells) as search, pytest.raises(DataError, match=refusal):
            search.index()
    with opened(moved) as search:
        assert contents(search).keys() == model.keys()
        assert indexed(search)[1] == 0
    with opened(other, cells=2) as search:
        summary = search.index(prune=True)
        assert (counts(summary), summary.former_gallery) == ({"added": 12}, moved)


def test_a_folder_that_the_environment_names_is_the_same_gallery(
    gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAINTED", str(gallery))
    for _ in range(2):
        opened(gallery).close()
        with VisualSearch.from_yaml(gallery.parent / "painted.yaml", ["gallery.folder=${PAINTED}"]) as search:
            assert search.index().former_gallery is None


@pytest.mark.parametrize("cells", [4, 2])  # with the extractor that made it, and with another
def test_an_index_that_this_model_never_made_is_not_replaced_by_another_gallerys(
    gallery: Path, tmp_path: Path, cells: int
) -> None:
    with opened(gallery) as search:
        search.index()
        expected = contents(search)
    (tmp_path / "model" / "card.json").unlink()  # as a second machine finds an index in a server
    with opened(gallery) as search:
        assert indexed(search) == ({"unchanged": 18}, 0)
    (tmp_path / "model" / "card.json").unlink()
    other = paint_gallery(tmp_path / "other", labels=("violet",))
    for number, picture in enumerate(other.rglob("*.png")):
        paint(picture, seed=1000 + number)
    for rebuild in (False, True):
        with opened(other, cells=cells) as search, pytest.raises(DataError, match="another gallery's") as raised:
            search.index(rebuild=rebuild)
        assert "one of 18 pictures, 18 of which are not here" in str(raised.value)
    source = VisualSearch(search.settings.model_copy(update={"out": tmp_path / "source"}))
    with source, opened(other, cells=cells) as target:
        source.index()
        with pytest.raises(DataError, match="another gallery's"):
            source.copy_to(target)
    with opened(gallery) as search:
        assert contents(search) == expected
    with opened(other, cells=cells) as search:
        assert counts(search.index(prune=True))["added"] == 6


def test_a_copy_takes_along_what_was_fitted(gallery: Path, tmp_path: Path) -> None:
    with opened(gallery) as search:
        search.index()
        for name in ("pca.npz", "discriminant.npz"):
            (tmp_path / "model" / name).write_text(name)
        with VisualSearch(search.settings.model_copy(update={"out": tmp_path / "copy"})) as target:
            search.copy_to(target)
    assert [(tmp_path / "copy" / name).read_text() for name in ("pca.npz", "discriminant.npz")] == [
        "pca.npz",
        "discriminant.npz",
    ]


class Fitted(Grid):
    """A grid whose fingerprint is also that of a file in its model folder, as of what was fitted there."""

    def __init__(self, options: Grid.Options, runtime: object, folder: Path) -> None:
        """Look into the folder."""
        super().__init__(options, runtime, folder)
        fitted = folder / "pca.npz"
        self.fingerprint += fitted.read_text() if fitted.exists() else "unfitted"


@pytest.mark.parametrize(("cells", "own", "copied"), [(2, None, False), (4, None, True), (4, "mine", False)])
def test_a_copy_that_is_refused_leaves_nothing_and_one_that_is_not_needs_no_fit(
    gallery: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cells: int, own: str | None, copied: bool
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/pca.npz").write_text("theirs")
    if own:
        (tmp_path / "other").mkdir()
        (tmp_path / "other/pca.npz").write_text(own)
    for out, fine in (("model", 4), ("other", cells)):
        (tmp_path / f"{out}.yaml").write_text(
            f"out: {out}\ngallery: {{folder: {gallery}}}\nextractor: {{name: test_pipeline:Fitted, cells: {fine}}}"
        )
    before = sorted((tmp_path / "other").rglob("*"))
    with (
        VisualSearch.from_yaml(tmp_path / "model.yaml") as source,
        VisualSearch.from_yaml(tmp_path / "other.yaml") as target,
    ):
        source.index()
        if copied:
            assert source.copy_to(target) == 18
            assert (tmp_path / "other/pca.npz").read_text() == "theirs"
            return
        with pytest.raises(UsageError, match="Nothing was changed"):
            source.copy_to(target)
    assert sorted((tmp_path / "other").rglob("*")) == before
    assert not (own is None and (tmp_path / "other").exists())


def test_a_filter_that_nothing_satisfies_widens_nothing_and_costs_one_search_more(
    gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, list[Any]]] = []
    search_store = EmbeddedStore.search

    def noting(self: EmbeddedStore, vectors: Any, k: int, buckets: Any, where: Any) -> Any:
        asked.append((k, list(buckets)))
        return search_store(self, vectors, k, buckets, where)

    with opened(gallery, widen="[more, all]") as search:
        search.index()
        search.train()
        monkeypatch.setattr(EmbeddedStore, "search", noting)
        queries = [gallery / "red/red00.png", gallery / "blue/blue00.png"]
        answers = list(search.search_each(queries, k=3, where={"label": "violett"}))
        routed = [frozenset({"red"}), frozenset({"blue"})]
        assert asked == [(20, routed), (1, [None])]  # twenty hits are judged, however few are wanted
        assert [[step.why for step in answer.route.steps][1:] for answer in answers if answer.route] == [
            ["no picture has label 'violett'"]
        ] * 2
        asked.clear()
        assert len(search.search(queries[0], k=3, where={"label": "blue"}).hits) == 3, "found where it was widened to"
        assert asked[:2] == [(20, [frozenset({"red"})]), (1, [None])]
        asked.clear()
        assert len(search.search(queries[0], k=3, where={"label": "red"}).hits) == 3
        assert asked == [(20, [frozenset({"red"})])], "nothing is asked where something was found"


def test_filters_and_chosen_buckets(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        search.train()
        query = gallery / "red/red00.png"
        assert {
            h.columns["label"] for h in search.search(query, k=9, where={"label": "blue"}, exhaustive=True).hits
        } == {"blue"}
        assert {h.columns["label"] for h in search.search(query, k=9, buckets=["green"]).hits} == {"green"}
        twice = search.search(query, k=9, buckets=["green", "green"]).route
        assert (twice.compared, [bucket.name for bucket in twice.buckets], twice.steps[0].buckets) == (
            pytest.approx(6 / 18),
            ["green"],
            1,
        )
        with pytest.raises(UsageError, match="'label'"):
            search.search(query, where={"labl": "blue"})
        with pytest.raises(UsageError, match="'green'"):
            search.search(query, buckets=["gren"])
        for k in (0, True, "3"):
            with pytest.raises(UsageError, match="k: expected"):
                search.search(query, k=k)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="received the text 'red'"):
            search.search(query, buckets="red")
        with pytest.raises(UsageError, match="received the text"):
            search.forget("red/red00.png")
    with pytest.raises(UsageError, match="from_yaml"):
        VisualSearch("painted.yaml")  # type: ignore[arg-type]


def test_bytes_arrays_and_pil_images_are_the_same_query(gallery: Path) -> None:
    file = gallery / "green/green03.png"
    with opened(gallery) as search:
        search.index()
        image = Image.open(file).convert("RGB")
        answers = [search.search(one).hits for one in (file, str(file), file.read_bytes(), image, np.asarray(image))]
    assert all(hits == answers[0] for hits in answers)


def test_search_each_is_lazy_and_answers_every_picture(gallery: Path) -> None:
    asked: list[Path] = []
    missing = gallery / "missing.png"

    def images() -> Any:
        for number in range(1000):
            asked.append(missing if number == 1 else gallery / "red/red00.png")
            yield asked[-1]

    with opened(gallery) as search:
        search.index()
        answers = search.search_each(images())
        first, second = next(answers), next(answers)
        answers.close()
    assert first.hits[0].path == "red/red00.png"
    assert "no such file" in (second.error or "")
    assert len(asked) < 200


def test_an_unreadable_query_is_an_error_of_its_own(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        with pytest.raises(PictureError, match="no such file"):
            search.search("nowhere.png")


def test_why_not(gallery: Path) -> None:
    (gallery / "red/bad.jpg").write_text("no")
    with opened(gallery) as search:
        search.index()
        search.train()
        query = gallery / "red/red00.png"
        assert "rank 1" in search.why_not(query, "red/red00.png")
        assert "was not probed" in search.why_not(query, "blue/blue00.png")
        assert "could not be indexed" in search.why_not(query, "red/bad.jpg")
        assert "is not in the gallery" in search.why_not(query, "red/nothing.png")
        hits = search.search(query, k=6).hits
        assert "rank 6" in search.why_not(query, hits[5].path, k=1)


def test_searches_go_on_in_other_threads_while_the_index_changes(gallery: Path) -> None:
    wrong: list[object] = []
    with opened(gallery) as search:
        search.index()
        search.train()
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    first = search.search(gallery / "red/red00.png").hits[0].path
                except Exception as error:  # the test wants to know which
                    wrong.append(error)
                    return
                if first != "red/red00.png":
                    wrong.append(first)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(5):
            paint(gallery / f"green/extra{number}.png", seed=500 + number, hue=1)
            search.index()
        search.train()
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_copying_an_index_embeds_nothing(gallery: Path, tmp_path: Path) -> None:
    with opened(gallery) as search:
        search.index()
        expected = contents(search)
        before = Grid.embedded
        other = tmp_path / "other.yaml"
        other.write_text((tmp_path / "painted.yaml").read_text().replace("/model", "/copy"))
        with VisualSearch.from_yaml(other) as target:
            assert search.copy_to(target) == 18
            assert contents(target) == expected
    assert Grid.embedded == before


def test_from_search_to_the_matrix_product_are_at_most_four_calls(
    gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visualsearch.stores.ranking import Ranking

    ways: list[list[str]] = []
    product = Ranking.add

    def spied(self: Ranking, *args: Any) -> None:
        frame, names = sys._getframe(1), ["add"]
        while frame is not None and frame.f_code.co_name != "search" or "pipeline" not in frame.f_code.co_filename:
            names.append(frame.f_code.co_name)
            frame = frame.f_back  # type: ignore[assignment]
        ways.append(names)
        product(self, *args)

    with opened(gallery) as search:
        search.index()
        monkeypatch.setattr(Ranking, "add", spied)
        search.search(gallery / "red/red00.png")
    assert ways == [["add", "search", "retrieve", "answer"]]


def test_a_damaged_classifier_leaves_the_gallery_searchable(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        search.train()
        for file in (gallery.parent / "model/classifier").glob("head-*.npz"):
            file.write_bytes(file.read_bytes()[:50])
    with opened(gallery) as search:
        answer = search.search(gallery / "red/red00.png", k=18)
        assert len(answer.hits) == 18
        assert answer.route is not None
        assert answer.route.compared == 1.0
        assert any(finding.level == "problem" and "classifier/" in finding.says for finding in search.check())


def test_leaving_a_picture_out_widens_no_search_by_itself(gallery: Path) -> None:
    for number in range(40):
        paint(gallery / f"red/more{number:02d}.png", seed=2000 + number, hue=0)
    with opened(gallery, widen="[all]") as search:
        search.index()
        search.train()
        rows = {row.query: row for row in search.evaluate().rows}
    assert not rows["red/red00.png"].widened
    assert rows["blue/blue00.png"].widened


@pytest.mark.parametrize(("each", "widened"), [(6, 0), (7, 21)])
def test_no_search_widens_for_hits_that_the_gallery_has_not(tmp_path: Path, each: int, widened: int) -> None:
    """Of 18 pictures 5 are asked for, which each bucket of 6 has; of 21 pictures 20."""
    with opened(paint_gallery(tmp_path / "gallery", each=each), widen="[all]") as search:
        search.index()
        search.train()
        rows = search.evaluate().rows
    assert (len(rows), sum(row.widened for row in rows)) == (3 * each, widened)
    share = pytest.approx(1.0 if widened else 1 / 3)
    assert [row.routed_compared for row in rows] == [share] * len(rows)


def test_two_processes_do_not_index_the_same_gallery_at_once(gallery: Path) -> None:
    with opened(gallery) as search:
        search.index()
        holder = (
            "import sys, time; from pathlib import Path; from visualsearch.files import exclusive\n"
            f"with exclusive(Path({str(gallery.parent / 'model')!r})): print('held', flush=True); sys.stdin.read()"
        )
        where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        other = subprocess.Popen(
            [sys.executable, "-c", holder], env=where, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with other:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(EngineError, match="another process is indexing"):
                search.index()
            other.kill()
        assert counts(search.index()) == {"unchanged": 18}


def test_queries_with_one_stamp_are_not_taken_for_each_other(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from visualsearch import gallery as listing

    monkeypatch.setattr(listing, "_stamp", lambda entry: "1:1:1")
    with opened(gallery) as search:
        search.index()
        found = {answer.query.path: answer.hits[0].path for answer in search.evaluate().answers}
        expected = {str(file): search.search(file, k=2).hits[1].path for file in gallery.rglob("*.png")}
    assert found == expected, "pictures written in one tick of the clock are still different queries"


def test_a_group_that_the_gallery_lacks_is_refused(gallery: Path) -> None:
    with opened(gallery) as search:
        settings = search.settings
    grouped = settings.model_copy(update={"gallery": settings.gallery.model_copy(update={"group": "brand"})})
    with VisualSearch(grouped) as search, pytest.raises(DataError, match=r"gallery\.group: .*received 'brand'"):
        search.index()


def test_check_knows_what_was_forgotten_and_forget_a_name_that_nobody_has(gallery: Path) -> None:
    with opened(gallery) as search:
        before = {one.what: one.says for one in search.check()}
        assert before["classifier"] == "none: nothing is indexed yet, searches are exhaustive"
        search.index()
        with pytest.raises(UsageError, match=r"no picture has label 'rde'; did you mean 'red'\?"):
            search.forget(where={"label": "rde"})
        assert len(search.forget(where={"label": "red"})) == 6
        assert search.index().unchanged == 12
        told = [one.says for one in search.check() if one.what == "index"]
    assert "6 of the gallery's pictures were forgotten and stay out" in told
    assert not [says for says in told if "not indexed" in says]
