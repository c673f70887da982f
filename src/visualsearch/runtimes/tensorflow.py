"""Run a graph in TensorFlow itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualsearch.runtimes.contract import Batch, Forward
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras


class TensorFlowRuntime:
    """Trace the graph once for any batch size; nothing is kept on disk."""

    name = "tensorflow"

    def __init__(self, folder: Path | None = None) -> None:
        """Accept a folder as every runtime does; this one writes nothing there."""

    def compile(self, build: Callable[[], keras.Model], key: str) -> Forward:
        """Return the forward pass of the graph that ``build`` makes."""
        import_keras()
        import tensorflow as tf

        graph = build()
        signature = [tf.TensorSpec((None, *graph.input_shape[1:]), tf.float32)]
        traced = tf.function(lambda batch: tf.nest.flatten(graph(batch, training=False)), signature, autograph=False)

        def forward(batch: Batch) -> list[NDArray[np.float32]]:
            return [output.numpy() for output in traced(tf.constant(batch, tf.float32))]

        return forward

    def keep_only(self, keys: Collection[str]) -> None:
        """Do nothing: no graph is kept."""
