"""Two evaluations of the same queries → how far their figures differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from visualsearch.errors import DataError
from visualsearch.evaluation.paired import paired
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.summary import Key, figures_of
from visualsearch.stages.measuring import Evaluation

COMPARED: tuple[Key, ...] = (
    ("routed", "hit_rate_at", "1"),
    ("routed", "recall_at", "20"),
    ("routed", "map_at", "20"),
    ("exhaustive", "hit_rate_at", "1"),
    ("exhaustive", "map_at", "20"),
    ("kept",),
    ("promise", "held"),
    ("routed", "compared"),
)
"""The main figures."""

JUDGED = ("hit_rate_at", "recall_at", "map_at")
"""Of a query that could not be searched these are 0: it was to be found too."""


def compare(mine: Evaluation, theirs: Evaluation, other: str, seed: int = 0) -> dict[str, Any]:
    """Return the difference of each main figure with its interval and p-value.

    Raises:
        DataError: ``other`` (a YAML's name) measures other queries, or by another column.
    """
    one, two = _rows(mine), _rows(theirs)
    if one.keys() != two.keys():
        message = (
            f"--against {other}: expected the same queries; {len(one.keys() - two.keys()):,} of {len(one):,} are "
            f"missing there, and it has {len(two.keys() - one.keys()):,} others: set `queries` alike in both."
        )
        raise DataError(message, slug="other-queries")
    if mine.relevant != theirs.relevant:
        message = (
            f"--against {other}: expected hits that are right by the same column; received {theirs.relevant or 'none'} "
            f"there and {mine.relevant or 'none'} here: set queries.relevant alike in both."
        )
        raise DataError(message, slug="other-relevant")
    files = sorted(one)
    groups = [one[file].group for file in files]
    known = figures_of((1, 20))
    told = []
    for key in COMPARED:
        here, there = ([_value(rows[file], key, known) for file in files] for rows in (one, two))
        found = paired(here, there, groups, seed)
        told += [] if found is None else [{"figure": list(key), **found}]
    return {"other": other, "figures": told}


def _rows(evaluation: Evaluation) -> dict[str, RunRow]:
    """Return the row of each query's file, strangers left out."""
    files = [answer.query.path or "" for answer in evaluation.answers]
    pairs = [*zip(files, evaluation.rows, strict=True)]
    pairs += zip(evaluation.failed_files, evaluation.failed, strict=True)
    return {file: row for file, row in pairs if not row.stranger}


def _value(row: RunRow, key: Key, known: dict[Key, Any]) -> float:
    if row.failed is not None and not (len(key) > 1 and key[1] in JUDGED):
        return np.nan
    return float(known[key](row))
