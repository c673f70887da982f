"""Finishes of surfaces: which colours and patterns a part has and the renderer's material for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np

from . import patterns
from .patterns import PALETTE, PATTERNS

Color = tuple[float, float, float]
METALS: tuple[Color, ...] = (
    (0.86, 0.86, 0.85),
    (0.88, 0.70, 0.38),
    (0.83, 0.55, 0.42),
    (0.48, 0.47, 0.47),
    (0.72, 0.66, 0.56),
)


@dataclass(frozen=True)
class Finish:
    """How a surface looks: material kind, up to three colours, a pattern and its seed."""

    kind: str
    colors: tuple[Color, Color, Color]
    pattern: str = "plain"
    seed: int = 0
    scale: float = 1.0


class Style:
    """The colours and random choices of one instance."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Pick the instance's colours from the shared palette."""
        self.rng = rng
        order = rng.permutation(len(PALETTE))
        ranked = [PALETTE[i] for i in order]
        self.main: Color = ranked[0]
        far = sorted(ranked[1:], key=lambda c: -float(np.abs(np.subtract(c, ranked[0])).sum()))
        # Second and third colours must be told from the first at thumbnail size.
        self.second: Color = far[int(rng.integers(0, 7))]
        self.third: Color = far[int(rng.integers(0, 9))]
        self.metal: Color = METALS[int(rng.integers(0, len(METALS)))]

    def pick(self, *options: Any) -> Any:
        """Return one of the options."""
        return options[int(self.rng.integers(0, len(options)))]

    def span(self, low: float, high: float) -> float:
        """Return a number between the limits."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """Return true with the given probability."""
        return bool(self.rng.random() < share)

    def surface(self, *kinds: str, patterned: float = 0.75) -> Finish:
        """Return the main finish, patterned with the given probability."""
        kind = self.pick(*kinds)
        colors = (self.main, self.second, self.third)
        seed = int(self.rng.integers(0, 2**31))
        name = self.pick(*PATTERNS) if self.rng.random() < patterned else "plain"
        if kind in ("metal", "glass", "wood", "marble"):
            name = "plain"
        return Finish(kind, (self.metal, *colors[1:]) if kind == "metal" else colors, name, seed)

    def plain(self, kind: str, which: str = "second") -> Finish:
        """Return a finish without pattern in one of the instance's colours."""
        color = self.metal if kind == "metal" else getattr(self, which)
        return Finish(kind, (color, self.second, self.third), seed=int(self.rng.integers(0, 2**31)))


def fixed(kind: str, color: Color) -> Finish:
    """Return a plain finish of a given colour."""
    return Finish(kind, (color, color, color))


def linear(color: Any) -> list[float]:
    """Convert an sRGB colour to linear values."""
    value = np.asarray(color, dtype=float)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).tolist()


def bitmap(picture: np.ndarray, scale: float = 1.0) -> dict[str, Any]:
    """Return a texture of sRGB values."""
    data = np.ascontiguousarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(data),
        "to_uv": mi.ScalarTransform4f().scale([scale, scale, 1]),
    }


def _reflectance(finish: Finish) -> dict[str, Any]:
    if finish.kind == "wood":
        return bitmap(patterns.wood(finish.seed, finish.colors[0]), 0.9)
    if finish.kind == "marble":
        return bitmap(patterns.marble(finish.seed, finish.colors[0], finish.colors[1]), finish.scale)
    if finish.pattern == "plain":
        return {"type": "rgb", "value": linear(finish.colors[0])}
    if finish.pattern.startswith("ball-"):
        from .families.balls import sphere_texture

        return bitmap(sphere_texture(finish))
    return bitmap(patterns.pattern(finish.pattern, finish.seed, finish.colors), finish.scale)


def bsdf(finish: Finish) -> dict[str, Any]:
    """Return the renderer's material for a finish."""
    kind = finish.kind
    if kind in ("glass", "lens"):
        # Thin walls let light straight through, which keeps the picture free of caustic noise.
        tint = np.sqrt(0.3 + 0.7 * np.asarray(finish.colors[0])) if kind == "glass" else np.ones(3) * 0.97
        return {
            "type": "thindielectric",
            "int_ior": 1.4,
            "specular_transmittance": {"type": "rgb", "value": linear(tint)},
        }
    if kind == "metal":
        alpha = 0.1 + 0.16 * (finish.seed % 7) / 6
        inner = {
            "type": "roughconductor",
            "material": "none",
            "alpha": alpha,
            "distribution": "ggx",
            "specular_reflectance": {"type": "rgb", "value": linear(finish.colors[0])},
        }
    elif kind in ("matte", "paper", "cloth", "rubber", "glow"):
        inner = {"type": "diffuse", "reflectance": _reflectance(finish)}
    else:
        roughness = {"ceramic": 0.18, "plastic": 0.38, "wood": 0.5, "marble": 0.28}[kind]
        inner = {
            "type": "principled",
            "roughness": roughness,
            "specular": 0.5,
            "base_color": _reflectance(finish),
        }
    return {"type": "twosided", "bsdf": inner}
