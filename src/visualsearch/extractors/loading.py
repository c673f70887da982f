"""Weights → a Keras graph: published ones by Keras itself, files by their arrays."""

from __future__ import annotations

import os
import socket
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from visualsearch.errors import EngineError
from visualsearch.extractors.layouts import Arrays, read_arrays, rescalings, variables
from visualsearch.extractors.networks import Network
from visualsearch.extractors.weights import Weights
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

PATIENCE_S = 10.0
"""How long a download, or each of the publisher's addresses, may be silent."""

FROM_THE_NETWORK = (TimeoutError, ConnectionError)
"""Errors in the middle of a download; those before it come as Keras' own."""

DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's pixels from 0 to 1, for each channel."""


def build(network: Network, side: int, weights: Weights) -> keras.Model:
    """Return the network with its weights: (n, side, side, 3), preprocessed → (n, dim), average-pooled.

    Raises:
        EngineError: the weights cannot be had, or do not fit the network.
    """
    framework = import_keras()
    constructor = getattr(framework.applications, network.constructor)
    shape = {"include_top": False, "pooling": "avg", "input_shape": (side, side, 3)}
    if weights.source == "published":
        with _downloading(framework, network.constructor):
            published: keras.Model = constructor(weights="imagenet", **shape)
            return published
    graph: keras.Model = constructor(weights=None, **shape)
    if weights.path is None:
        _draw(graph)
    else:
        load_file(graph, weights.path)
    return graph


def _draw(graph: keras.Model) -> None:
    """Give every kernel random values (He et al. 2015, section 2.2), the same each time; all else is as Keras begins."""
    rng = np.random.default_rng(0)
    for variable in graph.weights:
        shape = tuple(variable.shape)
        if variable.path.endswith("kernel"):
            depthwise = len(shape) == 4 and shape[-1] == 1
            inputs = np.prod(shape[:2] if depthwise else shape[:-1])
            variable.assign((rng.standard_normal(shape) * np.sqrt(2 / inputs)).astype(np.float32))


def load_file(graph: keras.Model, path: Path) -> None:
    """Load a weights file of any known layout into ``graph``.

    Raises:
        EngineError: no known layout, a damaged file, or a layer is missing or has another shape.
    """
    layers = [layer for layer in graph.layers if layer.weights]
    try:
        _assign(layers, read_arrays(path, layers))
        _fold_second_rescaling(layers, rescalings(path))
    except (ValueError, KeyError, TypeError) as error:
        message = (
            f"{path}: expected weights of {graph.name}; received others: {_one_line(error)}: "
            "name another file, or the network that it is of."
        )
        raise EngineError(message, slug="weights-mismatch") from error
    except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        message = (
            f"{path}: expected weights of {graph.name}; received a damaged file ({_one_line(error)}): fetch it again."
        )
        raise EngineError(message, slug="weights-damaged") from error


def _assign(layers: Sequence[keras.Layer], found: Sequence[Arrays]) -> None:
    for layer, arrays in zip(layers, found, strict=False):
        expected, received = [tuple(v.shape) for v in variables(layer)], [array.shape for array in arrays]
        if expected != received:
            raise ValueError(f"layer {layer.name!r}: expected the shapes {expected}, found {received}")
    if len(found) < len(layers):
        raise ValueError(f"expected {len(layers)} layers with weights, found {len(found)}")
    for layer, arrays in zip(layers, found, strict=True):
        for variable, array in zip(variables(layer), arrays, strict=True):
            variable.assign(array.astype(np.float32))


def _fold_second_rescaling(layers: Sequence[keras.Layer], rescalings: int) -> None:
    """Have EfficientNet's Normalization do what Keras adds a second rescaling for.

    The published weights were trained on pixels divided by the deviation, but their
    Normalization keeps the deviation as its variance and so divides by the root only
    (tensorflow/tensorflow#49930). Keras divides by the root once more where it loads them itself,
    and leaves that layer out of a network without weights. A file that needs it has the layer, or
    is the published one, which is older than the layer and known by that variance.
    """
    for layer in layers:
        if type(layer).__name__ == "Normalization":
            variance = np.asarray(layer.adapt_variance)
            if rescalings == 2 or np.allclose(variance, DEVIATION, atol=1e-6):
                layer.adapt_variance.assign(variance * DEVIATION)
            layer.finalize_state()


@contextmanager
def _downloading(framework: ModuleType, name: str) -> Iterator[None]:
    """Keep Keras off standard output, bound how long it waits, and say how to do without the download."""
    before, talks, cached = socket.getdefaulttimeout(), framework.config.is_interactive_logging_enabled(), _cached()
    socket.setdefaulttimeout(PATIENCE_S)
    framework.config.disable_interactive_logging()
    try:
        yield
    except Exception as error:  # Keras raises a bare Exception for a URL that it cannot fetch.
        raise _unusable(name, error, cached - _cached()) from error
    finally:
        socket.setdefaulttimeout(before)
        if talks:
            framework.config.enable_interactive_logging()


def _unusable(name: str, error: Exception, removed: Set[Path]) -> EngineError:
    """Say why Keras has no published weights; it removes a cached file of another hash before it fetches anew."""
    refused = "".join(f"; {path} did not have the hash that Keras knows and was removed" for path in sorted(removed))
    told = f"weights: published: Keras cannot load those of {name} ({_one_line(error)}{refused}): "
    unreadable = isinstance(error, (OSError, ValueError, KeyError)) and not isinstance(error, FROM_THE_NETWORK)
    if unreadable:
        way_out = f"remove the file from {_cache()} and run again, or bring another and use weights: file:PATH."
        return EngineError(told + way_out, slug="weights-damaged")
    way_out = "set https_proxy if your network needs a proxy, or bring that file yourself and use weights: file:PATH."
    return EngineError(told + way_out, slug="weights-unreachable")


def _cache() -> Path:
    """Return the folder where ``keras.utils.get_file`` keeps weights."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    if not os.access(home, os.W_OK):
        home = Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), ".keras")
    return home / "models"


def _cached() -> Set[Path]:
    return set(_cache().glob("*"))


def _one_line(error: Exception) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else error  # str() of a KeyError is quoted
    return " ".join(str(text).split())[:400].rstrip(".") or type(error).__name__
