"""The training loop: batches of activations in, a trained tail and its curve out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.contract import Curve
from visualsearch.classifiers.split import PLENTY, Rows, Split
from visualsearch.datatypes import Matrix
from visualsearch.progress import Progress
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

Source = Callable[[Rows, np.random.Generator | None], NDArray[np.float32]]
"""Examples → the tail's input: augmented where a generator is given, the pictures as they are without."""

SMOOTHING = 0.05
"""Share of the label that is spread over all buckets (Szegedy et al. 2016, section 7)."""

HEAVIEST = 10.0
"""No picture counts more than this because its bucket is small."""

EPOCH_PICTURES = 4096
"""An epoch shows at most this many pictures."""

UNKNOWN = 0.2
"""How much groups that were not learned count when probabilities are made honest, beside further views of those that were."""

WATCHED = 2048
"""Early stopping looks at no more than this many held-out pictures."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned: ``labels`` are positions of buckets, one for each example.

    ``spread`` is (examples, buckets), which share of each one's neighbours lies in each bucket: what is learned where
    buckets are clusters; None where they are a column, and the label is all there is.
    """

    labels: NDArray[np.intp]
    buckets: int
    split: Split
    seed: int
    spread: Matrix | None = None

    def targets(self, rows: Rows) -> Matrix:
        """Return (rows, buckets): what should be predicted of these examples; rows sum to 1."""
        known: Matrix = (
            np.eye(self.buckets, dtype=np.float32)[self.labels[rows]] if self.spread is None else self.spread[rows]
        )
        return known

    def weights(self) -> NDArray[np.float32]:
        """Return how much each bucket's pictures count, so that small buckets are not drowned."""
        counts = np.bincount(self.labels[self.split.learn], minlength=self.buckets)
        weights = counts.sum() / (self.buckets * np.maximum(counts, 1))
        bounded: NDArray[np.float32] = np.minimum(weights, HEAVIEST).astype(np.float32)
        return bounded

    def whole(self) -> Lesson:
        """Return the same with nothing held out."""
        rows = np.arange(len(self.labels))
        return replace(self, split=Split(rows, rows[:0], rows[:0]))

    def unknown(self) -> Rows:
        """Return the held-out examples whose group was not learned and that early stopping does not look at."""
        return self.split.held if len(self.split.views) >= PLENTY else self.split.held[:0]

    def shares(self, rows: Rows) -> NDArray[np.float32]:
        """Return by how much held-out examples count when probabilities are made honest, a mean of 1.

        Of what is asked later, ``UNKNOWN`` shows groups that were not learned, such as those held out for calibration.
        """
        strange = np.isin(rows, self.split.held)
        if strange.all() or not strange.any():
            return np.ones(len(rows), np.float32)
        share = strange.mean()
        counts: NDArray[np.float32] = np.where(strange, UNKNOWN / share, (1 - UNKNOWN) / (1 - share)).astype(np.float32)
        return counts

    def watched(self) -> Rows:
        """Return the held-out examples that early stopping looks at."""
        rows = self.split.tuning
        if len(rows) <= WATCHED:
            return rows
        return np.sort(np.random.default_rng(self.seed).choice(rows, WATCHED, replace=False))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast: the rate rises for a tenth of the steps, then falls along half a cosine to zero."""

    stage: str
    epochs: int
    batch: int
    rate: float
    patience: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went; ``best`` is the epoch whose weights were kept, 0 where those from before were better."""

    curves: tuple[Curve, ...]
    best: int


def fit(model: keras.Model, source: Source, lesson: Lesson, schedule: Schedule, progress: Progress) -> Fitted:
    """Train ``model`` (input → logits) in place.

    It ends with the weights that were best on held-out pictures, those from before the
    first epoch included; with nothing held out, with those of the last epoch.
    """
    rng = np.random.default_rng((lesson.seed, schedule.epochs))
    size = min(EPOCH_PICTURES, len(lesson.split.learn))
    steps = math.ceil(size / schedule.batch)
    _compile(model, schedule.rate, schedule.epochs * steps)
    watched, weights = lesson.watched(), lesson.weights()
    best, kept, waited = _validate(model, source, lesson, watched)[0], _trained(model), 0
    chosen = 0
    curves: list[Curve] = []
    for epoch in range(1, schedule.epochs + 1):
        order, loss = rng.permutation(lesson.split.learn)[:size], 0.0
        model.reset_metrics()
        for step, rows in enumerate(np.array_split(order, steps), 1):
            loss = float(model.train_on_batch(source(rows, rng), lesson.targets(rows), weights[lesson.labels[rows]]))
            _tell(progress, schedule, (epoch - 1) * steps + step, steps)
        val_loss, val_top1 = _validate(model, source, lesson, watched)
        curves.append(Curve(epoch, loss, val_loss, val_top1))
        waited += 1
        if val_loss is None or best is None or val_loss < best:
            best, kept, waited, chosen = val_loss, _trained(model), 0, epoch
        elif waited >= schedule.patience:
            break
    for variable, value in zip(model.trainable_variables, kept, strict=True):
        variable.assign(value)
    return Fitted(tuple(curves), chosen)


def predict(model: keras.Model, source: Source, rows: Rows, batch: int = 64) -> Matrix:
    """Return (n, buckets) logits of the examples' pictures as they are."""
    parts = [model.predict_on_batch(source(rows[i : i + batch], None)) for i in range(0, len(rows), batch)]
    return np.concatenate(parts) if parts else np.empty((0, model.output_shape[1]), np.float32)


def _compile(model: keras.Model, rate: float, steps: int) -> None:
    keras = import_keras()
    # Adam's first steps are as long as its last: without a gentle start they would undo the copied weights.
    warm = steps // 10
    falling = keras.optimizers.schedules.CosineDecay(
        rate / 100 if warm else rate, steps - warm, warmup_target=rate if warm else None, warmup_steps=warm
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    model.compile(keras.optimizers.AdamW(falling, weight_decay=0.01), loss, jit_compile=False)


def _validate(model: keras.Model, source: Source, lesson: Lesson, rows: Rows) -> tuple[float | None, float | None]:
    """Return cross-entropy and top-1 of the held-out examples.

    The loss weighs buckets as training does: otherwise the best epoch would be one that has
    given up a rare bucket for a little more certainty about the others.
    """
    if not len(rows):
        return None, None
    from scipy.special import log_softmax

    logits, labels = predict(model, source, rows), lesson.labels[rows]
    losses = -(log_softmax(logits.astype(np.float64), axis=1) * lesson.targets(rows)).sum(axis=1)
    loss = np.average(losses, weights=lesson.weights()[labels])
    return float(loss), float((logits.argmax(axis=1) == labels).mean())


def _trained(model: keras.Model) -> list[NDArray[np.float32]]:
    return [variable.numpy() for variable in model.trainable_variables]


def _tell(progress: Progress, schedule: Schedule, done: int, steps: int) -> None:
    """Report about every tenth step of a fast epoch, each of a slow one."""
    if steps < 10 or done % max(1, steps // 10) == 0:
        progress(schedule.stage, done, schedule.epochs * steps)
