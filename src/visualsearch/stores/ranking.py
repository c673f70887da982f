"""The k nearest of many vectors that come block by block, exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Matrix

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]

ROWS_AT_ONCE = 256
"""How many queries one product takes: bounds the memory of a large batch."""

PAIRS_AT_ONCE = 8_192
"""How many candidates are scored at once: bounds the memory of a large k."""


def exact(left: Matrix, right: Matrix, rows: NDArray[np.intp], places: NDArray[np.intp]) -> Scores:
    """Return the cosines of ``left[rows]`` with ``right[places]``, pair by pair, in float64.

    A score depends on nothing but its two vectors, unlike that of a matrix product, whose
    order of summation depends on the shapes: so equal vectors have equal scores.
    """
    scores = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), PAIRS_AT_ONCE):
        some = slice(start, start + PAIRS_AT_ONCE)
        np.multiply(left[rows[some]], right[places[some]], dtype=np.float64).sum(axis=1, out=scores[some])
    return scores.clip(-1.0, 1.0, out=scores)


class Ranking:
    """Collect, for each query, its k best items and those that tie with the k-th.

    The float32 product only picks candidates; their scores are computed again by ``exact``.
    A product is off by at most dim · 2⁻²⁴ for unit vectors (Higham, Accuracy and Stability of
    Numerical Algorithms, 2002, eq. 3.5), so nothing within twice that of the k-th is dropped.
    """

    def __init__(self, queries: Matrix, k: int) -> None:
        """Begin with no candidates for ``queries``, (n, dim) of unit length."""
        self._queries = queries
        self._k = k
        self._margin = np.float32(2 * queries.shape[1] * 2.0**-24)
        self._floor = np.full(len(queries), -np.inf, np.float32)
        self._found: list[tuple[NDArray[np.intp], Numbers, Scores]] = []

    def add(self, rows: NDArray[np.intp], numbers: Numbers, matrix: Matrix) -> None:
        """Compare the queries ``rows`` with the items ``numbers``, distinct, in ``matrix``."""
        if not len(numbers) or self._k < 1:
            return
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            queries = self._queries[some]
            scores = queries @ matrix.T
            floor = self._floor[some]
            if len(numbers) > self._k:
                kth = len(numbers) - self._k
                floor = np.maximum(floor, np.partition(scores, kth, axis=1)[:, kth] - self._margin)
                self._floor[some] = floor
            row, place = np.nonzero(scores >= floor[:, None])
            self._found.append((some[row], numbers[place], exact(queries, matrix, row, place)))

    def best(self) -> list[tuple[list[int], list[float]]]:
        """Return numbers and scores of each query, best first, ties with the k-th included.

        An item that was added in several blocks is here once.
        """
        if not self._found:
            return [([], [])] * len(self._queries)
        row, number, score = (np.concatenate(column) for column in zip(*self._found, strict=True))
        order = np.lexsort((number, -score, row))
        row, number, score = row[order], number[order], score[order]
        fresh = np.ones(len(row), np.bool_)
        fresh[1:] = (row[1:] != row[:-1]) | (number[1:] != number[:-1])
        row, number, score = row[fresh], number[fresh], score[fresh]
        edges = np.searchsorted(row, np.arange(len(self._queries) + 1))
        return [self._cut(number[a:b], score[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]

    def _cut(self, number: Numbers, score: Scores) -> tuple[list[int], list[float]]:
        end = len(score)
        if end > self._k:
            end = int(np.searchsorted(-score, -score[self._k - 1], side="right"))
        return number[:end].tolist(), score[:end].tolist()
