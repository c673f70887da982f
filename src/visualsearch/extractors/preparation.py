"""Arithmetic that extractors share: pixels in, unit-length rows out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from visualsearch.datatypes import Crop, Matrix, Pixels

CHUNK = 32
"""Crops in one forward pass: 34 MB of pixels at 299 px, and enough to keep the processor busy."""


def squeeze(pixels: Pixels, side: int) -> Pixels:
    """Return the whole picture as (side, side, 3), filtered where it shrinks.

    Pillow's bilinear filter widens with the reduction, so nothing aliases; the box filter
    before it (``reducing_gap``) makes large photographs ten times faster for no visible
    difference.

    >>> squeeze(np.zeros((1, 900, 3), np.uint8), 32).shape
    (32, 32, 3)
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0))


def pad(pixels: Pixels, side: int) -> Pixels:
    """Return the whole picture in the middle of a black (side, side, 3), its aspect ratio kept.

    >>> pad(np.full((30, 60, 3), 9, np.uint8), 20)[:, 0, 0].tolist()
    [0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0]
    """
    height, width = (max(1, round(length * side / max(pixels.shape[:2]))) for length in pixels.shape[:2])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    padded = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    shrunk = picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    padded[top : top + height, left : left + width] = np.asarray(shrunk)
    return padded


def unit(rows: Matrix) -> Matrix:
    """Return the rows scaled to length 1; a row of zeros becomes the first axis, so that it has a direction too.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [1.0, 0.0]]
    """
    rows = np.array(rows, np.float32)
    # The largest value is divided out first: squares of very small or large values leave float32.
    scale = np.abs(rows).max(axis=1, initial=0.0)
    rows[scale == 0, 0] = 1.0
    rows /= np.where(scale == 0, 1.0, scale)[:, None]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def in_chunks(crops: Sequence[Crop], forward: Callable[[Sequence[Crop]], Matrix], width: int) -> Matrix:
    """Return ``forward`` of all crops, (n, width), a bounded number at a time."""
    starts = range(0, len(crops), CHUNK)
    return np.concatenate([np.empty((0, width), np.float32), *(forward(crops[i : i + CHUNK]) for i in starts)])


def grey() -> Crop:
    """Return a small grey crop, for a first pass that looks at nothing."""
    return Crop(np.full((8, 8, 3), 128, np.uint8))
