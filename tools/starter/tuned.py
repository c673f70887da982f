"""What a fine-tuned classifier would do as the extractor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from visualsearch import plugins
from visualsearch.classifiers import artefact
from visualsearch.classifiers.resnet50 import identity
from visualsearch.classifiers.tails import FORKS, alone, read_tail, without_head
from visualsearch.datatypes import Crop, Matrix
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.extractors.preparation import in_chunks, unit
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Forward, Runtime

if TYPE_CHECKING:
    import keras


class Tuned:
    """An extractor: the pooled features of a trained classifier, before its dropout and softmax."""

    class Options(plugins.Options):
        """Where the classifier is, and what it was trained on."""

        weights: str | None = None
        model: Path
        train: str

    def __init__(self, options: Options, runtime: Runtime, folder: Path) -> None:
        """Find the classifier."""
        self._trunk = ApplicationExtractor(
            ApplicationExtractor.Options(name="resnet50", weights=options.weights), runtime, folder
        )
        self._fork = FORKS[options.train]
        card, self._path = artefact.load(options.model, "resnet50", options.train, identity(self._trunk))
        self._runtime = runtime
        self.name, self.dim = "tuned", 2048
        self.fingerprint = fingerprint("tuned", card.fingerprint)

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, 2048) rows of unit length."""
        forward = self._forward
        return unit(in_chunks(crops, lambda part: forward(self._trunk.batch(part))[0], self.dim))

    @cached_property
    def _forward(self) -> Forward:
        return self._runtime.compile(self._graph, self.fingerprint)

    def _graph(self) -> keras.Model:
        if self._fork == FORKS["head"]:
            return self._trunk.graph()
        pooling = without_head(read_tail(self._path))
        return pooling if self._fork is None else alone(self._trunk.graph(), pooling, self._fork)
