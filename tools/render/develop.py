"""From rendered light to a picture: noise filter, firefly clamp, exposure and tone curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, median_filter

_OFFSETS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


def _shifted(padded: np.ndarray, pad: int, dy: int, dx: int) -> np.ndarray:
    height, width = padded.shape[0] - 2 * pad, padded.shape[1] - 2 * pad
    return padded[pad + dy : pad + dy + height, pad + dx : pad + dx + width]


def _padded(array: np.ndarray, pad: int) -> np.ndarray:
    return np.pad(array, ((pad, pad), (pad, pad), (0, 0)), mode="edge")


def clamp(light: np.ndarray) -> np.ndarray:
    """Pull single pixels that are far brighter than their surroundings down to them."""
    level = light.mean(-1)
    middle = median_filter(level, 3)
    limit = maximum_filter(middle, 3) * 1.3 + 0.02 * middle.mean()
    return light * np.minimum(1, limit / np.maximum(level, 1e-6))[..., None]


def smooth(light: np.ndarray, guide: np.ndarray, passes: int) -> np.ndarray:
    """Average light over neighbours that have the same surface, direction and depth.

    `guide` holds the surface colour, the normal and the depth of each pixel. Light is divided by
    the surface colour first, so that textures stay sharp.
    """
    color = np.clip(guide[..., :3], 0.0, 1.0) + 0.03
    depth = guide[..., 6:7]
    features = np.concatenate(
        [guide[..., :3] * 2.2, guide[..., 3:6] * 2.5, depth / (0.025 * depth.mean() + 1e-6) * 0.4], axis=-1
    )
    features = features.astype(np.float32)
    result = (light / color).astype(np.float32)
    for index in range(passes):
        step = 2**index
        total, weights = result * 1.0, np.ones((*result.shape[:2], 1), dtype=np.float32)
        # Brightness counts only once the first passes have quietened it: shadows keep their edges.
        tone = np.sqrt(np.maximum(result.mean(-1, keepdims=True), 0))
        tone *= (0.0, 0.0, 2.0, 3.0)[index] / (tone.mean() + 1e-4)
        around = np.concatenate([features, tone], axis=-1)
        wide, light_wide = _padded(around, step), _padded(result, step)
        for dy, dx in _OFFSETS:
            gap = _shifted(wide, step, dy * step, dx * step) - around
            weight = np.exp(-np.einsum("ijk,ijk->ij", gap, gap))[..., None] * np.float32(0.7 if dy and dx else 0.85)
            total += _shifted(light_wide, step, dy * step, dx * step) * weight
            weights += weight
        result = total / weights
    return result * color


def picture(light: np.ndarray, view: dict[str, Any], size: tuple[int, int]) -> Image.Image:
    """Expose, apply a photographic curve and scale down to the wanted size."""
    level = light.mean(-1)
    key = 0.6 * np.median(level) + 0.4 * level.mean()
    exposed = light * (0.25 * view["exposure"] / max(float(key), 1e-4))
    exposed = np.minimum(exposed * [view["balance"][0], 1.0, view["balance"][1]], 6.0)
    curved = exposed * (1 + exposed / 2.4**2) / (1 + exposed * 0.6)
    coded = np.clip(1.055 * np.maximum(curved, 1e-9) ** (1 / 2.4) - 0.055, 0, 1)
    # A gentle S-curve, as cameras apply it, against a milky look.
    coded = coded + 0.3 * (coded**2 * (3 - 2 * coded) - coded)
    image = Image.fromarray((coded * 255 + 0.5).astype(np.uint8))
    # The wide filter hides the steps that few samples leave along edges.
    few = image.width < 1.9 * size[0]
    return image.resize(size, Image.Resampling.BILINEAR if few else Image.Resampling.LANCZOS)
