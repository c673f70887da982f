"""From the last step to a weights file: averaged weights, their statistics, the best side, a card."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .augment import preprocess
from .measuring import Trial, pooled, retrieval, unit
from .network import resnet50
from .pictures import Pictures, resized
from .training import Training
from .weights import PROJECTION, Arrays, plain_backbone, rounded

SIDES = (64, 80, 96, 112, 128)


def averaged(training: Training) -> Arrays:
    """Return the averaged weights by path; batch statistics as training left them."""
    arrays = {path: variable.numpy() for path, variable in training.network.variables.items()}
    return arrays | {path: mean.numpy() for path, mean in training.average.mean.items()}


def with_statistics(arrays: Arrays, pictures: Pictures, side: int, n: int = 2048, seed: int = 0) -> Arrays:
    """Return the arrays with batch statistics estimated anew, from pictures as they are.

    Averaged weights see other activations than any weights that were trained, so the moving
    statistics do not fit them (Izmailov et al. 2018, section 3.2).
    """
    share = tf.Variable(1.0)
    model = resnet50("float32", share)
    for variable in model.variables:
        variable.assign(arrays[variable.path].astype(np.float32))
    chosen = np.random.default_rng(seed).permutation(len(pictures))[:n]
    forward = tf.function(lambda seen: model(preprocess(seen), training=True), reduce_retracing=True)
    for turn, start in enumerate(range(0, len(chosen), 128)):
        share.assign(1.0 / (turn + 1))
        seen = np.stack([resized(p, side) for p in pictures.pixels[chosen[start : start + 128]]])
        forward(tf.constant(seen.astype(np.float32)))
    return arrays | {v.path: v.numpy() for v in model.variables}


def only_backbone(arrays: Arrays) -> Arrays:
    """Return what the weights file holds: the backbone, and the map from its pooled layer to the embedding."""
    return {p: a for p, a in arrays.items() if p == PROJECTION or p.startswith("conv")}


def top1(arrays: Arrays, rows: NDArray[np.float32], family: NDArray[np.int64]) -> float:
    """Return how often the family head, as trained, names the family of rows of the pooled layer."""
    logits = rows @ arrays["family/kernel"] + arrays["family/bias"]
    return round(float((logits.argmax(axis=1) == family).mean()), 3)


def by_side(arrays: Arrays, trial: Trial, sides: tuple[int, ...] = SIDES) -> dict[int, dict[str, float]]:
    """Return the figures on unseen instances for each side of the input, with weights in half precision."""
    model = plain_backbone(rounded(only_backbone(arrays)))
    projection = rounded(arrays)[PROJECTION].astype(np.float32)
    told: dict[int, dict[str, float]] = {}
    for side in sides:
        gallery, queries = (pooled(model, side)(p) for p in (trial.gallery, trial.queries))
        found = [v.mean() for v in retrieval(trial, unit(gallery @ projection), unit(queries @ projection))]
        names = ("category_hit_rate_at_1", "instance_hit_rate_at_1", "instance_recall_at_20")
        told[side] = {name: round(float(value), 3) for name, value in zip(names, found, strict=True)}
        told[side]["category_top1_as_trained"] = top1(arrays, queries, trial.queries.family)
    return told


def best_side(told: dict[int, dict[str, Any]]) -> int:
    """Return the smallest side whose category and instance hit rates are together the best.

    >>> best_side({64: {"category_hit_rate_at_1": 0.9, "instance_hit_rate_at_1": 0.8},
    ...            80: {"category_hit_rate_at_1": 0.9, "instance_hit_rate_at_1": 0.8}})
    64
    """
    return max(told, key=lambda s: (told[s]["category_hit_rate_at_1"] + told[s]["instance_hit_rate_at_1"], -s))
