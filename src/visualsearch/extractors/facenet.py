"""FaceNet (Schroff et al. 2015) on Inception-ResNet v1, with the weights that DeepFace publishes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import model_validator

from visualsearch import plugins
from visualsearch.datatypes import Crop, Pixels
from visualsearch.errors import EngineError
from visualsearch.extractors import facenet_network
from visualsearch.extractors.alignment import Alignment, placed, warp
from visualsearch.extractors.graphs import GraphExtractor
from visualsearch.extractors.loading import load_file
from visualsearch.extractors.preparation import pad, squeeze
from visualsearch.extractors.weights import Weights, find_weights
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Batch, Runtime

if TYPE_CHECKING:
    import keras

VERSION = 1
"""Raised whenever this code would turn the same crop into another embedding."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A row: the published file, the length of its embedding (None: the pooled features), what it was trained on."""

    file: str
    embedding: int | None
    normalisation: str


FACENETS = {
    "facenet": Variant("facenet_weights.h5", 128, "image"),
    "facenet512": Variant("facenet512_weights.h5", 512, "fixed"),
    "facenet_pool": Variant("facenet_weights.h5", None, "image"),
}


def _by_image(batch: Batch) -> Batch:
    """Bring each picture to mean 0 and deviation 1; a uniform one stays finite."""
    axes = (1, 2, 3)
    deviation = np.maximum(batch.std(axis=axes, keepdims=True), 1 / np.sqrt(np.prod(batch.shape[1:])))
    standard: Batch = ((batch - batch.mean(axis=axes, keepdims=True)) / deviation).astype(np.float32)
    return standard


NORMALISATIONS: dict[str, Callable[[Batch], Batch]] = {
    "base": lambda batch: batch / np.float32(255),
    "image": _by_image,
    "fixed": lambda batch: (batch - np.float32(127.5)) / np.float32(128),
}


class FacenetExtractor(GraphExtractor):
    """Squeeze a face into 160 pixels and compute its embedding, or the 1,792 pooled features before it.

    The network was trained on MTCNN's boxes with a margin, unaligned, their aspect ratio given up.
    """

    class Options(plugins.Options):
        """Which weights, and what becomes of the pixels before them."""

        name: str = "facenet"
        weights: str = "published"
        """`published`: the file in DeepFace's folder, `~/.deepface/weights` (or under `DEEPFACE_HOME`); or `file:PATH`."""
        normalisation: Literal["base", "image", "fixed"] | None = None
        """`image`: mean 0 and deviation 1 for each picture; `fixed`: (pixels - 127.5) / 128; `base`: pixels / 255, which is
        what DeepFace does by default. null: `fixed` for facenet512, else `image`, as the networks were trained."""
        channels: Literal["rgb", "bgr"] = "rgb"
        """The order of the colours; the networks learned `rgb`, DeepFace gives them `bgr`."""
        fit: Literal["squeeze", "pad"] = "squeeze"
        """How a crop becomes a square: `pad` keeps its aspect ratio, on black, as DeepFace does."""
        alignment: Alignment = "none"
        """Where a face's landmarks come to lie; `none`: the crop as it is."""
        mirror: bool = False
        """Average with the mirror image."""

        @model_validator(mode="after")
        def _known(self) -> Self:
            if self.name not in FACENETS:
                raise ValueError(f"name: expected one of {', '.join(FACENETS)}; received {self.name!r}.")
            if self.weights != "published" and not self.weights.startswith("file:"):
                raise ValueError(f"weights: expected published or file:PATH; received {self.weights!r}.")
            return self

    def __init__(self, options: Options, runtime: Runtime, folder: Path) -> None:
        """Find and hash the weights; the network is built when it is first needed. Nothing is kept in ``folder``.

        Raises:
            EngineError: the weights are missing.
        """
        self._options = options
        self._variant = FACENETS[options.name]
        self._weights = _found(options, self._variant)
        self._normalisation = options.normalisation or self._variant.normalisation
        key = fingerprint("facenet", VERSION, self._variant.embedding, self._weights.identity)
        how = options.model_dump(exclude={"name", "weights", "normalisation"})
        whole = fingerprint(key, self._normalisation, how)
        super().__init__(options.name, facenet_network.SIDE, whole, runtime, key, options.mirror)

    @property
    def dim(self) -> int:
        """Return the length of the rows."""
        return self._variant.embedding or facenet_network.POOLED

    def face(self, crop: Crop) -> Pixels:
        """Return a crop as (160, 160, 3)."""
        transform = placed(crop, self._options.alignment, self.side)
        if transform is not None:
            return warp(crop.pixels, transform, self.side)
        return (pad if self._options.fit == "pad" else squeeze)(crop.pixels, self.side)

    def normalise(self, batch: Batch) -> Batch:
        """Return pixels as the weights were trained on them."""
        ordered = batch[..., ::-1] if self._options.channels == "bgr" else batch
        return NORMALISATIONS[self._normalisation](ordered)

    def build(self) -> keras.Model:
        """Make the network and load its weights.

        Raises:
            EngineError: the file is damaged, or of another network.
        """
        graph = facenet_network.build(self._variant.embedding)
        if self._weights.path is not None:
            load_file(graph, self._weights.path)
        return graph


def _found(options: FacenetExtractor.Options, variant: Variant) -> Weights:
    if options.weights != "published":
        return find_weights(options.name, options.weights)
    path = Path(os.environ.get("DEEPFACE_HOME") or Path.home(), ".deepface", "weights", variant.file)
    if not path.is_file():
        message = (
            f"weights: expected DeepFace's {variant.file} at {path}; there is none: fetch it from the releases of "
            "github.com/serengil/deepface_models and put it there, or use weights: file:PATH."
        )
        raise EngineError(message, slug="weights-missing")
    return find_weights(options.name, f"file:{path}")
