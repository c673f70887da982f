"""A small network on embeddings that predicts how neighbours are spread over clusters. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.contract import NEVER
from visualsearch.classifiers.spread import Rows, Spread, shares
from visualsearch.datatypes import Matrix, Vector
from visualsearch.progress import Progress

HIDDEN = 512
"""Width of the hidden layer."""

BATCH, EPOCHS, LEAST_STEPS = 256, 11, 300
"""A batch of queries, how often each query is shown, and the fewest steps however small the gallery."""

RATE, DECAY = 1.5e-3, 1e-4
"""Of Adam: the rate rises for 200 steps, then falls along half a cosine to zero."""

BY_DISTANCE = 0.3
"""Share of the probability that follows the distance to the centroids alone, whatever was learned."""

SHARPNESSES = np.geomspace(4.0, 512.0, 15)
"""Candidates for the factor of the cosines."""


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer beside a linear one that starts at the centroids, and a say for the centroids alone.

    ``mean`` and ``scale`` are (dim,), ``inner`` (dim, hidden), ``outer`` (hidden, buckets), ``straight``
    and ``centroids`` (dim, buckets), biases as wide as what they are added to.
    """

    mean: Vector
    scale: Vector
    inner: Matrix
    inner_bias: Vector
    outer: Matrix
    straight: Matrix
    bias: Vector
    centroids: Matrix
    centroids_bias: Vector

    def classify(self, vectors: Matrix) -> Matrix:
        """Return (n, buckets) probabilities of (n, dim) embeddings."""
        learned, _ = _forward(self, vectors)
        near = _softmax(vectors @ self.centroids + self.centroids_bias)
        blend: Matrix = ((1 - BY_DISTANCE) * learned + BY_DISTANCE * near).astype(np.float32)
        return blend

    def without(self, gone: Rows, merged: Rows) -> Network:
        """Return the same in which the buckets ``gone`` are never likely; those of ``merged`` have no centroid of their own."""
        outer, straight, bias = self.outer.copy(), self.straight.copy(), self.bias.copy()
        outer[:, gone], straight[:, gone], bias[gone] = 0, 0, NEVER
        lost = np.union1d(gone, merged).astype(np.intp)
        centroids, centroids_bias = self.centroids.copy(), self.centroids_bias.copy()
        centroids[:, lost], centroids_bias[lost] = 0, NEVER
        if (centroids_bias <= NEVER).all():
            centroids_bias = bias.copy()
        return replace(
            self, outer=outer, straight=straight, bias=bias, centroids=centroids, centroids_bias=centroids_bias
        )

    @property
    def size(self) -> int:
        """Return the multiply-accumulates of one query."""
        return self.inner.size + self.outer.size + self.straight.size + self.centroids.size


def fit(spread: Spread, seed: int, progress: Progress) -> tuple[Network, float]:
    """Return the network that has learned the spread of the neighbours, and its mean loss at the end.

    The loss is the cross-entropy against the share of the neighbours in each bucket.
    """
    rng = np.random.default_rng(seed)
    queries, found = spread.lesson(seed)
    network = _new(spread, rng)
    learned = [getattr(network, name) for name in _LEARNED]
    first, second = ([np.zeros_like(values) for values in learned] for _ in range(2))
    steps = max(LEAST_STEPS, EPOCHS * len(queries) // BATCH)
    losses = []
    for step in range(1, steps + 1):
        rows = rng.integers(0, len(queries), BATCH)
        loss, slopes = _slopes(network, queries[rows], shares(found[rows], len(spread.buckets)))
        losses.append(loss)
        rate = RATE * min(1.0, step / 200) * 0.5 * (1 + np.cos(np.pi * step / steps))
        for values, slope, mean, square in zip(learned, slopes, first, second, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.002 * (slope * slope - square)
            values -= rate * (mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.998**step)) + 1e-8) + DECAY * values)
        if step % 50 == 0 or step == steps:
            progress("learning neighbours", step, steps)
    return network, float(np.mean(losses[-100:]))


_LEARNED = ("inner", "inner_bias", "outer", "straight", "bias")


def _new(spread: Spread, rng: np.random.Generator) -> Network:
    """Return a network that knows nothing yet but where the centroids are."""
    dim, buckets = spread.vectors.shape[1], len(spread.buckets)
    mean, scale = spread.vectors.mean(axis=0), spread.vectors.std(axis=0)
    scale = scale + 0.1 * scale.mean() + np.float32(1e-6)
    near = (_sharpness(spread) * spread.centroids.T).astype(np.float32)
    inner = rng.normal(0, np.sqrt(2 / dim), (dim, HIDDEN)).astype(np.float32)
    outer = rng.normal(0, 0.1 * np.sqrt(2 / HIDDEN), (HIDDEN, buckets)).astype(np.float32)
    width, wide = np.zeros(HIDDEN, np.float32), np.zeros(buckets, np.float32)
    return Network(mean, scale, inner, width, outer, near.copy(), wide, near, wide.copy())


def _sharpness(spread: Spread) -> float:
    """Return the factor of the cosines to the centroids by which they alone foretell the neighbours best."""
    cosines = (spread.vectors @ spread.centroids.T).astype(np.float64)
    targets = shares(spread.of_items(), len(spread.buckets))

    def loss(factor: float) -> float:
        return float(-(targets * np.log(_softmax(factor * cosines) + 1e-12)).sum(axis=1).mean())

    return float(min(SHARPNESSES, key=loss))


def _forward(network: Network, vectors: Matrix) -> tuple[Matrix, Matrix]:
    """Return probabilities and the hidden layer."""
    standard = (vectors - network.mean) / network.scale
    hidden = np.maximum(standard @ network.inner + network.inner_bias, 0)
    straight = (vectors - network.mean) @ network.straight
    return _softmax(hidden @ network.outer + straight + network.bias), hidden


def _slopes(network: Network, vectors: Matrix, targets: Matrix) -> tuple[float, list[NDArray[np.float32]]]:
    """Return the loss, and its slope by everything that is learned."""
    likely, hidden = _forward(network, vectors)
    loss = float(-(targets * np.log(likely + 1e-9)).sum(axis=1).mean())
    wrong = (likely - targets) / np.float32(len(targets))
    back = (wrong @ network.outer.T) * (hidden > 0)
    standard = (vectors - network.mean) / network.scale
    by_straight = (vectors - network.mean).T @ wrong
    return loss, [standard.T @ back, back.sum(axis=0), hidden.T @ wrong, by_straight, wrong.sum(axis=0)]


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    summed: NDArray[Any] = exponents / exponents.sum(axis=1, keepdims=True)
    return summed
