"""Pictures of queries and hits, small."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from visualsearch.datatypes import Pixels
from visualsearch.errors import PictureError
from visualsearch.gallery import file_of
from visualsearch.images import to_pixels

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

    def __call__(self, path: str, kind: Kind) -> bytes:
        """Return a JPEG of the picture."""
        buffer = io.BytesIO()
        self.picture(path, kind).save(buffer, "JPEG", quality=self.quality, optimize=True, progressive=True)
        return buffer.getvalue()

    def picture(self, path: str, kind: Kind) -> Image.Image:
        """Return the picture with its longer side at most ``side`` pixels."""
        return shrunk(file_of(self.gallery, path) if kind == "hit" else Path(path), self.side)


def shrunk(source: Picture, side: int) -> Image.Image:
    """Return a picture with its longer side at most ``side`` pixels; an unreadable one is a grey square."""
    try:
        image = Image.fromarray(to_pixels(source))
    except PictureError:
        # the gallery may have changed since it was indexed: that spoils one tile, not the page
        return Image.new("RGB", (side, side), "#c9d0d8")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


ThumbnailOf = Callable[[str, Kind], bytes]
