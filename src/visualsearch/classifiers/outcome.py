"""What a training came to, in figures and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visualsearch.classifiers.contract import Curve, Training
from visualsearch.classifiers.course import Course
from visualsearch.classifiers.tails import alone
from visualsearch.runtimes.operations import multiply_adds

if TYPE_CHECKING:
    import keras


def costs_of(course: Course, tail: keras.Model) -> dict[str, int]:
    """Return the multiply-accumulates of a query: those of the embedding, and those that the classifier adds."""
    if course.shared:
        return {"embedding": multiply_adds(course.trunk.graph()), "classifier": multiply_adds(tail)}
    if course.fork is None:
        return {"classifier": multiply_adds(tail)}
    return {"classifier": multiply_adds(alone(course.trunk.graph(), tail, course.fork))}


def training_of(
    course: Course, curves: tuple[Curve, ...], right: dict[str, int], costs: dict[str, int], seconds: float
) -> Training:
    """Return the figures of a training; ``right`` counts the right answers of each kind."""
    parts, judged, views = course.split, len(course.split.judged), len(course.split.views)
    passes = 1 if course.shared and course.fork is not None else 2
    return Training(
        buckets=course.buckets,
        pictures=len(course.examples),
        groups=len({example.group for example in course.examples}),
        held_out={"pictures": judged, "groups": len({course.examples[i].group for i in parts.judged}), "views": views},
        top1={
            **{name: right[name] / judged if judged else None for name in ("chosen", "head")},
            "known": right["known"] / views if views else None,
        },
        right={**right, "of": judged},
        curves=curves,
        seconds=round(seconds, 3),
        passes=passes,
        multiply_adds=costs,
        notes=(*course.notes, _told(course, passes, costs)),
    )


def _told(course: Course, passes: int, costs: dict[str, int]) -> str:
    """Return what a query costs, in words."""
    giga = {name: f"{count / 1e9:.2f}" if count >= 5e6 else "less than 0.01" for name, count in costs.items()}
    cost = f"{giga['classifier']} GMAC for the classifier"
    if course.shared:
        cost = f"{giga['embedding']} GMAC for the embedding, {giga['classifier']} more for the classifier"
    if passes == 1:
        return f"a query costs one pass: {cost}"
    why = "train: all" if course.fork is None else "the extractor is no ResNet50 with the same weights"
    return f"a query costs two passes ({why}): {cost}"
