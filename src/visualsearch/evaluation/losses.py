"""Every hit that could have been found and was not, with the stage that lost it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from visualsearch.evaluation.runs import RunRow

DEPTH = 20
"""Hits of a query that are looked at."""

MISSING = ("unreadable", "no_crop", "not_indexed")
"""Why a picture of the gallery is not in the index, the earliest stage first."""

KINDS = (*MISSING, "bucket_not_probed", "ranked_lower")
"""What can lose a hit."""


def lost(row: RunRow, k: int = DEPTH) -> dict[str, int]:
    """Return what was expected of one query, what was found and gained, and what each kind lost.

    Expected are as many of the first ``k`` hits as the gallery has right pictures for, those that are not in the
    index among them. What the index could not give is the fault of what kept pictures out of it, the
    earliest stage first. Of what it could give, the extractor lost what is not among the exhaustive search's first
    k hits, and the route what is there and not in the routed answer. ``gained`` are right hits that only the routed
    answer has. So

        expected = found - gained + unreadable + no_crop + not_indexed + bucket_not_probed + ranked_lower.
    """
    told = dict.fromkeys(("expected", "found", "gained", *KINDS), 0)
    if row.stranger:
        return told
    told["expected"] = min(k, row.right_items + sum(row.missing.values()))
    if row.failed is not None:
        told[row.failed] = told["expected"]
        return told
    best, near = (
        {hit for hit, right in zip(hits[:k], judged[:k], strict=True) if right}
        for hits, judged in ((row.exhaustive, row.exhaustive_right), (row.routed, row.routed_right))
    )
    within = min(k, row.right_items)
    left = told["expected"] - within
    for kind in MISSING:
        told[kind] = min(left, row.missing.get(kind, 0))
        left -= told[kind]
    told |= {"found": len(near), "gained": len(near - best)}
    told |= {"bucket_not_probed": len(best - near), "ranked_lower": within - len(best)}
    return told


def losses(rows: Sequence[RunRow], k: int = DEPTH) -> dict[str, Any] | None:
    """Return the sums over queries; None where nothing could be expected.

    ``threshold`` counts found hits that were not called a match, and belongs to no sum: None where nobody called
    any hit anything. ``queries`` counts those that were not searched, by reason.
    """
    total: Counter[str] = Counter()
    for row in rows:
        total.update(lost(row, k))
    if not total["expected"]:
        return None
    failed = Counter(row.failed for row in rows if row.failed is not None and not row.stranger)
    return {
        **{name: total[name] for name in ("expected", "found", *KINDS)},
        "threshold": _below_the_threshold(rows, k),
        "gained": total["gained"],
        "queries": {kind: failed[kind] for kind in ("unreadable", "no_crop")},
    }


def _below_the_threshold(rows: Sequence[RunRow], k: int) -> int | None:
    searched = [row for row in rows if row.failed is None and not row.stranger]
    if not searched or any(row.routed_match is None for row in searched):
        return None
    return sum(
        right and not match
        for row in searched
        for right, match in zip(row.routed_right[:k], (row.routed_match or ())[:k], strict=True)
    )
