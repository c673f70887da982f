"""The smallest classifier: a softmax on the extractor's own embeddings, whatever the extractor.

Where buckets are clusters it is a network of one hidden layer that learns how neighbours are spread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from visualsearch import plugins
from visualsearch.classifiers import artefact
from visualsearch.classifiers.contract import NEVER, Curve, Job, Training
from visualsearch.classifiers.network import Network, fit
from visualsearch.classifiers.split import remarks, split
from visualsearch.classifiers.spread import Rows, Spread
from visualsearch.datatypes import Crop, Matrix, Vector
from visualsearch.errors import EngineError
from visualsearch.extractors.contract import Extractor
from visualsearch.runtimes.contract import Runtime

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Candidates for the inverse of the penalty on the weights."""

CHUNK = 32
"""Crops that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Multinomial logistic regression: ``kernel`` is (dim, buckets), ``bias`` (buckets,)."""

    kernel: Matrix
    bias: Vector

    def classify(self, vectors: Matrix) -> Matrix:
        """Return (n, buckets) probabilities of (n, dim) embeddings."""
        logits = vectors @ self.kernel + self.bias
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        probabilities: Matrix = (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities

    def without(self, gone: Rows, merged: Rows) -> Linear:
        """Return the same in which the buckets ``gone`` are never likely; no row stands for a single picture."""
        kernel, bias = self.kernel.copy(), self.bias.copy()
        kernel[:, gone], bias[gone] = 0, NEVER
        return Linear(kernel, bias)


class ExtractorHead:
    """A classifier of embeddings; a query costs one pass and a small product."""

    class Options(plugins.Options):
        """Nothing to choose."""

        name: str = "extractor"

    def __init__(self, card: artefact.Card, extractor: Extractor, weights: Linear | Network) -> None:
        """Take the weights."""
        self.buckets = card.buckets
        self.fingerprint = card.fingerprint
        self._extractor = extractor
        self._weights = weights

    @classmethod
    def train(cls, options: Options, job: Job) -> Training:
        """Fit on all groups but the held-out ones, which choose the penalty and give the figures; then on all."""
        if job.spread is not None:
            return _train_spread(options, job, job.spread)
        start = time.perf_counter()
        buckets = tuple(sorted({example.bucket for example in job.examples}))
        labels = np.array([buckets.index(example.bucket) for example in job.examples], np.intp)
        parts = split(job.examples, job.seed)
        vectors = _embedded(job)
        chosen, curves = _choose(vectors, labels, parts.learn, parts.tuning)
        hits = chosen.predict(vectors) == labels
        right, known = int(hits[parts.judged].sum()), int(hits[parts.views].sum())
        weights = _weights(chosen.fit(vectors, labels))
        card = artefact.Card(options.name, "head", buckets, None, job.extractor.fingerprint)
        artefact.save(job.folder, card, "head", ".npz", _writing(weights))
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
            multiply_adds={"classifier": weights.kernel.size},
            notes=remarks(job.examples, parts),
        )

    @classmethod
    def load(cls, options: Options, folder: Path, extractor: Extractor, runtime: Runtime) -> Self:
        """Read what ``train`` wrote."""
        card, path = artefact.load(folder, options.name, "head", extractor.fingerprint)
        return cls(card, extractor, _read(path))

    @staticmethod
    def without(weights: Path, gone: Sequence[int], merged: Sequence[int]) -> Callable[[Path], None] | None:
        """Return what writes the weights without the rows of ``gone``, and without centroids of ``merged``."""
        kept = _read(weights)
        if not gone and isinstance(kept, Linear):
            return None
        return _writing(kept.without(np.asarray(gone, np.intp), np.asarray(merged, np.intp)))

    def classify(self, vectors: Matrix) -> Matrix:
        """Return (n, buckets) probabilities of (n, dim) embeddings."""
        return self._weights.classify(vectors)

    def predict(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, buckets) probabilities."""
        return self.classify(self._extractor.embed(crops))


def _train_spread(options: ExtractorHead.Options, job: Job, spread: Spread) -> Training:
    """Learn how the neighbours of the examples are spread over clusters; what was withheld shows what it is worth."""
    start = time.perf_counter()
    network, loss = fit(spread, job.seed, job.progress)
    card = artefact.Card(options.name, "head", spread.buckets, None, job.extractor.fingerprint)
    artefact.save(job.folder, card, "head", ".npz", _writing(network))
    return Training(
        buckets=spread.buckets,
        pictures=len(job.examples),
        groups=len({example.group for example in job.examples}),
        held_out={"pictures": 0, "groups": 0, "views": 0},
        top1={"chosen": None, "head": None, "known": None},
        right={"chosen": 0, "head": 0, "known": 0, "of": 0},
        curves=(Curve(1, loss),),
        seconds=round(time.perf_counter() - start, 3),
        passes=1,
        multiply_adds={"classifier": network.size},
        notes=("clusters have no right answer: what routes keep is calibrated on groups that were held out",),
    )


def _writing(weights: Linear | Network) -> Callable[[Path], None]:
    """Return what writes the weights into a file."""
    arrays: dict[str, Any] = {one.name: getattr(weights, one.name) for one in fields(weights)}
    return lambda path: np.savez(path, **arrays)


def _read(path: Path) -> Linear | Network:
    """Return the weights of a file."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            kind: type[Linear | Network] = Linear if "kernel" in file else Network
            return kind(**{one.name: file[one.name] for one in fields(kind)})
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


def _weights(model: Any) -> Linear:
    """Return the weights of a logistic regression."""
    kernel, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps the log-odds of the second class only
        kernel, bias = np.hstack([0 * kernel, kernel]), np.array([0.0, bias[0]])
    return Linear(kernel.astype(np.float32), bias.astype(np.float32))
