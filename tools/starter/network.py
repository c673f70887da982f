"""The ResNet50 that is trained, its two heads, and what they are asked for."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Tensor = Any

EMBEDDING = 256
SCALE = 16.0
LAST_SCALE = re.compile(r"conv\d_block\d+_3_bn/gamma")
MOVING = ("moving_mean", "moving_variance")


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation as one kernel, which spares CPUs about a third of a training step.

    ``share`` is how much of the moving statistics the newest batch replaces.
    """

    share: tf.Variable | None = None

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        """Normalise by the batch's statistics in training, by the moving ones otherwise."""
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        kernel = tf.compat.v1.nn.fused_batch_norm
        if not training:
            mean, variance = (tf.convert_to_tensor(v) for v in (self.moving_mean, self.moving_variance))
            return kernel(inputs, scale, offset, mean, variance, self.epsilon, is_training=False)[0]
        normal, mean, variance = kernel(inputs, scale, offset, epsilon=self.epsilon, is_training=True)
        share = 0.01 if self.share is None else self.share
        self.moving_mean.assign_add(share * (mean - self.moving_mean))
        self.moving_variance.assign_add(share * (variance - self.moving_variance))
        return normal


class SmallMapConvolution(keras.layers.Conv2D):
    """A convolution that becomes one matrix product where the map is small or strided.

    On maps of 4 × 4 and less CPUs spend several times longer in the convolution kernels,
    and most in the gradient of the weights.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve; the result is the same either way."""
        side, (rows, columns), stride = inputs.shape[1], self.kernel_size, self.strides[0]
        if side is not None and rows == columns == 1 and (side <= 4 or stride > 1):
            patches = inputs[:, ::stride, ::stride]
        elif side is not None and rows == columns == 3 and side <= 2 and self.padding == "same":
            padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
            shifts = [(i, j) for i in range(3) for j in range(3)]
            patches = tf.concat([padded[:, i : i + side, j : j + side] for i, j in shifts], axis=3)
        else:
            return super().call(inputs)
        kernel = tf.reshape(tf.cast(self.kernel, inputs.dtype), (-1, self.filters))
        return tf.tensordot(patches, kernel, 1) + tf.cast(self.bias, inputs.dtype)


def resnet50(policy: str, share: tf.Variable | None = None) -> keras.Model:
    """Build keras.applications.ResNet50 for pictures of any side, pooled, with fused normalisation.

    Args:
        policy: "float32" or "mixed_bfloat16".
        share: see ``FusedBatchNormalization``.

    Returns:
        A model from (n, side, side, 3) to (n, 2048) whose variables have the paths of the original.
    """

    def fused(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.Conv2D):
            return SmallMapConvolution.from_config(layer.get_config())
        if not isinstance(layer, keras.layers.BatchNormalization):
            return layer.__class__.from_config(layer.get_config())
        clone = FusedBatchNormalization.from_config(layer.get_config())
        clone.autocast = False  # the kernel wants float32 parameters beside bfloat16 pictures
        clone.share = share
        return clone

    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        plain = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
        return keras.models.clone_model(plain, clone_function=fused)
    finally:
        keras.mixed_precision.set_dtype_policy(before)


class Network:
    """A backbone with two linear maps on its pooled layer: to the families, and to the embedding.

    ``variables`` are all that training changes, by path; ``moving`` the batch statistics among them.
    """

    def __init__(self, backbone: keras.Model, families: int, instances: int, seed: int) -> None:
        """Initialise the heads, and each residual block to the identity (its last scale to zero).

        Goyal et al. 2017, section 5.1: blocks that start as the identity ease the first steps.
        """
        self.backbone = backbone
        width = backbone.output_shape[-1]
        random = np.random.default_rng(seed)

        def start(*shape: int) -> tf.Variable:
            return tf.Variable(random.normal(0, width**-0.5, shape).astype(np.float32))

        self.heads = {
            "family/kernel": start(width, families),
            "family/bias": tf.Variable(tf.zeros(families)),
            "projection/kernel": start(width, EMBEDDING),
            "instances/kernel": start(EMBEDDING, instances),
        }
        self.variables = {v.path: v.value for v in backbone.variables} | self.heads
        self.moving = {path for path in self.variables if path.endswith(MOVING)}
        self.trainable = {p: v for p, v in self.variables.items() if p not in self.moving}
        for path, variable in self.variables.items():
            if LAST_SCALE.fullmatch(path):
                variable.assign(tf.zeros_like(variable))

    def pooled(self, pictures: Tensor, training: bool = False) -> Tensor:
        """Return the pooled layer (n, width) float32 of preprocessed pictures."""
        return tf.cast(self.backbone(pictures, training=training), tf.float32)

    def losses(self, pooled: Tensor, family: Tensor, instance: Tensor, smoothing: float) -> Tensor:
        """Return the two mean cross-entropies, and the share of families that were right.

        The family is asked of the pooled layer, with smoothed labels; the instance of the cosine
        between the embedding and each instance's direction, times ``SCALE``.
        """
        logits = pooled @ self.heads["family/kernel"] + self.heads["family/bias"]
        embedding = tf.math.l2_normalize(pooled @ self.heads["projection/kernel"], axis=1)
        directions = tf.math.l2_normalize(self.heads["instances/kernel"], axis=0)
        right = tf.cast(tf.equal(tf.argmax(logits, axis=1), tf.cast(family, tf.int64)), tf.float32)
        by_family = cross_entropy(logits, family, smoothing)
        by_instance = cross_entropy(SCALE * embedding @ directions, instance, 0.0)
        return by_family, by_instance, tf.reduce_mean(right)


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy where ``smoothing`` of each label is spread over all classes."""
    log = tf.nn.log_softmax(logits)
    hard = tf.gather(log, tf.cast(labels, tf.int64), batch_dims=1)
    return -tf.reduce_mean((1.0 - smoothing) * hard + smoothing * tf.reduce_mean(log, axis=1))
