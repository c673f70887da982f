"""A made-up gallery for measuring stores, and what brute force finds in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Hit, Item, Matrix, Source

DIM = 256
BUCKETS = 100
K = 20
SEED = 0
TIE = 1e-6
"""A hit whose cosine is this close to the k-th best is as right as that: stores compute in float32."""

_ROWS = 20_000


@dataclass(frozen=True)
class Gallery:
    """Unit vectors in buckets, and queries that belong to the same buckets without being among them.

    Half of a vector is its bucket's centre, the other half is its own, in every direction alike: within
    a bucket cosines lie around 0.5, and what is nearest is hard to tell for a graph. Buckets are mixed:
    items that follow each other need not have the same.
    """

    vectors: Matrix
    homes: NDArray[np.int64]
    queries: Matrix
    asked: NDArray[np.int64]
    """The bucket of each query."""

    labels: tuple[str, ...] = field(default=tuple(f"label-{number:03}" for number in range(BUCKETS)))

    def items(self, start: int, end: int) -> list[Item]:
        """Return the items of these rows."""
        return [self._item(number, self.labels[home]) for number, home in enumerate(self.homes[start:end], start)]

    def _item(self, number: int, label: str) -> Item:
        return Item(
            id=f"{number * 0x9E3779B97F4A7C15 % 2**96:024x}",  # scattered, as hashes are
            path=f"{label}/{number:07}.jpg",
            columns={"label": label, "view": str(number % 10)},
            buckets=(label,),
            source=Source(f"{number:064x}", f"{number}", f"{number:064x}"),
        )


def gallery(size: int, queries: int) -> Gallery:
    """Return the same gallery each time that it is asked for in this size."""
    random = np.random.default_rng(SEED)
    centres = random.standard_normal((BUCKETS, DIM), dtype=np.float32)
    homes = random.integers(BUCKETS, size=size + queries)
    rows = np.empty((size + queries, DIM), np.float32)
    for start in range(0, len(rows), _ROWS):
        part = centres[homes[start : start + _ROWS]]
        part += random.standard_normal(part.shape, dtype=np.float32)
        rows[start : start + _ROWS] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return Gallery(rows[:size], homes[:size], rows[size:], homes[size:])


class Truth:
    """The k nearest of each query by brute force in float64, within its bucket and among all."""

    def __init__(self, made: Gallery) -> None:
        """Compare every query with every item."""
        self._gallery = made
        best = {True: np.full((len(made.queries), K), -np.inf), False: np.full((len(made.queries), K), -np.inf)}
        queries = made.queries.astype(np.float64)
        for start in range(0, len(made.vectors), _ROWS):
            scores = queries @ made.vectors[start : start + _ROWS].astype(np.float64).T
            inside = np.where(made.asked[:, None] == made.homes[start : start + _ROWS], scores, -np.inf)
            for routed, some in ((True, inside), (False, scores)):
                best[routed] = -np.partition(-np.hstack([best[routed], some]), K - 1, axis=1)[:, :K]
        self._least = {routed: scores.min(axis=1) for routed, scores in best.items()}
        self._there = {routed: np.isfinite(scores).sum(axis=1) for routed, scores in best.items()}

    def agreement(self, query: int, hits: tuple[Hit, ...], routed: bool) -> float:
        """Return the share of the true nearest that was found."""
        rows = np.array(sorted({int(PurePosixPath(hit.path).stem) for hit in hits}), np.int64)
        if routed:
            rows = rows[self._gallery.homes[rows] == self._gallery.asked[query]]
        scores = self._gallery.vectors[rows].astype(np.float64) @ self._gallery.queries[query].astype(np.float64)
        right = int((scores >= self._least[routed][query] - TIE).sum())
        there = int(self._there[routed][query])
        return min(right, there) / there if there else 1.0
