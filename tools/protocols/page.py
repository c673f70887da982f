"""The tables and the pictures as one page that opens in any browser; the pictures lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tools.protocols.rows import Row
from tools.protocols.tables import Table
from visualsearch.files import write_text
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.palette import DARK, LIGHT, Palette

STYLE = """
body { margin: 0 auto; max-width: 1800px; padding: 0 28px 48px; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.8rem; }
th, td { padding: 7px 9px; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child { text-align: left; }
thead th { color: var(--muted); }
tbody th { min-width: 14em; font-weight: 550; position: sticky; left: 0; background: var(--paper); }
tbody td:nth-child(2) { min-width: 9em; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
td:nth-child(2), td:nth-child(5) { white-space: normal; }
li, p { max-width: 90ch; color: var(--muted); }
img { max-width: 100%; height: auto; }
"""


def write_page(path: Path, tables: Sequence[Table], rows: Sequence[Row]) -> None:
    """Write the page.

    Raises:
        EngineError: the file cannot be written.
    """
    colours = (
        f":root {{ {_variables(LIGHT)} }} @media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "Baselines"),
        tag("style", Markup(colours + STYLE)),
    )
    body = tag("body", tag("h1", "Baselines"), *map(_table, tables), *map(_pictures, rows))
    write_text(path, "<!doctype html>\n" + tag("html", head, body, lang="en"))


def _table(table: Table) -> Markup:
    names = tag("tr", *(tag("th", name, scope="col") for name in table.columns))
    lines = [
        tag("tr", tag("th", line[0], scope="row"), *(tag("td", cell) for cell in line[1:])) for line in table.lines
    ]
    drawn = tag("table", tag("thead", names), tag("tbody", *lines))
    about = tag("ul", *(tag("li", sentence) for sentence in (*table.about, *table.notes)))
    # a region of its own that the keyboard can reach and scroll
    wide = tag("div", drawn, class_="wide", tabindex="0", role="region", aria_label=table.title)
    return tag("section", tag("h2", table.title), wide, about)


def _pictures(row: Row) -> Markup:
    if "pictures" not in row:
        return join()
    alt = f"Queries and their nearest pictures, as found by {row['system']}; right ones are marked"
    drawn = tag("section", tag("h2", row["system"]), tag("img", src=row["pictures"], alt=alt, loading="lazy"))
    return join(drawn, _mistakes(row)) if "mistakes" in row else drawn


def _mistakes(row: Row) -> Markup:
    """Return the pictures of what is still wrong, and how often it is."""
    wrong, queries = row["figures"]["wrong_first"], row["figures"]["leave_one_out"]["queries"]
    told = (
        f"The first hit of {wrong:,} of {queries:,} queries shows somebody else. These are the surest: the query, the "
        "picture that came first, and the nearest one of the query's own person, which came later. Look whether the "
        "program is wrong or the label: one person under two names, or a picture in another's folder."
    )
    alt = "Queries, the picture of another person that came first, and the nearest one of the same person"
    picture = tag("img", src=row["mistakes"], alt=alt, loading="lazy")
    return tag("section", tag("h2", f"Surest mistakes of {row['system']}"), tag("p", told), picture)


def _variables(palette: Palette) -> str:
    return " ".join(f"--{name.replace('_', '-')}: {colour};" for name, colour in asdict(palette).items())
