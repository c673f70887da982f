"""The whole picture as one crop."""

from __future__ import annotations

from collections.abc import Sequence

from visualsearch import plugins
from visualsearch.datatypes import Crop, Pixels


class Whole:
    """Describe all of a picture."""

    class Options(plugins.Options):
        """There is nothing to choose."""

        name: str = "whole"

    def __init__(self, options: Options) -> None:
        """Take options."""
        self.fingerprint = "whole-1"

    def crops(self, images: Sequence[Pixels]) -> list[list[Crop]]:
        """Return each image as its only crop."""
        return [[Crop(image)] for image in images]
