"""Pictures → faces with box, landmarks and confidence, by the networks of the package `mtcnn`.

Each picture is looked at in a copy of bounded size, put into the middle of a grey canvas whose sides are
rounded up. Canvases of one size are looked at together, and what is found in a picture does not depend on
the others: it has the same canvas when it comes alone.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visualsearch.crops.cascade import Cascade
from visualsearch.datatypes import Pixels

TINY = 96
"""The shorter side to which a smaller picture is enlarged: the networks know no face below 20 pixels."""

BORDER, STEP = 16, 32
"""Of a canvas: grey around the copy at least, so that faces at the edge are proposed, and what its sides are multiples of."""

TOGETHER, TOGETHER_PIXELS = 16, 2**22
"""Canvases that are looked at in one pass at most, and the pixels that they have together."""

KNOWN = 100_000
"""Pictures whose faces are remembered; each takes less than a kilobyte."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in pixels of the picture: ``box`` left, top, right, bottom, ``landmarks`` (5, 2); either may reach beyond it."""

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    confidence: float


Faces = tuple[Face, ...]


@dataclass(frozen=True, slots=True)
class _Canvas:
    """A picture as the networks see it: ``pixels`` = picture × ``scale`` (x, y) + ``offset`` (x, y), grey elsewhere."""

    pixels: Pixels
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]

    @property
    def key(self) -> bytes:
        """Return what tells this canvas from all others."""
        layout = np.concatenate([self.scale, self.offset, self.pixels.shape])
        return blake2b(self.pixels.tobytes() + layout.tobytes(), digest_size=16).digest()

    def face(self, row: NDArray[np.float64]) -> Face:
        """Return a face that was found here, in pixels of the picture."""
        box = (row[1:5].reshape(2, 2) - self.offset) / self.scale
        landmarks = (row[6:16].reshape(2, 5).T - self.offset) / self.scale
        left, top, right, bottom = map(float, box.ravel())
        return Face((left, top, right, bottom), landmarks.astype(np.float32), float(row[5]))


class Detector:
    """Finds faces; may be shared by threads.

    A picture that comes again (a training reads it for each of its faces, epoch after epoch) is
    recognised by its canvas and not looked at again.
    """

    def __init__(self, side: int, confidence: float) -> None:
        """Look at copies whose longer side is at most ``side``; the networks load when they are first needed."""
        self._side = side
        self._confidence = confidence
        self._cascade: Cascade | None = None
        self._known: OrderedDict[bytes, Faces] = OrderedDict()
        self._lock = Lock()

    def faces(self, images: Sequence[Pixels]) -> list[Faces]:
        """Return the faces of each image.

        Raises:
            EngineError: the package `mtcnn` or what it needs is not installed.
        """
        canvases = [_canvas(image, self._side) for image in images]
        keys = [canvas.key for canvas in canvases]
        with self._lock:
            new = {key: canvas for key, canvas in zip(keys, canvases, strict=True) if key not in self._known}
            found = {key: self._known[key] for key in keys if key not in new} | self._found(new)
            self._remember(found)
        return [found[key] for key in keys]

    def _found(self, new: dict[bytes, _Canvas]) -> dict[bytes, Faces]:
        """Look at canvases, those of one size together."""
        groups: defaultdict[tuple[int, ...], list[bytes]] = defaultdict(list)
        for key, canvas in new.items():
            groups[canvas.pixels.shape].append(key)
        found: dict[bytes, Faces] = {}
        for (height, width, _), keys in groups.items():
            together = max(1, min(TOGETHER, TOGETHER_PIXELS // (height * width)))
            for start in range(0, len(keys), together):
                some = keys[start : start + together]
                found |= zip(some, self._seen([new[key] for key in some]), strict=True)
        return found

    def _seen(self, canvases: Sequence[_Canvas]) -> list[Faces]:
        self._cascade = self._cascade or Cascade()
        rows = self._cascade(np.stack([canvas.pixels for canvas in canvases]), self._confidence)
        return [tuple(canvas.face(row) for row in rows[rows[:, 0] == number]) for number, canvas in enumerate(canvases)]

    def _remember(self, found: dict[bytes, Faces]) -> None:
        for key, faces in found.items():
            self._known[key] = faces
            self._known.move_to_end(key)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)


def _canvas(image: Pixels, side: int) -> _Canvas:
    """Return a picture's copy, its longer side at most ``side``, in the middle of its canvas."""
    height, width = image.shape[:2]
    scale = min(side / max(height, width), max(1.0, TINY / min(height, width)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    copy = image
    if size != (width, height):
        copy = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))
    full = [-(-(length + 2 * BORDER) // STEP) * STEP for length in size]
    left, top = ((whole - length) // 2 for whole, length in zip(full, size, strict=True))
    pixels = np.full((full[1], full[0], 3), 128, np.uint8)
    pixels[top : top + size[1], left : left + size[0]] = copy
    return _Canvas(pixels, np.divide(size, (width, height)), np.array([left, top], float))
