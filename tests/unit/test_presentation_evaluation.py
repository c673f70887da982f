"""What an evaluation shows beside its table: charts measured in pixels, sections and lines read back."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image
from rich.console import Console

from visualsearch.datatypes import Box
from visualsearch.evaluation.reliability import reliability
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.suspects import Suspect
from visualsearch.presentation import comparisons, figures, plots
from visualsearch.presentation.galleries import Pictures
from visualsearch.presentation.lost import Query, losses_section, suspects_section
from visualsearch.presentation.proofs import calibration_section, promise_card, sweep_section

LOSSES = {
    "expected": 40,
    "found": 30,
    "unreadable": 0,
    "no_crop": 3,
    "not_indexed": 0,
    "bucket_not_probed": 5,
    "ranked_lower": 2,
    "threshold": None,
    "gained": 0,
    "queries": {"unreadable": 0, "no_crop": 1},
}
SHIFT = {
    "p_value": 0.0004,
    "shifted": True,
    "level": 0.01,
    "groups": {"calibration": 26, "queries": 128},
    "score": "1 - p",
}
RELIABLE = reliability([0.55, 0.58, 0.9, 0.95], [1.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.0, 0.0])
PROMISE = {"kind": "bucket", "level": 0.9, "n": 26, "needed": 9, "held": 0.85, "cut": 2}
SUMMARY: dict[str, Any] = {
    "queries": 20,
    "promise": PROMISE,
    "before_widening": {"route_size": 1.5, "compared": 0.125},
    "classifier": {"top1": 0.9, "route_size": 2.25},
    "calibration": {"queries": RELIABLE, "pictures": RELIABLE, "shift": SHIFT},
    "losses": LOSSES,
    "latency_ms": {"embed": {"median": 12.4, "p95": 20.0}, "search_exhaustive": {"median": 0.44, "p95": 1.0}},
    "intervals": {"promise": {"held": [0.8, 0.9]}},
    "notes": ["the promise does not hold for these queries: they are stranger"],
}


def level(keep: float, kept: float, hit_rate: float, compared: float, note: str = "") -> dict[str, Any]:
    shares = {"held": 1.0, "kept": kept, "right_kept": kept, "hit_rate": hit_rate, "compared": compared}
    return {"keep": keep, "promised": not note, **shares, "route_size": 16 * compared, "note": note}


LEVELS = [level(0.5, 0.7, 0.8, 0.0625), level(0.9, 0.9, 0.95, 0.125), level(0.99, 1.0, 0.95, 1.0, "26 of 99 groups")]
SWEEP = {"levels": LEVELS, "keep": 0.9, "line": "routing: {keep: 0.9}", "rule": "the cheapest"}


def square(path: str, kind: str, box: Box | None) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def read(markup: str) -> str:
    """Return what can be read of markup, spaces collapsed."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup)).replace("\N{NO-BREAK SPACE}", " ")


def svg(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def test_a_reliable_bin_touches_the_diagonal_and_an_overconfident_one_stays_below() -> None:
    reliable = reliability([0.9, 0.9, 0.5, 0.5], [0.9, 0.9, 0.1, 0.1], [0.0] * 4)
    assert reliable is not None
    drawn = svg(plots.reliability(reliable["bins"], "Queries"))
    line = next(one for one in drawn.iter("line") if "dashed" in (one.get("class") or ""))
    x1, y1, x2, y2 = (float(line.get(name) or 0) for name in ("x1", "y1", "x2", "y2"))
    heights = [
        float(dot.get("cy") or 0) - (y1 + (float(dot.get("cx") or 0) - x1) / (x2 - x1) * (y2 - y1))
        for dot in drawn.iter("circle")
    ]
    assert heights == [pytest.approx(0.4 * (y1 - y2), abs=0.2), pytest.approx(0.0, abs=0.2)]
    bars = [float(bar.get("fill-opacity") or 0) for bar in drawn.iter("rect")]
    assert bars == [1.0, 1.0], "as many in one as in the other"


def test_charts_say_in_words_what_they_show() -> None:
    assert RELIABLE is not None
    for drawn in (
        svg(plots.reliability(RELIABLE["bins"], "Queries")),
        svg(plots.sweep([plots.Trace("kept", ((0.1, 0.9), (0.2, 0.95)), ("0.5", "0.9"))], "Kept", 0.2)),
    ):
        assert drawn.get("role") == "img" and drawn.get("aria-label") == drawn.findtext("title")
        assert "%" in (drawn.findtext("desc") or "")


def test_more_compared_stands_further_right_and_more_kept_higher() -> None:
    trace = plots.Trace("kept", ((0.1, 0.9), (0.2, 0.95)), ("0.5", "0.9"))
    drawn = svg(plots.sweep([trace], "Kept", 0.2))
    (x1, y1), (x2, y2) = ((float(dot.get("cx") or 0), float(dot.get("cy") or 0)) for dot in drawn.iter("circle"))
    assert x1 < x2 and y1 > y2
    upright = next(one for one in drawn.iter("line") if "dashed" in (one.get("class") or ""))
    assert float(upright.get("x1") or 0) == x2


def test_names_of_points_that_lie_close_together_do_not_cover_each_other() -> None:
    trace = plots.Trace("kept", tuple((0.1, 0.9 + i / 1000) for i in range(10)), tuple(map(str, range(10))))
    drawn = svg(plots.sweep([trace], "Kept"))
    heights = sorted(float(text.get("y") or 0) for text in drawn.iter("text") if text.get("class") == "small")
    assert heights and min(b - a for a, b in zip([-99.0, *heights], heights, strict=False)) >= plots.APART


def test_the_losses_and_their_pictures_are_shown() -> None:
    lossy = RunRow("a/1.jpg", "a", 4, ("x",), (False,), ("h", "i"), (True, True), 0.1, 1.0, "mug", "bowl")
    other = replace(lossy, query="a/2.jpg", exhaustive_right=(True, False))
    failed = RunRow("b/3.jpg", "b", 3, (), (), (), (), 0.0, 0.0, failed="no_crop")
    queries = [Query(other, "/q/a/2.jpg"), Query(lossy, "/q/a/1.jpg"), Query(failed, "/q/b/3.jpg")]
    section = losses_section(SUMMARY, queries, Pictures(square, 10**6))
    assert section is not None
    text = read(section.body)
    assert "ranked lower by the extractor 2 5.0 %" in text and "found 30 75.0 %" in text
    assert "without a crop: 1 query 3 of 3 lost b/ 3.jpg" in text
    worst = text[text.index("in a bucket not probed: 2 queries") :]
    assert worst.index("2 of 4 lost") < worst.index("1 of 4 lost") < worst.index("ranked lower by the extractor:")
    assert "mug taken for bowl" in worst
    assert losses_section({"losses": None}, queries, Pictures(square, 0)) is None


def test_a_shift_is_a_warning_and_the_promise_a_card() -> None:
    section = calibration_section(SUMMARY)
    assert section is not None
    assert 'class="warning"' in section.body
    assert "what is promised does not hold for them (Mann-Whitney test, 128 groups" in read(section.body)
    calm = {**SUMMARY, "calibration": {**SUMMARY["calibration"], "shift": {**SHIFT, "shifted": False}}}
    section = calibration_section(calm)
    assert section is not None and 'class="warning"' not in section.body
    (card,) = promise_card(SUMMARY)
    assert "85.0 %" in read(card) and "90.0 % promised: the right bucket" in read(card)
    assert "for queries like the gallery (26 groups)" in read(card)
    assert promise_card({"promise": None}) == []
    assert calibration_section({"calibration": None}) is None


def test_the_sweep_is_a_table_a_chart_and_a_line_to_paste() -> None:
    section = sweep_section(SWEEP)
    assert section is not None
    text = read(section.body)
    assert "0.99 100 % 100 % 100 % 95.0 % 100 % 26 of 99 groups" in text
    assert "routing: {keep: 0.9} : the cheapest." in text
    drawn = svg(re.findall(r"<svg.*?</svg>", section.body)[0])
    assert len(list(drawn.iter("circle"))) == 8, (
        "two levels that are promised and cost less than everything, four times"
    )


def test_suspects_stand_beside_what_they_look_like() -> None:
    one = Suspect("mug/<b>.jpg", "mug", "bowl", 0.9, ("bowl/1.jpg", "bowl/2.jpg", "bowl/3.jpg", "bowl/4.jpg"))
    section = suspects_section([one], Pictures(square, 10**6))
    assert section is not None
    assert "<b>" not in section.body
    assert section.body.count("<img") == 4
    assert "labelled mug 90.0 % of its neighbours: bowl" in read(section.body)
    assert suspects_section([], Pictures(square, 0)) is None


def test_the_terminal_says_it_in_a_few_lines() -> None:
    told = figures.notes(SUMMARY)
    assert told[:2] == [
        "promise of 90 %, held in 85.0 % (80.0–90.0 %): the right bucket in the route before widening, for queries like "
        "the gallery (26 groups); 2 routes cut by routing.at_most",
        "losses, after widening: 75.0 % of 40 expected hits found; 7.5 % without a crop, 12.5 % in a bucket not probed, 5.0 % ranked "
        "lower by the extractor",
    ]
    assert "route: 1.5 buckets, 12.5 % compared before widening, 2.2 after, means" in told
    assert figures.time_line(SUMMARY) == "time: embed 12 (20) ms, exhaustive 0.4 (1.0) ms; median (95th percentile)"
    few = {**PROMISE, "needed": 99, "held": 1.0}
    assert figures.promised(few) == "everything was searched, for there are 26 groups of 99"


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=80, color_system=None, legacy_windows=False, highlight=False)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_the_sweep_ends_in_the_line_to_paste(console: Console) -> None:
    comparisons.print_sweep(SWEEP, console=console)
    told = lines(console)
    assert "0.9 100 % 90.0 % 90.0 % 95.0 % 12.5 % 2.0" in told
    assert "0.99 100 % 100 % 100 % 95.0 % 100 % 16.0 26 of 99 groups" in told
    assert told[-1] == "routing: {keep: 0.9}"
    assert max(map(len, told)) <= 80


def test_differences_are_points_with_their_interval(console: Console) -> None:
    one = {"figure": ["routed", "hit_rate_at", "1"], "this": 0.95, "other": 0.9, "difference": 0.05}
    sure = {**one, "interval": [0.01, 0.09], "p_value": 0.0001}
    unsure = {**one, "figure": ["kept"], "interval": None, "p_value": 0.2}
    comparisons.print_against({"other": "b.yaml", "figures": [sure, unsure]}, console=console)
    told = lines(console)
    assert "hit rate at 1 95.0 % 90.0 % +5.0 +1.0 to +9.0 <0.001" in told
    assert "kept 95.0 % 90.0 % +5.0 0.200" in told
    assert "chance" not in " ".join(told)
    comparisons.print_against({"other": "b.yaml", "figures": [unsure]}, console=console)
    assert "they may as well be chance" in " ".join(lines(console))
