"""The figures that follow from a run, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from visualsearch.calibration.promises import Promise
from visualsearch.evaluation import bootstrap, metrics
from visualsearch.evaluation.runs import RunRow

KS = (1, 5, 20)

LEVEL = 0.95
"""Of the confidence intervals."""

RESAMPLES = 1000


def summarise(
    rows: Sequence[RunRow], ks: Sequence[int] = KS, seed: int = 0, promise: Promise | None = None
) -> dict[str, Any]:
    """Return the figures of a run with 95 % bootstrap intervals over groups.

    Queries without a right item in the gallery are counted as ``unanswerable`` and left out of
    hit rate, recall and average precision; strangers count for ``strangers`` alone, and queries that
    could not be searched for nothing here. A figure that nothing is known about is None.
    """
    rows = [row for row in rows if row.failed is None]
    queries = [row for row in rows if not row.stranger]
    columns = figures_of(ks)
    values = np.array([[figure(row) for figure in columns.values()] for row in queries], dtype=np.float64)
    values = values.reshape(len(queries), len(columns))
    groups = [row.group for row in queries]
    figures = _nested(dict(zip(columns, _means(values), strict=True)))
    return {
        "queries": len(queries),
        "unanswerable": sum(not row.answerable for row in queries),
        "widened": sum(row.widened for row in queries),
        **figures,
        "promise": _promised(promise, figures["promise"]["held"], queries),
        "strangers": _strangers(rows),
        "intervals": _intervals(list(columns), values, groups, seed),
    }


Key = tuple[str, ...]
"""Where a figure stands in the summary: ("routed", "map_at", "5")."""

Figure = Callable[[RunRow], float]
"""What one query says about a figure; NaN is nothing."""


def figures_of(ks: Sequence[int]) -> dict[Key, Figure]:
    """Return every figure that is a mean over queries."""
    columns: dict[Key, Figure] = {
        ("classifier", "top1"): _top1,
        ("classifier", "route_size"): lambda row: np.nan if row.predicted_bucket is None else row.route_size,
        ("promise", "held"): lambda row: np.nan if row.first is None or row.first.held is None else row.first.held,
        ("before_widening", "route_size"): lambda row: np.nan if row.first is None else row.first.size,
        ("before_widening", "compared"): lambda row: np.nan if row.first is None else row.first.compared,
    }
    for search in ("routed", "exhaustive"):
        for name, metric in JUDGED.items():
            columns |= {(search, name, str(k)): _judged(search, metric, k) for k in ks}
        columns[search, "compared"] = attrgetter(f"{search}_compared")
    columns["kept",] = lambda row: metrics.kept(row.routed, row.exhaustive)
    return columns


def _top1(row: RunRow) -> float:
    if row.right_bucket is None or row.predicted_bucket is None:
        return np.nan
    return float(row.right_bucket == row.predicted_bucket)


def _hit(k: int, right: metrics.Right, right_items: int) -> float:
    return metrics.hit_at(k, right)


JUDGED = {"hit_rate_at": _hit, "recall_at": metrics.recall_at, "map_at": metrics.average_precision_at}


def _judged(search: str, metric: Callable[[int, metrics.Right, int], float], k: int) -> Figure:
    right = attrgetter(f"{search}_right")

    def figure(row: RunRow) -> float:
        return metric(k, right(row), row.right_items) if row.answerable else np.nan

    return figure


def _means(values: bootstrap.Values) -> list[float | None]:
    known = [column[~np.isnan(column)] for column in values.T]
    return [float(column.mean()) if len(column) else None for column in known]


def _nested(figures: Mapping[Key, Any]) -> dict[str, Any]:
    """Return the figures as a tree; a classifier that predicted nothing is None."""
    tree: dict[str, Any] = {}
    for path, value in figures.items():
        branch = tree
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        branch[path[-1]] = value
    if tree["classifier"] == {"top1": None, "route_size": None}:
        tree["classifier"] = None
    return tree


def _promised(promise: Promise | None, held: float | None, queries: Sequence[RunRow]) -> dict[str, Any] | None:
    """Return what was promised of first routes, how often it was held, and how many routes had to be cut."""
    if promise is None:
        return None
    cut = sum(row.first is not None and row.first.cut for row in queries)
    told = {"kind": promise.kind, "level": promise.level, "n": promise.n, "held": held}
    return {**told, "needed": promise.needed, "cut": cut}


def _strangers(rows: Sequence[RunRow]) -> dict[str, Any] | None:
    """Return how well the best score tells real queries from strangers; None without strangers."""
    strangers = [row for row in rows if row.stranger]
    if not strangers:
        return None
    real, strange = (
        [row.best_score for row in rows if row.stranger is kind and row.best_score is not None]
        for kind in (False, True)
    )
    return {"pictures": len(strangers), "auroc": metrics.auroc(real, strange) if real and strange else None}


def _intervals(
    paths: Sequence[Key], values: bootstrap.Values, groups: Sequence[str], seed: int
) -> dict[str, Any] | None:
    """Return the bounds in the shape of the summary; None with fewer than two groups."""
    count = len(set(groups))
    if count < 2:
        return None
    bounds = bootstrap.intervals(values, groups, seed=seed, level=LEVEL, resamples=RESAMPLES)
    pairs = [None if np.isnan(pair).any() else pair.tolist() for pair in bounds]
    figures = _nested(dict(zip(paths, pairs, strict=True)))
    return {"level": LEVEL, "groups": count, "resamples": RESAMPLES, **figures}
