"""How the ResNet50 classifier is trained: frozen layers once, then the head, then the tail that was asked for."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers import artefact
from visualsearch.classifiers.activations import Activations, Outputs, activations, affordable
from visualsearch.classifiers.augment import augment, shrunk
from visualsearch.classifiers.contract import Curve, Example, Job, Training, Trunk
from visualsearch.classifiers.fitting import Fitted, Lesson, Schedule, Source, fit, predict
from visualsearch.classifiers.resnet50 import ResNet50Classifier, identity
from visualsearch.classifiers.split import Rows, Split, remarks, sample, split
from visualsearch.classifiers.tails import FORKS, alone, logits_of, new_tail, soften, tapped, temperature
from visualsearch.datatypes import Crop, Matrix
from visualsearch.model import fingerprint
from visualsearch.runtimes.operations import multiply_adds

if TYPE_CHECKING:
    import keras

Options = ResNet50Classifier.Options

LOOKS = 3000
"""Pictures that fine-tuning shows where ``epochs`` is null: a minute's work on two cores."""

HONEST = 30
"""Fewest held-out pictures by which probabilities are tempered."""


@dataclass(frozen=True, slots=True)
class _Course:
    """What is taught, put together from the job once."""

    options: Options
    job: Job
    trunk: Trunk
    examples: Sequence[Example]
    buckets: tuple[str, ...]
    split: Split
    copies: int
    notes: tuple[str, ...]

    @property
    def lesson(self) -> Lesson:
        """Return labels and split for the training loop."""
        position = {bucket: i for i, bucket in enumerate(self.buckets)}
        labels = np.array([position[example.bucket] for example in self.examples], np.intp)
        return Lesson(labels, len(self.buckets), self.split, self.job.seed)

    @property
    def shared(self) -> bool:
        """Return whether the trunk is the extractor itself."""
        return self.trunk is self.job.extractor

    @property
    def fork(self) -> str | None:
        """Return the layer that the chosen tail continues from."""
        return FORKS[self.options.train]


def finetune(options: Options, job: Job, trunk: Trunk) -> Training:
    """Train head and chosen tail on the same activations, compare them, and teach the chosen one everything.

    The tail starts from the trained head (Kumar et al. 2022, "Fine-Tuning can Distort
    Pretrained Features"), so that its first steps do not spoil the features it was given.
    Held-out groups give the figures, the number of epochs and the temperature; the classifier
    that is kept is then trained anew, as long, with nothing held out: queries are of those groups too.
    """
    start = time.perf_counter()
    course = _prepare(options, job, trunk)
    lesson = course.lesson
    with _activated(course) as known:
        tail, fits = _taught(course, lesson, known)
        pooled, source = _layer(known, 0), _source(course, known)
        head_right, right = _right(fits.head, pooled, lesson), _right(tail, source, lesson)
        degrees = _degrees(tail, source, lesson)
        if len(lesson.split.validation):
            tail, _ = _taught(course, lesson.whole(), known, fits)
        soften(tail, degrees)
    card = artefact.Card(options.name, options.train, course.buckets, course.fork, identity(trunk))
    artefact.save(job.folder, card, "tail", ".keras", tail.save)
    costs = _costs(course, tail)
    return _training(course, fits.curves, {"chosen": right, "head": head_right}, costs, time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class _Fits:
    """What one teaching came to: the head, how long head and tail learned, and the chosen one's curve."""

    head: keras.Model
    head_epochs: int
    tail_epochs: int
    curves: tuple[Curve, ...]


def _taught(
    course: _Course, lesson: Lesson, known: Activations, before: _Fits | None = None
) -> tuple[keras.Model, _Fits]:
    """Train the head and then the tail, as long as ``before`` says where it is given."""
    head, fitted = _train_head(course, lesson, known, max(1, before.head_epochs) if before else None)
    if course.options.train == "head":
        return head, _Fits(head, fitted.best, 0, fitted.curves)
    tail, tuned = _train_tail(course, lesson, known, head, before.tail_epochs if before else None)
    return tail, _Fits(head, fitted.best, tuned.best, tuned.curves)


def _prepare(options: Options, job: Job, trunk: Trunk) -> _Course:
    """Split by group, after leaving out what the bound on the disk does not allow."""
    first = job.examples[0]
    row_bytes = sum(array[0].size * 2 for array in _outputs(trunk, job, _tap(options))([job.crop_of(first)]))
    budget = affordable(len(job.examples), options.copies, row_bytes, int(options.cache_gib * 2**30))
    examples, notes = list(job.examples), []
    if budget.copies < options.copies:
        notes.append(
            f"{budget.copies} augmented copies instead of {options.copies}: classifier.cache_gib allows no more"
        )
    buckets = tuple(sorted({example.bucket for example in examples}))
    if budget.examples < len(examples):
        size = max(budget.examples, len(buckets))
        examples = sample(examples, size, job.seed)
        notes.append(
            f"{len(examples)} of {len(job.examples)} pictures, evenly from the buckets: classifier.cache_gib allows no more"
        )
    parts = split(examples, job.seed)
    return _Course(options, job, trunk, examples, buckets, parts, budget.copies, (*notes, *remarks(examples, parts)))


@contextmanager
def _activated(course: _Course) -> Iterator[Activations]:
    """Compute pooled features, and the fork's activation where the tail needs it."""
    copies = np.full(len(course.examples), course.copies, np.intp)
    job, outputs = course.job, _outputs(course.trunk, course.job, _tap(course.options))
    with activations(
        course.examples, copies, job.crop_of, outputs, course.trunk.side, job.folder, job.seed, job.progress
    ) as known:
        yield known


def _tap(options: Options) -> str | None:
    """Return the layer that is kept beside the pooled features."""
    return FORKS["last_block"] if options.train == "last_block" else None


def _outputs(trunk: Trunk, job: Job, fork: str | None) -> Outputs:
    """Return the pass that gives pooled features and the activation of ``fork``."""
    key = trunk.graph_key if fork is None else fingerprint("tapped", trunk.graph_key, fork)
    build = trunk.graph if fork is None else lambda: tapped(trunk.graph(), fork)
    forward = job.runtime.compile(build, key)
    return lambda crops: forward(trunk.batch(crops))


def _layer(known: Activations, layer: int) -> Source:
    return lambda rows, rng: known.read(layer, rows, rng)


def _source(course: _Course, known: Activations) -> Source:
    """Return what the chosen tail is given."""
    if course.options.train == "head":
        return _layer(known, 0)
    return _pictures(course) if course.fork is None else _layer(known, 1)


def _train_head(course: _Course, lesson: Lesson, known: Activations, epochs: int | None) -> tuple[keras.Model, Fitted]:
    """Train dropout and softmax on pooled features."""
    features = known.read(0, lesson.split.learn, np.random.default_rng(lesson.seed))
    head = new_tail(course.trunk.graph(), FORKS["head"], len(course.buckets), features, lesson.seed)
    if epochs is None and course.options.train == "head":
        epochs = course.options.epochs
    # At least three hundred steps, however small the gallery.
    epochs = epochs or int(np.clip(math.ceil(300 * 64 / len(lesson.split.learn)), 30, 300))
    schedule = Schedule("head", epochs, batch=64, rate=3e-4, patience=max(5, epochs // 5))
    return head, fit(logits_of(head), _layer(known, 0), lesson, schedule, course.job.progress)


def _train_tail(
    course: _Course, lesson: Lesson, known: Activations, head: keras.Model, epochs: int | None
) -> tuple[keras.Model, Fitted]:
    """Fine-tune a copy of the layers behind the fork, from the trained head on."""
    features = known.read(0, lesson.split.learn, np.random.default_rng(lesson.seed))
    tail = new_tail(course.trunk.graph(), course.fork, len(course.buckets), features, lesson.seed)
    for name in ("standard", "logits"):
        tail.get_layer(name).set_weights(head.get_layer(name).get_weights())
    if epochs is None:
        epochs = course.options.epochs or int(np.clip(math.ceil(LOOKS / len(lesson.split.learn)), 3, 15))
    if not epochs:
        return tail, Fitted((), 0)
    stage = "whole network" if course.fork is None else "last block"
    schedule = Schedule(stage, epochs, batch=32, rate=1e-4, patience=2)
    return tail, fit(logits_of(tail), _source(course, known), lesson, schedule, course.job.progress)


def _pictures(course: _Course) -> Source:
    """Return pictures themselves, augmented anew each time."""

    def source(rows: Rows, rng: np.random.Generator | None) -> NDArray[np.float32]:
        crops = [course.job.crop_of(course.examples[i]) for i in rows]
        if rng is not None:
            crops = [Crop(augment(shrunk(crop.pixels, course.trunk.side), rng)) for crop in crops]
        return course.trunk.batch(crops)

    return source


def _right(tail: keras.Model, source: Source, lesson: Lesson) -> int:
    """Return how many of the judged pictures have the right bucket first."""
    rows = lesson.split.judged
    logits: Matrix = predict(logits_of(tail), source, rows)
    return int((logits.argmax(axis=1) == lesson.labels[rows]).sum())


def _degrees(tail: keras.Model, source: Source, lesson: Lesson) -> float:
    """Return the temperature by which held-out pictures' probabilities are honest; 1 where they are too few."""
    rows = lesson.watched()
    if len(rows) < HONEST:
        return 1.0
    return temperature(predict(logits_of(tail), source, rows), lesson.labels[rows])


def _costs(course: _Course, tail: keras.Model) -> dict[str, int]:
    """Return the multiply-accumulates of a query: those of the embedding, and those that the classifier adds."""
    if course.shared:
        return {"embedding": multiply_adds(course.trunk.graph()), "classifier": multiply_adds(tail)}
    if course.fork is None:
        return {"classifier": multiply_adds(tail)}
    return {"classifier": multiply_adds(alone(course.trunk.graph(), tail, course.fork))}


def _training(
    course: _Course, curves: tuple[Curve, ...], right: dict[str, int], costs: dict[str, int], seconds: float
) -> Training:
    parts, judged = course.split, len(course.split.judged)
    passes = 1 if course.shared and course.fork is not None else 2
    return Training(
        buckets=course.buckets,
        pictures=len(course.examples),
        groups=len({example.group for example in course.examples}),
        held_out={"pictures": judged, "groups": len({course.examples[i].group for i in parts.judged})},
        top1={name: count / judged if judged else None for name, count in right.items()},
        right={**right, "of": judged},
        curves=curves,
        seconds=round(seconds, 3),
        passes=passes,
        multiply_adds=costs,
        notes=(*course.notes, _told(course, passes, costs)),
    )


def _told(course: _Course, passes: int, costs: dict[str, int]) -> str:
    """Return what a query costs, in words."""
    giga = {name: f"{count / 1e9:.2f}" if count >= 5e6 else "less than 0.01" for name, count in costs.items()}
    cost = f"{giga['classifier']} GMAC for the classifier"
    if course.shared:
        cost = f"{giga['embedding']} GMAC for the embedding, {giga['classifier']} more for the classifier"
    if passes == 1:
        return f"a query costs one pass: {cost}"
    why = "train: all" if course.fork is None else "the extractor is no ResNet50 with the same weights"
    return f"a query costs two passes ({why}): {cost}"
