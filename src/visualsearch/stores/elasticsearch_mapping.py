"""Items as documents: what an index is like, and how text of any kind gets in and out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from visualsearch.datatypes import Buckets, Item, Source, Vector
from visualsearch.stores.texts import MARK, escaped, unescaped

FORMAT = 1
"""Of the documents; an index of a newer one is refused."""

LONGEST = 2_000
"""Longer texts are indexed as a token: Lucene takes at most 32,766 bytes, column name and value together."""

MOST_TERMS = 60_000
"""Values in one ``terms`` query; the server's limit is 65,536."""

_EDGES = ("left", "top", "right", "bottom")


def token(text: str) -> str:
    """Return what stands for a text in the index: itself, or a hash where it is too long for that."""
    short = escaped(text)
    return short if len(short) <= LONGEST else f"{MARK}#{hashlib.sha256(short.encode()).hexdigest()}"


def document_id(item: str) -> str:
    """Return the ``_id`` of an item's document: the item's own, unless the server would refuse it."""
    escape = escaped(item)
    return escape if 0 < len(escape.encode()) <= 512 else hashlib.sha256(escape.encode()).hexdigest()


def document(item: Item) -> dict[str, Any]:
    """Return the document of an item, without its vector."""
    source = item.source
    made: dict[str, Any] = {
        "id": token(item.id),
        "path": token(item.path),
        "columns": {token(name): token(value) for name, value in item.columns.items()},
        "buckets": [token(name) for name in item.buckets],
        "content": token(source.content),
        "stamp": token(source.stamp),
        "look": token(source.look),
    }
    if not item.buckets:
        made["no_bucket"] = True
    if item.box is not None:
        made["box"] = dict(zip(_EDGES, map(int, item.box), strict=True))
    long = {token(text): escaped(text) for text in _texts(item) if len(escaped(text)) > LONGEST}
    if long:
        made["long"] = long
    return made


def _texts(item: Item) -> Iterator[str]:
    source = item.source
    yield from (item.id, item.path, source.content, source.stamp, source.look)
    yield from item.columns
    yield from item.columns.values()
    yield from item.buckets


def item_of(made: Mapping[str, Any]) -> Item:
    """Return the item of a document."""
    long: Mapping[str, str] = made.get("long", {})

    def text(key: str) -> str:
        return unescaped(long.get(key, key))

    box = made.get("box")
    return Item(
        id=text(made["id"]),
        path=text(made["path"]),
        columns={text(name): text(value) for name, value in made["columns"].items()},
        buckets=tuple(map(text, made["buckets"])),
        source=Source(text(made["content"]), text(made["stamp"]), text(made["look"])),
        box=(box["left"], box["top"], box["right"], box["bottom"]) if box else None,
    )


def vector_text(vector: Vector) -> str:
    """Return a vector as JSON: nine digits tell every float32 from its neighbours, and are half of what a double needs."""
    return ("[" + ("%.9g," * len(vector))[:-1] + "]") % tuple(vector.tolist())


def cosine(score: float) -> float:
    """Return the cosine of what the server calls score, (1 + cosine) / 2.

    >>> cosine(1.0), cosine(0.5), cosine(0.0)
    (1.0, 0.0, -1.0)
    """
    return min(1.0, max(-1.0, 2.0 * score - 1.0))


def condition(route: Buckets, where: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the filter of a search: the items that live in a bucket of the route, or in none, with these columns."""
    made: list[dict[str, Any]] = [
        {"term": {f"columns.{token(name)}": {"value": token(value)}}} for name, value in sorted(where.items())
    ]
    if route is not None:
        names = sorted(map(token, route))
        parts = [names[start : start + MOST_TERMS] for start in range(0, len(names), MOST_TERMS)]
        should: list[dict[str, Any]] = [{"terms": {"buckets": part}} for part in parts]
        made.append({"bool": {"should": [*should, {"term": {"no_bucket": {"value": True}}}]}})
    return made


def index_body(dim: int, kind: str, shards: int, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings and mapping of an index of items."""
    keyword = {"type": "keyword"}
    kept = {"type": "keyword", "index": False, "doc_values": False}
    vector = {"type": "dense_vector", "dims": dim, "index": True, "similarity": "dot_product"}
    return {
        # A bucket's documents lie together in each segment, so that a routed search reads its vectors one after the other.
        "settings": {"number_of_shards": shards, "sort.field": "buckets", "sort.order": "asc"},
        "mappings": {
            "dynamic": False,
            # The vector's own storage is read back by `docvalue_fields`.
            "_source": {"excludes": ["vector"]},
            "_meta": {"format": FORMAT, "dim": dim, "type": kind, **meta},
            "properties": {
                **{name: keyword for name in ("id", "path", "buckets", "content")},
                "no_bucket": {"type": "boolean"},
                "columns": {"type": "flattened"},
                "box": {"properties": {edge: {"type": "integer"} for edge in _EDGES}},
                **{name: kept for name in ("stamp", "look")},
                "long": {"type": "object", "enabled": False},
                "vector": {**vector, "index_options": {"type": kind}},
            },
        },
    }


def dumped(data: Any) -> str:
    """Return JSON in one line, as the server reads it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
