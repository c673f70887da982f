"""The exact top k over blocks, compared with NumPy in float64 over everything at once."""

from __future__ import annotations

import numpy as np
import pytest

from visualsearch.datatypes import Matrix
from visualsearch.stores.ranking import Ranking


def unit(matrix: Matrix) -> Matrix:
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("block", [64, 1_000, 5_000])
def test_near_duplicates_are_told_apart_where_float32_cannot(k: int, block: int) -> None:
    random = np.random.default_rng(0)
    queries = unit(random.standard_normal((3, 333)))
    items = unit(queries[0] + 1e-4 * random.standard_normal((5_000, 333)) / np.sqrt(333))
    ranking = Ranking(queries, k)
    for start in range(0, len(items), block):
        numbers = np.arange(start, min(start + block, len(items)))
        ranking.add(np.arange(3), numbers, items[numbers])
    for query, (numbers, scores) in zip(queries, ranking.best(), strict=True):
        truth = np.minimum((items.astype(np.float64) * query.astype(np.float64)).sum(axis=1), 1.0)
        kth = np.sort(truth)[-k]
        assert set(numbers) == set(np.flatnonzero(truth >= kth).tolist())
        assert scores == pytest.approx(truth[numbers], abs=1e-12)
        assert scores == sorted(scores, reverse=True)


def test_all_that_ties_with_the_last_is_returned_once() -> None:
    vector = unit(np.random.default_rng(1).standard_normal((1, 257)))
    ranking = Ranking(vector, 5)
    for numbers in (np.arange(0, 7), np.arange(3, 1_000)):  # four of them come twice
        ranking.add(np.array([0]), numbers, np.repeat(vector, len(numbers), axis=0))
    numbers, scores = ranking.best()[0]
    assert numbers == list(range(1_000))
    assert len(set(scores)) == 1


def test_queries_without_items_and_none_wanted_find_nothing() -> None:
    vectors = unit(np.eye(3))
    ranking = Ranking(vectors, 2)
    ranking.add(np.array([1]), np.array([7, 8, 9]), vectors)
    assert ranking.best() == [([], []), ([8, 7, 9], [1.0, 0.0, 0.0]), ([], [])]
    nothing = Ranking(vectors, 0)
    nothing.add(np.array([1]), np.array([7]), vectors[:1])
    assert nothing.best() == [([], [])] * 3
