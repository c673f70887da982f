"""Augmented copies: what a photographer might have done otherwise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visualsearch.datatypes import Pixels

SMALLEST = 0.6
"""Share of the picture's area that a copy shows at least."""


def shrunk(pixels: Pixels, side: int) -> Pixels:
    """Return the picture with a shorter side of at most 1.25 x ``side``, so that copies cost little.

    >>> shrunk(np.zeros((1000, 500, 3), np.uint8), 100).shape
    (250, 125, 3)
    """
    height, width = pixels.shape[:2]
    scale = 1.25 * side / min(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def augment(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a copy: cut a little, perhaps mirrored, in another light, perhaps with a patch erased.

    Cutting and mirroring follow Szegedy et al. 2015 (section 6), with gentler bounds; erasing
    follows Zhong et al. 2020, "Random Erasing Data Augmentation".
    """
    copy = _cut(pixels, rng)
    if rng.random() < 0.5:
        copy = copy[:, ::-1]
    lit = _relit(copy.astype(np.float32), rng)
    if rng.random() < 0.25:
        _erase(lit, rng)
    return np.clip(lit, 0, 255).astype(np.uint8)


def _cut(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    scale, ratio = np.sqrt(rng.uniform(SMALLEST, 1.0)), np.sqrt(np.exp(rng.uniform(-0.2, 0.2)))
    h = min(height, max(1, round(height * scale / ratio)))
    w = min(width, max(1, round(width * scale * ratio)))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    return pixels[top : top + h, left : left + w]


def _relit(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change brightness, contrast, saturation and the colour of the light."""
    brightness, contrast, saturation = rng.uniform(0.75, 1.25, 3)
    light = brightness * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    coloured = grey + np.float32(saturation) * (pixels - grey)
    middle = grey.mean()
    relit: NDArray[np.float32] = (middle + np.float32(contrast) * (coloured - middle)) * light
    return relit


def _erase(pixels: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Fill a patch of up to a fifth of the picture with noise, in place."""
    height, width = pixels.shape[:2]
    share = np.sqrt(rng.uniform(0.03, 0.2))
    h, w = max(1, int(height * share)), max(1, int(width * share))
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    pixels[top : top + h, left : left + w] = rng.uniform(0, 255, (h, w, 3))
