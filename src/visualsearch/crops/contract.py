"""What a crop plug-in promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from visualsearch.datatypes import Crop, Pixels

Role = Literal["gallery", "query"]
"""What a picture is cropped for: to be found, or to be searched for."""


class Cropper(Protocol):
    """Picture → the parts of it that are described."""

    # It may have ``noun`` too: what one of its crops is called, in the singular; else that is an item.
    fingerprint: str
    """Changes whenever the same picture of the gallery would give other crops."""

    def crops(self, images: Sequence[Pixels], role: Role) -> list[list[Crop]]:
        """Return the crops of each image, in its order; an empty list where there is none.

        What an image gives depends on nothing but itself and the role: not on the others beside
        it. Called from several threads.
        """
        ...


@runtime_checkable
class Seeker(Protocol):
    """A crop plug-in that may find nothing, and says what it looked for."""

    nothing: str
    """Why a picture has no crop."""


def why_nothing(cropper: Cropper) -> str:
    """Return the reason of a picture without a crop."""
    return cropper.nothing if isinstance(cropper, Seeker) else "nothing to describe was found in the picture"
