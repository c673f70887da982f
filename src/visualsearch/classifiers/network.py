"""A small network on embeddings that predicts how neighbours are spread over clusters. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.contract import NEVER
from visualsearch.classifiers.nearness import Nearness, clouds
from visualsearch.classifiers.spread import Rows, Spread, shares
from visualsearch.datatypes import Matrix, Vector
from visualsearch.progress import Progress

HIDDEN = 256
"""Width of the hidden layer."""

BATCH, EPOCHS, LEAST_STEPS = 256, 5, 300
"""A batch of queries, how often each query is shown, and the fewest steps however small the gallery."""

RATE, DECAY = 1.5e-3, 1e-4
"""Of Adam: the rate rises for 200 steps, then falls along half a cosine to zero."""

BY_NEARNESS = 0.8
"""Share of the probability that follows how near the clusters are, whatever was learned: newcomers were not."""

SHARPNESSES = np.geomspace(4.0, 512.0, 15)
"""Candidates for the factor of the cosines."""


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer beside a linear one that starts at the centroids, and a say for nearness alone.

    ``mean`` and ``scale`` are (dim,), ``inner`` (dim, hidden), ``outer`` (hidden, buckets), ``straight``
    (dim, buckets), biases as wide as what they are added to; the rest is ``Nearness``.
    """

    mean: Vector
    scale: Vector
    inner: Matrix
    inner_bias: Vector
    outer: Matrix
    straight: Matrix
    bias: Vector
    means: Matrix
    radii: Vector
    counts: Vector
    covariance: Matrix

    def classify(self, vectors: Matrix) -> Matrix:
        """Return (n, buckets) probabilities of (n, dim) embeddings."""
        near = Nearness(self.means, self.radii, self.counts, self.covariance).classify(vectors)
        by_nearness = BY_NEARNESS * near.sum(axis=1, keepdims=True)  # nothing is near where all was forgotten
        blend: Matrix = ((1 - by_nearness) * _forward(self, vectors)[0] + BY_NEARNESS * near).astype(np.float32)
        return blend

    def without(self, gone: Rows, merged: Rows) -> Network:
        """Return the same in which the buckets ``gone`` are never likely; those of ``merged`` have no mean any more."""
        outer, straight, bias = self.outer.copy(), self.straight.copy(), self.bias.copy()
        outer[:, gone], straight[:, gone], bias[gone] = 0, 0, NEVER
        lost = np.union1d(gone, merged).astype(np.intp)
        means, radii, counts = self.means.copy(), self.radii.copy(), self.counts.copy()
        means[lost], radii[lost], counts[lost] = 0, 1, 0
        return replace(self, outer=outer, straight=straight, bias=bias, means=means, radii=radii, counts=counts)

    @property
    def size(self) -> int:
        """Return the multiply-accumulates of one query."""
        return sum(one.size for one in (self.inner, self.outer, self.straight, self.means, self.covariance))


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
    straight = (_sharpness(spread) * spread.centroids.T).astype(np.float32)
    near = clouds(spread)
    inner = rng.normal(0, np.sqrt(2 / dim), (dim, HIDDEN)).astype(np.float32)
    outer = rng.normal(0, 0.1 * np.sqrt(2 / HIDDEN), (HIDDEN, buckets)).astype(np.float32)
    biases = np.zeros(HIDDEN, np.float32), np.zeros(buckets, np.float32)
    clouded = (near.means, near.radii, near.counts, near.covariance)
    return Network(mean, scale, inner, biases[0], outer, straight, biases[1], *clouded)


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
