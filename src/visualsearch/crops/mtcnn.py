"""The faces of a picture as crops, found by MTCNN (K. Zhang et al., 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from visualsearch import plugins
from visualsearch.crops.contract import Role
from visualsearch.crops.detection import Detector, Face
from visualsearch.datatypes import Box, Crop, Pixels
from visualsearch.images import shrunk
from visualsearch.model import fingerprint

Which = Literal["all", "largest", "central"]
"""Faces of a picture that become crops: each, the one of the largest box, or the one nearest to the picture's centre."""


class Faces:
    """Describe the faces of a picture, the largest first."""

    class Options(plugins.Options):
        """Which faces are described, and how much around them."""

        gallery: Which = "all"
        """Of a picture that can be found: `all` faces are items, or the `largest`, or the `central` one."""
        query: Which = "all"
        """Of a picture that is searched for: `all` faces are answered, or the `largest`, or the `central` one."""
        smallest: PositiveInt = 20
        """Pixels of the picture: a face whose longer side is shorter is left out."""
        confidence: Annotated[float, Field(ge=0, le=1)] = 0.9
        """A face of which the detector is less certain is left out."""
        margin: Annotated[float, Field(ge=0, le=2)] = 0.35
        """What a crop shows on each side of the box, as a share of the box's longer side."""
        side: Annotated[int, Field(ge=128, le=4096)] = 1024
        """Longest side, in pixels, of the copy in which faces are looked for; below a fiftieth of it none is found."""

    nothing = "no face found"
    noun = "face"

    def __init__(self, options: Options) -> None:
        """Take options; the networks load with the first picture."""
        self._options = options
        self._detector = Detector(options.side, options.confidence)
        self.fingerprint = fingerprint("mtcnn", 1, options.model_dump(exclude={"name", "query"}))

    def crops(self, images: Sequence[Pixels], role: Role) -> list[list[Crop]]:
        """Return the faces of each image that are wanted in this role, the largest first.

        Raises:
            EngineError: the package `mtcnn` is not installed.
        """
        wanted: Which = getattr(self._options, role)
        return [
            [self._crop(image, face, box) for box, face in self._chosen(faces, image, wanted)]
            for image, faces in zip(images, self._detector.faces(images), strict=True)
        ]

    def _chosen(self, faces: Sequence[Face], image: Pixels, wanted: Which) -> list[tuple[Box, Face]]:
        """Return those of the faces that are large enough and wanted, each behind its box within the picture."""
        boxed = [(_clipped(face.box, image), face) for face in faces]
        seen = [one for one in boxed if _longer(one[0]) >= self._options.smallest]
        ordered = sorted(seen, key=lambda one: (-_area(one[0]), one[0]))
        if wanted == "central":
            ordered.sort(key=lambda one: _from_centre(one[0], image))
        return ordered if wanted == "all" else ordered[:1]

    def _crop(self, image: Pixels, face: Face, box: Box) -> Crop:
        left, top, right, bottom = face.box
        more = self._options.margin * max(right - left, bottom - top)
        shown = _clipped((left - more, top - more, right + more, bottom + more), image)
        # a copy, so that the picture itself can be let go
        part = shrunk(image[shown[1] : shown[3], shown[0] : shown[2]].copy())
        scale = np.divide(part.shape[1::-1], (shown[2] - shown[0], shown[3] - shown[1]))
        landmarks = ((face.landmarks - shown[:2]) * scale).astype(np.float32)
        return Crop(part, box, landmarks, face.confidence)


def _clipped(box: Sequence[float], image: Pixels) -> Box:
    """Return the part of a box that lies in the picture, in whole pixels."""
    height, width = image.shape[:2]
    left, right = (min(max(round(edge), 0), width) for edge in box[0::2])
    top, bottom = (min(max(round(edge), 0), height) for edge in box[1::2])
    return left, top, right, bottom


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _longer(box: Box) -> int:
    """Return the longer side; 0 where nothing of the box is left."""
    return max(box[2] - box[0], box[3] - box[1]) if _area(box) > 0 else 0


def _from_centre(box: Box, image: Pixels) -> int:
    """Return four times the squared distance between the centres of box and picture."""
    height, width = image.shape[:2]
    across, down = box[0] + box[2] - width, box[1] + box[3] - height
    return int(across * across + down * down)
