"""What a run came to: pure functions of who lies where among the nearest.

``near`` is (pictures, depth): row i holds the numbers of the pictures nearest to picture i, best first, itself among
them, and -1 where there are no more; a row of -1 alone is a picture without a face. ``codes`` says whose each picture
is, as numbers in alphabetical order.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from visualsearch.evaluation.metrics import average_precision_at, hit_at

Near = NDArray[np.int32]
Codes = NDArray[np.int64]

KS = (1, 5, 20)
DEPTH = 20
"""Of the average precision, and of the hits that the ten queries show."""

SEEDS = (0, 1, 2, 3, 4)
"""Of the random splits."""

TEST_SHARE = 0.2


def right_ones(near: Near, codes: Codes, query: int, k: int = DEPTH) -> list[bool]:
    """Return for each of a query's ``k`` nearest, itself left out, whether it shows the same person.

    >>> right_ones(np.array([[0, 2, 1, -1]]), np.array([7, 7, 8]), 0)
    [False, True]
    """
    row = near[query]
    kept = row[(row >= 0) & (row != query)][:k]
    return (codes[kept] == codes[query]).tolist()


def leave_one_out(near: Near, codes: Codes) -> dict[str, float]:
    """Return hit rates and average precision over all pictures whose person has another one.

    A query without a face has no hits: a miss. A right picture without a face is one that is never found.
    """
    others = np.bincount(codes)[codes] - 1
    queries = np.flatnonzero(others > 0).tolist()
    rows = [right_ones(near, codes, query) for query in queries]
    figures = {f"hit_rate_at_{k}": fmean(hit_at(k, row) for row in rows) for k in KS} if rows else {}
    if rows:
        figures[f"map_at_{DEPTH}"] = fmean(
            average_precision_at(DEPTH, row, int(others[query])) for query, row in zip(queries, rows, strict=True)
        )
    return {"queries": len(queries), **figures}


def split_accuracy(near: Near, codes: Codes, seeds: Sequence[int] = SEEDS) -> dict[str, float]:
    """Return how often the nearest of a random 80 % of the pictures names the person of one of the other 20 %.

    ``ceiling`` is the share of these that have a picture of their person among the 80 % at all: no method passes it.
    """
    drawn = [_one_split(near, codes, seed) for seed in seeds]
    return {"accuracy": fmean(one for one, _ in drawn), "ceiling": fmean(two for _, two in drawn)}


def split(pictures: int, seed: int) -> tuple[Codes, Codes]:
    """Return the numbers of the gallery's pictures and of the queries."""
    order = np.random.default_rng(seed).permutation(pictures)
    queries = max(1, round(TEST_SHARE * pictures))
    return order[queries:], order[:queries]


def _one_split(near: Near, codes: Codes, seed: int) -> tuple[float, float]:
    gallery, queries = split(len(codes), seed)
    inside = np.zeros(len(codes) + 1, dtype=bool)  # the last place answers for -1
    inside[gallery] = True
    rows = near[queries]
    first = rows[np.arange(len(rows)), inside[rows].argmax(axis=1)]
    right = inside[first] & (codes[first] == codes[queries])
    possible = np.isin(codes[queries], codes[gallery])
    return float(right.mean()), float(possible.mean())


def left_in(near: Near, codes: Codes, k: int) -> float:
    """Return how often most of the ``k`` nearest name the right person, the query itself being one of them.

    Of names that are equally frequent the first in the alphabet wins, as in scikit-learn.
    """
    nearest = near[:, :k]
    votes = [np.bincount(codes[row[row >= 0]]) for row in nearest]
    named = np.array([vote.argmax() if len(vote) else -1 for vote in votes])
    return float((named == codes).mean())


def itself_first(near: Near) -> float:
    """Return how often the nearest picture is the query itself."""
    return float((near[:, 0] == np.arange(len(near))).mean())


def found_of_ten(near: Near, codes: Codes, queries: Sequence[int]) -> dict[str, int]:
    """Return how many right pictures are among the 20 nearest of the queries, and how many could be.

    >>> found_of_ten(np.array([[0, 2, 1], [1, 0, 2], [2, 0, 1]]), np.array([5, 5, 6]), [0, 1])
    {'queries': 2, 'found': 2, 'of': 2}
    """
    others = np.bincount(codes)[codes] - 1
    found = sum(sum(right_ones(near, codes, query)) for query in queries)
    return {
        "queries": len(queries),
        "found": found,
        "of": sum(min(DEPTH, int(others[query])) for query in queries),
    }
