"""The smallest classifier: a softmax on the extractor's own embeddings, whatever the extractor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from visualsearch import plugins
from visualsearch.classifiers import artefact
from visualsearch.classifiers.contract import NEVER, Curve, Job, Training
from visualsearch.classifiers.split import remarks, split
from visualsearch.datatypes import Crop, Matrix, Vector
from visualsearch.errors import EngineError
from visualsearch.extractors.contract import Extractor
from visualsearch.runtimes.contract import Runtime

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Candidates for the inverse of the penalty on the weights."""

CHUNK = 32
"""Crops that are in memory at a time."""


class ExtractorHead:
    """Multinomial logistic regression on embeddings; a query costs one pass and a small product."""

    class Options(plugins.Options):
        """Nothing to choose."""

        name: str = "extractor"

    def __init__(self, card: artefact.Card, extractor: Extractor, kernel: Matrix, bias: Vector) -> None:
        """Take the weights: ``kernel`` is (dim, buckets), ``bias`` (buckets,)."""
        self.buckets = card.buckets
        self.fingerprint = card.fingerprint
        self._extractor = extractor
        self._kernel = kernel
        self._bias = bias

    @classmethod
    def train(cls, options: Options, job: Job) -> Training:
        """Fit on all groups but the held-out ones, which choose the penalty and give the figures; then on all."""
        start = time.perf_counter()
        buckets = tuple(sorted({example.bucket for example in job.examples}))
        labels = np.array([buckets.index(example.bucket) for example in job.examples], np.intp)
        parts = split(job.examples, job.seed)
        vectors = _embedded(job)
        chosen, curves = _choose(vectors, labels, parts.learn, parts.tuning)
        hits = chosen.predict(vectors) == labels
        right, known = int(hits[parts.judged].sum()), int(hits[parts.views].sum())
        kernel, bias = _weights(chosen.fit(vectors, labels))
        card = artefact.Card(options.name, "head", buckets, None, job.extractor.fingerprint)
        artefact.save(job.folder, card, "head", ".npz", lambda path: np.savez(path, kernel=kernel, bias=bias))
        top1 = right / len(parts.judged) if len(parts.judged) else None
        return Training(
            buckets=buckets,
            pictures=len(labels),
            groups=len({example.group for example in job.examples}),
            held_out={
                "pictures": len(parts.judged),
                "groups": len({job.examples[i].group for i in parts.judged}),
                "views": len(parts.views),
            },
            top1={"chosen": top1, "head": top1, "known": known / len(parts.views) if len(parts.views) else None},
            right={"chosen": right, "head": right, "known": known, "of": len(parts.judged)},
            curves=curves,
            seconds=round(time.perf_counter() - start, 3),
            passes=1,
            multiply_adds={"classifier": kernel.size},
            notes=remarks(job.examples, parts),
        )

    @classmethod
    def load(cls, options: Options, folder: Path, extractor: Extractor, runtime: Runtime) -> Self:
        """Read what ``train`` wrote."""
        card, path = artefact.load(folder, options.name, "head", extractor.fingerprint)
        return cls(card, extractor, *_read(path))

    @staticmethod
    def without(weights: Path, gone: Sequence[int], merged: Sequence[int]) -> Callable[[Path], None] | None:
        """Return what writes the weights without the rows of ``gone``; no row stands for a single picture."""
        if not gone:
            return None
        kernel, bias = _read(weights)
        kernel[:, gone], bias[gone] = 0, NEVER
        return lambda target: np.savez(target, kernel=kernel, bias=bias)

    def classify(self, vectors: Matrix) -> Matrix:
        """Return (n, buckets) probabilities of (n, dim) embeddings."""
        logits = vectors @ self._kernel + self._bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities: Matrix = (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities

    def predict(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, buckets) probabilities."""
        return self.classify(self._extractor.embed(crops))


def _read(path: Path) -> tuple[Matrix, Vector]:
    """Return kernel and bias of a file."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return file["kernel"], file["bias"]
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise EngineError(
            f"{path}: the classifier cannot be read ({error}): run train.", slug="classifier-damaged"
        ) from error


def _embedded(job: Job) -> Matrix:
    parts = []
    for i in range(0, len(job.examples), CHUNK):
        parts.append(job.extractor.embed([job.crop_of(example) for example in job.examples[i : i + CHUNK]]))
        job.progress("embeddings", min(i + CHUNK, len(job.examples)), len(job.examples))
    return np.concatenate(parts)


def _choose(
    vectors: Matrix, labels: NDArray[np.intp], learn: NDArray[np.intp], held: NDArray[np.intp]
) -> tuple[Any, tuple[Curve, ...]]:
    """Return the logistic regression whose penalty has the least held-out cross-entropy, and what it came to.

    All buckets count the same, however many pictures they have.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    every = np.arange(np.max(labels) + 1)
    share = (1 / np.bincount(labels[learn]))[labels]
    fits = []
    for strength in STRENGTHS if len(held) else STRENGTHS[2:3]:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=500).fit(vectors[learn], labels[learn])
        likely = model.predict_proba(vectors[learn])
        loss = float(log_loss(labels[learn], likely, labels=every, sample_weight=share[learn]))
        if len(held):
            likely = model.predict_proba(vectors[held])
            val_loss = float(log_loss(labels[held], likely, labels=every, sample_weight=share[held]))
            curve = Curve(1, loss, val_loss, float(model.score(vectors[held], labels[held])))
        else:
            curve = Curve(1, loss)
        fits.append((curve, model))
    curve, best = min(fits, key=lambda fit: fit[0].val_loss if fit[0].val_loss is not None else fit[0].loss)
    return best, (curve,)


def _weights(model: Any) -> tuple[Matrix, Vector]:
    """Return kernel (dim, buckets) and bias of a logistic regression."""
    kernel, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps the log-odds of the second class only
        kernel, bias = np.hstack([0 * kernel, kernel]), np.array([0.0, bias[0]])
    return kernel.astype(np.float32), bias.astype(np.float32)
