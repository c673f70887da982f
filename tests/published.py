"""Weights files such as those that Keras publishes, with random values under which a network tells pictures apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def randomised(graph: Any, seed: int, centred: bool = False) -> Any:
    """Give every variable a random value under which activations neither vanish nor overflow.

    With ``centred`` offsets and means are around 0, not around 1, so that they hide less of the picture.
    """
    rng = np.random.default_rng(seed)
    for variable in graph.weights:
        shape = tuple(variable.shape)
        if len(shape) == 4:
            inputs = shape[0] * shape[1] * (1 if "dw" in variable.path else shape[2])
            variable.assign(rng.normal(0, (2 / inputs) ** 0.5, shape))
        elif centred and "variance" not in variable.path and "gamma" not in variable.path:
            variable.assign(rng.normal(0, 0.3 if len(shape) == 1 else shape[0] ** -0.5, shape))
        else:
            variable.assign(rng.uniform(0.8, 1.2, shape))
    return graph


def write_legacy(graph: Any, path: Path, rename: Callable[[str], str] = str, inside: str | None = None) -> Path:
    """Write the layout in which Keras publishes: a group for each layer, names with ':0', all listed in attributes."""
    with h5py.File(path, "w") as file:
        group = file.create_group(inside) if inside else file
        group.attrs["layer_names"] = [rename(layer.name).encode() for layer in graph.layers]
        group.attrs["keras_version"] = b"2.1.6"
        for layer in graph.layers:
            name = rename(layer.name)
            own = group.create_group(name)
            # Not the order of ``weights``: trainable ones come first, moving averages last.
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            own.attrs["weight_names"] = [f"{name}/{variable.name}:0".encode() for variable in variables]
            for variable in variables:
                own.create_dataset(f"{name}/{variable.name}:0", data=np.asarray(variable))
    return path
