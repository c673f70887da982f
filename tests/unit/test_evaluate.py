"""An evaluation from end to end: break one stage at a time, and read whom the figures blame."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import paint, paint_things
from PIL import Image

from visualsearch import DataError, VisualSearch
from visualsearch.cli import main
from visualsearch.datatypes import Crop
from visualsearch.embedder import Embedded, Embedder
from visualsearch.evaluation.metrics import average_precision_at
from visualsearch.evaluation.runs import RunRow, read_run
from visualsearch.stages import teaching

YAML = """
name: things
out: model
gallery: {folder: gallery, path: "{label}/{instance}-{view}"}
queries: {folder: queries, path: "{label}/{instance}-{view}"}
extractor: {name: "fakes:Grid", cells: 4}
crop: {name: "fakes:Shy"}
classifier: {name: extractor}
routing: {keep: 0.5, widen: []}
"""

THINGS, VIEWS = 24, 3
"""In the gallery; of each thing one more view is a query."""

EXPECTED = THINGS * VIEWS


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a YAML, its gallery and queries, and its model."""
    folder = tmp_path_factory.mktemp("things")
    paint_things(folder / "gallery")
    paint_things(folder / "queries", views=[9])
    (folder / "things.yaml").write_text(YAML)
    with VisualSearch.from_yaml(folder / "things.yaml") as search:
        search.index()
        search.train()
    return folder


@pytest.fixture
def things(trained: Path, tmp_path: Path) -> Path:
    """Return the YAML in a copy of that folder."""
    shutil.copytree(trained, tmp_path / "things")
    return tmp_path / "things/things.yaml"


def evaluated(yaml: Path, *overrides: str, index: bool = False) -> Any:
    with VisualSearch.from_yaml(yaml, overrides) as search:
        if index:
            search.index()
        return search.evaluate()


def blamed(summary: Any) -> dict[str, int]:
    """Return what is expected and found, and what each stage lost, zeros left out."""
    told = {name: number for name, number in summary["losses"].items() if isinstance(number, int) and number}
    kinds = ("unreadable", "no_crop", "not_indexed", "bucket_not_probed", "ranked_lower")
    lost = sum(told.get(kind, 0) for kind in kinds)
    assert told["expected"] == told.get("found", 0) - told.get("gained", 0) + lost
    return told


def test_where_nothing_is_broken_nothing_is_lost(things: Path) -> None:
    evaluation = evaluated(things)
    assert blamed(evaluation.summary) == {"expected": EXPECTED, "found": EXPECTED}
    assert evaluation.summary["losses"]["gallery"] == {"unreadable": 0, "no_crop": 0, "not_indexed": 0}
    assert evaluation.summary["calibration"]["shift"]["shifted"] is False
    assert not any("promise" in note for note in evaluation.summary["notes"])


def test_files_that_cannot_be_read_are_blamed_themselves(things: Path) -> None:
    (things.parent / "gallery/red/red00-0.png").write_text("no picture")
    (things.parent / "queries/blue/blue01-9.png").write_text("no picture")
    evaluation = evaluated(things, index=True)
    told = blamed(evaluation.summary)
    assert told == {"expected": EXPECTED, "found": EXPECTED - 4, "unreadable": 4}  # one view, and all three of a query
    assert evaluation.summary["losses"]["gallery"]["unreadable"] == 1
    assert evaluation.summary["losses"]["queries"] == {"unreadable": 1, "no_crop": 0}
    assert evaluation.summary["queries"] == THINGS - 1
    assert [row.query for row in evaluation.failed] == ["blue/blue01-9.png"]


def test_pictures_without_a_crop_are_blamed_on_the_crop(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    black = Image.fromarray(np.zeros((40, 48, 3), np.uint8))
    black.save(things.parent / "gallery/red/red00-0.png")
    black.save(things.parent / "queries/blue/blue01-9.png")
    evaluation = evaluated(things, index=True)
    assert blamed(evaluation.summary) == {"expected": EXPECTED, "found": EXPECTED - 4, "no_crop": 4}
    for file in (things.parent / "queries").rglob("*.png"):
        black.save(file)
    evaluation = evaluated(things)
    assert blamed(evaluation.summary) == {"expected": EXPECTED, "no_crop": EXPECTED}
    assert (evaluation.rows, evaluation.summary["queries"], len(evaluation.failed)) == ((), 0, THINGS)
    assert main(["-yml", str(things), "-q"]) == 0
    said = capsys.readouterr().out
    assert "evaluate  0 queries: none could be searched" in said and "100 % without a crop" in said
    with VisualSearch.from_yaml(things) as search, pytest.raises(DataError, match="none of the queries could be"):
        search.sweep()


def test_what_was_not_indexed_is_blamed_on_the_index_unless_it_was_forgotten(things: Path) -> None:
    with VisualSearch.from_yaml(things) as search:
        search.forget(["green/green02-1.png"])
    paint_things(things.parent / "gallery", views=[3])
    evaluation = evaluated(things)
    # a fourth view of each thing, but for none of them the one that was forgotten
    assert blamed(evaluation.summary) == {
        "expected": EXPECTED + THINGS - 1,
        "found": EXPECTED - 1,
        "not_indexed": THINGS,
    }
    assert evaluation.summary["losses"]["gallery"]["not_indexed"] == THINGS


def permuted(monkeypatch: pytest.MonkeyPatch, vectors: bool) -> None:
    """Let the embedder give each query the probabilities of another bucket, or vectors of no meaning."""
    embed = Embedder.embed
    rng = np.random.default_rng(0)

    def wrong(self: Embedder, crops: Sequence[Crop]) -> Embedded:
        said = embed(self, crops)
        if not vectors:
            assert said.probabilities is not None
            return Embedded(said.vectors, np.roll(said.probabilities, 1, axis=1))
        noise = rng.normal(size=said.vectors.shape).astype(np.float32)
        return Embedded(noise / np.linalg.norm(noise, axis=1, keepdims=True), said.probabilities)

    monkeypatch.setattr(Embedder, "embed", wrong)


def test_a_classifier_with_permuted_classes_is_blamed_on_the_route(
    things: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    permuted(monkeypatch, vectors=False)
    summary = evaluated(things).summary
    assert blamed(summary) == {"expected": EXPECTED, "bucket_not_probed": EXPECTED}
    assert summary["promise"]["held"] == 0.0
    assert summary["calibration"]["shift"]["shifted"]
    assert any(note.startswith("the promise does not hold for these queries") for note in summary["notes"])


def test_embeddings_without_meaning_are_blamed_on_the_extractor(things: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    permuted(monkeypatch, vectors=True)
    told = blamed(evaluated(things, "routing.keep=1").summary)
    assert set(told) <= {"expected", "found", "ranked_lower"}
    # 20 of 72 pictures at random
    assert told["ranked_lower"] / EXPECTED == pytest.approx(1 - 20 / 72, abs=0.15)


def test_the_promise_is_held_as_often_as_searches_say(things: Path) -> None:
    queries = sorted((things.parent / "queries").rglob("*.png"))
    with VisualSearch.from_yaml(things, ["routing.keep=0.8"]) as search:
        summary = search.evaluate().summary
        routes = [search.search(file).route for file in queries]
    held = [
        not route.buckets or file.parent.name in {bucket.name for bucket in route.buckets}
        for file, route in zip(queries, routes, strict=True)
        if route is not None
    ]
    promise = summary["promise"]
    assert (promise["kind"], promise["level"]) == ("bucket", 0.8)
    assert promise["n"] == routes[0].promise["n"]
    assert promise["held"] == pytest.approx(np.mean(held))
    compared = [route.steps[0].compared for route in routes]
    assert summary["before_widening"]["compared"] == pytest.approx(np.mean(compared))
    assert evaluated(things, "routing.keep=1").summary["promise"] is None


def test_a_sweep_says_what_an_evaluation_at_each_level_would(things: Path) -> None:
    with VisualSearch.from_yaml(things) as search:
        told = {one["keep"]: one for one in search.sweep()["levels"]}
    for keep in (0.5, 0.7, 1.0):
        summary = evaluated(things, f"routing.keep={keep}").summary
        assert told[keep]["compared"] == pytest.approx(summary["before_widening"]["compared"])
        assert told[keep]["kept"] == pytest.approx(summary["kept"])
        assert told[keep]["hit_rate"] == pytest.approx(summary["routed"]["hit_rate_at"]["1"])
    assert told[0.995]["note"] == f"{summary_groups(things)} of 199 groups"


def summary_groups(yaml: Path) -> int:
    return int(evaluated(yaml).summary["promise"]["n"])


def test_a_run_keeps_routes_scores_and_failures(things: Path) -> None:
    (things.parent / "queries/blue/blue01-9.png").write_text("no picture")
    report = things.parent / "report.html"
    assert main(["-yml", str(things), "-q", "evaluate", "--report", str(report)]) == 0
    rows = read_run(things.parent / "model/report/run.jsonl")
    assert [row.query for row in rows if row.failed] == ["blue/blue01-9.png"]
    one = rows[0]
    assert list(one.routed_scores) == sorted(one.routed_scores, reverse=True)
    assert len(one.routed_scores) == len(one.routed)
    assert one.first is not None
    assert one.first.buckets == one.route == ("blue",)
    assert set(one.timings_ms) == {"decode", "crop", "embed", "search", "search_exhaustive"}
    text = report.read_text()
    assert "What was lost, and where" in text and "3 of 3 lost" in text


def test_a_split_asks_about_groups_that_the_classifier_never_saw(things: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[str] = []
    fit, gathered = teaching.fit, teaching.gathered

    def fitting(options: Any, extractor: Any, runtime: Any, examples: Any, *more: Any) -> Any:
        learned.extend(example.group for example in examples)
        return fit(options, extractor, runtime, examples, *more)

    def gathering(classifier: Any, embedder: Any, examples: Any, *more: Any) -> Any:
        learned.extend(example.group for example in examples)
        return gathered(classifier, embedder, examples, *more)

    monkeypatch.setattr(teaching, "fit", fitting)
    monkeypatch.setattr(teaching, "gathered", gathering)
    split = ["queries={split: 0.3}"]
    with VisualSearch.from_yaml(things, split) as search:
        assert any("the classifier was trained on" in note for note in search.evaluate().summary["notes"])
        search.train()
        evaluation = search.evaluate()
    asked = {row.group for row in evaluation.rows}
    assert len(evaluation.rows) == VIEWS * len(asked)
    assert 0 < len(asked) < THINGS / 2
    assert len(learned) == VIEWS * (THINGS - len(asked))
    assert not asked & set(learned)
    assert not any("the classifier was trained on" in note for note in evaluation.summary["notes"])
    assert all(row.right_items == VIEWS - 1 for row in evaluation.rows), "each picture is left out of its own answer"


def test_a_folder_and_a_split_are_too_many(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-yml", str(things), "--set", "queries.split=0.2", "evaluate"]) == 2
    assert "expected either a folder or a split; received both" in " ".join(capsys.readouterr().err.split())


def test_a_picture_in_the_wrong_folder_is_found_and_its_copies_do_not_vouch_for_it(things: Path) -> None:
    with VisualSearch.from_yaml(things) as search:
        assert search.mislabelled() == []
        odd = paint(things.parent / "gallery/red/odd-0.png", seed=1, hue=2)
        copies = [odd.with_name(f"odd-{number}.png") for number in range(1, 8)]
        for copy in copies:
            shutil.copy(odd, copy)
        search.index()
        assert {one.path for one in search.mislabelled()} == {f"red/{file.name}" for file in (odd, *copies)}
        for copy in copies:
            copy.unlink()
        search.index()
        (found,) = search.mislabelled()
    assert (found.path, found.value, found.looks_like) == ("red/odd-0.png", "red", "blue")
    assert all(path.startswith("blue/") for path in found.neighbours)


def test_without_the_gallery_its_pictures_are_not_called_lost_and_that_is_said(things: Path) -> None:
    (things.parent / "gallery/red/red00-0.png").write_text("no picture")
    assert blamed(evaluated(things, index=True).summary)["unreadable"] == 1
    (things.parent / "gallery").rename(things.parent / "away")
    summary = evaluated(things).summary
    assert blamed(summary) == {"expected": EXPECTED - 1, "found": EXPECTED - 1}
    assert any("the gallery's folder cannot be listed" in note for note in summary["notes"])


def against(things: Path, other: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    """Evaluate against another YAML; return what is printed, or the complaint."""
    (things.parent / "other.yaml").write_text(other)
    capsys.readouterr()
    assert main(["-yml", str(things), "evaluate", "--against", str(things.parent / "other.yaml"), "--json"]) == code
    out = capsys.readouterr()
    return json.loads(out.err)["error"] if code else json.loads(out.out)


def precision(row: RunRow) -> float:
    return average_precision_at(20, row.exhaustive_right, row.right_items)


def test_two_files_are_compared_on_the_same_queries(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = (
        YAML.replace("name: things", "name: other").replace("out: model", "out: other").replace("cells: 4", "cells: 1")
    )
    (things.parent / "other.yaml").write_text(other)
    with VisualSearch.from_yaml(things.parent / "other.yaml") as search:
        search.index()
        search.train()
        theirs = search.evaluate()
    mine = evaluated(things)
    told = against(things, other, capsys)
    assert told["verdicts"]["match"] == {"rate": 0.01, "n": 24, "needed": 99, "least": None}
    figures = {tuple(one["figure"]): one for one in told["against"]["figures"]}
    one = figures["exhaustive", "map_at", "20"]
    assert one["this"] == pytest.approx(told["exhaustive"]["map_at"]["20"])
    assert one["other"] == pytest.approx(theirs.summary["exhaustive"]["map_at"]["20"])
    assert one["difference"] == pytest.approx(one["this"] - one["other"]) and one["difference"] > 0
    assert one["interval"][0] <= one["difference"] <= one["interval"][1]
    changed = [precision(row) - precision(other) for row, other in zip(mine.rows, theirs.rows, strict=True)]
    assert min(changed) >= 0 and max(changed) > 0
    assert one["p_value"] == 2 / 2 ** np.count_nonzero(changed), "all signs alike, of a thing for each query"
    same = {tuple(one["figure"]): one for one in against(things, YAML, capsys)["against"]["figures"]}
    assert {(one["difference"], one["p_value"]) for one in same.values()} == {(0.0, 1.0)}


@pytest.mark.parametrize(
    ("change", "slug", "says"),
    [
        (("folder: queries", "folder: gallery"), "other-queries", "24 of 24 are missing there, and it has 72 others"),
        (("queries: {", "queries: {relevant: label, "), "other-relevant", "received label there and instance here"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(
    things: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str], slug: str, says: str
) -> None:
    told = against(things, YAML.replace(*change), capsys, code=3)
    assert told["slug"] == slug
    assert says in told["message"]


def test_a_sweep_without_a_classifier_is_refused(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(things.parent / "model/classifier")
    assert main(["-yml", str(things), "evaluate", "--sweep", "--json"]) == 3
    lines = capsys.readouterr().err.splitlines()
    assert json.loads(lines[-1])["error"]["slug"] == "not-calibrated"


def test_the_sweep_is_printed_and_drawn(things: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-yml", str(things), "-q", "evaluate", "--sweep"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.startswith(("montage", "report", "run"))) <= 80
    assert any(line.startswith("routing: {keep: ") for line in lines)
    text = (things.parent / "model/report/report.html").read_text()
    assert "<title>Kept against compared</title>" in text and "<desc>" in text
