"""What a runtime promises: a Keras graph in, a fast forward pass out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

Batch = NDArray[np.float32]
"""Preprocessed pictures: (n, height, width, 3)."""

Forward = Callable[[Batch], list[NDArray[np.float32]]]
"""One forward pass: a batch in, one array for each output of the graph, in its order. Safe from several threads."""


class Runtime(Protocol):
    """Compiles graphs; float32 unless the YAML names another precision."""

    name: str

    def compile(self, build: Callable[[], keras.Model], key: str) -> Forward:
        """Return the forward pass of the graph that ``build`` makes.

        ``key`` identifies graph and weights: a runtime that keeps compiled graphs on disk
        returns the kept one without calling ``build`` (so without importing TensorFlow).
        """
        ...

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove the graphs kept on disk under other keys; what was compiled goes on, here and in other processes."""
        ...
