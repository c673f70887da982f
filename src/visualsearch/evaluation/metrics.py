"""How good a list of hits is: pure functions of which hits are right, best hit first."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike

Right = Sequence[bool]
"""For each hit of one query, best first: is it right?"""


def hit_at(k: int, right: Right) -> float:
    """Return 1.0 if one of the first ``k`` hits is right, 0.0 otherwise.

    >>> hit_at(1, [False, True]), hit_at(2, [False, True])
    (0.0, 1.0)
    """
    return float(any(right[:k]))


def recall_at(k: int, right: Right, right_items: int) -> float:
    """Return the share of a query's ``right_items`` (at least 1) that is among the first ``k`` hits.

    >>> recall_at(3, [True, False, True, True], right_items=4)
    0.5
    """
    return sum(right[:k]) / right_items


def average_precision_at(k: int, right: Right, right_items: int) -> float:
    """Return the average precision of the first ``k`` hits, divided by min(k, right items).

    The precision at the rank of every right hit is added up; right items that are missing add
    nothing (Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, 8.4).

    >>> average_precision_at(3, [True, False, True], right_items=2)  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    ranks = [rank for rank, is_right in enumerate(right[:k], start=1) if is_right]
    return sum(found / rank for found, rank in enumerate(ranks, start=1)) / min(k, right_items)


def reciprocal_rank(right: Right) -> float:
    """Return 1 / rank of the first right hit, or 0.0 without one.

    >>> reciprocal_rank([False, True, True])
    0.5
    """
    return next((1 / rank for rank, is_right in enumerate(right, start=1) if is_right), 0.0)


def hit_rate_at(k: int, run: Sequence[Right]) -> float:
    """Return the share of queries with a right hit among the first ``k``.

    >>> hit_rate_at(1, [[True, False], [False, True]])
    0.5
    """
    return fmean(hit_at(k, right) for right in run)


def map_at(k: int, run: Sequence[Right], right_items: Sequence[int]) -> float:
    """Return the mean average precision at ``k`` over queries.

    >>> map_at(2, [[True, True], [False, True]], right_items=[2, 1])  # (1 + 1/2) / 2
    0.75
    """
    return fmean(average_precision_at(k, right, n) for right, n in zip(run, right_items, strict=True))


def kept(routed: Sequence[str], exhaustive: Sequence[str]) -> float:
    """Return the share of the exhaustive search's hits (ids) that the routed one returns too.

    >>> kept(["a", "c"], exhaustive=["a", "b"])
    0.5
    >>> kept([], exhaustive=[])
    1.0
    """
    return len(set(routed) & set(exhaustive)) / len(set(exhaustive)) if exhaustive else 1.0


def brier(probabilities: ArrayLike, wanted: ArrayLike) -> float:
    """Return the squared distance between probabilities (buckets,) and what was wanted: 0 is perfect, 2 the worst.

    ``wanted`` is 1 for the right bucket and 0 elsewhere, or a share for each bucket; it sums to less than 1 where
    the right one is none of these buckets, which then adds its square. A mean over queries is the score of Brier
    ("Verification of forecasts expressed in terms of probability", 1950).

    >>> brier([0.5, 0.5], wanted=[1, 0]), brier([1, 0], wanted=[0, 0])
    (0.5, 2.0)
    """
    said, asked = (np.asarray(values, dtype=np.float64) for values in (probabilities, wanted))
    return float(((said - asked) ** 2).sum() + max(0.0, 1.0 - asked.sum()) ** 2)


def auroc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Return the probability that a random positive scores above a random negative, ties counting half.

    That is the area under the ROC curve, computed as the Mann-Whitney U statistic over the
    number of pairs (Hanley and McNeil, Radiology 143, 1982). Both lists hold at least one score.

    >>> auroc([0.9, 0.5], [0.5, 0.1])  # 0.9 > 0.5, 0.9 > 0.1, 0.5 = 0.5, 0.5 > 0.1
    0.875
    """
    above, below = np.asarray(positives, dtype=np.float64), np.sort(np.asarray(negatives, dtype=np.float64))
    smaller, not_larger = np.searchsorted(below, above, "left"), np.searchsorted(below, above, "right")
    return float((smaller + not_larger).sum() / (2 * len(above) * len(below)))
