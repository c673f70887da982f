"""What a crop plug-in promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from visualsearch.datatypes import Crop, Pixels


class Cropper(Protocol):
    """Picture → the parts of it that are described."""

    fingerprint: str
    """Changes whenever the same picture would give other crops."""

    def crops(self, images: Sequence[Pixels]) -> list[list[Crop]]:
        """Return the crops of each image, in its order; an empty list where there is none."""
        ...
