"""Figures as Markdown: medians of the repetitions, what they lie between, and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.stores.searching import ENOUGH, EXHAUSTIVE, GRAPH
from benchmarks.stores.writing import BARE, STORE

LARGE = 1_000_000
"""Vectors from which on routed searches must be ten times as fast as exhaustive ones."""

Rows = Sequence[Mapping[str, Any]]


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median, with the lowest and the highest behind it.

    >>> spread([3.0, 1.0, 2.0], 1)
    '2.0 (1.0–3.0)'
    """
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios within each repetition.

    >>> ratio([2.0, 9.0, 4.0], [1.0, 3.0, 1.0])
    3.0
    """
    return median(value / other for value, other in zip(values, base, strict=True))


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield a table; its first column is text.

    >>> list(table(["a", "b"], [["x", "1"]]))
    ['| a | b |', '|---|--:|', '| x | 1 |']
    """
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'--:|' * (len(head) - 1)}"
    yield from (f"| {' | '.join(line)} |" for line in lines)


def searching_table(rows: Rows) -> Iterator[str]:
    """Yield the table of one state of the indices."""
    base = rows[0]["ms"]
    head = ("search", "segments", "ms", "times routed", "agreement", "requests")
    yield from table(
        head,
        (
            (
                row["search"],
                "" if row["segments"] is None else str(row["segments"]),
                spread(row["ms"], 1 if median(row["ms"]) >= 1 else 2),
                f"{ratio(row['ms'], base):.2f}",
                f"{row['agreement']:.3f}",
                f"{row['requests']:.2f}",
            )
            for row in rows
        ),
    )


def writing_table(rows: Rows) -> Iterator[str]:
    """Yield the table of ways to write; the bare client's rate into the same type is 100 %."""
    base = {row["type"]: row["items/s"] for row in rows if row["written by"] == BARE}
    head = ("written by", "type", "items/s", "of the bare client", "bytes/item")
    yield from table(
        head,
        (
            (
                row["written by"],
                f"`{row['type']}`" if row["type"] else "",
                spread(row["items/s"], 0),
                f"{ratio(row['items/s'], base[row['type']]):.0%}" if row["type"] in base else "",
                f"{row['bytes/item']:,.0f}" if row["bytes/item"] else "",
            )
            for row in rows
        ),
    )


def goals(states: Mapping[str, Rows], written: Rows, vectors: int) -> Iterator[str]:
    """Yield a line for each goal: what was measured, what was wanted, whether it was reached."""
    for state, rows in states.items():
        by_name = {row["search"]: row for row in rows}
        routed = rows[0]
        agreed = f"{routed['agreement']:.3f}"
        yield told(f"{state}: routed agreement {agreed}", ("1.000", routed["agreement"] == 1))
        if EXHAUSTIVE in by_name:
            times = ratio(by_name[EXHAUSTIVE]["ms"], routed["ms"])
            wanted = ("10 times", times >= 10) if vectors >= LARGE else None
            yield told(f"{state}: exhaustive takes {times:.1f} times as long as routed", wanted)
        for graph in [row for row in rows if row["search"].startswith(GRAPH)][-1:]:
            times, agreed = ratio(graph["ms"], routed["ms"]), f"{graph['agreement']:.3f}"
            what = f"{state}: {graph['search']} takes {times:.2f} times as long as routed, at agreement {agreed}"
            yield told(what, (str(ENOUGH), graph["agreement"] >= ENOUGH))
    rates = {(row["written by"], row["type"]): row["items/s"] for row in written}
    for kind in [kind for name, kind in rates if name == BARE]:
        share = ratio(rates[STORE, kind], rates[BARE, kind])
        yield told(f"bulk into `{kind}`: {share:.0%} of the bare client's rate", ("80%", share >= 0.8))


def told(what: str, goal: tuple[str, bool] | None) -> str:
    """Return the line of a measurement, and of its goal if it has one.

    >>> told("bulk: 70%", ("80%", False)), told("twice as long", None)
    ('- bulk: 70% (goal 80%: missed)', '- twice as long')
    """
    return f"- {what}" + (f" (goal {goal[0]}: {'reached' if goal[1] else 'missed'})" if goal else "")
