"""What is learned of neighbours: compared with loops, with numerical slopes and with a root finder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from visualsearch.classifiers.nearness import Nearness, clouds
from visualsearch.classifiers.network import _LEARNED, _new, _slopes, fit
from visualsearch.classifiers.spread import Spread, nearest_rows, shares
from visualsearch.clusters import nearest
from visualsearch.datatypes import Matrix
from visualsearch.progress import silent


def unit(rows: Matrix) -> Matrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def some(count: int = 300, dim: int = 6, buckets: int = 10, seed: int = 0) -> Spread:
    rng = np.random.default_rng(seed)
    centroids = unit(rng.standard_normal((buckets, dim)))
    vectors = unit(centroids[rng.integers(0, buckets, count)] + 0.3 * rng.standard_normal((count, dim)))
    names = tuple(f"c{place}" for place in range(buckets))
    return Spread(names, centroids, vectors, nearest(vectors, centroids), {3: [5, 7]})


def test_neighbours_are_those_of_a_loop_without_the_item_and_its_twins() -> None:
    spread = some()
    found = np.sort(spread.of_items(), axis=1)
    for row, vector in enumerate(spread.vectors):
        out = {row, *spread.twins.get(row, ())}
        order = [other for other in np.argsort(-(spread.vectors @ vector), kind="stable") if other not in out]
        assert found[row].tolist() == sorted(spread.homes[order[:20]].tolist())


def test_a_lesson_shows_items_and_moved_ones_and_newcomers_are_neighbours_too() -> None:
    spread = some()
    queries, found = spread.lesson(seed=1)
    assert queries.shape == (len(found), 6)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    known = {row.tobytes() for row in spread.vectors}
    assert [row.tobytes() in known for row in queries].count(True) >= 2 * len(spread.vectors)
    assert found.min() >= 0 and found.max() < len(spread.buckets)
    again, _ = spread.lesson(seed=1)
    np.testing.assert_array_equal(queries, again)


def test_nearest_rows_never_returns_what_is_left_out() -> None:
    spread = some(60)
    found = nearest_rows(spread.vectors, spread.vectors, 58, {row: [row] for row in range(60)})
    assert all(row not in rows for row, rows in enumerate(found.tolist()))


def test_slopes_are_those_of_finite_differences() -> None:
    spread, rng = some(), np.random.default_rng(2)
    network = _new(spread, rng)
    exact = {one.name: getattr(network, one.name).astype(np.float64) for one in dataclasses.fields(network)}
    network = dataclasses.replace(network, **exact)
    vectors, targets = spread.vectors[:20].astype(np.float64), shares(spread.of_items()[:20], 10).astype(np.float64)
    _, slopes = _slopes(network, vectors, targets)  # type: ignore[arg-type]
    for name, slope in zip(_LEARNED, slopes, strict=True):
        values = exact[name]
        for place in map(tuple, rng.integers(0, values.shape, (5, values.ndim))):
            changes = []
            for step in (1e-6, -2e-6):
                values[place] += step
                changes.append(_slopes(network, vectors, targets)[0])  # type: ignore[arg-type]
            values[place] += 1e-6
            assert slope[place] == pytest.approx((changes[0] - changes[1]) / 2e-6, abs=1e-5)


def test_it_foretells_the_neighbours_of_new_items_better_than_the_nearest_centroid() -> None:
    spread, fresh = some(600), some(200, seed=0).vectors
    rng = np.random.default_rng(8)
    fresh = unit(fresh + 0.1 * rng.standard_normal(fresh.shape))
    truth = shares(spread.homes[nearest_rows(fresh, spread.vectors, 20)], 10)
    network, _ = fit(spread, 0, silent)
    likely = network.classify(fresh)
    np.testing.assert_allclose(likely.sum(axis=1), 1, atol=1e-5)

    def loss(guess: Matrix) -> float:
        return float(-(truth * np.log(guess + 1e-9)).sum(axis=1).mean())

    cosines = fresh @ spread.centroids.T
    alone = min(loss(np.exp(s * cosines) / np.exp(s * cosines).sum(axis=1, keepdims=True)) for s in (4, 8, 16, 32))
    assert loss(likely) < 0.97 * alone


def test_nearness_expects_as_many_neighbours_as_there_are() -> None:
    spread = some()
    near = clouds(spread)
    query = spread.vectors[:4]
    got = near.classify(query)
    for row, vector in enumerate(query.astype(np.float64)):
        width = np.sqrt(vector @ near.covariance @ vector) * near.radii

        def expected(level: float, vector: Matrix = vector, width: Matrix = width) -> Matrix:
            return near.counts * norm.sf(level, near.means @ vector, width)  # type: ignore[no-any-return]

        level = brentq(lambda level: expected(level).sum() - 20, -2, 2)
        np.testing.assert_allclose(got[row], expected(level) / 20, atol=1e-4)


def test_a_forgotten_cluster_is_never_likely_and_rows_still_sum_to_one() -> None:
    spread = some()
    network, _ = fit(spread, 0, silent)
    fewer = network.without(np.array([2]), np.array([4]))
    likely = fewer.classify(spread.vectors)
    assert likely[:, 2].max() == 0
    np.testing.assert_allclose(likely.sum(axis=1), 1, atol=1e-5)
    assert not fewer.means[[2, 4]].any()
    nobody = network.without(np.arange(9), np.array([9])).classify(spread.vectors[:3])
    np.testing.assert_allclose(nobody.sum(axis=1), 1, atol=1e-5)


def test_clouds_have_the_means_and_counts_of_their_items() -> None:
    spread = some()
    near = clouds(spread)
    assert isinstance(near, Nearness)
    for bucket in range(10):
        own = spread.vectors[spread.homes == bucket]
        assert near.counts[bucket] == len(own)
        np.testing.assert_allclose(near.means[bucket], own.mean(axis=0), atol=1e-5)
