"""Rows of a run, counted by hand, for both kinds of promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visualsearch.datatypes import Found, Hit, Item, Probability, Source, Step
from visualsearch.evaluation.runs import RunRow
from visualsearch.gallery import Picture
from visualsearch.routing import Plan
from visualsearch.stages.asking import Asked, Rows, share_inside
from visualsearch.stages.judging import Judge, Question
from visualsearch.stages.missing import Missing
from visualsearch.stages.retrieval import Retrieved

BUCKETS = ("bowl", "mug")
"""What the classifier has learned; ``new`` was added since."""

HOMES = {"a": ("mug",), "b": ("mug",), "c": ("bowl",), "d": ("new",), "e": ()}
ITEMS = {
    name: Item(name, f"{name}.jpg", {"label": homes[0]} if homes else {}, homes, Source("", ""))
    for name, homes in HOMES.items()
}


def hits(names: str) -> tuple[Hit, ...]:
    return tuple(
        Hit(name, f"{name}.jpg", {}, HOMES[name], 1 - rank / 10, rank) for rank, name in enumerate(names, start=1)
    )


def row(kind: str, route: tuple[str, ...] | None, best: str, label: str | None = "mug", **more: object) -> RunRow:
    """Return the row of a query whose classifier says mug 0.75, bowl 0.25, and whose exhaustive hits are ``best``."""
    judge = Judge(ITEMS, "label", "instance", "label" if kind == "bucket" else None)
    rows = Rows(judge, Missing({}), BUCKETS, kind, len(ITEMS))  # type: ignore[arg-type]
    plan = Plan(None if route is None else tuple(Probability(name, 0.5) for name in route), "why", **more)  # type: ignore[arg-type]
    near = Retrieved(plan, Found(hits(best[:1]), 2), [Step("why", 1, 0.4)])
    far = Retrieved(Plan(None, "asked for"), Found(hits(best), 5), [Step("asked for", 0, 1.0)])
    columns = {} if label is None else {"label": label}
    question = Question(Picture("q.jpg", Path("q.jpg"), columns, ""))
    return rows.row(Asked(question, plan, near, far, np.array([0.25, 0.75], np.float32), {}))


def known(one: RunRow) -> tuple[float | None, float | None, float | None, float | None]:
    """Return what the route held, and what is known of the classifier's guess."""
    assert one.first is not None and one.guess is not None
    return one.first.held, one.guess.accuracy, one.guess.brier, one.guess.strange


def test_the_right_bucket_is_held_or_not() -> None:
    assert known(row("bucket", ("mug",), "ab")) == (1.0, 1.0, pytest.approx(2 * 0.25**2), pytest.approx(0.25))
    assert known(row("bucket", ("mug",), "ab", "bowl")) == (0.0, 0.0, pytest.approx(2 * 0.75**2), pytest.approx(0.75))
    assert known(row("bucket", None, "ab", "bowl"))[0] == 1.0, "everything is probed"
    # a bucket that was never learned: nothing was said of it, and all that was said is wrong
    assert known(row("bucket", ("mug", "new"), "d", "new")) == (1.0, 0.0, pytest.approx(1 + 0.25**2 + 0.75**2), 1.0)


def test_of_a_bucket_that_nobody_has_nothing_is_known() -> None:
    assert known(row("bucket", ("mug",), "ab", "vase")) == (None, None, None, None)
    assert row("bucket", ("mug",), "ab", "vase").right_bucket is None, "it does not count as a wrong guess"
    assert row("bucket", ("mug",), "ab", "bowl").right_bucket == "bowl"
    assert known(row("bucket", ("mug",), "ab", None)) == (None, None, None, None)


def test_of_the_exhaustive_hits_a_share_is_held() -> None:
    # a and b are in mug, c in bowl; e lies in no bucket and is compared with every query
    assert known(row("hits", ("mug",), "abc")) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        pytest.approx((0.75 - 2 / 3) ** 2 + (0.25 - 1 / 3) ** 2),
        pytest.approx(1 - (2 / 3 * 0.75 + 1 / 3 * 0.25)),
    )
    assert known(row("hits", ("bowl",), "ace"))[0] == pytest.approx(2 / 3)
    assert known(row("hits", None, "abc"))[0] == 1.0


def test_a_share_of_nothing_is_unknown() -> None:
    assert share_inside(frozenset({"mug"}), ()) is None
    assert share_inside(frozenset({"mug"}), hits("abcd")) == 0.5


def test_a_route_that_was_cut_says_so() -> None:
    cut = row("bucket", ("mug",), "ab", promise={"held": False})
    assert cut.first is not None and cut.first.cut
    assert (cut.first.size, cut.first.compared, cut.first.buckets) == (1, 0.4, ("mug",))
    assert (cut.routed_scores, cut.exhaustive_scores, cut.routed_match) == ((0.9,), (0.9, 0.8), None)
    everything = row("bucket", None, "ab")
    assert everything.first is not None and (everything.first.size, everything.first.cut) == (3, False)
