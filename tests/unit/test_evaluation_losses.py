"""Losses: hand counts, and sums that add up whatever a run looks like."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.evaluation.losses import KINDS, MISSING, losses, lost
from visualsearch.evaluation.runs import RunRow


def row(routed: str, exhaustive: str, right: str, missing: dict[str, int] | None = None, **more: object) -> RunRow:
    """Return a row whose items are letters; those in ``right`` are right."""
    return RunRow(
        query="q",
        group="g",
        right_items=len(right),
        routed=tuple(routed),
        routed_right=tuple(item in right for item in routed),
        exhaustive=tuple(exhaustive),
        exhaustive_right=tuple(item in right for item in exhaustive),
        routed_compared=0.5,
        exhaustive_compared=1.0,
        missing=missing or {},
        **more,  # type: ignore[arg-type]
    )


def counted(one: RunRow, k: int) -> dict[str, int]:
    """Return what is not zero."""
    return {name: number for name, number in lost(one, k).items() if number}


def test_a_query_that_found_everything_lost_nothing() -> None:
    assert counted(row("abx", "abx", right="ab"), 3) == {"expected": 2, "found": 2}


def test_each_stage_is_blamed_for_its_own() -> None:
    assert counted(row("ax", "abx", "ab"), 3) == {"expected": 2, "found": 1, "bucket_not_probed": 1}
    assert counted(row("axy", "axy", "ab"), 3) == {"expected": 2, "found": 1, "ranked_lower": 1}
    told = {"unreadable": 1, "no_crop": 1, "not_indexed": 1}
    assert counted(row("ax", "ax", "a", told), 9) == {"expected": 4, "found": 1} | told
    nothing = row("", "", "ab", {"not_indexed": 1}, failed="no_crop")
    assert counted(nothing, 9) == {"expected": 3, "no_crop": 3}
    assert not counted(row("xy", "xy", "", stranger=True), 9)


def test_what_only_the_routed_search_has_is_gained() -> None:
    # exhaustive: a and the wrong x, y; b is at rank 4. The route drops x and y, so b moves up.
    assert counted(row("ab", "axy", "ab"), 3) == {"expected": 2, "found": 2, "gained": 1, "ranked_lower": 1}


def test_no_more_is_expected_than_the_first_hits_can_hold() -> None:
    # three right items in the index fill the two places by themselves: the missing ones cost nothing
    assert counted(row("ax", "ax", "abc", {"unreadable": 5}), 2) == {"expected": 2, "found": 1, "ranked_lower": 1}
    # one right item in the index: of the two places the other one is the fault of the earliest stage
    assert counted(row("ax", "ax", "a", {"no_crop": 2, "unreadable": 1}), 2) == {
        "expected": 2,
        "found": 1,
        "unreadable": 1,
    }


def test_sums_over_queries_are_the_hand_count() -> None:
    rows = [row("ax", "abx", "ab"), row("xy", "xy", "a", {"unreadable": 1}), row("", "", "a", failed="unreadable")]
    assert losses(rows, 3) == {
        "expected": 5,
        "found": 1,
        "unreadable": 2,
        "no_crop": 0,
        "not_indexed": 0,
        "bucket_not_probed": 1,
        "ranked_lower": 1,
        "threshold": None,
        "gained": 0,
        "queries": {"unreadable": 1, "no_crop": 0},
    }
    assert losses([row("xy", "xy", "")], 3) is None
    assert losses([row("xy", "xy", "a", stranger=True)], 3) is None


def test_a_found_hit_that_was_called_no_match_belongs_to_the_threshold() -> None:
    called = row("abx", "abx", "ab", routed_match=(True, False, False))
    told = losses([called, row("", "", "a", failed="no_crop")], 3)
    assert told is not None
    assert (told["found"], told["threshold"]) == (2, 1)
    told = losses([called, replace(called, routed_match=None)], 3)
    assert told is not None
    assert told["threshold"] is None


items = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=8).map("".join)
counts = st.dictionaries(st.sampled_from(MISSING), st.integers(0, 4))


@given(
    st.lists(st.tuples(items, items, items, counts, st.sampled_from([None, None, "unreadable", "no_crop"]))),
    st.integers(1, 9),
)
def test_losses_add_up(queries: list[tuple[str, str, str, dict[str, int], str | None]], k: int) -> None:
    rows = []
    for near, far, right, missing, failed in queries:
        near, far = near[:k], far[:k]
        # an index has no more right items than there are
        rows.append(row("" if failed else near, "" if failed else far, right, missing, failed=failed))
    told = losses(rows, k)
    expected = sum(min(k, one.right_items + sum(one.missing.values())) for one in rows)
    if told is None:
        assert expected == 0
        return
    assert told["expected"] == expected
    assert told["expected"] == told["found"] - told["gained"] + sum(told[kind] for kind in KINDS)
    assert told["found"] == sum(sum(one.routed_right) for one in rows)
    assert min(told[kind] for kind in KINDS) >= 0
    missing = sum((Counter(one.missing) for one in rows if one.failed is None), Counter())
    for kind in MISSING:
        failed_here = sum(lost(one, k)[kind] for one in rows if one.failed == kind)
        assert told[kind] - failed_here <= missing[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_loss_has_words(kind: str) -> None:
    from visualsearch.presentation.figures import LOSSES

    assert LOSSES[kind]
