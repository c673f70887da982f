"""Tails: what a classifier computes beyond the layers that it shares with the extractor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.centres import Blend, Centres, fewer, members
from visualsearch.classifiers.contract import NEVER
from visualsearch.datatypes import Matrix
from visualsearch.errors import EngineError
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

FORKS = {"head": "avg_pool", "last_block": "conv4_block6_out", "all": None}
"""How much is trained → the layer of ResNet50 whose activation the tail continues from; None is the picture itself."""

DROPOUT = 0.2


def new_tail(graph: keras.Model, fork: str | None, buckets: int, features: Matrix, seed: int) -> keras.Model:
    """Return an untrained tail: activation of ``fork`` → (n, buckets) probabilities.

    The layers between fork and pooling are a copy of ``graph``'s with its weights, so that
    training leaves the extractor as it is. Their batch normalisation keeps its statistics:
    those of a few hundred pictures would be worse. ``features``, (n, features), are
    pooled features by which the head's input is centred and scaled.
    """
    framework = import_keras()
    inputs, pooled = _copied(graph, fork)
    standard = framework.layers.BatchNormalization(center=False, scale=False, trainable=False, name="standard")
    head = framework.layers.Dense(buckets, kernel_initializer="zeros", name="logits")
    hidden = framework.layers.Dropout(DROPOUT, seed=seed, name="dropout")(standard(pooled))
    probabilities = framework.layers.Softmax(name="probabilities")(head(hidden))
    variance = features.var(axis=0)
    # A floor under the variance: a feature that hardly varied here may well vary once the block is trained.
    standard.set_weights([features.mean(axis=0), variance + 0.1 * variance.mean() + 1e-6])
    tail: keras.Model = framework.Model(inputs, probabilities, name="tail")
    return tail


def logits_of(tail: keras.Model) -> keras.Model:
    """Return the same layers without the softmax: what is trained."""
    model: keras.Model = import_keras().Model(tail.input, tail.get_layer("logits").output)
    return model


def without_head(tail: keras.Model) -> keras.Model:
    """Return the same layers up to the pooled features: what a classifier of its own would embed by."""
    model: keras.Model = import_keras().Model(tail.input, tail.get_layer("standard").input)
    return model


def directions_of(tail: keras.Model, projection: Matrix | None) -> keras.Model:
    """Return the same layers up to what is compared with centres: (n, features), of unit length.

    It is what the extractor compares too, the projected pooled features; where there is no
    projection, the pooled features as the head centres and scales them.
    """
    model: keras.Model = import_keras().Model(tail.input, _direction(tail, projection))
    return model


def with_centres(tail: keras.Model, centres: Centres, blend: Blend, projection: Matrix | None) -> keras.Model:
    """Return the tail with centres beside its linear head; without any where they have no say."""
    if blend.share == 0:
        return tail
    framework = import_keras()
    buckets, layers = tail.output_shape[1], framework.layers
    compared = layers.Dense(len(centres.directions), use_bias=False, name="centres")
    summed = layers.Dense(buckets, use_bias=False, name="members")
    sharp = layers.Rescaling(blend.sharpness, name="sharpness")(compared(_direction(tail, projection)))
    by_centres = layers.Rescaling(blend.share, name="share_of_centres")(summed(layers.Softmax(name="nearest")(sharp)))
    by_head = layers.Rescaling(1 - blend.share, name="share_of_head")(tail.get_layer("probabilities").output)
    whole: keras.Model = framework.Model(tail.input, layers.Add(name="blend")([by_head, by_centres]), name="tail")
    compared.set_weights([centres.directions.T])
    summed.set_weights([members(centres, buckets)])
    return whole


def _direction(tail: keras.Model, projection: Matrix | None) -> keras.KerasTensor:
    """Return the symbolic output of unit length that is compared with centres."""
    framework = import_keras()
    features = tail.get_layer("standard").output
    if projection is not None:
        onto = framework.layers.Dense(projection.shape[1], use_bias=False, name="projection")
        features = onto(tail.get_layer("standard").input)
        onto.set_weights([projection])
    return framework.layers.UnitNormalization(name="direction")(features)


def soften(tail: keras.Model, temperature: float) -> None:
    """Divide the logits by a temperature, in place."""
    layer = tail.get_layer("logits")
    layer.set_weights([weights / temperature for weights in layer.get_weights()])


def without_buckets(tail: keras.Model, gone: Sequence[int], merged: Sequence[int]) -> keras.Model | None:
    """Return the tail in which the buckets ``gone`` are never likely and no centre of ``merged`` is a single picture.

    Of ``gone``, the rows of the linear head are zero and there are no centres; ``merged`` have one,
    the mean. Without centres to merge there is nothing to do for ``merged`` alone: then it is None.
    """
    head = tail.get_layer("logits")
    kernel, bias = head.get_weights()
    kernel[:, gone], bias[gone] = 0, NEVER
    head.set_weights([kernel, bias])
    names = {layer.name for layer in tail.layers}
    if "centres" not in names:
        return tail if gone else None
    owners = tail.get_layer("members").get_weights()[0].argmax(axis=1)
    centres = fewer(Centres(tail.get_layer("centres").get_weights()[0].T, owners), gone, merged)
    if len(centres.buckets) == len(owners) and not gone:
        return None
    share = float(tail.get_layer("share_of_centres").scale) if len(centres.buckets) else 0.0
    blend = Blend(share, float(tail.get_layer("sharpness").scale))
    projection = tail.get_layer("projection").get_weights()[0] if "projection" in names else None
    linear = import_keras().Model(tail.input, tail.get_layer("probabilities").output, name="tail")
    return with_centres(linear, centres, blend, projection)


def joined(graph: keras.Model, tail: keras.Model, fork: str) -> keras.Model:
    """Return pictures → [pooled features, probabilities]: the layers before ``fork`` are computed once."""
    probabilities = tail(graph.get_layer(fork).output)
    model: keras.Model = import_keras().Model(graph.input, [graph.output, probabilities], name="joint")
    return model


def alone(graph: keras.Model, tail: keras.Model, fork: str) -> keras.Model:
    """Return pictures → probabilities: nothing that only the embedding needs is computed."""
    model: keras.Model = import_keras().Model(graph.input, tail(graph.get_layer(fork).output), name="alone")
    return model


def tapped(graph: keras.Model, fork: str | None) -> keras.Model:
    """Return pictures → [pooled features] or [pooled features, activation of ``fork``]."""
    outputs = [graph.output] if fork is None else [graph.output, graph.get_layer(fork).output]
    model: keras.Model = import_keras().Model(graph.input, outputs, name="tapped")
    return model


def read_tail(path: Path) -> keras.Model:
    """Load a tail that was saved; only layers of Keras itself are accepted, never code.

    Raises:
        EngineError: the file is no such model.
    """
    framework = import_keras()
    try:
        tail: keras.Model = framework.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise EngineError(
            f"{path}: the classifier cannot be read ({reason}): run train.", slug="classifier-damaged"
        ) from error
    return tail


def _copied(graph: keras.Model, fork: str | None) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return input and pooled output of a copy of what lies behind ``fork``."""
    framework = import_keras()
    if fork == graph.layers[-1].name:
        pooled = framework.Input(graph.output.shape[1:], name="activation")
        return pooled, pooled
    start = graph.input if fork is None else graph.get_layer(fork).output
    behind = framework.Model(start, graph.output)
    copy = framework.models.clone_model(behind)
    copy.set_weights(behind.get_weights())
    for layer in copy.layers:
        if isinstance(layer, framework.layers.BatchNormalization):
            layer.trainable = False
    return copy.input, copy.output


def temperature(logits: Matrix, targets: Matrix, weights: NDArray[np.float32] | None = None) -> float:
    """Return the temperature that makes held-out probabilities most honest.

    The one that minimises their cross-entropy (Guo et al. 2017, "On Calibration of Modern
    Neural Networks"), among 61 from 0.2 to 5; ``targets`` are (n, buckets), rows that sum to 1, and
    ``weights`` (n,) say how much each picture counts.

    >>> rows = np.log(np.array([[0.9, 0.1]] * 4, np.float32))
    >>> temperature(rows, np.eye(2)[[0, 0, 0, 1]]) > 1
    True
    """
    from scipy.special import log_softmax

    def cross_entropy(candidate: float) -> float:
        rows = log_softmax(logits.astype(np.float64) / candidate, axis=1)
        return float(np.average(-(rows * targets).sum(axis=1), weights=weights))

    return float(min(np.geomspace(0.2, 5.0, 61), key=cross_entropy))
