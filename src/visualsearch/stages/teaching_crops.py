"""Examples → crops: read again the pictures that were indexed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visualsearch.classifiers.contract import Example
from visualsearch.datatypes import Box, Crop, Item
from visualsearch.errors import DataError, PictureError
from visualsearch.gallery import file_of
from visualsearch.images import decode, read
from visualsearch.stages.assembly import Parts

NEAR = 0.1
"""Share of a box by which its edges may move when the picture is cropped again; arithmetic alone moves them by a pixel."""


@dataclass(frozen=True, slots=True)
class CropReader:
    """Reads an example's picture again; it was readable when it was indexed."""

    parts: Parts
    items: dict[str, Item]

    def crop_of(self, example: Example) -> Crop:
        """Return the example's crop.

        Raises:
            DataError: its picture is not the one that was indexed.
        """
        item = self.items[example.id]
        try:
            pixels = decode(read(file_of(self.parts.settings.gallery.folder, item.path)))
        except PictureError as error:
            raise _changed(item, str(error)) from error
        crops = self.parts.cropper.crops([pixels], "gallery")[0]
        # by its place and not by its number: of two faces of one size either may come first
        same = min(crops, key=lambda crop: _apart(crop.box, item.box), default=None)
        if same is None or _apart(same.box, item.box) > NEAR:
            raise _changed(item, "it has no such crop any more")
        return same


def _apart(one: Box | None, other: Box | None) -> float:
    """Return the largest distance between edges of two boxes, as a share of the first one's longer side."""
    if one is None or other is None:
        return 0.0 if one is other else np.inf
    return float(np.abs(np.subtract(one, other)).max() / max(one[2] - one[0], one[3] - one[1], 1))


def _changed(item: Item, why: str) -> DataError:
    message = f"{item.path}: expected the picture that was indexed; {why}. Run `visualsearch index` again."
    return DataError(message, slug="gallery-changed")
