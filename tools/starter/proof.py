"""What the searches of a set found → figures with bootstrap intervals, and the tables of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.evaluation.bootstrap import intervals
from visualsearch.evaluation.metrics import auroc

Found = Mapping[str, Any]
"""What one row's searches found, as lists with an entry for each query: ``query``, ``group`` (drawn as a
whole), ``score`` (cosine of the best hit), and a list for each column of the table, None where nothing can be
right. ``stranger_group`` and ``stranger_score`` are the same of the strangers."""

Floats = NDArray[np.float64]
Columns = Mapping[str, str]

RENDERED = {
    "classifier top-1": "classifier_right",
    "instance hit rate at 1": "instance_hit",
    "recall at 20": "recall",
    "category hit rate at 1": "category_hit",
}
"""The columns of the tables of rendered pictures, and where ``Found`` has them."""

PHOTOGRAPHS = {
    "classifier top-1": "classifier_right",
    "category hit rate at 1": "category_hit",
    "recall at 20": "recall",
    "mean average precision at 20": "average_precision",
}

TUNED = {
    "instance hit rate at 1": "tuned_instance_hit",
    "recall at 20": "tuned_recall",
    "category hit rate at 1": "tuned_category_hit",
}
"""The same searches with the classifier's own features as the embedding."""

STRANGERS = "strangers AUROC"
GOALS = {"classifier top-1": 0.985, "instance hit rate at 1": 0.93, "recall at 20": 0.95, STRANGERS: 0.90}
RESAMPLES = 1000


@dataclass(frozen=True)
class Figure:
    """A value with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return it as a cell of a table.

        >>> str(Figure(0.5, 0.25, 1.0))
        '0.500 (0.250 to 1.000)'
        """
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def as_dict(self) -> dict[str, Any]:
        """Return the same for a card."""
        return {"value": round(self.value, 3), "interval": [round(self.low, 3), round(self.high, 3)]}


Row = Mapping[str, Figure]
"""A figure for each column that there is one for."""


def figures(found: Found, columns: Columns) -> dict[str, Figure]:
    """Return a row of a table; the strangers' figure is left out where there are none."""
    row = means_of(found, columns)
    if found["stranger_score"]:
        row[STRANGERS] = separation(
            _floats(found["score"]), found["group"], _floats(found["stranger_score"]), found["stranger_group"]
        )
    return row


def means_of(found: Found, columns: Columns) -> dict[str, Figure]:
    """Return the figures that are means over queries."""
    return means({name: _floats(found[key]) for name, key in columns.items()}, found["group"])


def means(values: Mapping[str, Floats], groups: Sequence[str], seed: int = 0) -> dict[str, Figure]:
    """Return the mean of each column over queries, NaN left out, with its interval over groups."""
    columns = np.stack(list(values.values()), axis=1)
    bounds = intervals(columns, groups, seed=seed, resamples=RESAMPLES)
    means = np.nanmean(columns, axis=0)
    return {name: Figure(float(m), *map(float, b)) for name, m, b in zip(values, means, bounds, strict=True)}


def separation(
    real: Floats, groups: Sequence[str], strange: Floats, strange_groups: Sequence[str], seed: int = 0
) -> Figure:
    """Return the AUROC of queries against strangers; both sides' groups are drawn again.

    How often one group's queries score above another group's strangers is counted once; a
    resample weighs those counts by how often it drew either group.
    """
    wins = (real[:, None] > strange) + 0.5 * (real[:, None] == strange)
    mine, theirs = _belongs(groups), _belongs(strange_groups)
    by_group = mine.T @ wins @ theirs
    random = np.random.default_rng(seed)
    drawn, drawn_strange = (_drawn(random, members.shape[1]) for members in (mine, theirs))
    pairs = (drawn @ mine.sum(axis=0)) * (drawn_strange @ theirs.sum(axis=0))
    resampled = ((drawn @ by_group) * drawn_strange).sum(axis=1) / pairs
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Figure(auroc(real, strange), float(low), float(high))


def _belongs(groups: Sequence[str]) -> Floats:
    """Return (pictures, groups): 1 where a picture is of a group."""
    names, number = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    return np.eye(len(names))[number]


def _drawn(random: np.random.Generator, groups: int) -> Floats:
    """Return (resamples, groups): how often each group was drawn."""
    return random.multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES).astype(np.float64)


def differences(found: Found, base: Found, columns: Columns) -> dict[str, Figure]:
    """Return how much better ``found`` is than ``base``, query by query, with intervals over groups.

    Raises:
        SystemExit: they are of other queries.
    """
    if found["query"] != base["query"]:
        raise SystemExit("the tails were measured on different queries; leave the folder alone and run again.")
    return means({name: _floats(found[key]) - _floats(base[key]) for name, key in columns.items()}, found["group"])


def _floats(values: Sequence[Any]) -> Floats:
    """Return numbers; None becomes NaN."""
    return np.array(values, dtype=object).astype(np.float64)


def goals(row: Row) -> str:
    """Return a line: what was to be reached, and what was.

    >>> goals({"recall at 20": Figure(0.96, 0.9, 1.0), STRANGERS: Figure(0.8, 0.7, 0.9)})
    'goal / reached: recall at 20 0.950 / 0.960; strangers AUROC 0.900 / 0.800 (missed)'
    """
    told = (
        f"{name} {goal:.3f} / {row[name].value:.3f}{' (missed)' if name in missed(row) else ''}"
        for name, goal in GOALS.items()
        if name in row
    )
    return f"goal / reached: {'; '.join(told)}"


def missed(row: Row) -> list[str]:
    """Return the goals that a row does not reach."""
    return [name for name, goal in GOALS.items() if name in row and row[name].value < goal]


def table(rows: Mapping[str, Mapping[str, object]], corner: str = "") -> Iterator[str]:
    """Yield rows as lines of Markdown; the columns are those of any row, and a missing cell stays empty.

    >>> list(table({"a": {"x": 1}, "b": {"x": 2, "y": 3}}))
    ['| | x | y |', '|---|--:|--:|', '| a | 1 | |', '| b | 2 | 3 |']
    """
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    yield _line([corner, *names])
    yield "|---|" + "--:|" * len(names)
    for name, row in rows.items():
        yield _line([name, *(str(row.get(column, "")) for column in names)])


def _line(cells: Sequence[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)
