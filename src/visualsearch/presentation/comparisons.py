"""What the terminal shows of other levels, and of another YAML, beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from visualsearch.presentation.figures import METRICS, SEARCHES
from visualsearch.presentation.terminal import empty_table, stdout_console
from visualsearch.presentation.wording import percent

CERTAIN = 0.05
"""A difference with a larger p-value may as well be chance."""


def print_sweep(sweep: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print a row for each level of ``routing.keep``, and in a last line the one to paste."""
    console = console or stdout_console()
    table = empty_table(">keep", ">held", ">kept", ">right kept", ">hit at 1", ">compared", ">buckets", "")
    for one in sweep["levels"]:
        shares = (percent(one[key]) for key in ("held", "kept", "right_kept", "hit_rate", "compared"))
        table.add_row(f"{one['keep']:g}", *shares, f"{one['route_size']:.1f}", one["note"])
    console.print("[bold]sweep[/bold]     first routes, before any widening; too few groups: everything")
    console.print(table)
    console.print(Padding(f"{sweep['rule']}:", (0, 0, 0, 2)))
    console.print(Text(sweep["line"]), soft_wrap=True)


def print_against(against: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print each main figure of both, their difference with its interval, and how sure it is."""
    console = console or stdout_console()
    table = empty_table("", ">this", ">other", ">difference", "95 %", ">p")
    for one in against["figures"]:
        table.add_row(
            label(one["figure"]),
            percent(one["this"]),
            percent(one["other"]),
            points(one["difference"]),
            "" if one["interval"] is None else " to ".join(points(bound) for bound in one["interval"]),
            f"{one['p_value']:.3f}" if one["p_value"] >= 0.0005 else "<0.001",
        )
    console.print(Text.assemble(("against   ", "bold"), against["other"]), soft_wrap=True)
    console.print(table)
    sure = [one for one in against["figures"] if one["p_value"] < CERTAIN]
    more = "" if sure else f"; none has p < {CERTAIN:g}: they may as well be chance"
    console.print(Padding(f"differences in percentage points, paired over groups of queries{more}", (0, 0, 0, 2)))


def label(figure: Sequence[str]) -> str:
    """Name a figure.

    >>> label(["routed", "map_at", "20"]), label(["exhaustive", "hit_rate_at", "1"]), label(["promise", "held"])
    ('mean average precision at 20', 'exhaustive hit rate at 1', 'promise held')
    """
    search, *path = figure
    if path and path[0] in METRICS:
        return f"{'exhaustive ' if search == SEARCHES[1] else ''}{METRICS[path[0]]} {path[1]}"
    return "compared" if path == ["compared"] else " ".join(figure)


def points(difference: float) -> str:
    """Write a difference of shares in percentage points.

    >>> points(0.0125), points(-0.5), points(0.0)
    ('+1.2', '-50.0', '0.0')
    """
    return f"{100 * difference:+.1f}" if round(1000 * difference) else "0.0"
