"""Beginning with weights that an earlier training left, on pictures that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from .measuring import pooled, unit
from .network import Network
from .pictures import Pictures
from .weights import PROJECTION, fill, load_arrays


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
        fill(variable, arrays, path, f"{weights}: expected {path}")
    heads = network.heads
    heads["family/kernel"].assign(tf.zeros_like(heads["family/kernel"]))
    rows = unit(pooled(network.backbone, side)(pictures) @ heads[PROJECTION].numpy())
    means = np.zeros((len(pictures.instances), rows.shape[1]), np.float32)
    np.add.at(means, pictures.instance, rows)
    found = np.flatnonzero(means.any(axis=1))  # further instances may still be rendered
    directions = heads["instances/kernel"].numpy()
    directions[:, found] = unit(means[found]).T
    heads["instances/kernel"].assign(directions)
