"""What the terminal prints, captured at 80 columns without colour; tests/golden holds the whole of it."""

from __future__ import annotations

import io
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from visualsearch.datatypes import Answer, Hit, Probability, Query, Route, Step
from visualsearch.presentation import terminal
from visualsearch.presentation.bars import TerminalProgress
from visualsearch.presentation.routes import print_route

GOLDEN = Path(__file__).parents[1] / "golden"

HITS = tuple(
    Hit(f"id{rank}", path, {"label": label, "price": price}, (label,), score, rank)
    for rank, (path, label, price, score) in enumerate(
        [
            ("mug/red-mug-3.jpg", "mug", "4.50", 0.93412),
            ("mug/a-mug-with-a-name-that-is-far-too-long-for-one-line-of-a-terminal-7.jpg", "mug", "", 0.5),
            ("bowl/wide [bold]bowl[/bold]-1.jpg", "bowl", "12.00", -0.02),
        ],
        start=1,
    )
)
WIDENED = Answer(
    Query("queries/mug/red-mug-9.jpg"),
    HITS,
    Route(
        (Probability("mug", 0.91), Probability("bowl", 0.06), Probability("vase", None)),
        (
            Step("the right bucket with probability 0.9 or more: each bucket of 0.4 or more", 1, 0.0625, ("mug",)),
            Step("2 of 3 hits: widened to more buckets", 3, 0.125, ("bowl", "vase")),
        ),
        0.125,
    ),
    timings_ms={"embed": 12.0, "total": 14.2},
)
EXHAUSTIVE = Answer(Query(None), HITS[:1], Route((), (Step("exhaustive: no classifier is trained yet", 0, 1.0),), 1.0))
FAILED = Answer(Query("queries/broken.jpg"), error="truncated JPEG: the file ends early")
FIGURES = {"hit_rate_at": {"1": 0.975, "5": 1.0}, "recall_at": {"1": 0.125}, "map_at": {"5": 0.5}, "compared": 0.125}
BOUNDS = {"hit_rate_at": {"1": [0.95, 0.99], "5": [1.0, 1.0]}, "map_at": {"5": [0.4, 0.6]}, "compared": [0.1, 0.15]}
SUMMARY = {
    "queries": 1256,
    "unanswerable": 3,
    "classifier": {"top1": 0.9, "route_size": 2.25},
    "routed": FIGURES,
    "exhaustive": {**FIGURES, "compared": 1.0, "hit_rate_at": {"1": 0.98, "5": None}},
    "kept": 0.875,
    "strangers": {"pictures": 32, "auroc": 0.91234},
    "intervals": {"routed": BOUNDS, "exhaustive": BOUNDS, "kept": [0.85, 0.9], "classifier": {"top1": [0.88, 0.92]}},
}


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80, color_system=None, legacy_windows=False, highlight=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def same_as_golden(name: str, text: str) -> None:
    """Compare with the file, or write it where VISUALSEARCH_GOLDEN=write asks for that."""
    path = GOLDEN / name
    if os.environ.get("VISUALSEARCH_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_answer_is_the_golden_one(console: Console) -> None:
    judged = {"id1": True, "id2": False, "id3": None}
    terminal.print_answer(WIDENED, items=1024, noun="picture", judge=lambda _, hit: judged[hit.id], console=console)
    terminal.print_answer(EXHAUSTIVE, console=console)
    terminal.print_answer(FAILED, console=console)
    print_route(WIDENED, console=console)
    same_as_golden("terminal-answer.txt", text_of(console))


def test_buckets_that_the_caller_chose_have_no_probability_and_are_no_unknown_ones(console: Console) -> None:
    route = Route((Probability("mug", None),), (Step("chosen by the caller", 1, 0.25),), 0.25)
    print_route(Answer(Query(None), HITS[:1], route), console=console)
    assert re.search(r"mug +not asked for", text_of(console))


def test_of_a_route_of_many_buckets_the_first_are_listed_and_the_rest_counted(console: Console) -> None:
    many = tuple(Probability(f"cluster-{n:03d}", 0.05 - n / 1000) for n in range(40))
    hits = tuple(replace(HITS[0], id=str(n), buckets=(f"cluster-{n:03d}",)) for n in (0, 1, 20, 30, 39))
    steps = (Step("0.99 or more of the exhaustive hits", 40, 0.1, tuple(one.name for one in many)),)
    print_route(Answer(Query(None), hits, Route(many, steps, 0.1)), console=console)
    shown = text_of(console)
    assert "cluster-014" in shown and "cluster-015" not in shown
    assert re.search(r"25 more +3\n", shown)


def test_the_summaries_are_the_golden_ones(console: Console) -> None:
    failed = [{"path": f"mug/{i}.jpg", "reason": "an empty file: 0 bytes"} for i in range(12)]
    index = {"added": 1024, "changed": 0, "renamed": 2, "removed": 0, "unchanged": 7, "failed": failed, "seconds": 75.2}
    terminal.print_index_summary(index, console=console)
    terminal.print_index_summary({**index, "added": 0, "renamed": 0, "unchanged": 0, "failed": []}, console=console)
    training = {
        "top1": {"chosen": 0.875, "head": 0.75},
        "held_out": {"pictures": 64},
        "seconds": 31.0,
        "notes": ["one"],
    }
    terminal.print_training(training, console=console)
    terminal.print_evaluation(SUMMARY, console=console)
    terminal.print_findings([("ok", "model", "32 pictures"), ("problem", "index", "is missing")], console=console)
    terminal.print_written({"montage": "models/a/report/montage.png"}, console=console)
    same_as_golden("terminal-summaries.txt", text_of(console))


def test_where_nothing_is_known_to_be_right_nothing_is_measured(console: Console) -> None:
    terminal.print_evaluation({**SUMMARY, "queries": 15, "unanswerable": 15}, console=console)
    said = " ".join(text_of(console).split())
    assert said.startswith("evaluate 15 queries: nothing says of any hit that it is right, so there is nothing to")
    assert "left out" not in said and "kept" not in said and "hit rate" not in said


def test_nothing_is_wider_than_80_columns_and_no_path_loses_a_character(console: Console) -> None:
    terminal.print_answer(WIDENED, items=1024, console=console)
    lines = text_of(console).splitlines()
    assert max(map(len, lines)) <= 80
    header = next(line for line in lines if "picture" in line)
    column = slice(header.index("picture"), header.index("columns"))
    shown = "".join(line[column].rstrip() for line in lines)
    assert all(hit.path.replace(" ", "") in shown.replace(" ", "") for hit in HITS)


def test_an_output_without_block_characters_gets_plain_ones() -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=80, color_system=None, highlight=False)
    terminal.print_answer(Answer(Query("q.jpg"), HITS[:1]), console=console)
    console.file.flush()
    assert b"#########" in raw.getvalue()


def test_control_characters_of_a_file_name_reach_no_terminal(console: Console) -> None:
    evil = Answer(Query("evil\x1b[2J.jpg"), (Hit("i", "a\x1b]0;b\udcff.jpg", {}, (), 0.5, 1),))
    terminal.print_answer(evil, console=console)
    assert "\x1b" not in text_of(console)
    assert "\udcff" not in text_of(console)


def test_only_as_many_hits_as_asked_for(console: Console) -> None:
    terminal.print_answer(WIDENED, hits=1, console=console)
    assert "red-mug-3.jpg" in text_of(console)
    assert "12.00" not in text_of(console)


def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    terminal.print_answer(WIDENED)
    assert "\x1b[34m" not in capsys.readouterr().out


def test_an_error_goes_to_stderr_with_its_slug(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_error("photos: expected a folder; received [nothing].", "gallery-missing")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: photos: expected a folder; received [nothing]. [gallery-missing]\n"


def test_an_error_as_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    message = "a sentence that is longer than eighty columns, so that it would have to be wrapped somewhere. " * 2
    terminal.print_error(message, "disk", as_json=True)
    assert json.loads(capsys.readouterr().err) == {"error": {"slug": "disk", "message": message}}


def test_progress_is_silent_in_a_pipe() -> None:
    stream = io.StringIO()
    with TerminalProgress(Console(file=stream), patience_s=0.0) as progress:
        for done in range(5):
            progress("embedding", done, 4)
    assert stream.getvalue() == ""


def test_progress_is_silent_while_patience_lasts() -> None:
    stream = io.StringIO()
    with TerminalProgress(Console(file=stream, force_terminal=True, width=80), patience_s=3600.0) as progress:
        for done in range(5):
            progress("embedding", done, 4)
    assert stream.getvalue() == ""


def test_progress_shows_a_bar_for_each_stage_and_takes_it_away() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    with TerminalProgress(console, patience_s=0.0) as progress:
        for stage in ("embedding", "training", "embedding"):
            for done in range(4):
                progress(stage, done, 3)
        progress("counting", 7, 0)
    shown = stream.getvalue()
    assert shown.count("embedding") >= 2
    assert "3/3" in shown
    assert "counting" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # hidden cursors come back
    assert shown.endswith("\x1b[2K")  # and the last bar's line is wiped


def test_progress_shows_work_that_says_nothing_more_and_drops_what_stopped_early() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None)
    with TerminalProgress(console, patience_s=0.05) as progress:
        progress("converting", 0, 0)
        time.sleep(1.5)
        assert "converting" in stream.getvalue()
        assert re.search(r"converting.* 1\.0 s", stream.getvalue()), "how long it takes already"
        assert "0/?" not in stream.getvalue() and "-:--" not in stream.getvalue()
        progress("training", 3, 8)
        time.sleep(0.5)
        assert "3/8" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")
