"""Crops → embeddings and bucket probabilities, in one forward pass wherever the networks allow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from visualsearch.classifiers.contract import Classifier, Trunk, TrunkClassifier, VectorClassifier
from visualsearch.datatypes import Crop, Matrix
from visualsearch.extractors.contract import Extractor
from visualsearch.extractors.preparation import grey
from visualsearch.runtimes.contract import Forward, Runtime

CHUNK = 32
"""Crops in one forward pass."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """``vectors`` are (n, dim), ``probabilities`` (n, buckets) or None without a classifier."""

    vectors: Matrix
    probabilities: Matrix | None

    def rows(self, rows: Sequence[int]) -> Embedded:
        """Return some of the rows."""
        some = list(rows)
        return Embedded(self.vectors[some], None if self.probabilities is None else self.probabilities[some])


class Embedder:
    """Extractor and classifier as one; may be shared by threads.

    A classifier that continues from inside the extractor's network, or that reads its
    embeddings, costs no second pass.
    """

    def __init__(self, extractor: Extractor, classifier: Classifier | None, runtime: Runtime) -> None:
        """Put the parts together; networks are loaded when they are first needed."""
        self.buckets: tuple[str, ...] = classifier.buckets if classifier is not None else ()
        self._extractor = extractor
        self._classifier = classifier
        self._runtime = runtime
        self._forward: Forward | None = None
        self._lock = Lock()

    def ready(self) -> None:
        """Load what searches need, by a first pass over a grey picture, so that none of them waits for it."""
        if isinstance(self._extractor, Trunk):
            self.embed([grey()])

    def ready_for_vectors(self) -> None:
        """Load what indexing needs in the same way, so that weights which cannot be loaded are known by then."""
        if isinstance(self._extractor, Trunk):
            self.vectors([grey()])

    def vectors(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, dim) embeddings only, as indexing wants them."""
        return self._extractor.embed(crops)

    def embed(self, crops: Sequence[Crop]) -> Embedded:
        """Return embeddings and probabilities, in the order of the crops."""
        if self._classifier is None:
            return Embedded(self.vectors(crops), None)
        if isinstance(self._classifier, VectorClassifier):
            vectors = self.vectors(crops)
            return Embedded(vectors, self._classifier.classify(vectors))
        if isinstance(self._extractor, Trunk) and isinstance(self._classifier, TrunkClassifier):
            key = self._classifier.joint_key
            if key is not None and self._classifier.trunk is self._extractor:
                return self._embed_jointly(crops, self._extractor, self._classifier, key)
        return Embedded(self.vectors(crops), self._classifier.predict(crops))

    def _embed_jointly(self, crops: Sequence[Crop], trunk: Trunk, classifier: TrunkClassifier, key: str) -> Embedded:
        with self._lock:
            self._forward = forward = self._forward or self._runtime.compile(classifier.joint, key)
        parts = [forward(trunk.batch(crops[i : i + CHUNK])) for i in range(0, len(crops), CHUNK)]
        if not parts:
            return Embedded(self.vectors([]), np.empty((0, len(self.buckets)), np.float32))
        pooled, probabilities = (np.concatenate(rows) for rows in zip(*parts, strict=True))
        return Embedded(trunk.finish(pooled), probabilities)
