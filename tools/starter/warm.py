"""Beginning with weights that an earlier training left, on pictures that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from .augment import preprocess
from .network import Network
from .pictures import Pictures, resized
from .weights import PROJECTION, load_arrays

BATCH = 64


def begin(network: Network, pictures: Pictures, weights: Path, side: int) -> None:
    """Take over backbone and projection, and point each instance's direction at its own pictures.

    The direction of an instance is the mean embedding of its pictures at ``side`` pixels, so that
    the first steps need not move the embedding towards directions that mean nothing. The family
    head starts at zero for the same reason.

    Raises:
        SystemExit: an array is missing or has another shape.
    """
    arrays = load_arrays(weights)
    named = {path: v for path, v in network.variables.items() if path not in network.heads or path == PROJECTION}
    for path, variable in named.items():
        array = arrays.get(path)
        if array is None or array.shape != tuple(variable.shape):
            found = "none" if array is None else array.shape
            raise SystemExit(f"{weights}: expected {path} of {tuple(variable.shape)}; received {found}.")
        variable.assign(array.astype(np.float32))
    heads = network.heads
    heads["family/kernel"].assign(tf.zeros_like(heads["family/kernel"]))
    means = _sums(network, pictures, side)
    found = np.flatnonzero(np.linalg.norm(means, axis=1))  # further instances may still be rendered
    directions = heads["instances/kernel"].numpy()
    directions[:, found] = (means[found] / np.linalg.norm(means[found], axis=1, keepdims=True)).T
    heads["instances/kernel"].assign(directions)


def _sums(network: Network, pictures: Pictures, side: int) -> np.ndarray:
    """Return (instances, embedding): the sum of the unit-length embeddings of each instance's pictures."""

    @tf.function(reduce_retracing=True)
    def embed(seen: tf.Tensor) -> tf.Tensor:
        return tf.math.l2_normalize(network.pooled(preprocess(seen)) @ network.heads[PROJECTION], axis=1)

    sums = np.zeros((len(pictures.instances), network.heads[PROJECTION].shape[1]), np.float32)
    for start in range(0, len(pictures), BATCH):
        part = slice(start, start + BATCH)
        seen = np.stack([resized(p, side) for p in pictures.pixels[part]]).astype(np.float32)
        np.add.at(sums, pictures.instance[part], embed(tf.constant(seen)).numpy())
    return sums
