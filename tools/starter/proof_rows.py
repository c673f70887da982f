"""The rows of the proof: each network, and a colour histogram, measured on one set."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch import VisualSearch
from visualsearch.columns import SUFFIXES
from visualsearch.config import Application, parse
from visualsearch.evaluation.metrics import average_precision_at, hit_at, recall_at
from visualsearch.evaluation.runs import RunRow

from .measuring import Matrix, Trial, fitted_head, histogram, retrieval, top, trial, unit
from .pictures import listed, load
from .proof import Found

LEARNED = 30
"""Photographs of each category that are the gallery; the others are queries."""

PHOTOGRAPHS = """
name: photographs
out: model
gallery: {{folder: gallery, path: "{{label}}/{{picture}}"}}
queries: {{folder: queries, path: "{{label}}/{{picture}}", strangers: {strangers}, relevant: label}}
buckets: {{column: label}}
classifier: {{name: resnet50, train: {tail}}}
extractor: {{name: resnet50, weights: starter}}
"""


def rendered(
    data: Path,
    weights: str,
    tail: str,
    starter: Path,
    folder: Path,
    like: Path | None = None,
    discriminant: int | None = None,
) -> Found:
    """Return what the product finds in ``data`` with these weights and this much of the network trained.

    ``weights``, ``tail`` and ``discriminant`` are those of ``tails.compare``; a random network takes its side from the
    ``starter``. ``folder`` is for the model; ``like`` is one of the same weights, whose index is taken over.
    """
    from .tails import compare, starter_at
    from .weights import hardware

    if like is not None:
        take_over(like, folder)
    with starter_at(starter):
        found = compare(data, weights, tail, folder, discriminant)
    return {
        **found,
        "group": found["instance"],
        "stranger_group": [path.rpartition("-")[0] for path in found["stranger"]],
        "hardware": hardware(),
    }


def take_over(like: Path, folder: Path) -> None:
    """Copy a model's index, but not what it learned."""
    shutil.copytree(like / "model", folder / "model", ignore=shutil.ignore_patterns("classifier", "queries.npz"))


def rendered_colours(data: Path, side: int) -> Found:
    """Return what a colour histogram finds in ``data``, with a classifier fitted on the gallery's."""
    found = trial(data, side)
    strangers = listed(data / "strangers") if (data / "strangers").is_dir() else []
    gallery, queries = found.map(histogram)
    category, instance, recall = retrieval(found, gallery, queries)
    return {
        "instance_hit": instance.tolist(),
        "category_hit": category.tolist(),
        "recall": recall.tolist(),
        "group": [found.queries.instances[i] for i in found.queries.instance],
        **_by_colours(found, gallery, queries, strangers, side),
    }


def _by_colours(found: Trial, gallery: Matrix, queries: Matrix, strangers: Sequence[Path], side: int) -> dict[str, Any]:
    """Return the classifier's answers, and the best scores of queries and strangers."""
    told = load(strangers, side) if strangers else None
    return {
        "classifier_right": fitted_head(found, gallery, queries).tolist(),
        "score": (queries @ gallery.T).max(axis=1).tolist(),
        "stranger_score": (unit(histogram(told)) @ gallery.T).max(axis=1).tolist() if told else [],
        "stranger_group": [told.instances[i] for i in told.instance] if told else [],
    }


def by_protocol(source: Path) -> tuple[list[Path], list[Path]]:
    """Return gallery and queries of category/picture.jpg: of each category the first 30 by name, and the rest.

    Raises:
        SystemExit: there are no queries.
    """
    gallery: list[Path] = []
    queries: list[Path] = []
    for category in sorted(path for path in source.iterdir() if path.is_dir()):
        pictures = _pictures(category)
        gallery += pictures[:LEARNED]
        queries += pictures[LEARNED:]
    if queries:
        return gallery, queries
    raise SystemExit(f"{source}: expected category/picture.jpg, more than {LEARNED} of a category; found none.")


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.lower().endswith(SUFFIXES))


def link(source: Path, folder: Path) -> None:
    """Lay links to the photographs below ``folder`` as gallery and queries; nothing is copied."""
    for name, paths in zip(("gallery", "queries"), by_protocol(source), strict=True):
        for path in paths:
            place = folder / name / path.parent.name / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())


def photographs(
    source: Path, unknown: Path | None, weights: str, tail: str, starter: Path, folder: Path, like: Path | None = None
) -> Found:
    """Return what the product finds in photographs; the other arguments as for ``rendered``."""
    from .tails import starter_at, write_random

    link(source, folder)
    if like is not None:
        take_over(like, folder)
    with starter_at(starter):
        if weights == "random":
            write_random(folder / "random")
    text = PHOTOGRAPHS.format(strangers="null" if unknown is None else unknown.resolve(), tail=tail)
    with starter_at(folder / "random" if weights == "random" else Path(weights)):
        return _by_category(_searched(parse(text, folder)))


def _searched(settings: Application) -> tuple[RunRow, ...]:
    with VisualSearch(settings) as search:
        search.index()
        search.train()
        return search.evaluate().rows


def _by_category(rows: tuple[RunRow, ...]) -> Found:
    """Return each query's figures; every photograph stands for itself."""
    real, strange = ([row for row in rows if row.stranger is kind] for kind in (False, True))
    return {
        "query": [row.query for row in real],
        "group": [row.query for row in real],
        "classifier_right": [row.predicted_bucket == row.right_bucket for row in real],
        "category_hit": [hit_at(1, row.exhaustive_right) for row in real],
        "recall": [recall_at(20, row.exhaustive_right, row.right_items) for row in real],
        "average_precision": [average_precision_at(20, row.exhaustive_right, row.right_items) for row in real],
        "score": [row.best_score for row in real],
        "stranger_group": [row.query for row in strange],
        "stranger_score": [row.best_score for row in strange],
    }


def photographs_colours(source: Path, unknown: Path | None, side: int) -> Found:
    """Return what a colour histogram finds in photographs."""
    paths, asked = by_protocol(source)
    known = load(paths, side)
    found = Trial(known, load(asked, side, known.families))
    gallery, queries = found.map(histogram)
    hits = (known.family[top(gallery, queries)] == found.queries.family[:, None]).tolist()
    items = np.bincount(known.family)[found.queries.family].tolist()
    told = _by_colours(found, gallery, queries, [] if unknown is None else _pictures(unknown), side)
    return {
        "category_hit": [hit_at(1, right) for right in hits],
        "recall": [recall_at(20, right, n) for right, n in zip(hits, items, strict=True)],
        "average_precision": [average_precision_at(20, right, n) for right, n in zip(hits, items, strict=True)],
        "group": list(map(str, range(len(hits)))),
        **told,
        "stranger_group": list(map(str, range(len(told["stranger_score"])))),
    }
