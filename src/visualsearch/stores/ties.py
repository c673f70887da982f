"""Hits of an engine that adds in float32: near ties are scored again from the vectors, and ordered by id."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.datatypes import Hit, Item, Matrix, Vector
from visualsearch.stores.ranking import exact

SPARE = 1
"""Hits beyond k that are asked for, to see whether the k-th ties with the next; only if it does, more are asked for."""

NEAR = 4e-6
"""Cosines closer than this may come in either order from an engine that adds in float32."""

Fetch = Callable[[Sequence[str]], Mapping[str, Vector]]
"""Ids → the vectors of those that exist."""


@dataclass(slots=True)
class Candidate:
    """A hit on its way."""

    score: float
    item: Item


def undecided(some: Sequence[Candidate], k: int, size: int, most: int) -> bool:
    """Return whether items that were not among the ``size`` asked for (of ``most``) may tie with the k-th."""
    return len(some) == size < most and len(some) > k and some[k - 1].score - some[-1].score <= NEAR


def near_ties(some: Sequence[Candidate], k: int) -> list[int]:
    """Return the places of those that nearly tie with a neighbour, as far as the first k depend on them."""
    close = [one.score - other.score <= NEAR for one, other in itertools.pairwise(some)]
    end = min(k, len(close))
    while end < len(close) and close[end - 1] and close[end]:
        end += 1
    pairs = [place for place in range(max(end, 0)) if close[place]]
    return sorted({*pairs, *(place + 1 for place in pairs)})


def settle(queries: Matrix, k: int, candidates: Sequence[list[Candidate]], fetch: Fetch) -> None:
    """Score near ties again from the vectors, in float64, as the embedded store does; in place."""
    close = [[some[place] for place in near_ties(some, k)] for some in candidates]
    wanted = list({one.item.id: None for some in close for one in some})
    vectors = fetch(wanted) if wanted else {}
    for row, some in enumerate(close):
        there = [one for one in some if one.item.id in vectors]  # the others were deleted since
        if there:
            matrix = np.stack([vectors[one.item.id] for one in there])
            scores = exact(queries, matrix, np.full(len(there), row, np.intp), np.arange(len(there)))
            for one, score in zip(there, scores.tolist(), strict=True):
                one.score = score


def ordered(some: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates best first, equal scores by id."""
    return sorted(some, key=lambda one: (-one.score, one.item.id))


def hits_of(some: Sequence[Candidate], k: int) -> tuple[Hit, ...]:
    """Return the k best as hits, ranked from 1."""
    return tuple(
        Hit(one.item.id, one.item.path, one.item.columns, one.item.buckets, one.score, rank, one.item.box)
        for rank, one in enumerate(ordered(some)[: max(k, 0)], 1)
    )
