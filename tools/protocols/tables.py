"""Rows → tables: the cells of each, and whether ours beats it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.protocols.rows import NOT_PUBLISHED, Row
from tools.protocols.systems import OURS
from visualsearch.presentation.wording import percent

Cells = Sequence[str]

NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, what must be known of the figures, the names of the columns, and a line for each system."""

    title: str
    about: Cells
    columns: Cells
    lines: Sequence[Cells]
    notes: Cells

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rows = [self.columns, [":--", *["--:"] * (len(self.columns) - 1)], *self.lines]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
        about = "\n".join(f"- {sentence}" for sentence in (*self.about, *self.notes))
        return f"## {self.title}\n\n{table}\n\n{about}\n"


def at(row: Mapping[str, Any], *keys: str) -> Any:
    """Return what lies below these keys, or None."""
    value: Any = row
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


Cell = Callable[[Row], str]

WHICH: dict[str, Cell] = {
    "system": lambda row: row["system"],
    "weights": lambda row: row.get("weights", NOTHING),
    "store": lambda row: row.get("store", NOTHING),
    "claimed": lambda row: row["claim"],
}

COST: dict[str, Cell] = {
    "ms a picture": lambda row: _number(at(row, "cost", "ms_a_picture"), ".1f"),
    "ms a search": lambda row: _number(at(row, "cost", "ms_a_search"), ".2f"),
    "peak MiB": lambda row: _number(at(row, "cost", "peak_mib"), ",.0f"),
}

PEOPLE: dict[str, Cell] = {
    **WHICH,
    "80/20 accuracy": lambda row: _share(at(row, "figures", "split", "accuracy")),
    "its ceiling": lambda row: _share(at(row, "figures", "split", "ceiling")),
    "query left in, k = 1 / 2 / 3": lambda row: _three(at(row, "figures", "left_in")),
    "query first itself": lambda row: _share(at(row, "figures", "itself_first")),
    "hit rate at 1": lambda row: _number(at(row, "figures", "leave_one_out", "hit_rate_at_1"), ".4f"),
    "at 5": lambda row: _number(at(row, "figures", "leave_one_out", "hit_rate_at_5"), ".4f"),
    "at 20": lambda row: _number(at(row, "figures", "leave_one_out", "hit_rate_at_20"), ".4f"),
    "average precision at 20": lambda row: _number(at(row, "figures", "leave_one_out", "map_at_20"), ".4f"),
    "verification": lambda row: _verified(at(row, "figures", "verification")),
    "ten queries": lambda row: _found(at(row, "figures", "ten")),
    "no face": lambda row: _number(at(row, "figures", "without_face"), ",d"),
    **COST,
}

CATEGORIES: dict[str, Cell] = {
    **WHICH,
    "classifier top 1": lambda row: _share(at(row, "figures", "classifier", "top1")),
    **{
        f"hit rate at {k}": lambda row, k=k: _number(at(row, "figures", "routed", "hit_rate_at", k), ".4f")  # type: ignore[misc]
        for k in ("1", "5", "20")
    },
    "average precision at 20": lambda row: _number(at(row, "figures", "routed", "map_at", "20"), ".4f"),
    "the same, exhaustive": lambda row: _number(at(row, "figures", "exhaustive", "map_at", "20"), ".4f"),
    "compared": lambda row: _share(at(row, "figures", "routed", "compared")),
    **{name: cell for name, cell in COST.items() if name != "ms a search"},
}

GOALS = {
    "lfw": (("leave_one_out", "hit_rate_at_1"), ("leave_one_out", "map_at_20"), ("verification", "accuracy")),
    "caltech": (("classifier", "top1"), ("routed", "hit_rate_at", "1"), ("routed", "map_at", "20")),
}
"""The figures by which one system beats another."""

BEATEN = "beaten by ours"


def beaten(row: Row, ours: Row | None) -> str:
    """Say whether ours is better in every figure that both have; only what had its published weights counts."""
    if row["id"] in OURS:
        return NOTHING
    if not row.get("measured"):
        return NOT_PUBLISHED if row.get("had") else NOTHING
    if row.get("had") and row["weights"] != "published":
        return NOT_PUBLISHED
    if ours is None or not ours.get("measured"):
        return NOTHING
    pairs = {goal[-1]: (at(ours, "figures", *goal), at(row, "figures", *goal)) for goal in GOALS[row["data"]]}
    known = {name: pair for name, pair in pairs.items() if None not in pair}
    worse = [name.replace("_", " ") for name, (mine, theirs) in known.items() if mine <= theirs]
    return "yes" if known and not worse else f"no: {', '.join(worse)}"


def table_of(rows: Sequence[Row], data: str) -> Table:
    """Return the table of people (``lfw``) or of categories (``caltech``)."""
    mine = [row for row in rows if row.get("data") == data]
    ours = next((row for row in mine if row["id"] in OURS), None)
    cells = PEOPLE if data == "lfw" else CATEGORIES
    lines = [[row["system"], beaten(row, ours), *(cell(row) for cell in list(cells.values())[1:])] for row in mine]
    notes = [f"{row['system'].partition(':')[0]}: {row['note']}" for row in mine if row.get("note")]
    title, about = ("People", _about_people(mine)) if data == "lfw" else ("Categories", _about_categories(mine))
    system, *others = cells
    return Table(title, about, (system, BEATEN, *others), lines, notes)


def _about_people(rows: Sequence[Row]) -> list[str]:
    first = next((row["figures"] for row in rows if row.get("measured")), None)
    told = [] if first is None else [_size(first)]
    return [
        *told,
        "80/20 accuracy is the mean over five random splits; its ceiling is the share of queries of whose person the "
        "other 80 % have a picture at all. A query that is left in finds itself first.",
        "Hit rates and average precision, divided by min(20, right pictures), leave the query out; every picture of a "
        "person with two or more is a query. A picture without a face is a miss and is never found; a pair of which one "
        "has none has the lowest similarity.",
        "Time is that of indexing, decoding to writing; memory the most that one process held.",
    ]


def _size(figures: Mapping[str, Any]) -> str:
    pairs = at(figures, "verification", "pairs")
    told = f"{figures['pictures']:,} pictures of {figures['people']:,} people"
    return f"{told}, {at(figures, 'leave_one_out', 'queries'):,} queries, {pairs or 'no'} pairs."


def _about_categories(rows: Sequence[Row]) -> list[str]:
    queries = next((row["figures"]["queries"] for row in rows if row.get("measured")), None)
    told = [] if queries is None else [f"{queries:,} queries; relevant is what has the query's category."]
    return [*told, "Hit rates and average precision are those of routed searches."]


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else format(value, form)


def _share(value: float | None) -> str:
    return NOTHING if value is None else percent(value)


def _three(shares: Mapping[str, float] | None) -> str:
    return NOTHING if shares is None else " / ".join(f"{100 * share:.2f}" for share in shares.values()) + " %"


def _verified(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return NOTHING
    return f"{100 * figures['accuracy']:.2f} ± {100 * figures['standard_error']:.2f} %"


def _found(ten: Mapping[str, int] | None) -> str:
    return NOTHING if ten is None else f"{ten['found']} of {ten['of']}"
