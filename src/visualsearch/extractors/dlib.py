"""dlib's face embedding (King 2017): 128 dimensions, with the weights of the package face_recognition_models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from visualsearch import plugins
from visualsearch.datatypes import Crop, Matrix, Pixels
from visualsearch.errors import EngineError
from visualsearch.extractors import dlib_network
from visualsearch.extractors.alignment import Points, Transform, aligned, apply, inverse, placed, similarity, warp
from visualsearch.extractors.graphs import GraphExtractor
from visualsearch.files import sha256
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Batch, Runtime

if TYPE_CHECKING:
    import keras

VERSION = 1
"""Raised whenever this code would turn the same crop into another embedding."""

NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
PREDICTOR = "shape_predictor_5_face_landmarks.dat"

CORNERS = np.array([[0.85957, 0.21350], [0.64606, 0.22897], [0.12058, 0.21373], [0.33409, 0.22906], [0.49011, 0.62780]])
"""Outer and inner corner of the right and of the left eye, foot of the nose: shares of dlib's mean face."""

PADDING = 0.25
"""What a chip shows around the mean face, as a share of its side, on each side."""

MARGIN = 75
"""Pixels around the chip that the predictor sees of the picture beside it."""

FACE = (72.4, 63.6, 115.4)
"""Centre and side in pixels of a chip of the square in which the predictor looks: as wide as MTCNN's boxes."""


class DlibExtractor(GraphExtractor):
    """Bring a face upright to dlib's 150 pixels, its eyes and nose in their places, and compute dlib's network.

    A crop without landmarks is taken for the face itself and squeezed into the square.
    """

    class Options(plugins.Options):
        """How faces are aligned, and whether their mirror images count too."""

        name: str = "dlib"
        landmarks: Literal["crop", "predictor", "both"] = "crop"
        """`crop`: a face is aligned by the crop's landmarks; `predictor`: by dlib's own five points, found near those;
        `both`: the mean of both, for twice the work."""
        mirror: bool = True
        """Average with the mirror image: twice the work for slightly better hits."""

    dim = dlib_network.DIM

    def __init__(self, options: Options, runtime: Runtime, folder: Path) -> None:
        """Find and hash the files; the network is built when it is first needed. Nothing is kept in ``folder``.

        Raises:
            EngineError: the packages are not installed.
        """
        predicts = options.landmarks != "crop"
        models = _models(needs_dlib=predicts)
        self._options = options
        self._network, self._predictor_path = models / NETWORK, models / PREDICTOR
        used = [sha256(self._network)]
        used += [sha256(self._predictor_path)] if predicts else []
        key = fingerprint("dlib", VERSION, used[0])
        identity = fingerprint("dlib", VERSION, used, options.landmarks, options.mirror)
        super().__init__(options.name, dlib_network.SIDE, identity, runtime, key, options.mirror)

    def face(self, crop: Crop) -> Pixels:
        """Return the chip of a crop: (150, 150, 3), by dlib's own points where the options say no other."""
        first = None if self._options.landmarks == "crop" else placed(crop, "dlib", self.side)
        if first is None:
            return aligned(crop, "dlib", self.side)
        return warp(crop.pixels, self._refined(crop.pixels, first), self.side)

    def normalise(self, batch: Batch) -> Batch:
        """Return pixels as dlib gives them to its network."""
        return (batch - dlib_network.MEAN) / np.float32(256)

    def build(self) -> keras.Model:
        """Read the network."""
        return dlib_network.build(self._network)

    def _rows(self, crops: Sequence[Crop]) -> Matrix:
        rows = super()._rows(crops)
        if self._options.landmarks != "both":
            return rows
        chips = np.stack([aligned(crop, "dlib", self.side) for crop in crops]).astype(np.float32)
        return rows + self._pass(self.normalise(chips))

    @cached_property
    def _predictor(self) -> Any:
        import dlib

        return dlib.shape_predictor(str(self._predictor_path))

    def _refined(self, pixels: Pixels, first: Transform) -> Transform:
        """Return the transform to the chip by the points that dlib finds in the face, once it is upright."""
        import dlib

        wider = first + np.array([[0, 0, MARGIN], [0, 0, MARGIN]])
        upright = warp(pixels, wider, self.side + 2 * MARGIN)
        x, y, half = FACE[0] + MARGIN, FACE[1] + MARGIN, FACE[2] / 2
        square = dlib.rectangle(*(round(edge) for edge in (x - half, y - half, x + half - 1, y + half - 1)))
        points = np.array([(point.x, point.y) for point in self._predictor(upright, square).parts()], np.float64)
        found = similarity(apply(inverse(wider), points), corners(self.side))
        return first if found is None else found


def corners(side: int) -> Points:
    """Return where dlib's five points lie in a chip, in pixels; it counts from their edges, this package from centres."""
    places: Points = (CORNERS + PADDING) / (1 + 2 * PADDING) * side - 0.5
    return places


def _models(needs_dlib: bool) -> Path:
    """Return the folder of the packaged files; importing the package would need pkg_resources.

    Raises:
        EngineError: a package is not installed.
    """
    found = find_spec("face_recognition_models")
    places = list(found.submodule_search_locations or ()) if found else []
    missing = [] if places else ["face_recognition_models"]
    missing += ["dlib-bin"] if needs_dlib and find_spec("dlib") is None else []
    if missing:
        message = f"extractor dlib needs {' and '.join(missing)}: pip install 'visualsearch[faces]'."
        raise EngineError(message, slug="missing-package")
    folder = Path(places[0], "models")
    if not ((folder / NETWORK).is_file() and (folder / PREDICTOR).is_file()):
        message = f"{folder}: expected {NETWORK} and {PREDICTOR} there: install face_recognition_models again."
        raise EngineError(message, slug="weights-missing")
    return folder
