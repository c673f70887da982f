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
from visualsearch.classifiers.fitting import Lesson, Schedule, Source, fit, predict
from visualsearch.classifiers.resnet50 import ResNet50Classifier, identity
from visualsearch.classifiers.split import Rows, Split, remarks, sample, split
from visualsearch.classifiers.tails import FORKS, logits_of, new_tail, soften, tapped, temperature
from visualsearch.datatypes import Crop, Matrix
from visualsearch.model import fingerprint

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
    def fork(self) -> str | None:
        """Return the layer that the chosen tail continues from."""
        return FORKS[self.options.train]


def finetune(options: Options, job: Job, trunk: Trunk) -> Training:
    """Train head and chosen tail on the same activations, keep the chosen one, and compare them.

    The tail starts from the trained head (Kumar et al. 2022, "Fine-Tuning can Distort
    Pretrained Features"), so that its first steps do not spoil the features it was given.
    """
    start = time.perf_counter()
    course = _prepare(options, job, trunk)
    lesson = course.lesson
    with _activated(course) as known:
        head, head_curves = _train_head(course, lesson, known)
        pooled = _layer(known, 0)
        head_right = _right(head, pooled, lesson)
        tail, curves, source = head, head_curves, pooled
        if options.train != "head":
            tail, curves, source = _train_tail(course, lesson, known, head)
        right = _right(tail, source, lesson)
        _temper(tail, source, lesson)
    card = artefact.Card(options.name, options.train, course.buckets, course.fork, identity(trunk))
    artefact.save(job.folder, card, "tail", ".keras", tail.save)
    return _training(course, curves, {"chosen": right, "head": head_right}, time.perf_counter() - start)


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
    copies = np.zeros(len(course.examples), np.intp)
    copies[course.split.learn] = course.copies
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


def _train_head(course: _Course, lesson: Lesson, known: Activations) -> tuple[keras.Model, tuple[Curve, ...]]:
    """Train dropout and softmax on pooled features."""
    features = known.read(0, lesson.split.learn, np.random.default_rng(lesson.seed))
    head = new_tail(course.trunk.graph(), FORKS["head"], len(course.buckets), features, lesson.seed)
    # At least three hundred steps, however small the gallery.
    epochs = int(np.clip(math.ceil(300 * 64 / len(lesson.split.learn)), 30, 300))
    if course.options.train == "head" and course.options.epochs:
        epochs = course.options.epochs
    schedule = Schedule("head", epochs, batch=64, rate=3e-4, patience=max(5, epochs // 5))
    return head, fit(logits_of(head), _layer(known, 0), lesson, schedule, course.job.progress)


def _train_tail(
    course: _Course, lesson: Lesson, known: Activations, head: keras.Model
) -> tuple[keras.Model, tuple[Curve, ...], Source]:
    """Fine-tune a copy of the layers behind the fork, from the trained head on."""
    whole = course.fork is None
    features = known.read(0, lesson.split.learn, np.random.default_rng(lesson.seed))
    tail = new_tail(course.trunk.graph(), course.fork, len(course.buckets), features, lesson.seed)
    for name in ("standard", "logits"):
        tail.get_layer(name).set_weights(head.get_layer(name).get_weights())
    source = _pictures(course) if whole else _layer(known, 1)
    epochs = course.options.epochs or int(np.clip(math.ceil(LOOKS / len(lesson.split.learn)), 3, 15))
    stage = "whole network" if whole else "last block"
    schedule = Schedule(stage, epochs, batch=32, rate=1e-4, patience=2)
    return tail, fit(logits_of(tail), source, lesson, schedule, course.job.progress), source


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


def _temper(tail: keras.Model, source: Source, lesson: Lesson) -> None:
    rows = lesson.watched()
    if len(rows) >= HONEST:
        soften(tail, temperature(predict(logits_of(tail), source, rows), lesson.labels[rows]))


def _training(course: _Course, curves: tuple[Curve, ...], right: dict[str, int], seconds: float) -> Training:
    parts, notes = course.split, list(course.notes)
    judged = len(parts.judged)
    one_pass = course.trunk is course.job.extractor and course.fork is not None
    if not one_pass:
        why = "train: all" if course.fork is None else "the extractor is no ResNet50 with the same weights"
        notes.append(f"a query costs two passes: {why}")
    return Training(
        buckets=course.buckets,
        pictures=len(course.examples),
        groups=len({example.group for example in course.examples}),
        held_out={"pictures": judged, "groups": len({course.examples[i].group for i in parts.judged})},
        top1={name: count / judged if judged else None for name, count in right.items()},
        right={**right, "of": judged},
        curves=curves,
        seconds=round(seconds, 3),
        passes=1 if one_pass else 2,
        notes=tuple(notes),
    )
