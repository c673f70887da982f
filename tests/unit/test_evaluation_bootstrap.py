"""Bootstrap intervals against the binomial distribution and a plain resampling loop."""

from __future__ import annotations

import numpy as np
import pytest

from visualsearch.evaluation.bootstrap import intervals


def test_independent_queries_give_the_binomial_interval() -> None:
    values = np.array([[1.0]] * 300 + [[0.0]] * 100)
    low, high = intervals(values, [str(i) for i in range(400)], seed=1, resamples=4000)[0]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - half, abs=0.008)
    assert high == pytest.approx(0.75 + half, abs=0.008)


def test_queries_that_repeat_in_a_group_are_no_more_evidence() -> None:
    once = np.array([[1.0]] * 30 + [[0.0]] * 10)
    groups = [str(i) for i in range(40)]
    alone = intervals(once, groups, seed=1)
    repeated = intervals(np.tile(once, (5, 1)), groups * 5, seed=1)
    assert repeated == pytest.approx(alone)


def test_intervals_equal_a_plain_loop_over_groups() -> None:
    random = np.random.default_rng(0)
    values = random.random((60, 2))
    values[:25, 1] = np.nan
    groups = [f"g{i % 12}" for i in range(60)]
    means = []
    for _ in range(4000):
        drawn = random.integers(0, 12, 12)
        rows = np.concatenate([[i for i in range(60) if groups[i] == f"g{g}"] for g in drawn])
        means.append(np.nanmean(values[rows], axis=0))
    expected = np.quantile(means, [0.05, 0.95], axis=0).T
    assert intervals(values, groups, seed=7, level=0.9, resamples=4000) == pytest.approx(expected, abs=0.01)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).random((50, 3))
    groups = [str(i // 2) for i in range(50)]
    first, again, other = (intervals(values, groups, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_a_column_without_values_has_no_interval() -> None:
    values = np.array([[1.0, np.nan], [0.0, np.nan]])
    assert np.isnan(intervals(values, ["a", "b"], seed=0)[1]).all()
