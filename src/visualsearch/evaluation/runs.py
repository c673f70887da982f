"""A run: what each query was answered with, kept as data, and the figures that follow from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from visualsearch.errors import EngineError
from visualsearch.evaluation import bootstrap, metrics
from visualsearch.files import write_text

KS = (1, 5, 20)

LEVEL = 0.95
"""Of the confidence intervals."""

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class RunRow:
    """One query of an evaluation, searched routed and exhaustively.

    ``query`` is its path, ``group`` what must not be torn apart, ``right_items`` how many right
    items the gallery has. ``routed`` and ``exhaustive`` are item ids, best first, ``..._right``
    says of each whether it is right, ``..._compared`` which share of the gallery it cost.
    ``route_size`` counts the buckets that were probed in the end, ``best_score`` is the cosine
    of the first hit, and a ``stranger`` shows something that the gallery lacks.
    """

    query: str
    group: str
    right_items: int
    routed: tuple[str, ...]
    routed_right: tuple[bool, ...]
    exhaustive: tuple[str, ...]
    exhaustive_right: tuple[bool, ...]
    routed_compared: float
    exhaustive_compared: float
    right_bucket: str | None = None
    predicted_bucket: str | None = None
    route_size: int = 0
    widened: bool = False
    best_score: float | None = None
    stranger: bool = False

    def __post_init__(self) -> None:
        """Refuse a row whose hits and judgements do not belong together."""
        if (len(self.routed), len(self.exhaustive)) != (len(self.routed_right), len(self.exhaustive_right)):
            raise ValueError(f"{self.query}: expected one judgement for each hit")

    @property
    def answerable(self) -> bool:
        """Return whether the gallery has anything right for this query."""
        return self.right_items > 0 and not self.stranger


def write_run(path: Path, rows: Iterable[RunRow]) -> None:
    """Write one JSON object a line, whole or not at all.

    Raises:
        EngineError: the file cannot be written.
    """
    write_text(path, "".join(json.dumps(asdict(row)) + "\n" for row in rows))


def read_run(path: Path) -> list[RunRow]:
    """Return the rows that ``write_run`` wrote.

    Raises:
        EngineError: the file cannot be read, or a line of it is no row.
    """
    row = TypeAdapter(RunRow)
    rows: list[RunRow] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            rows.append(row.validate_json(line))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        where = f"{path}, line {len(rows) + 1}"
        message = f"{where}: expected a query and its hits; received {what}. Evaluate again to write it anew."
        raise EngineError(message, slug="run-broken") from error
    return rows


def summarise(rows: Sequence[RunRow], ks: Sequence[int] = KS, seed: int = 0) -> dict[str, Any]:
    """Return the figures of a run with 95 % bootstrap intervals over groups.

    Queries without a right item in the gallery are counted as ``unanswerable`` and left out of
    hit rate, recall and average precision; strangers count for ``strangers`` alone. A figure
    that nothing is known about is None.
    """
    queries = [row for row in rows if not row.stranger]
    columns = _columns(ks)
    values = np.array([[figure(row) for figure in columns.values()] for row in queries], dtype=np.float64)
    values = values.reshape(len(queries), len(columns))
    groups = [row.group for row in queries]
    return {
        "queries": len(queries),
        "unanswerable": sum(not row.answerable for row in queries),
        "widened": sum(row.widened for row in queries),
        **_nested(dict(zip(columns, _means(values), strict=True))),
        "strangers": _strangers(rows),
        "intervals": _intervals(list(columns), values, groups, seed),
    }


Key = tuple[str, ...]
"""Where a figure stands in the summary: ("routed", "map_at", "5")."""

Figure = Callable[[RunRow], float]
"""What one query says about a figure; NaN is nothing."""


def _columns(ks: Sequence[int]) -> dict[Key, Figure]:
    """Return every figure that is a mean over queries."""
    columns: dict[Key, Figure] = {
        ("classifier", "top1"): _top1,
        ("classifier", "route_size"): lambda row: np.nan if row.predicted_bucket is None else row.route_size,
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
