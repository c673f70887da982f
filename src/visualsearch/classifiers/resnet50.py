"""The ResNet50 classifier: a fine-tuned end on a trunk that it shares with the extractor where it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from visualsearch import plugins
from visualsearch.classifiers import artefact
from visualsearch.classifiers.contract import Job, Training, Trunk
from visualsearch.classifiers.tails import alone, joined, read_tail, without_buckets
from visualsearch.datatypes import Crop, Matrix
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.extractors.contract import Extractor
from visualsearch.extractors.preparation import in_chunks
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Forward, Runtime

if TYPE_CHECKING:
    import keras


class ResNet50Classifier:
    """ResNet50 whose end is trained on the gallery's buckets.

    The layers before the ``fork`` are the trunk's and are never changed; the tail behind it
    belongs to the classifier. On the extractor's own trunk a query costs one pass.
    """

    class Options(plugins.Options):
        """Which weights to start from, how much to train, and how long."""

        name: str = "resnet50"
        weights: str | None = None
        """``starter``, ``published``, ``file:PATH`` or ``random``; null takes the extractor's where it is a ResNet50."""
        train: Literal["head", "last_block", "all"] = "head"
        """How much of the network learns the gallery's buckets. The starter's card says what more than the head gave:
        nothing that could be told from chance, for a longer training, and with ``all`` a second pass for each query."""
        epochs: PositiveInt | None = None
        """At most; null: as many as show some three thousand pictures."""
        copies: int = Field(2, ge=0, le=32)
        """Augmented copies of each picture."""
        cache_gib: PositiveFloat = 4.0
        """Bound on the disk that activations take while training."""

        @model_validator(mode="after")
        def _known_weights(self) -> Self:
            ApplicationExtractor.Options(name="resnet50", weights=self.weights)
            return self

    def __init__(self, card: artefact.Card, path: Path, trunk: Trunk, runtime: Runtime) -> None:
        """Take a verified card and its weights file; the network is loaded when it is first needed."""
        self.buckets = card.buckets
        self.fingerprint = card.fingerprint
        self.trunk = trunk
        self._fork = card.fork
        self._key = card.sha256
        self._path = path
        self._runtime = runtime
        self._lock = RLock()

    @classmethod
    def train(cls, options: Options, job: Job) -> Training:
        """Train as ``options`` say and write the result into the model folder."""
        from visualsearch.classifiers.finetuning import finetune

        return finetune(options, job, cls.trunk_for(options, job.extractor, job.runtime, job.folder))

    @classmethod
    def load(cls, options: Options, folder: Path, extractor: Extractor, runtime: Runtime) -> Self:
        """Read what ``train`` wrote; TensorFlow is not needed for that."""
        trunk = cls.trunk_for(options, extractor, runtime, folder)
        card, path = artefact.load(folder, options.name, options.train, identity(trunk))
        return cls(card, path, trunk, runtime)

    @staticmethod
    def without(weights: Path, gone: Sequence[int], merged: Sequence[int]) -> Callable[[Path], None] | None:
        """Return what writes the tail without head and centres of ``gone``; of ``merged`` one centre is left, the mean."""
        tail = without_buckets(read_tail(weights), gone, merged)
        return None if tail is None else tail.save

    @staticmethod
    def trunk_for(options: Options, extractor: Extractor, runtime: Runtime, folder: Path) -> Trunk:
        """Return the extractor itself where it is the ResNet50 that ``options`` mean, else one of the classifier's own."""
        shareable = extractor if isinstance(extractor, Trunk) and extractor.name == "resnet50" else None
        if shareable and options.weights is None:
            return shareable
        own = ApplicationExtractor(
            ApplicationExtractor.Options(name="resnet50", weights=options.weights), runtime, folder
        )
        return shareable if shareable and identity(shareable) == identity(own) else own

    @property
    def joint_key(self) -> str | None:
        """Return what identifies the joint graph; None where the whole network was trained."""
        return fingerprint("joint", self.trunk.graph_key, self._key) if self._fork else None

    @property
    def graph_keys(self) -> frozenset[str]:
        """Return the keys of its graphs: joint and alone, or the whole network."""
        return frozenset({self._own_key, self.joint_key or self._own_key})

    @property
    def _own_key(self) -> str:
        return fingerprint("alone", self.trunk.graph_key, self._key) if self._fork else fingerprint("whole", self._key)

    def joint(self) -> keras.Model:
        """Return the graph preprocessed pictures → (pooled features, probabilities)."""
        return joined(self.trunk.graph(), read_tail(self._path), self._fork or "")

    def predict(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, buckets) probabilities, by a pass of the classifier's own."""
        with self._lock:
            forward = self._forward
        return in_chunks(crops, lambda part: forward(self.trunk.batch(part))[0], len(self.buckets))

    @cached_property
    def _forward(self) -> Forward:
        fork = self._fork
        if fork is None:
            return self._runtime.compile(lambda: read_tail(self._path), self._own_key)
        return self._runtime.compile(lambda: alone(self.trunk.graph(), read_tail(self._path), fork), self._own_key)


def identity(trunk: Trunk) -> str:
    """Return what must be the same for a tail to fit: network, weights, input size and preprocessing."""
    return fingerprint(trunk.graph_key, trunk.preprocessing)
