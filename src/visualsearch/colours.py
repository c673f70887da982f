"""Any colour mode or array that a picture comes in → 8-bit RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visualsearch.datatypes import Pixels
from visualsearch.errors import PictureError


def to_rgb(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB, on white where the picture is transparent."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale deep grey values by the range that their type or they themselves suggest.

    16-bit integers by 65,535; 32-bit ones likewise, or from least to most where they exceed
    16 bits; floats from 0 to 1, from 0 to 255, or else from least to most. What is not finite is black.
    """
    finite = np.isfinite(values)
    deep = np.where(finite, values, 0).astype(np.float64)
    low, high = (float(np.min(deep[finite])), float(np.max(deep[finite]))) if finite.any() else (0.0, 0.0)
    spans = (1.0, 255.0) if values.dtype.kind == "f" else (65535.0,)
    span = next((span for span in spans if low >= 0 and high <= span), None)
    floor, span = (0.0, span) if span else (low, (high - low) or 1.0)
    scaled = np.where(finite, (deep - floor) * (255.0 / span), 0.0)
    return np.rint(scaled).astype(np.uint8)


def from_array(array: NDArray[Any]) -> Pixels:
    """Return RGB from (height, width), (height, width, 1), 3 (RGB) or 4 (RGBA), uint8 or float from 0 to 1.

    Raises:
        PictureError: ``picture-array``: another shape, type or range.
    """
    channels = array.shape[2] if array.ndim == 3 else 1
    floating = array.dtype.kind == "f"
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or array.size == 0:
        message = f"array: expected the shape (height, width[, 1, 3 or 4]); received {array.shape}"
        raise PictureError(message, slug="picture-array")
    if not floating and array.dtype != np.uint8:
        message = f"array: expected uint8, or float from 0 to 1; received {array.dtype}"
        raise PictureError(message, slug="picture-array")
    if floating and not (array.min() >= 0 and array.max() <= 1):
        message = f"array: expected float from 0 to 1; received {array.min():g} to {array.max():g}"
        raise PictureError(message, slug="picture-array")
    eight = np.rint(array.astype(np.float64) * 255).astype(np.uint8) if floating else array
    return np.asarray(to_rgb(Image.fromarray(eight[:, :, 0] if array.ndim == 3 and channels == 1 else eight)))
