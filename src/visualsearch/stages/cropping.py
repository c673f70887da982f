"""Pictures → crops: open them ahead, and crop them in batches while the network works on the crops before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from visualsearch.crops.contract import Cropper, Role
from visualsearch.datatypes import Crop, Pixels
from visualsearch.stages.ahead import ahead, batches

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 32
"""Pictures that a crop plug-in is given at once, if they are small; large ones are fewer."""


@dataclass(frozen=True, slots=True)
class Cropped(Generic[R]):
    """What is known of a picture, its crops, and its share of the milliseconds that cropping took."""

    known: R
    crops: tuple[Crop, ...]
    crop_ms: float


def cropped(
    things: Iterable[T], opened: Callable[[T], tuple[R, Pixels | None]], cropper: Cropper, role: Role
) -> Iterator[Cropped[R]]:
    """Open each thing and yield it with its crops, in order; one without pixels has none."""
    read = ahead(opened, things, AT_ONCE, _bytes)
    for batch in ahead(lambda some: crop_batch(some, cropper, role), batches(read, AT_ONCE, _bytes), 1):
        yield from batch


def crop_batch(some: Sequence[tuple[R, Pixels | None]], cropper: Cropper, role: Role) -> list[Cropped[R]]:
    """Crop those that have pixels, together."""
    start = time.perf_counter()
    images = [pixels for _, pixels in some if pixels is not None]
    crops = iter(cropper.crops(images, role) if images else ())
    each_ms = (time.perf_counter() - start) * 1000 / max(len(images), 1)
    return [
        Cropped(known, (), 0.0) if pixels is None else Cropped(known, tuple(next(crops)), each_ms)
        for known, pixels in some
    ]


def _bytes(one: tuple[object, Pixels | None]) -> int:
    return 0 if one[1] is None else one[1].nbytes
