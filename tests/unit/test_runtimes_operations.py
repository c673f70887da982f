"""Multiply-accumulates, counted by hand, by their authors, and from what TensorFlow executes."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from visualsearch.runtimes.frameworks import import_keras
from visualsearch.runtimes.operations import multiply_adds

tf = pytest.importorskip("tensorflow", reason="graphs are counted with TensorFlow; install tensorflow")

keras = import_keras()


def executed(graph: Any) -> int:
    """Count what TensorFlow executes for one picture, operation by operation."""
    traced = tf.function(lambda batch: graph(batch, training=False)).get_concrete_function(
        tf.TensorSpec((1, *graph.input_shape[1:]), tf.float32)
    )
    total = 0
    for operation in traced.graph.get_operations():
        output, kernel = operation.outputs, operation.inputs
        if operation.type == "Conv2D":
            total += prod(output[0].shape) * prod(kernel[1].shape[:-1])
        elif operation.type == "DepthwiseConv2dNative":
            total += prod(output[0].shape) * prod(kernel[1].shape[:2])
        elif operation.type == "MatMul":
            total += prod(output[0].shape) * kernel[0].shape[-1]
    return total


def test_each_kind_of_layer_is_counted_by_its_formula() -> None:
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    strided = layers.Conv2D(6, 3, strides=2, padding="same")(inputs)  # 4 x 4 positions
    grouped = layers.Conv2D(6, 3, groups=2, padding="same")(strided)
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2)(grouped)  # 2 x 2 positions, 12 channels
    separable = layers.SeparableConv2D(5, 2, padding="same")(layers.BatchNormalization()(depthwise))
    mixed = layers.Dense(7)(layers.ReLU()(separable))  # at each position
    outputs = layers.Dense(3)(layers.GlobalAveragePooling2D()(mixed))
    by_hand = 16 * 9 * 4 * 6 + 16 * 9 * 3 * 6 + 4 * 9 * 6 * 2 + 4 * (4 * 12 + 12 * 5) + 4 * 5 * 7 + 7 * 3
    assert multiply_adds(keras.Model(inputs, outputs)) == by_hand


def test_what_is_used_twice_counts_twice() -> None:
    inputs, dense = keras.Input((5,)), keras.layers.Dense(5)
    twice = keras.Model(inputs, dense(dense(inputs)))
    assert multiply_adds(twice) == 50
    again = keras.Input((5,))
    assert multiply_adds(keras.Model(again, twice(twice(again)))) == 100


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("ResNet50", 3.8e9),  # He et al. 2015, table 1
        ("MobileNet", 569e6),  # Howard et al. 2017, table 4
        ("EfficientNetB0", 0.39e9),  # Tan and Le 2019, table 2
    ],
)
def test_networks_cost_what_their_authors_say(name: str, published: float) -> None:
    graph = getattr(keras.applications, name)(weights=None)
    assert multiply_adds(graph) == pytest.approx(published, rel=0.02)
    assert multiply_adds(graph) == executed(graph)
