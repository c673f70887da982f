"""The default store: a folder of SQLite files, nothing to install, exact."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from sqlite3 import Connection

from pydantic import PositiveInt

from visualsearch import plugins
from visualsearch.errors import EngineError
from visualsearch.stores import sqlite_items as tables
from visualsearch.stores.contract import Store
from visualsearch.stores.embedded_store import EmbeddedStore
from visualsearch.stores.sqlite import Database, remove_unused, store_errors
from visualsearch.stores.sqlite_schema import create_tables

CATALOGUE = "embedded.sqlite"
"""Says which index is live and which one is being built; changing it is what publishes."""

INDEXES = "embedded-*.sqlite"


class EmbeddedShelf:
    """Indexes as files ``embedded-*.sqlite`` of one folder, and a catalogue that names two of them.

    A file keeps its name for life, since SQLite's log goes by it, and no name comes twice: so
    a process that still has a superseded file open goes on searching it. It is removed as soon
    as nobody has it open.
    """

    class Options(plugins.Options):
        """What the YAML says under ``store``."""

        name: str = "embedded"
        memory_mib: PositiveInt = 1024
        """Memory for the vectors of the buckets that were searched last."""

    def __init__(self, options: Options, folder: Path) -> None:
        """Look after the indexes in ``folder``, which is made when the first one begins."""
        self._options = options
        self._folder = folder
        self._catalogue = folder / CATALOGUE

    def live(self) -> Store | None:
        """Open the index that searches use, or return None before the first one."""
        with store_errors(self._folder):
            if not self._catalogue.exists():
                return None
        with closing(Database(self._catalogue)) as catalogue, catalogue.reading() as db:
            # Opened while the catalogue cannot change: the file is not removed meanwhile.
            store, leftovers = self._open(_entry(db, "live")), self._leftovers(db)
        if leftovers and os.access(self._folder, os.W_OK):
            self._sweep()
        return store

    def begin(self, fingerprint: str, dim: int) -> Store:
        """Open the unpublished index for these embeddings, making or resuming it.

        Failures and tombstones of the live index are carried over. An unfinished one of
        another fingerprint is removed.
        """
        with self._changing() as db:
            store = self._open(_entry(db, "building"))
            if store and (store.fingerprint, store.dim) != (fingerprint, dim):
                store.close()
                store = None
            if store is None:
                store = self._make(fingerprint, dim, _entry(db, "live"))
                _enter(db, "building", store.path.name)
        self._sweep()
        return store

    def publish(self, store: Store) -> None:
        """Make a begun index the live one in one step and close ``store``; open it again with ``live``.

        What was forgotten in the live index while this one was being built is forgotten here too.

        Raises:
            EngineError: the index was not begun here, or removed since (``store-replaced``).
        """
        with self._changing() as db:
            name = store.path.name if isinstance(store, EmbeddedStore) else None
            live, building = _entry(db, "live"), _entry(db, "building")
            if not isinstance(store, EmbeddedStore) or name not in (live, building):
                message = f"{self._folder}: the index to publish was removed: begin it again."
                raise EngineError(message, slug="store-replaced")
            if name != live:
                self._replace(db, live, store)
        store.close()
        self._sweep()

    def erase(self, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        """Write every index anew without what was deleted or is of these contents; see ``contract.Shelf``.

        Raises:
            EngineError: another process was reading or writing all the while (``store-locked``).
        """
        with store_errors(self._folder):
            if not self._catalogue.exists():
                return ()
        held = []
        with self._changing() as db:  # no index is begun or published meanwhile
            for path in self._leftovers(db):
                remove_unused(path, overwrite=True)
            for path in sorted(self._folder.glob(INDEXES)):
                with closing(Database(path)) as database:
                    with database.writing() as index:
                        tables.erase(index, contents, paths)
                    held += [] if database.rewrite() else [path]
        if held:
            message = (
                f"{held[0]}: another process was reading all the while, so what was deleted is in the log still: "
                "wait for it and run forget again."
            )
            raise EngineError(message, slug="store-locked")
        return ()

    def _replace(self, catalogue: Connection, live: str | None, store: EmbeddedStore) -> None:
        with ExitStack() as stack:
            retiring = None
            if old := self._open(live):
                stack.enter_context(closing(old))
                # Nobody writes to the old index from here on: what is said to it is not lost.
                retiring = stack.enter_context(old.database.writing())
                with store.database.writing() as db:
                    tables.forget(db, tables.buried(retiring))
            store.database.checkpoint()
            _enter(catalogue, "live", store.path.name)
            _enter(catalogue, "building", None)
            catalogue.execute("COMMIT")
            if retiring:
                retiring.execute("UPDATE meta SET retired = 1")

    def _make(self, fingerprint: str, dim: int, live: str | None) -> EmbeddedStore:
        path = self._folder / f"embedded-{secrets.token_hex(4)}.sqlite"
        with closing(Database(path, create=True)) as database, database.writing() as db:
            create_tables(db, fingerprint, dim)
            if old := self._open(live):
                with closing(old):
                    tables.record_failures(db, old.failures())
                    tables.bury(db, old.buried())
        return EmbeddedStore(path, self._options.memory_mib)

    def _open(self, name: str | None) -> EmbeddedStore | None:
        return EmbeddedStore(self._folder / name, self._options.memory_mib) if name else None

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """Lend the catalogue to one process at a time."""
        with store_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        database = Database(self._catalogue, create=True, wal=False)
        with closing(database), database.writing() as db:
            db.execute("CREATE TABLE IF NOT EXISTS indexes (role TEXT PRIMARY KEY, file TEXT)")
            yield db

    def _sweep(self) -> None:
        with self._changing() as db:
            for path in self._leftovers(db):
                remove_unused(path)

    def _leftovers(self, db: Connection) -> list[Path]:
        named = {_entry(db, "live"), _entry(db, "building")}
        return [path for path in self._folder.glob(INDEXES) if path.name not in named]


def _entry(db: Connection, role: str) -> str | None:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'indexes'").fetchone():
        return None
    row = db.execute("SELECT file FROM indexes WHERE role = ?", (role,)).fetchone()
    return str(row[0]) if row and row[0] else None


def _enter(db: Connection, role: str, file: str | None) -> None:
    db.execute("INSERT OR REPLACE INTO indexes VALUES (?, ?)", (role, file))
