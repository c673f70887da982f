"""Pictures of queries and hits, small."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw

from visualsearch.datatypes import Box, Pixels
from visualsearch.errors import PictureError
from visualsearch.gallery import file_of
from visualsearch.images import to_pixels
from visualsearch.presentation.palette import LIGHT

Kind = Literal["query", "hit"]
"""What a path names: a query's file, or a picture of the gallery."""

Picture = Path | str | bytes | Image.Image | Pixels
"""What can be looked at."""


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Reads pictures again and shrinks them to at most ``side`` pixels; one that is gone is a blank."""

    gallery: Path
    side: int = 132
    quality: int = 78

    def __call__(self, path: str, kind: Kind, box: Box | None = None) -> bytes:
        """Return a JPEG of the picture, or of the part of it around ``box``."""
        buffer = io.BytesIO()
        self.picture(path, kind, box).save(buffer, "JPEG", quality=self.quality, optimize=True, progressive=True)
        return buffer.getvalue()

    def picture(self, path: str, kind: Kind, box: Box | None = None) -> Image.Image:
        """Return the picture with its longer side at most ``side`` pixels."""
        return shrunk(file_of(self.gallery, path) if kind == "hit" else Path(path), self.side, box)


def shrunk(source: Picture, side: int, box: Box | None = None) -> Image.Image:
    """Return a picture with its longer side at most ``side`` pixels; an unreadable one is a grey square.

    Of a picture with a ``box`` only its surroundings are shown, the box framed in them.
    """
    try:
        image = Image.fromarray(to_pixels(source))
    except PictureError:
        # the gallery may have changed since it was indexed: that spoils one tile, not the page
        return Image.new("RGB", (side, side), "#c9d0d8")
    if box is None:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        return image
    return _framed(image, side, box)


def _framed(image: Image.Image, side: int, box: Box) -> Image.Image:
    """Return the part of a picture around a box, half the box's longer side on each side of it."""
    more = max(box[2] - box[0], box[3] - box[1]) // 2
    left, top = max(0, box[0] - more), max(0, box[1] - more)
    part = image.crop((left, top, min(image.width, box[2] + more), min(image.height, box[3] + more)))
    scale = side / max(part.size)
    size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
    shown = part.resize(size, Image.Resampling.LANCZOS)
    edges = [round((edge - start) * scale) for edge, start in zip(box, (left, top) * 2, strict=True)]
    ImageDraw.Draw(shown).rectangle((edges[0], edges[1], edges[2] - 1, edges[3] - 1), outline=LIGHT.accent, width=2)
    return shown


ThumbnailOf = Callable[[str, Kind, Box | None], bytes]
