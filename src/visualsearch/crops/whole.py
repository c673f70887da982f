"""The whole picture as one crop."""

from __future__ import annotations

from collections.abc import Sequence

from visualsearch import plugins
from visualsearch.crops.contract import Role
from visualsearch.datatypes import Crop, Pixels
from visualsearch.images import shrunk


class Whole:
    """Describe all of a picture."""

    class Options(plugins.Options):
        """There is nothing to choose."""

        name: str = "whole"

    noun = "picture"

    def __init__(self, options: Options) -> None:
        """Take options."""
        self.fingerprint = "whole-1"

    def crops(self, images: Sequence[Pixels], role: Role) -> list[list[Crop]]:
        """Return each image as its only crop, large ones shrunk: no network looks at more."""
        return [[Crop(shrunk(image))] for image in images]
