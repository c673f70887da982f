"""What extractors of one network share: crops in, unit-length rows out, one forward pass at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from visualsearch.datatypes import Crop, Matrix, Pixels
from visualsearch.errors import EngineError
from visualsearch.extractors.preparation import in_chunks, unit
from visualsearch.runtimes.contract import Batch, Forward, Runtime

if TYPE_CHECKING:
    import keras


class NetworkExtractor(ABC):
    """A network of which a runtime makes a forward pass; how crops are cut and scaled is the subclass's.

    ``side`` is that of the square input in pixels, ``dim`` the length of the rows. With
    ``mirror`` a row is the mean of the crop's and of its mirror image's.
    """

    def __init__(self, name: str, side: int, fingerprint: str, mirror: bool = False) -> None:
        """Take what identifies the extractor; the network is loaded when it is first needed."""
        self.name = name
        self.side = side
        self.fingerprint = fingerprint
        self._mirror = mirror
        self._forward_lock = Lock()

    @property
    @abstractmethod
    def dim(self) -> int:
        """Return the length of the rows."""

    @abstractmethod
    def face(self, crop: Crop) -> Pixels:
        """Return a crop as (side, side, 3)."""

    @abstractmethod
    def normalise(self, batch: Batch) -> Batch:
        """Return (n, side, side, 3) pixels, RGB, 0..255, as what the network was trained on."""

    @abstractmethod
    def _compile(self) -> Forward:
        """Return the network's forward pass."""

    def batch(self, crops: Sequence[Crop]) -> Batch:
        """Return (n, side, side, 3): the crops as the network's input."""
        faces = np.empty((len(crops), self.side, self.side, 3), np.float32)
        for row, crop in zip(faces, crops, strict=True):
            row[...] = self.face(crop)
        return self.normalise(faces)

    def finish(self, rows: Matrix) -> Matrix:
        """Return the network's rows at unit length.

        Raises:
            EngineError: the network gave no numbers.
        """
        if not np.isfinite(rows).all():
            message = f"extractor {self.name}: its weights give values that are no numbers: use other weights."
            raise EngineError(message, slug="weights-broken")
        return unit(rows)

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, dim) embeddings, in the order of the crops."""
        return self.finish(in_chunks(crops, self._rows, self.dim))

    @cached_property
    def _compiled(self) -> Forward:
        return self._compile()

    def _rows(self, crops: Sequence[Crop]) -> Matrix:
        return self._pass(self.batch(crops))

    def _pass(self, batch: Batch) -> Matrix:
        """Return the (n, features) rows of a batch, its mirror image included."""
        with self._forward_lock:
            forward = self._compiled
        rows: Matrix = forward(batch)[0]
        # the length of a row says nothing, so the sum is as good as the mean
        return rows + forward(batch[:, :, ::-1])[0] if self._mirror else rows


class GraphExtractor(NetworkExtractor):
    """One whose network is a Keras graph, which is built once; layers have the names that Keras gave them."""

    projection: Matrix | None = None

    def __init__(self, name: str, side: int, fingerprint: str, runtime: Runtime, graph_key: str, mirror: bool) -> None:
        """Take the runtime and what identifies graph and weights."""
        super().__init__(name, side, fingerprint, mirror)
        self.graph_key = graph_key
        self.preprocessing = name
        self._runtime = runtime
        # A second one, for whoever compiles holds a runtime's lock and calls graph().
        self._graph_lock = Lock()

    def graph(self) -> keras.Model:
        """Return the network with its weights: (n, side, side, 3), normalised → (n, features)."""
        with self._graph_lock:
            return self._graph

    @abstractmethod
    def build(self) -> keras.Model:
        """Make the network and load its weights."""

    @cached_property
    def _graph(self) -> keras.Model:
        return self.build()

    def _compile(self) -> Forward:
        return self._runtime.compile(self.graph, self.graph_key)
