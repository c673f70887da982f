"""How an item's nearest neighbours are spread over buckets: what a classifier learns where buckets are clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from visualsearch.clusters import nearest
from visualsearch.datatypes import Matrix
from visualsearch.extractors.preparation import unit

NEIGHBOURS = 20
"""So many of an item's nearest neighbours must be in its route."""

CHUNK = 1000
"""Queries that are compared at a time."""

QUERIES = 72_000
"""Made-up queries and real ones together; more of them teach hardly more."""

REPEATS = 6
"""How often the gallery is gone through at most: twice as it is, then moved a little."""

MOVED = 0.5
"""A made-up query is an item and at most this share of the difference between two others."""

NEWCOMERS, FAR = 0.25, (0.3, 0.8)
"""Made-up newcomers for each item, and how far they are moved: items to come that no centroid knows."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Spread:
    """Learned items and the buckets that they live in.

    ``centroids`` are (buckets, dim), ``vectors`` (n, dim) those of the examples, ``homes`` (n,) the
    positions of their buckets. ``twins`` names the rows that are no neighbours of a row: what looks like it.
    """

    buckets: tuple[str, ...]
    centroids: Matrix
    vectors: Matrix
    homes: Rows
    twins: Mapping[int, Sequence[int]] = field(default_factory=dict)

    @property
    def neighbours(self) -> int:
        """Return how many neighbours are looked for."""
        return max(1, min(NEIGHBOURS, len(self.vectors) - 1))

    def of_items(self) -> Rows:
        """Return the buckets of each item's neighbours, (n, neighbours), itself and its twins left out."""
        return self.homes[self._real(np.arange(len(self.vectors)), self.vectors)]

    def lesson(self, seed: int) -> tuple[Matrix, Rows]:
        """Return queries, (m, dim), and the buckets of their neighbours, (m, neighbours).

        The items themselves come first, then items that are moved: by the difference of two others, as
        one picture of a thing differs from another. Each time the gallery has other newcomers, for
        those that no centroid knows must be found too. Nothing else than learned items goes in.
        """
        rng, count = np.random.default_rng(seed), len(self.vectors)
        queries, found = [], []
        for repeat in range(max(2, min(REPEATS, QUERIES // count + 1))):
            rows = rng.permutation(count)[: QUERIES // 2]
            new = self._moved(rng.permutation(count)[: round(NEWCOMERS * count)], rng, *FAR)
            homes = np.append(self.homes, nearest(new, self.centroids))
            vectors = np.concatenate([self.vectors, new])
            asked = self.vectors[rows] if repeat < 2 else self._moved(rows, rng, 0.0, MOVED)
            near = self._real(rows, vectors) if repeat < 2 else nearest_rows(asked, vectors, self.neighbours)
            queries.append(asked)
            found.append(homes[near])
        return np.concatenate(queries), np.concatenate(found)

    def _real(self, rows: Rows, vectors: Matrix) -> Rows:
        out = {place: [row, *self.twins.get(int(row), ())] for place, row in enumerate(rows)}
        return nearest_rows(self.vectors[rows], vectors, self.neighbours, out)

    def _moved(self, rows: Rows, rng: np.random.Generator, least: float, most: float) -> Matrix:
        one, other = (self.vectors[rng.integers(0, len(self.vectors), len(rows))] for _ in range(2))
        far = rng.uniform(least, most, (len(rows), 1)).astype(np.float32)
        return unit(self.vectors[rows] + far * (one - other))


def nearest_rows(
    queries: Matrix, vectors: Matrix, number: int, left_out: Mapping[int, Sequence[int]] | None = None
) -> Rows:
    """Return the rows of ``vectors`` with the largest dot products, (n, number), in no order.

    ``left_out`` names the rows that do not count for a query.
    """
    found = []
    for start in range(0, len(queries), CHUNK):
        scores = queries[start : start + CHUNK] @ vectors.T
        for place in range(len(scores)):
            scores[place, list((left_out or {}).get(start + place, ()))] = -np.inf
        number = min(number, scores.shape[1])
        found.append(np.argpartition(-scores, number - 1, axis=1)[:, :number])
    return np.concatenate(found) if found else np.empty((0, number), np.intp)


def shares(found: Rows, buckets: int) -> Matrix:
    """Return which share of its neighbours lies in each bucket, (n, buckets).

    >>> shares(np.array([[0, 0, 2, 0]]), 3).tolist()
    [[0.75, 0.0, 0.25]]
    """
    spread = np.zeros((len(found), buckets), np.float32)
    np.add.at(spread, (np.arange(len(found))[:, None], found), 1 / found.shape[1])
    return spread
