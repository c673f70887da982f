"""Where neighbours must lie if the items of each cluster are a cloud around its mean: no training, and nothing to overfit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.spread import NEIGHBOURS, Spread
from visualsearch.datatypes import Matrix, Vector

CHUNK, HALVINGS = 64, 25
"""Queries at a time, and how often the interval that holds a query's threshold is halved."""

STEADY = 5.0
"""A cluster's radius counts as if so many more of its items had the usual one."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """Clouds: the similarities of a query to a cluster's items are taken for normally distributed.

    ``means`` are (buckets, dim), ``radii`` (buckets,) against the usual one, ``counts`` (buckets,) of items,
    ``covariance`` (dim, dim) of an item about its cluster's mean, the same for all but for the radius.
    """

    means: Matrix
    radii: Vector
    counts: Vector
    covariance: Matrix

    def classify(self, vectors: Matrix) -> Matrix:
        """Return which share of its neighbours each cluster is expected to have, (n, buckets)."""
        parts = [self._expected(vectors[i : i + CHUNK]) for i in range(0, len(vectors), CHUNK)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.counts)), np.float32)

    def _expected(self, vectors: Matrix) -> Matrix:
        """Find the similarity above which as many items are expected as there are neighbours, and where they lie."""
        from scipy.special import ndtr

        usual = np.sqrt(np.maximum(((vectors @ self.covariance) * vectors).sum(axis=1), 1e-9))
        widths = usual[:, None] * self.radii
        middles = vectors @ self.means.T
        wanted = min(NEIGHBOURS, float(self.counts.sum()) / 2)
        low, high = np.full(len(vectors), -2.0), np.full(len(vectors), 2.0)
        for _ in range(HALVINGS):
            level = (low + high) / 2
            many = (self.counts * ndtr((middles - level[:, None]) / widths)).sum(axis=1) > wanted
            low, high = np.where(many, level, low), np.where(many, high, level)
        expected: NDArray[np.float64] = self.counts * ndtr((middles - low[:, None]) / widths)
        shares: Matrix = (expected / np.maximum(expected.sum(axis=1, keepdims=True), 1e-30)).astype(np.float32)
        return shares


def clouds(spread: Spread) -> Nearness:
    """Return the clouds of the learned items."""
    counts = np.bincount(spread.homes, minlength=len(spread.buckets)).astype(np.float32)
    sums = np.zeros_like(spread.centroids)
    np.add.at(sums, spread.homes, spread.vectors)
    means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], spread.centroids)
    apart = spread.vectors - means[spread.homes]
    squares = (apart**2).sum(axis=1)
    usual = max(float(squares.mean()), 1e-12)
    own = np.bincount(spread.homes, squares, len(counts))
    radii = np.sqrt((own + STEADY * usual) / (counts + STEADY) / usual)
    covariance = apart.T @ apart / max(len(apart), 1)
    return Nearness(means.astype(np.float32), radii.astype(np.float32), counts, covariance.astype(np.float32))
