"""Weights → a Keras graph: published ones by Keras itself, files by their arrays."""

from __future__ import annotations

import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from visualsearch.errors import EngineError
from visualsearch.extractors.layouts import read_arrays, rescalings, variables
from visualsearch.extractors.networks import Network
from visualsearch.extractors.weights import Weights
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

PATIENCE_S = 20.0
"""How long a download may be silent."""


def build(network: Network, side: int, weights: Weights) -> keras.Model:
    """Return the network with its weights: (n, side, side, 3), preprocessed → (n, dim), average-pooled.

    Raises:
        EngineError: the weights cannot be had, or do not fit the network.
    """
    framework = import_keras()
    constructor = getattr(framework.applications, network.constructor)
    shape = {"include_top": False, "pooling": "avg", "input_shape": (side, side, 3)}
    if weights.path is None:
        with _downloading(framework, network.constructor):
            published: keras.Model = constructor(weights="imagenet", **shape)
            return published
    graph: keras.Model = constructor(weights=None, **shape)
    load_file(graph, weights.path)
    return graph


def load_file(graph: keras.Model, path: Path) -> None:
    """Load a weights file of any known layout into ``graph``.

    Raises:
        EngineError: no known layout, or a layer is missing or has another shape.
    """
    layers = [layer for layer in graph.layers if layer.weights]
    try:
        for layer, arrays in zip(layers, read_arrays(path, layers), strict=True):
            expected, found = [tuple(v.shape) for v in variables(layer)], [array.shape for array in arrays]
            if expected != found:
                raise ValueError(f"layer {layer.name!r}: expected the shapes {expected}, found {found}.")
            for variable, array in zip(variables(layer), arrays, strict=True):
                variable.assign(array.astype(np.float32))
        if rescalings(path) == 2:
            _fold_second_rescaling(graph)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        message = f"{path}: expected weights of {graph.name}; received a file that does not fit: {_one_line(error)}"
        raise EngineError(message, slug="weights-mismatch") from error
    for layer in layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


@contextmanager
def _downloading(framework: ModuleType, name: str) -> Iterator[None]:
    """Keep Keras off standard output, bound how long it waits, and say how to do without the download."""
    before, talks = socket.getdefaulttimeout(), framework.config.is_interactive_logging_enabled()
    socket.setdefaulttimeout(PATIENCE_S)
    framework.config.disable_interactive_logging()
    try:
        yield
    except Exception as error:  # Keras raises a bare Exception for a URL that it cannot fetch.
        message = (
            f"extractor.weights: Keras cannot load the published weights of {name} ({_one_line(error)}): "
            "use weights: file:PATH with a file that you have, or weights: starter where there is one."
        )
        raise EngineError(message, slug="weights-unreachable") from error
    finally:
        socket.setdefaulttimeout(before)
        if talks:
            framework.config.enable_interactive_logging()


def _fold_second_rescaling(graph: keras.Model) -> None:
    """Give Normalization a variance under which it does a second rescaling too.

    EfficientNet's input layers are Rescaling and Normalization; those that Keras builds for the
    published weights divide by the square root of the deviation once more, for they were
    trained so (tensorflow/tensorflow#49930). Without weights Keras leaves that layer out.
    """
    normalization = next(layer for layer in graph.layers if type(layer).__name__ == "Normalization")
    deviation = np.array([0.229, 0.224, 0.225], np.float32)
    normalization.adapt_variance.assign(np.asarray(normalization.adapt_variance) * deviation)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400] or type(error).__name__
