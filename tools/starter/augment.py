"""Random changes that leave a picture's family and instance as they are."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

Tensor = Any

CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


def preprocess(rgb: Tensor) -> Tensor:
    """Return BGR minus the mean colour: the mode "caffe" of keras.applications.resnet."""
    return rgb[..., ::-1] - tf.constant(CAFFE_MEAN_BGR)


def augment(pixels: Tensor, side: int, seed: Tensor) -> Tensor:
    """Return a random variation of each picture.

    Args:
        pixels: (n, stored, stored, 3) uint8 RGB.
        side: pixels of the result's sides.
        seed: two integers; the same seed gives the same variations.

    Returns:
        (n, side, side, 3) float32 RGB, 0 to 255.
    """
    dice = Dice(seed, tf.shape(pixels)[0])
    seen = moved(tf.cast(pixels, tf.float32), side, dice)
    return erased(recoloured(softened(seen, dice), dice), dice)


class Dice:
    """Random numbers for each picture, all from one seed."""

    def __init__(self, seed: Tensor, n: Tensor) -> None:
        """Keep the seed and the number of pictures."""
        self.seed, self.n, self.thrown = seed, n, 0

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Return (n, *shape) numbers between ``low`` and ``high``."""
        self.thrown += 1
        seed = tf.stack([self.seed[0] * 64 + self.thrown, self.seed[1]])
        return tf.random.stateless_uniform((self.n, *shape), seed, low, high)

    def chance(self, share: float, *shape: int) -> Tensor:
        """Return (n, *shape) ones with probability ``share``, else zeros."""
        return tf.cast(self.uniform(0.0, 1.0, *shape) < share, tf.float32)


def moved(rgb: Tensor, side: int, dice: Dice) -> Tensor:
    """Zoom, stretch, turn, shift and flip in one affine map, reflecting what lies outside.

    A map (a, b, c, d, e, f) takes an output point to the input point (ax + by + c, dx + ey + f).
    """
    stored = tf.cast(tf.shape(rgb)[1], tf.float32)
    zoom = dice.uniform(0.76, 1.02) * stored / side
    stretch = tf.exp(dice.uniform(-0.09, 0.09))
    turn = dice.uniform(-8.0, 8.0) * (math.pi / 180)
    flip = 1.0 - 2.0 * dice.chance(0.5)
    a, b = flip * zoom * stretch * tf.cos(turn), -zoom / stretch * tf.sin(turn)
    d, e = flip * zoom * stretch * tf.sin(turn), zoom / stretch * tf.cos(turn)
    half, middle = (side - 1) / 2, (stored - 1) / 2
    room = tf.maximum(stored - side * zoom, 0.05 * stored) / 2
    c = middle + room * dice.uniform(-1.0, 1.0) - half * (a + b)
    f = middle + room * dice.uniform(-1.0, 1.0) - half * (d + e)
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=rgb,
        transforms=tf.stack([a, b, c, d, e, f, zero, zero], axis=1),
        output_shape=(side, side),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def softened(rgb: Tensor, dice: Dice) -> Tensor:
    """Blur or sharpen half of the pictures."""
    line = tf.constant([0.25, 0.5, 0.25])
    kernel = tf.tile((line[:, None] * line[None, :])[..., None, None], (1, 1, 3, 1))
    padded = tf.pad(rgb, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    blurred = tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")
    return rgb + dice.chance(0.5, 1, 1, 1) * dice.uniform(-0.6, 1.0, 1, 1, 1) * (blurred - rgb)


def recoloured(rgb: Tensor, dice: Dice) -> Tensor:
    """Change saturation, contrast, brightness and the light's colour a little."""
    grey = tf.reduce_mean(rgb, axis=3, keepdims=True)
    rgb = grey + dice.uniform(0.75, 1.2, 1, 1, 1) * (rgb - grey)
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    rgb = mean + dice.uniform(0.75, 1.25, 1, 1, 1) * (rgb - mean)
    light = dice.uniform(0.75, 1.25, 1, 1, 1) * dice.uniform(0.94, 1.06, 1, 1, 3)
    return tf.clip_by_value(rgb * light, 0.0, 255.0)


def erased(rgb: Tensor, dice: Dice) -> Tensor:
    """Paint a rectangle of one colour over a quarter of the pictures. Zhong et al. 2020."""
    side = tf.cast(tf.shape(rgb)[1], tf.float32)
    place = tf.range(side) / side

    def within() -> Tensor:
        start, length = dice.uniform(0.0, 0.9, 1), dice.uniform(0.12, 0.38, 1)
        return tf.cast((place >= start) & (place < start + length), tf.float32)

    mask = within()[:, :, None, None] * within()[:, None, :, None] * dice.chance(0.25, 1, 1, 1)
    return rgb + mask * (dice.uniform(0.0, 255.0, 1, 1, 3) - rgb)
