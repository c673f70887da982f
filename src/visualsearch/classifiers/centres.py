"""Centres: several directions for each bucket, where a single one cannot describe the many things that lie in it.

A picture is compared with each centre, the mean of pictures that are alike (Mensink et al. 2013,
"Distance-Based Image Classification", nearest class multiple centroids).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Matrix
from visualsearch.extractors.preparation import unit

MOST = 32
"""Centres of one bucket at most."""

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Candidates for how much the centres have to say beside the linear head."""

SHARPNESSES = (8.0, 16.0, 32.0, 64.0)
"""Candidates for the factor of the cosines."""


@dataclass(frozen=True, slots=True)
class Centres:
    """``directions`` are (centres, features), of unit length; ``buckets`` (centres,) says whose each is."""

    directions: Matrix
    buckets: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Blend:
    """How linear head and centres are put together: probabilities of the centres times ``share``, the head's the rest."""

    share: float
    sharpness: float


def find(directions: Matrix, labels: NDArray[np.intp], groups: Sequence[str], seed: int) -> Centres:
    """Return the centres of each bucket: as many as it has groups, ``MOST`` at most.

    Args:
        directions: (n, features), of unit length.
        labels: (n,), positions of buckets.
        groups: n names.
        seed: of the k-means.
    """
    from sklearn.cluster import KMeans

    found, owners, names = [], [], np.asarray(groups)
    for bucket in np.unique(labels):
        mine = np.flatnonzero(labels == bucket)
        number = min(len(np.unique(names[mine])), MOST)
        found.append(unit(KMeans(number, n_init=1, random_state=seed).fit(directions[mine]).cluster_centers_))
        owners += [bucket] * number
    return Centres(np.concatenate(found), np.array(owners, np.intp))


def likely(directions: Matrix, centres: Centres, buckets: int, sharpness: float) -> NDArray[np.float64]:
    """Return (n, buckets) probabilities: a softmax over ``sharpness`` × cosine of all centres, summed by bucket."""
    from scipy.special import softmax

    every = softmax(sharpness * (directions @ centres.directions.T).astype(np.float64), axis=1)
    summed: NDArray[np.float64] = every @ members(centres, buckets)
    return summed


def members(centres: Centres, buckets: int) -> Matrix:
    """Return (centres, buckets): 1 where a centre is of a bucket."""
    belongs: Matrix = np.eye(buckets, dtype=np.float32)[centres.buckets]
    return belongs


def fewer(centres: Centres, gone: Collection[int], merged: Collection[int]) -> Centres:
    """Return the centres without those of the buckets ``gone``, and one for each of ``merged``: the mean of theirs.

    >>> some = Centres(np.array([[1, 0], [0, 1], [0, -1]], np.float32), np.array([0, 0, 1]))
    >>> fewer(some, [1], [0]).directions.astype(float).round(2).tolist()
    [[0.71, 0.71]]
    """
    apart = np.isin(centres.buckets, [*gone, *merged], invert=True)
    there = np.intersect1d(np.asarray(merged, np.intp), centres.buckets)
    means = [centres.directions[centres.buckets == bucket].mean(axis=0, keepdims=True) for bucket in there]
    directions = [centres.directions[apart], *map(unit, means)]
    return Centres(np.concatenate(directions), np.concatenate([centres.buckets[apart], there]))


def choose(
    linear: NDArray[np.float64],
    directions: Matrix,
    centres: Centres,
    labels: NDArray[np.intp],
    weights: NDArray[np.float32],
) -> Blend:
    """Return the blend with the least cross-entropy on pictures that neither head nor centres have seen.

    Args:
        linear: (n, buckets) probabilities of the linear head.
        directions: (n, features), of unit length.
        centres: of the pictures that were learned.
        labels: (n,), positions of the right buckets.
        weights: (n,), how much each picture counts.
    """
    rows = np.arange(len(labels))

    def loss(blend: Blend) -> float:
        mixed = (1 - blend.share) * linear[rows, labels] + blend.share * right[blend.sharpness]
        return float(np.average(-np.log(np.maximum(mixed, 1e-12)), weights=weights))

    right = {s: likely(directions, centres, linear.shape[1], s)[rows, labels] for s in SHARPNESSES}
    return min((Blend(share, s) for share in SHARES for s in SHARPNESSES), key=loss)
