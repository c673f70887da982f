"""Confidence intervals of means over queries, by drawing whole groups again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
"""(queries, figures); NaN where a query says nothing about a figure."""

CHUNK = 100
"""Resamples that are held in memory at once."""


def intervals(
    values: Values, groups: Sequence[str], *, seed: int, level: float = 0.95, resamples: int = 1000
) -> Values:
    """Return (figures, 2): the lower and upper bound of each column's mean.

    Queries of one group (one object, one burst) are no independent evidence, so groups are
    drawn with replacement and bring all their queries along. The bounds are percentiles of the
    resampled means (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
    The bounds of a column without any value are NaN.

    >>> intervals(np.array([[1.0], [1.0], [0.0], [0.0]]), ["a", "a", "b", "b"], seed=0).tolist()
    [[0.0, 1.0]]
    """
    sums, counts = _by_group(values, groups)
    means = _resampled_means(sums, counts, np.random.default_rng(seed), resamples)
    bounds = np.full((values.shape[1], 2), np.nan)
    known = counts.sum(axis=0) > 0
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds[known] = np.nanquantile(means[:, known], tails, axis=0).T
    return bounds


def _by_group(values: Values, groups: Sequence[str]) -> tuple[Values, Values]:
    """Return (groups, figures) twice: the sums of the values, and how many there are."""
    names, rows = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    sums, counts = np.zeros((2, len(names), values.shape[1]))
    np.add.at(sums, rows, np.nan_to_num(values))
    np.add.at(counts, rows, ~np.isnan(values))
    return sums, counts


def _resampled_means(sums: Values, counts: Values, random: np.random.Generator, resamples: int) -> Values:
    groups = len(sums)
    chunks = []
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        times = random.multinomial(groups, np.full(groups, 1 / groups), size=size).astype(np.float64)
        drawn = times @ counts
        # a figure that few queries tell anything about can be missing from a resample
        chunks.append(np.divide(times @ sums, drawn, out=np.full_like(drawn, np.nan), where=drawn > 0))
    return np.concatenate(chunks)
