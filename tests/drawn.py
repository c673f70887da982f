"""Faces drawn for tests, simple ones that a detector takes for faces; where their parts are is known."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from visualsearch.datatypes import Box, Pixels

DRAWN = 800
"""Side of the square on which faces are drawn, before they get the size that is asked for."""

HEAD = (0.285, 0.225, 0.715, 0.795)
"""Left, top, right, bottom of the skin, as shares of the square."""

LANDMARKS = ((0.405, 0.445), (0.595, 0.445), (0.5, 0.575), (0.42, 0.685), (0.58, 0.685))
"""Eyes, nose, corners of the mouth."""


def face(side: int = 200, seed: int = 0) -> Pixels:
    """Return a square with a face in its middle; each seed has colours of its own."""
    rng = np.random.default_rng(seed)
    skin = np.array([222, 178, 150]) + rng.integers(-25, 20)
    hair, ground = (tuple(map(int, rng.integers(low, low + 70, 3))) for low in (20, 90))
    image = Image.new("RGB", (DRAWN, DRAWN), ground)
    brush = _Brush(image)
    brush.disc(100, 88, 52, 66, hair)
    brush.disc(100, 185, 80, 30, (60, 70, 110))
    brush.disc(100, 102, 43, 57, skin)
    for x in (81, 119):
        brush.disc(x, 77, 12, 3, hair)
        brush.disc(x, 88, 11, 7, skin * 0.72)
        brush.disc(x, 89, 8.5, 4.6, (245, 245, 245))
        brush.disc(x, 89, 4.2, 4.4, (50, 35, 25))
    brush.disc(100, 103, 6, 14, skin * 0.93)
    for x in (94, 106):
        brush.disc(x, 117, 4, 3, skin * 0.7)
    brush.disc(100, 137, 17, 6, (170, 80, 80))
    brush.disc(100, 137, 16, 1, (110, 45, 45))
    soft = image.filter(ImageFilter.GaussianBlur(1.6 * DRAWN / 200))
    light = 1.1 - 0.5 * np.abs(np.linspace(0, 1, side) - 0.46)  # from the left
    small = np.asarray(soft.resize((side, side), Image.Resampling.LANCZOS))
    return np.clip(small * light[None, :, None], 0, 255).astype(np.uint8)


class _Brush:
    """Draws on a square of 200 × 200 units."""

    def __init__(self, image: Image.Image) -> None:
        self._draw, self._unit = ImageDraw.Draw(image), image.width / 200

    def disc(self, x: float, y: float, across: float, down: float, colour: object) -> None:
        edges = [edge * self._unit for edge in (x - across, y - down, x + across, y + down)]
        self._draw.ellipse(edges, fill=tuple(int(part) for part in np.asarray(colour)))


def head(side: int, left: int = 0, top: int = 0) -> Box:
    """Return where the head is of a face that was put at ``left``, ``top``."""
    x1, y1, x2, y2 = (round(share * side) for share in HEAD)
    return left + x1, top + y1, left + x2, top + y2


def group(places: list[tuple[int, int, int]], width: int, height: int) -> Pixels:
    """Return a picture with a face at each (left, top, side), as much of it as lies inside."""
    sheet = Image.new("RGB", (width, height), (120, 130, 140))
    for seed, (left, top, side) in enumerate(places):
        sheet.paste(Image.fromarray(face(side, seed)), (left, top))
    return np.asarray(sheet)


def overlap(one: Box | None, other: Box) -> float:
    """Return the intersection over the union of two boxes."""
    assert one is not None
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    common = max(across, 0) * max(down, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)
