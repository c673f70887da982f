"""Which hits are right for a query: those that agree with it in one column, and are not left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from visualsearch.datatypes import Item
from visualsearch.errors import DataError
from visualsearch.gallery import Picture


@dataclass(frozen=True, slots=True)
class Question:
    """One query picture, and the gallery's own pictures that may not answer it."""

    picture: Picture
    stranger: bool = False
    left_out: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Return by what the memo knows the picture; a stamp alone can be that of several files."""
        return f"{self.picture.file}|{self.picture.stamp}"


@dataclass(slots=True)
class Judge:
    """Knows which items are right for a query."""

    items: Mapping[str, Item]
    relevant: str | None
    group: str
    bucket_column: str | None
    by_value: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    bucket_names: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.bucket_names = frozenset(bucket for item in self.items.values() for bucket in item.buckets)
        for item in self.items.values():
            if self.relevant is not None and self.relevant in item.columns:
                self.by_value[item.columns[self.relevant]].add(item.id)

    @property
    def buckets(self) -> int:
        """Return how many there are: the size of a route that probes everything."""
        return len(self.bucket_names)

    def right_items(self, question: Question) -> set[str]:
        """Return the ids of the items that are right."""
        if self.relevant is None or question.stranger or self.relevant not in question.picture.columns:
            return set()
        return self.by_value[question.picture.columns[self.relevant]] - question.left_out


def relevant_column(wanted: str | None, columns: Collection[str], items: Mapping[str, Item]) -> str | None:
    """Return the column by which a hit is right: the YAML's, else ``instance``, else ``label``, else None."""
    gallery = {column for item in items.values() for column in item.columns}
    for column in (wanted,) if wanted else ("instance", "label"):
        if column in columns and column in gallery:
            return column
    if wanted is None:
        return None
    message = (
        f"queries.relevant: expected a column that both gallery and queries have; received {wanted!r}. "
        f"The gallery has {', '.join(sorted(gallery)) or 'none'}, the queries {', '.join(sorted(columns)) or 'none'}."
    )
    raise DataError(message, slug="unknown-column")
