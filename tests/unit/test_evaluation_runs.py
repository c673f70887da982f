"""Runs: the summary counted by hand, and rows that survive the file."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from visualsearch.calibration.promises import Promise
from visualsearch.errors import EngineError
from visualsearch.evaluation.latency import latency
from visualsearch.evaluation.runs import First, Guess, RunRow, read_run, write_run
from visualsearch.evaluation.summary import summarise

MUG = RunRow(
    query="mug/1.jpg",
    group="mug-1",
    right_items=2,
    routed=("a", "x"),
    routed_right=(True, False),
    exhaustive=("a", "b"),
    exhaustive_right=(True, True),
    routed_compared=0.25,
    exhaustive_compared=1.0,
    right_bucket="mug",
    predicted_bucket="mug",
    route_size=1,
    best_score=0.9,
)
BOWL = RunRow(
    query="bowl/1.jpg",
    group="bowl-1",
    right_items=1,
    routed=("x", "c"),
    routed_right=(False, True),
    exhaustive=("c", "x"),
    exhaustive_right=(True, False),
    routed_compared=0.75,
    exhaustive_compared=1.0,
    right_bucket="bowl",
    predicted_bucket="mug",
    route_size=3,
    widened=True,
    best_score=0.5,
)
LONELY = replace(BOWL, query="lonely.jpg", group="lonely", right_items=0, routed_right=(False, False),
                 exhaustive_right=(False, False), right_bucket=None, best_score=0.2)  # fmt: skip
STRANGER = replace(LONELY, query="stranger.jpg", group="stranger", stranger=True, best_score=0.5)


def test_the_summary_is_the_hand_count() -> None:
    summary = summarise([MUG, BOWL], ks=(1, 2))
    assert summary["queries"] == 2
    assert summary["classifier"] == {"top1": 0.5, "route_size": 2.0}
    assert summary["routed"] == {
        "hit_rate_at": {"1": 0.5, "2": 1.0},
        "recall_at": {"1": 0.25, "2": 0.75},  # (1/2 + 0/1) / 2, (1/2 + 1/1) / 2
        "map_at": {"1": 0.5, "2": 0.5},  # (1/1 + 0) / 2, (1/2 + 1/2) / 2
        "compared": 0.5,
    }
    assert summary["exhaustive"]["map_at"] == {"1": 1.0, "2": 1.0}
    assert summary["exhaustive"]["compared"] == 1.0
    assert summary["kept"] == 0.75  # (1/2 + 2/2) / 2
    assert (summary["widened"], summary["unanswerable"], summary["strangers"]) == (1, 0, None)


def test_queries_without_a_right_item_count_for_cost_alone() -> None:
    with_it, without = summarise([MUG, BOWL, LONELY]), summarise([MUG, BOWL])
    assert with_it["unanswerable"] == 1
    assert with_it["routed"]["hit_rate_at"] == without["routed"]["hit_rate_at"]
    assert with_it["routed"]["compared"] == pytest.approx((0.25 + 0.75 + 0.75) / 3)
    assert with_it["classifier"]["top1"] == 0.5
    assert with_it["classifier"]["route_size"] == pytest.approx((1 + 3 + 3) / 3)


def test_strangers_count_for_nothing_but_strangers() -> None:
    summary = summarise([MUG, BOWL, STRANGER])
    expected = summarise([MUG, BOWL])
    assert summary["strangers"] == {"pictures": 1, "auroc": 0.75}  # 0.9 > 0.5, 0.5 = 0.5
    assert {**summary, "strangers": None} == expected


def test_what_nobody_knows_is_null_and_never_nan() -> None:
    summary = summarise([replace(LONELY, predicted_bucket=None), STRANGER])
    assert summary["classifier"] is None
    assert summary["routed"]["hit_rate_at"] == {"1": None, "5": None, "20": None}
    assert summary["intervals"] is None
    assert "NaN" not in json.dumps(summary)
    empty = summarise([])
    assert (empty["queries"], empty["kept"]) == (0, None)


def test_intervals_stand_where_their_figures_stand() -> None:
    rows = [replace(row, group=f"{row.group}-{i}") for i in range(20) for row in (MUG, BOWL)]
    summary = summarise(rows)
    bounds = summary["intervals"]
    assert (bounds["level"], bounds["groups"]) == (0.95, 40)
    low, high = bounds["routed"]["hit_rate_at"]["1"]
    assert 0.3 < low < summary["routed"]["hit_rate_at"]["1"] < high < 0.7
    assert bounds["exhaustive"]["compared"] == [1.0, 1.0]
    assert summarise(rows) == summary
    assert summarise(rows, seed=1)["intervals"] != bounds


def test_a_run_survives_the_file(tmp_path: Path) -> None:
    odd = replace(MUG, query="line\u2028break/ü <&>.jpg")
    write_run(tmp_path / "run.jsonl", [odd, BOWL, LONELY, STRANGER])
    assert read_run(tmp_path / "run.jsonl") == [odd, BOWL, LONELY, STRANGER]
    assert [path.name for path in tmp_path.iterdir()] == ["run.jsonl"]


@pytest.mark.parametrize("line", ["no json", "{}", '{"query": 1}'])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "run.jsonl"
    write_run(path, [MUG])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(EngineError, match="line 2: expected a query and its hits") as caught:
        read_run(path)
    assert caught.value.slug == "run-broken"


def test_a_missing_run_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="No such file"):
        read_run(tmp_path / "run.jsonl")


def test_every_hit_needs_its_judgement() -> None:
    with pytest.raises(ValueError, match="one judgement for each hit"):
        replace(MUG, routed_right=(True,))


FULL = replace(
    MUG,
    route=("mug",),
    routed_scores=(0.9, 0.5),
    exhaustive_scores=(0.9, 0.75),
    routed_match=(True, False),
    first=First(("mug",), 1, 0.25, held=1.0, cut=True),
    guess=Guess(0.75, 1.0, 0.125, 0.25),
    missing={"unreadable": 2},
    timings_ms={"embed": 12.5, "search": 1.0},
)
EVERYTHING = replace(BOWL, first=First(None, 3, 1.0, held=0.0), timings_ms={"embed": 7.5})


def test_all_that_is_known_of_a_query_survives_the_file(tmp_path: Path) -> None:
    failed = replace(LONELY, routed=(), routed_right=(), exhaustive=(), exhaustive_right=(), failed="no_crop")
    write_run(tmp_path / "run.jsonl", [FULL, EVERYTHING, failed])
    assert read_run(tmp_path / "run.jsonl") == [FULL, EVERYTHING, failed]


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    names = list(asdict(FULL))
    old = {name: value for name, value in asdict(FULL).items() if names.index(name) <= names.index("stranger")}
    assert "first" not in old and "routed_right" in old
    (tmp_path / "run.jsonl").write_text(json.dumps(old) + "\n")
    assert read_run(tmp_path / "run.jsonl") == [MUG]


def test_the_promise_is_a_mean_over_first_routes_with_its_interval() -> None:
    promise = Promise("bucket", 0.9, 26, 9, None)
    rows = [replace(row, group=f"{row.group}-{i}") for i in range(10) for row in (FULL, EVERYTHING, LONELY)]
    summary = summarise(rows, promise=promise)
    assert summary["promise"] == {"kind": "bucket", "level": 0.9, "n": 26, "held": 0.5, "needed": 9, "cut": 10}
    assert summary["before_widening"] == {"route_size": 2.0, "compared": 0.625}  # (1 + 3) / 2, (0.25 + 1) / 2
    low, high = summary["intervals"]["promise"]["held"]
    assert 0.2 < low < 0.5 < high < 0.8
    assert summarise(rows)["promise"] is None


def test_queries_that_failed_and_strangers_count_for_no_mean() -> None:
    failed = replace(MUG, routed=(), routed_right=(), exhaustive=(), exhaustive_right=(), failed="unreadable")
    assert summarise([MUG, BOWL, failed]) == summarise([MUG, BOWL])
    stranger = replace(STRANGER, first=First(("mug",), 1, 0.5, held=0.0))
    assert summarise([FULL, stranger])["before_widening"]["compared"] == 0.25


def test_latency_is_by_stage() -> None:
    assert latency([FULL, EVERYTHING]) == {
        "embed": {"median": 10.0, "p95": pytest.approx(7.5 + 0.95 * 5.0)},
        "search": {"median": 1.0, "p95": 1.0},
    }
    assert latency([MUG]) is None
