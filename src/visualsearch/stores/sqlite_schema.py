"""The tables of an index in SQLite, and what a file says of itself."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from visualsearch.errors import EngineError
from visualsearch.stores.sqlite import Database, from_text

VERSION = 1
"""Of the schema; a file of a newer one is refused."""

SCHEMA = """
CREATE TABLE meta (              -- one row
    fingerprint TEXT NOT NULL,
    dim INTEGER NOT NULL,
    items INTEGER NOT NULL,      -- how many there are
    next INTEGER NOT NULL,       -- number of the next new item, never used twice
    writes INTEGER NOT NULL,     -- grows with every change of the items
    retired INTEGER NOT NULL     -- 1: another index has taken this one's place
);
CREATE TABLE items (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    columns TEXT NOT NULL,       -- JSON object
    buckets TEXT NOT NULL,       -- JSON array
    box TEXT,                    -- JSON array
    content TEXT NOT NULL,
    stamp TEXT NOT NULL,
    look TEXT NOT NULL
);
CREATE TABLE vectors (           -- apart from the items, so that each is read without the other
    number INTEGER PRIMARY KEY,
    shared INTEGER NOT NULL,     -- 1: lives in several buckets
    vector BLOB NOT NULL         -- float32, little-endian
);
CREATE TABLE lists (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    size INTEGER NOT NULL,
    generation INTEGER NOT NULL, -- meta.writes when an item in here last changed
    UNIQUE (kind, name, value)
);
CREATE TABLE postings (
    list INTEGER NOT NULL,
    item INTEGER NOT NULL,
    PRIMARY KEY (list, item)
) WITHOUT ROWID;
CREATE TABLE failures (path TEXT PRIMARY KEY, reason TEXT, content TEXT, stamp TEXT, look TEXT) WITHOUT ROWID;
CREATE TABLE tombstones (content TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Meta:
    """What a file says of itself."""

    fingerprint: str
    dim: int
    items: int
    next: int
    writes: int
    retired: int


def create_tables(db: sqlite3.Connection, fingerprint: str, dim: int) -> None:
    """Make the tables of an empty index."""
    for statement in SCHEMA.split(";")[:-1]:
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES (?, ?, 0, 1, 0, 0)", (fingerprint, dim))
    db.execute(f"PRAGMA user_version = {VERSION}")


def open_index(database: Database) -> Meta:
    """Return what the file says of itself.

    Raises:
        EngineError: it is of a newer version (``store-newer``), or no index (``store-corrupt``).
    """
    with database.reading() as db:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version == VERSION:
            return read_meta(db)
    if version > VERSION:
        message = (
            f"{database.path}: expected an index of version {VERSION}, received version {version}: "
            "a newer visualsearch wrote it; update this one."
        )
        raise EngineError(message, slug="store-newer")
    message = f"{database.path}: this is no index of visualsearch: delete its folder and index again."
    raise EngineError(message, slug="store-corrupt")


def read_meta(db: sqlite3.Connection) -> Meta:
    """Return what the file says of itself."""
    row = db.execute("SELECT fingerprint, dim, items, next, writes, retired FROM meta").fetchone()
    return Meta(from_text(row[0]), *row[1:])
