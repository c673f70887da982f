"""Filters that no picture satisfies: which value is to blame, and the nearest one that exists."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

MOST_VALUES = 1_000
"""Values of a column that the card lists; a column with more has none there."""

COMPARED_NAMES = 10_000
"""Names at most among which the nearest is looked for: a tenth of a second's work."""


def known_values(items: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the values of each column of the items, but for columns that have more than a card can list."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for columns in items:
        for column, value in columns.items():
            values[column].add(value)
    return {column: sorted(some) for column, some in sorted(values.items()) if len(some) <= MOST_VALUES}


def nothing_has(where: Mapping[str, str], values: Mapping[str, Collection[str]]) -> str:
    """Say that no picture satisfies a filter; ``values`` are those that columns have, as far as they are known.

    >>> nothing_has({"label": "mgu"}, {"label": ["bowl", "mug"]})
    "no picture has label 'mgu'; did you mean 'mug'?"
    >>> nothing_has({"label": "mug", "brand": "none"}, {"label": ["mug"]})
    "no picture has label 'mug' and brand 'none'"
    """
    unknown = {column: value for column, value in where.items() if value not in values.get(column, (value,))}
    told = " and ".join(f"{column} {value!r}" for column, value in (unknown or where).items())
    near = [nearest(value, values[column]) for column, value in unknown.items()]
    meant = " and ".join(repr(name) for name in near if name is not None)
    return f"no picture has {told}" + (f"; did you mean {meant}?" if meant else "")


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the name that is most like ``name``, capitals aside; None where none is, or there are too many.

    >>> nearest("MUGS", ["bowl", "mug"]), nearest("mug", ["table"])
    ('mug', None)
    """
    if len(known) > COMPARED_NAMES:
        return None
    written = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), list(written), n=1)
    return written[near[0]] if near else None
