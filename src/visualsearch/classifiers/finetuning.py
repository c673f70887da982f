"""How the ResNet50 classifier is trained: frozen layers once, then the head, then the tail that was asked for."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers import artefact
from visualsearch.classifiers.activations import Activations
from visualsearch.classifiers.centres import Blend, Centres, choose, find
from visualsearch.classifiers.contract import Curve, Job, Training, Trunk
from visualsearch.classifiers.course import Course, Options, activated, layer, prepare, source_of
from visualsearch.classifiers.fitting import Fitted, Lesson, Schedule, Source, fit, predict
from visualsearch.classifiers.outcome import costs_of, training_of
from visualsearch.classifiers.resnet50 import identity
from visualsearch.classifiers.split import Rows
from visualsearch.classifiers.tails import (
    FORKS,
    directions_of,
    logits_of,
    new_tail,
    soften,
    temperature,
    with_centres,
)

if TYPE_CHECKING:
    import keras

LOOKS = 3000
"""Pictures that fine-tuning shows where ``epochs`` is null: a minute's work on two cores."""

HONEST = 30
"""Fewest held-out pictures by which probabilities are tempered."""


def finetune(options: Options, job: Job, trunk: Trunk) -> Training:
    """Train head and chosen tail on the same activations, compare them, and teach the chosen one everything.

    The tail starts from the trained head (Kumar et al. 2022, "Fine-Tuning can Distort
    Pretrained Features"), so that its first steps do not spoil the features it was given.
    What is held out gives the figures, the number of epochs, the temperature and how much
    centres have to say; the classifier that is kept is then trained anew, as long, with
    nothing held out: queries are of those groups too.
    """
    start = time.perf_counter()
    course = prepare(options, job, trunk)
    lesson = course.lesson
    with activated(course) as known:
        source = source_of(course, known)
        tail, fits = _taught(course, lesson, known)
        right = {"head": _right(fits.head, layer(known, 0), lesson.labels, lesson.split.judged)}
        degrees, blend, judged = _tuned(course, tail, source, lesson)
        right |= {
            name: _right(judged, source, lesson.labels, rows)
            for name, rows in (("chosen", lesson.split.judged), ("known", lesson.split.views))
        }
        if len(lesson.split.tuning):
            tail, _ = _taught(course, lesson.whole(), known, fits)
            soften(tail, degrees)
        if blend.share:
            centres = _centres(course, tail, source, lesson.whole())
            tail = with_centres(tail, centres, blend, course.trunk.projection)
    card = artefact.Card(options.name, options.train, course.buckets, course.fork, identity(trunk))
    artefact.save(job.folder, card, "tail", ".keras", tail.save)
    costs = costs_of(course, tail)
    return training_of(course, fits.curves, right, costs, time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class _Fits:
    """What one teaching came to: the head, how long head and tail learned, and the chosen one's curve."""

    head: keras.Model
    head_epochs: int
    tail_epochs: int
    curves: tuple[Curve, ...]


def _taught(
    course: Course, lesson: Lesson, known: Activations, before: _Fits | None = None
) -> tuple[keras.Model, _Fits]:
    """Train the head and then the tail, as long as ``before`` says where it is given."""
    head, fitted = _train_head(course, lesson, known, max(1, before.head_epochs) if before else None)
    if course.options.train == "head":
        return head, _Fits(head, fitted.best, 0, fitted.curves)
    tail, tuned = _train_tail(course, lesson, known, head, before.tail_epochs if before else None)
    return tail, _Fits(head, fitted.best, tuned.best, tuned.curves)


def _train_head(course: Course, lesson: Lesson, known: Activations, epochs: int | None) -> tuple[keras.Model, Fitted]:
    """Train dropout and softmax on pooled features."""
    features = known.read(0, lesson.split.learn, np.random.default_rng(lesson.seed))
    head = new_tail(course.trunk.graph(), FORKS["head"], len(course.buckets), features, lesson.seed)
    if epochs is None and course.options.train == "head":
        epochs = course.options.epochs
    # At least three hundred steps, however small the gallery.
    epochs = epochs or int(np.clip(math.ceil(300 * 64 / len(lesson.split.learn)), 30, 300))
    schedule = Schedule("head", epochs, batch=64, rate=3e-4, patience=max(5, epochs // 5))
    return head, fit(logits_of(head), layer(known, 0), lesson, schedule, course.job.progress)


def _train_tail(
    course: Course, lesson: Lesson, known: Activations, head: keras.Model, epochs: int | None
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
    return tail, fit(logits_of(tail), source_of(course, known), lesson, schedule, course.job.progress)


def _right(tail: keras.Model, source: Source, labels: NDArray[np.intp], rows: Rows) -> int:
    """Return how many of the pictures have the right bucket first."""
    return int((predict(tail, source, rows).argmax(axis=1) == labels[rows]).sum())


def _tuned(course: Course, tail: keras.Model, source: Source, lesson: Lesson) -> tuple[float, Blend, keras.Model]:
    """Return temperature and blend by which probabilities of held-out pictures are most honest, and the tail with both.

    Without enough of them, there is nothing to soften or to blend. The tail is softened in place.
    """
    from scipy.special import softmax

    rows = np.concatenate([lesson.watched(), lesson.unknown()])
    if len(rows) < HONEST:
        return 1.0, Blend(0.0, 1.0), tail
    logits, labels = predict(logits_of(tail), source, rows), lesson.labels[rows]
    weights = lesson.weights()[labels] * lesson.shares(rows)
    degrees = temperature(logits, lesson.targets(rows), weights)
    if lesson.spread is not None:  # a centre of a cluster is its centroid
        soften(tail, degrees)
        return degrees, Blend(0.0, 1.0), tail
    directions = predict(directions_of(tail, course.trunk.projection), source, rows)
    linear = softmax(logits.astype(np.float64) / degrees, axis=1)
    centres = _centres(course, tail, source, lesson)
    blend = choose(linear, directions, centres, labels, weights)
    soften(tail, degrees)
    return degrees, blend, with_centres(tail, centres, blend, course.trunk.projection)


def _centres(course: Course, tail: keras.Model, source: Source, lesson: Lesson) -> Centres:
    """Return the centres of the pictures that are learned."""
    rows = lesson.split.learn
    directions = predict(directions_of(tail, course.trunk.projection), source, rows)
    return find(directions, lesson.labels[rows], [course.examples[i].group for i in rows], lesson.seed)
