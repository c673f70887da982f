"""What the report's sections are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.wording import printable, unbroken


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, its heading, a sentence about it, and what it shows."""

    name: str
    title: str
    note: str
    body: Markup

    def markup(self) -> Markup:
        """Return the section as HTML."""
        heading = tag("h2", self.title, id=f"{self.name}-title")
        note = tag("p", unbroken(self.note), class_="note") if self.note else None
        return tag("section", heading, note, self.body, id=self.name, aria_labelledby=f"{self.name}-title")


def table(caption: str, head: Sequence[tuple[str, str]], rows: Sequence[Sequence[Markup]]) -> Markup:
    """Return a table; ``head`` gives each column its name and class, ``rows`` hold finished cells."""
    names = [tag("th", unbroken(name), scope="col", class_=kind or None) for name, kind in head]
    body = [tag("tr", *row) for row in rows]
    inner = join(tag("caption", caption), tag("thead", tag("tr", *names)), tag("tbody", *body))
    return tag("div", tag("table", inner), class_="wide", tabindex=0, role="region", aria_label=caption)


def row_head(text: str) -> Markup:
    """Return the cell that names its row."""
    return tag("th", printable(text), scope="row", class_="text")


def cell(child: str | Markup, kind: str | None = None) -> Markup:
    """Return a cell; ``kind`` is its class."""
    return tag("td", child if isinstance(child, Markup) else unbroken(child), class_=kind)


def card(title: str, big: str, *below: str | Markup) -> Markup:
    """Return a card: one figure, large, and what belongs to it."""
    texts = (child if isinstance(child, Markup) else tag("p", unbroken(child)) for child in below)
    return tag("article", tag("h3", title), tag("p", unbroken(big), class_="big"), *texts, class_="card")
