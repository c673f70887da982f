"""Whether two stores answer the same: hits, order, scores, and the share that was compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import fmean

from visualsearch import Answer, Hit
from visualsearch.presentation.wording import percent, query_name

SAME = 1e-5
"""Scores closer than this are the same: one store adds in float64, the other in float32."""

Pair = tuple[Answer, Answer]
"""One query's answers from the two stores."""


@dataclass(frozen=True)
class Agreement:
    """What the pairs of answers have in common."""

    queries: int
    same: int
    """Queries with the same answer: hits, order, scores, share compared."""
    hits: int
    """Of the embedded store, and those of them that Elasticsearch has at the same place:"""
    same_hits: int
    largest: float
    """Difference between two scores of one hit."""
    compared: tuple[float, float]
    seconds: tuple[float, float]
    """What a search took, without reading and embedding the query."""
    differences: tuple[str, ...]
    """A sentence for each query whose answers differ."""

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> Agreement:
        """Count over all pairs."""
        told = [difference(*pair) for pair in pairs]
        places = [place for one, other in pairs for place in zip_longest(one.hits, other.hits)]
        shared = [(hit, twin) for hit, twin in places if hit and twin and hit.id == twin.id]
        sides = tuple(zip(*pairs, strict=True))
        return cls(
            queries=len(pairs),
            same=told.count(None),
            hits=sum(len(one.hits) for one, _ in pairs),
            same_hits=len(shared),
            largest=max((abs(hit.score - twin.score) for hit, twin in shared), default=0.0),
            compared=_both([fmean(one.route.compared if one.route else 0 for one in side) for side in sides]),
            seconds=_both([fmean(one.timings_ms.get("search", 0.0) for one in side) / 1000 for side in sides]),
            differences=tuple(sentence for sentence in told if sentence is not None),
        )


def difference(one: Answer, other: Answer) -> str | None:
    """Say in what two answers differ first; None where they are the same."""
    name = query_name(one.query.path)
    if one.error or other.error:
        return f"{name}: {one.error or 'searched'}; {other.error or 'searched'}"
    for rank, (hit, twin) in enumerate(zip_longest(one.hits, other.hits), 1):
        if hit is None or twin is None or _identity(hit) != _identity(twin):
            return f"{name}: hit {rank} is {hit.path if hit else 'none'}; {twin.path if twin else 'none'}"
        if abs(hit.score - twin.score) > SAME:
            return f"{name}: hit {rank}, {hit.path}, scores {hit.score:.6f}; {twin.score:.6f}"
    shares = [answer.route.compared if answer.route else None for answer in (one, other)]
    return None if shares[0] == shares[1] else f"{name}: compared {percent(shares[0])}; {percent(shares[1])}"


def _identity(hit: Hit) -> tuple[object, ...]:
    return hit.id, hit.path, dict(hit.columns), hit.buckets, hit.box, hit.rank


def _both(two: Sequence[float]) -> tuple[float, float]:
    one, other = two or (0.0, 0.0)
    return one, other
