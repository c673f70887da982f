"""Buckets from clusters of the embeddings: centroids, whose each vector is, and when they fit no longer. Pure NumPy."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visualsearch.arrays import read_arrays, write_arrays
from visualsearch.datatypes import Matrix
from visualsearch.errors import DataError
from visualsearch.model import fingerprint

FILE = "clusters.npz"
"""In a model's folder."""

LARGEST = 3.0
"""No cluster has more than so many times the mean of the items that it was made from."""

FEWEST = 2
"""Items that a centroid is the mean of, at least: it is nobody's own vector."""

PER_ROOT, ITEMS_EACH, MOST = 18, 6, 4096
"""``auto``: so many clusters for the root of the number of items, so many items in each at least, so many clusters at most."""

SAMPLE, ROUNDS, CHUNK = 200_000, 12, 4096
"""Items that centroids are fitted on at most, how often they move, and how many are compared at a time."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Clusters:
    """What ``train`` makes of the items that are indexed.

    ``embedding`` is the fingerprint of their vectors, ``made`` that of the clusters, which stays when some are
    forgotten. ``names`` are (k,), sorted, ``centroids`` (k, dim) of unit length. ``ids`` are those of the items that
    were there then. ``usual`` are mean and standard deviation of the similarity to the nearest centroid, of items
    that the centroids were not made from.
    """

    embedding: str
    made: str
    names: NDArray[np.str_]
    centroids: Matrix
    ids: NDArray[np.str_]
    usual: NDArray[np.float32]

    def of(self, vectors: Matrix) -> list[str]:
        """Return the name of the nearest centroid of each vector, however full its bucket is."""
        return [str(self.names[place]) for place in nearest(vectors, self.centroids)]

    def all_of(self, vectors: Matrix) -> list[str]:
        """Return the cluster of each vector where no cluster may have more than ``LARGEST`` times the mean of them."""
        room = max(int(LARGEST * len(vectors) / len(self.names)), FEWEST)
        return [str(self.names[place]) for place in shared_out(vectors, self.centroids, room)]

    def has(self, name: str) -> bool:
        """Return whether there is a cluster of this name."""
        place = int(np.searchsorted(self.names, name))
        return place < len(self.names) and str(self.names[place]) == name

    def similarities(self, vectors: Matrix) -> NDArray[np.float32]:
        """Return the cosine of each vector to its nearest centroid, (n,)."""
        found: NDArray[np.float32] = np.sum(vectors * self.centroids[nearest(vectors, self.centroids)], axis=1)
        return found

    def without(self, ids: Collection[str], changed: Mapping[str, Matrix | None]) -> Clusters:
        """Return the same without these items; ``changed`` gives a cluster's new centroid, or None for none."""
        centroids = self.centroids.copy()
        for place, name in enumerate(self.names):
            fresh = changed.get(str(name))
            if fresh is not None:
                centroids[place] = fresh
        stay = np.array([changed.get(str(name), centroids) is not None for name in self.names], bool)
        left = self.ids[~np.isin(self.ids, list(ids))]
        return replace(self, names=self.names[stay], centroids=centroids[stay], ids=left)

    def save(self, folder: Path) -> None:
        """Write them into a model's folder, whole or not at all; what was there is overwritten.

        Raises:
            EngineError: the file cannot be written.
        """
        write_arrays(folder / FILE, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, folder: Path, embedding: str) -> Clusters | None:
        """Return what ``save`` wrote for these embeddings; None where there is none, or it is damaged."""
        names = ("names", "centroids", "ids", "usual")
        kept = read_arrays(folder / FILE, ("embedding", "made", *names))
        if kept is None or str(kept["embedding"]) != embedding:
            return None
        return cls(embedding, str(kept["made"]), **{name: kept[name] for name in names})


def make(
    vectors: Matrix,
    ids: Sequence[str],
    learned: Sequence[int],
    wanted: int | Literal["auto"],
    embedding: str,
    seed: int,
) -> Clusters:
    """Return clusters of the rows of ``vectors``, (n, dim), that may be learned from; the others are items all the same.

    Spherical k-means (Dhillon and Modha 2001), in which what is too large is divided and what is too small dissolved.
    The names carry a part of the fingerprint: those of other clusters are never taken for these.

    Raises:
        DataError: there are too few items for two clusters.
    """
    number = min(auto(len(vectors)) if wanted == "auto" else wanted, len(learned) // FEWEST)
    if number < 2:
        message = (
            f"train: expected {2 * FEWEST} items or more to make clusters from; received {len(learned)}: "
            "add pictures, or search exhaustively with buckets: {none: true}."
        )
        raise DataError(message, slug="too-few-items")
    centroids = _fitted(vectors[learned], number, seed)
    made = fingerprint(embedding, centroids.tobytes().hex())
    digits = len(str(len(centroids) - 1))
    names = np.array([f"cluster-{made[:4]}-{place:0{max(digits, 3)}d}" for place in range(len(centroids))])
    fresh = Clusters(embedding, made, names, centroids, np.sort(np.asarray(ids, np.str_)), np.zeros(2, np.float32))
    apart = np.delete(np.arange(len(vectors)), learned)
    near = fresh.similarities(vectors[apart if len(apart) else learned])
    return replace(fresh, usual=np.array([near.mean(), near.std()], np.float32))


def auto(items: int) -> int:
    """Return how many clusters suit so many items: fine enough for short routes, few enough to be learned.

    >>> auto(100), auto(13_231), auto(1_000_000)
    (16, 2070, 4096)
    """
    return max(2, min(round(PER_ROOT * math.sqrt(items)), items // ITEMS_EACH, MOST))


def nearest(vectors: Matrix, centroids: Matrix) -> Rows:
    """Return the position of the nearest centroid of each vector, (n,)."""
    parts = [(vectors[i : i + CHUNK] @ centroids.T).argmax(axis=1) for i in range(0, len(vectors), CHUNK)]
    return np.concatenate(parts) if parts else np.empty(0, np.intp)


def shared_out(vectors: Matrix, centroids: Matrix, room: int) -> Rows:
    """Return the nearest centroid of each vector that has room for it, (n,): at most ``room`` for each.

    A full cluster keeps the vectors that are most like its centroid, and the others ask the next nearest: deferred
    acceptance (Gale and Shapley 1962), so that no vector lies farther away than a cluster that has room for it.

    >>> line = np.array([[1.0, 0.0], [0.98, 0.2], [0.96, 0.28], [0.0, 1.0]], np.float32)
    >>> shared_out(line, np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), room=2).tolist()
    [0, 0, 1, 1]
    """
    homes, asked = nearest(vectors, centroids), np.ones(len(vectors), np.intp)
    scores = np.einsum("nd,nd->n", vectors, centroids[homes]) if len(vectors) else np.empty(0, np.float32)
    while True:
        order = np.lexsort((-scores, homes))
        place = np.arange(len(order)) - np.searchsorted(homes[order], homes[order])
        turned_away = order[place >= room]
        turned_away = turned_away[asked[turned_away] < len(centroids)]
        if not len(turned_away):
            return homes
        for row in turned_away:
            near = vectors[row] @ centroids.T
            homes[row] = np.argsort(-near, kind="stable")[asked[row]]
            scores[row] = near[homes[row]]
        asked[turned_away] += 1


def _fitted(vectors: Matrix, number: int, seed: int) -> Matrix:
    """Return at most ``number`` centroids, (k, dim): none of fewer than two items, none of too many."""
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(seed)
    some = vectors if len(vectors) <= SAMPLE else vectors[np.sort(rng.choice(len(vectors), SAMPLE, replace=False))]
    start = MiniBatchKMeans(number, n_init=1, random_state=seed, batch_size=4096, max_iter=30).fit(some)
    centroids = _unit(start.cluster_centers_.astype(np.float32))
    for _ in range(ROUNDS):
        centroids = _means(some, nearest(some, centroids), centroids)
        centroids = _balanced(some, centroids)
    homes = nearest(some, centroids)
    counts = np.bincount(homes, minlength=len(centroids))
    return centroids[counts >= FEWEST]


def _means(vectors: Matrix, homes: Rows, centroids: Matrix) -> Matrix:
    """Return the directions of the means; a centroid without items stays where it is."""
    sums = np.zeros_like(centroids)
    np.add.at(sums, homes, vectors)
    counts = np.bincount(homes, minlength=len(centroids))
    moved: Matrix = np.where((counts > 0)[:, None], _unit(sums), centroids)
    return moved


def _balanced(vectors: Matrix, centroids: Matrix) -> Matrix:
    """Move the centroids of the smallest clusters into the largest ones, where those are too large or these too small.

    A large cluster is divided at its median along the direction in which its items differ most.
    """
    homes = nearest(vectors, centroids)
    counts = np.bincount(homes, minlength=len(centroids))
    moved = max(np.sum(counts > LARGEST * len(vectors) / len(centroids)), np.sum(counts < FEWEST))
    large = np.argsort(-counts, kind="stable")[: min(int(moved), len(centroids) // 2)]
    centroids = centroids.copy()
    for place, small in zip(large, np.argsort(counts), strict=False):
        members = vectors[homes == place]
        apart = members - members.mean(axis=0)
        along = apart @ np.linalg.svd(apart, full_matrices=False)[2][0]
        upper = along > np.median(along)
        if upper.any():  # none is where all are the same picture
            centroids[[place, small]] = _unit(np.stack([members[~upper].mean(axis=0), members[upper].mean(axis=0)]))
    return centroids


def _unit(rows: Matrix) -> Matrix:
    scaled: Matrix = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return scaled
