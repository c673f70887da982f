"""Items as rows of SQLite: how they get in, out and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from visualsearch.datatypes import Failure, Item, Matrix, Source
from visualsearch.stores.sqlite import as_text, from_text
from visualsearch.stores.sqlite_schema import read_meta

Key = tuple[str, str, str]
"""A list of items: ("bucket", "", name), ("column", column, value), or ``LOOSE``."""

LOOSE: Key = ("loose", "", "")
"""The list of the items that are in no bucket."""

COLUMNS = "number, id, path, columns, buckets, box, content, stamp, look"


def write(db: sqlite3.Connection, items: Mapping[str, Item], vectors: Matrix) -> None:
    """Write items, keyed by id, with the rows of ``vectors`` in the same order."""
    meta = read_meta(db)
    old = {item.id: (number, item) for number, item in _stored(db, items)}
    fresh = iter(range(meta.next, meta.next + len(items)))
    numbers = [old[item][0] if item in old else next(fresh) for item in items]
    keys = [_keys(item) for item in items.values()]
    gone = [(number, key) for number, item in old.values() for key in _keys(item)]
    lists = _change_lists(db, meta.writes + 1, gone, ((key, 1) for some in keys for key in some))
    db.executemany(
        "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_row(number, item) for number, item in zip(numbers, items.values(), strict=True)),
    )
    db.executemany(
        "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
        (
            (number, len(set(item.buckets)) > 1, vector)
            for number, item, vector in zip(numbers, items.values(), _blobs(vectors), strict=True)
        ),
    )
    db.executemany(
        "INSERT INTO postings VALUES (?, ?)",
        ((lists[key], number) for number, some in zip(numbers, keys, strict=True) for key in some),
    )
    _drop_empty(db, {lists[key] for _, key in gone})
    added = len(items) - len(old)
    db.execute("UPDATE meta SET items = items + ?, next = next + ?, writes = writes + 1", (added, added))


def remove(db: sqlite3.Connection, ids: Collection[str]) -> None:
    """Remove the items with these ids that exist, and every trace of their columns and buckets."""
    old = list(_stored(db, ids))
    if not old:
        return
    gone = [(number, key) for number, item in old for key in _keys(item)]
    lists = _change_lists(db, read_meta(db).writes + 1, gone, ())
    for table in ("items", "vectors"):
        db.executemany(f"DELETE FROM {table} WHERE number = ?", ((number,) for number, _ in old))
    _drop_empty(db, set(lists.values()))
    db.execute("UPDATE meta SET items = items - ?, writes = writes + 1", (len(old),))


def _stored(db: sqlite3.Connection, ids: Collection[str]) -> Iterator[tuple[int, Item]]:
    for row in select(db, "id", list({as_text(item): None for item in ids})):
        yield row[0], item_of(row)


def _keys(item: Item) -> set[Key]:
    buckets: set[Key] = {("bucket", "", name) for name in item.buckets} or {LOOSE}
    return buckets | {("column", name, value) for name, value in item.columns.items()}


def _change_lists(
    db: sqlite3.Connection, generation: int, gone: Sequence[tuple[int, Key]], come: Iterable[tuple[Key, int]]
) -> dict[Key, int]:
    """Take the postings ``gone`` out, bring size and generation of all touched lists up to date."""
    change: dict[Key, int] = {}
    for _, key in gone:
        change[key] = change.get(key, 0) - 1
    for key, one in come:
        change[key] = change.get(key, 0) + one
    statement = (
        "INSERT INTO lists (kind, name, value, size, generation) VALUES (?, ?, ?, ?, ?) ON CONFLICT "
        "DO UPDATE SET size = size + excluded.size, generation = excluded.generation RETURNING number"
    )
    lists: dict[Key, int] = {}
    for key, size in change.items():
        kind, name, value = key
        row = (kind, as_text(name), as_text(value), size, generation)
        lists[key] = db.execute(statement, row).fetchall()[0][0]
    db.executemany("DELETE FROM postings WHERE list = ? AND item = ?", ((lists[key], number) for number, key in gone))
    return lists


def _drop_empty(db: sqlite3.Connection, numbers: Collection[int]) -> None:
    db.executemany("DELETE FROM lists WHERE number = ? AND size = 0", ((number,) for number in numbers))


def _blobs(vectors: Matrix) -> Iterator[bytes]:
    return (vector.tobytes() for vector in vectors.astype("<f4", copy=False))


def _row(number: int, item: Item) -> tuple[Any, ...]:
    source = item.source
    texts = (as_text(text) for text in (source.content, source.stamp, source.look))
    columns, buckets = json.dumps(dict(item.columns)), json.dumps(item.buckets)
    box = json.dumps([int(edge) for edge in item.box]) if item.box else None
    return (number, as_text(item.id), as_text(item.path), columns, buckets, box, *texts)


def select(db: sqlite3.Connection, by: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows (``COLUMNS``) of the items whose number or id, ``by``, is among ``values``."""
    for start in range(0, len(values), 500):
        some = values[start : start + 500]
        marks = ",".join("?" * len(some))
        yield from db.execute(f"SELECT {COLUMNS} FROM items WHERE {by} IN ({marks})", some)


def item_of(row: tuple[Any, ...]) -> Item:
    """Return the item of a row of ``COLUMNS``."""
    _, name, path, columns, buckets, box, *source = row
    return Item(
        id=from_text(name),
        path=from_text(path),
        columns=json.loads(columns),
        buckets=tuple(json.loads(buckets)),
        source=Source(*map(from_text, source)),
        box=tuple(json.loads(box)) if box else None,
    )


def bury(db: sqlite3.Connection, contents: Collection[str]) -> None:
    """Remember content hashes; those that are there already are no error."""
    rows = ((as_text(content),) for content in contents)
    db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?)", rows)


def buried(db: sqlite3.Connection) -> frozenset[str]:
    """Return the content hashes that were buried."""
    return frozenset(from_text(row[0]) for row in db.execute("SELECT content FROM tombstones"))


def forget(db: sqlite3.Connection, contents: Collection[str]) -> None:
    """Bury contents, and remove the items of those that were not buried before."""
    new = set(contents) - buried(db)
    bury(db, new)
    statement = "SELECT id FROM items WHERE content = ?"
    doomed = [row[0] for content in new for row in db.execute(statement, (as_text(content),))]
    remove(db, [from_text(item) for item in doomed])


def erase(db: sqlite3.Connection, contents: Collection[str], paths: Collection[str]) -> None:
    """Bury contents, and remove their items and failures, and the failures of ``paths``."""
    bury(db, contents)
    doomed = {as_text(content) for content in contents}
    rows = db.execute("SELECT id, content FROM items")  # the contents have no index: one look at all of them
    remove(db, [from_text(item) for item, content in rows.fetchall() if content in doomed])
    gone = [one.path for one in failures(db) if one.path in paths or one.source.content in contents]
    clear_failures(db, gone)


def record_failures(db: sqlite3.Connection, failures: Sequence[Failure]) -> None:
    """Remember failures, one for each path."""
    rows = ((f.path, f.reason, f.source.content, f.source.stamp, f.source.look) for f in failures)
    statement = "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)"
    db.executemany(statement, (tuple(map(as_text, row)) for row in rows))


def clear_failures(db: sqlite3.Connection, paths: Collection[str]) -> None:
    """Drop the failures of these paths."""
    db.executemany("DELETE FROM failures WHERE path = ?", ((as_text(path),) for path in paths))


def failures(db: sqlite3.Connection) -> list[Failure]:
    """Return the remembered failures, ordered by path."""
    rows = [list(map(from_text, row)) for row in db.execute("SELECT path, reason, content, stamp, look FROM failures")]
    return [Failure(path, reason, Source(*source)) for path, reason, *source in sorted(rows)]
