"""Items as rows of a collection: what it is like, how text gets in and out, and filters that no text can break."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from visualsearch.datatypes import Buckets, Item, Source, Vector
from visualsearch.stores.texts import escaped, unescaped

FORMAT = 1
"""Of the rows; a collection of a newer one is refused."""

LONGEST_TEXT = 65_535
LARGEST_ITEM = 65_536
MOST_ELEMENTS = 4_096
"""The server's limits: bytes of a text and of a JSON value, elements of an array."""

NO_BUCKET = "\U0010ffff"
"""Stands among the buckets of an item that lives in none: no name is written like this."""

# Control characters, quotes and the backslash mean something in a filter, and not the same to every server;
# "=" stands between a column and its value.
_UNSAFE = re.compile("[\0-\x1f\"'\\\\=\x7f\ud800-\udfff\U0010ffff]")


def token(text: str) -> str:
    r"""Return what stands for a text where filters look: nothing in it has a meaning there.

    >>> token('red mug'), token('a "b"') == 'a ' + token('"') + 'b' + token('"')
    ('red mug', True)
    """
    return escaped(text, _UNSAFE)


def key_of(item: str) -> str:
    """Return the primary key of an id: keys are in the order of the ids, and need no quoting.

    >>> key_of("a"), key_of("a") < key_of("ab") < key_of("b") < key_of("🐈")
    ('i61', True)
    """
    return "i" + item.encode("utf-8", "surrogatepass").hex()


def row_of(item: Item, vector: Vector) -> dict[str, Any]:
    """Return the row of an item."""
    source = item.source
    texts = {"id": item.id, "path": item.path, "content": source.content, "stamp": source.stamp, "look": source.look}
    made: dict[str, Any] = {name: escaped(text) for name, text in texts.items()}
    made["columns"] = {escaped(name): escaped(value) for name, value in item.columns.items()}
    made["buckets"] = [escaped(name) for name in item.buckets]
    if item.box is not None:
        made["box"] = [int(edge) for edge in item.box]
    buckets = sorted(set(item.buckets))
    return {
        "key": key_of(item.id),
        "vector": vector,
        "home": home(buckets),
        "buckets": list(map(token, buckets)) or [NO_BUCKET],
        "facts": [fact(name, value) for name, value in item.columns.items()],
        "content": token(source.content),
        "item": made,
    }


def home(buckets: Collection[str]) -> str:
    """Return what stands for all buckets of an item at once, given in order.

    >>> home(("key", "mug")), home(("",)), home(()) == NO_BUCKET
    ('key=mug', '', True)
    """
    return "=".join(map(token, buckets)) if buckets else NO_BUCKET


def fact(column: str, value: str) -> str:
    """Return what says that a column has a value.

    >>> fact("label", "red mug")
    'label=red mug'
    """
    return f"{token(column)}={token(value)}"


def item_of(made: Mapping[str, Any]) -> Item:
    """Return the item of a row's ``item``."""
    box = made.get("box")
    return Item(
        id=unescaped(made["id"]),
        path=unescaped(made["path"]),
        columns={unescaped(name): unescaped(value) for name, value in made["columns"].items()},
        buckets=tuple(map(unescaped, made["buckets"])),
        source=Source(*(unescaped(made[name]) for name in ("content", "stamp", "look"))),
        box=(box[0], box[1], box[2], box[3]) if box else None,
    )


def size_of(row: Mapping[str, Any]) -> int:
    """Return some bytes more than a row takes on its way."""
    return 4 * len(row["vector"]) + _json_bytes(row) + sum(len(text.encode()) + 8 for text in _texts(row))


def too_large(row: Mapping[str, Any]) -> str | None:
    """Return what the server would not take of a row, or None."""
    longest = max(len(text.encode()) for text in _texts(row))
    if longest > LONGEST_TEXT:
        return f"expected texts of at most {LONGEST_TEXT} bytes; received {longest}"
    if _json_bytes(row) > LARGEST_ITEM:
        return f"expected at most {LARGEST_ITEM} bytes beside the vector; received {_json_bytes(row)}"
    most = max(len(row["buckets"]), len(row["facts"]))
    return f"expected at most {MOST_ELEMENTS} buckets and columns; received {most}" if most > MOST_ELEMENTS else None


def _texts(row: Mapping[str, Any]) -> list[str]:
    return [row["key"], row["home"], row["content"], *row["buckets"], *row["facts"]]


def _json_bytes(row: Mapping[str, Any]) -> int:
    return len(json.dumps(row["item"], ensure_ascii=False, separators=(",", ":")).encode())


def listed(tokens: Collection[str]) -> str:
    """Return tokens or keys as a list within a filter."""
    return "[" + ", ".join(f'"{one}"' for one in tokens) + "]"


def condition(route: Buckets, where: Mapping[str, str], homes: Collection[str] | None = None) -> str:
    """Return the filter of a search: the items that live in a bucket of the route, or in none, with these columns.

    ``homes`` are those that the route leads to, where all are known: Milvus Lite goes through arrays
    one by one in Python, and through texts ten times as fast.

    >>> condition(frozenset({"mug"}), {"brand": "none"}).replace(NO_BUCKET, "-")
    'ARRAY_CONTAINS_ANY(buckets, ["-", "mug"]) and ARRAY_CONTAINS_ALL(facts, ["brand=none"])'
    """
    parts = []
    if route is not None and homes is not None:
        parts.append(f"home in {listed(homes)}")
    elif route is not None:
        parts.append(f"ARRAY_CONTAINS_ANY(buckets, {listed([NO_BUCKET, *sorted(map(token, route))])})")
    if where:
        parts.append(f"ARRAY_CONTAINS_ALL(facts, {listed(sorted(fact(*one) for one in where.items()))})")
    return " and ".join(parts)
