"""SQLite below the embedded store: connections, transactions, and its errors in our words."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visualsearch.errors import EngineError
from visualsearch.files import erase

FULL_BELOW = 1 << 20
"""Free bytes below which an input/output error is told as a full disk (SQLite does not say)."""

_SLUGS = {
    sqlite3.SQLITE_FULL: "store-disk-full",
    sqlite3.SQLITE_CORRUPT: "store-corrupt",
    sqlite3.SQLITE_NOTADB: "store-corrupt",
    sqlite3.SQLITE_BUSY: "store-locked",
    sqlite3.SQLITE_LOCKED: "store-locked",
    sqlite3.SQLITE_READONLY: "store-permission",
    sqlite3.SQLITE_PERM: "store-permission",
    sqlite3.SQLITE_CANTOPEN: "store-permission",
}
_OUTSIDE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What SQLite says where the file system refuses something, without saying why."""

_ADVICE = {
    "store-disk-full": "the disk is full: free some and try again; what was stored stays searchable.",
    "store-corrupt": "this is no sound index: delete its folder and index again.",
    "store-locked": "another process has been writing for too long: wait for it and try again.",
    "store-permission": "access is not allowed: change the permissions or choose another `out`.",
}


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Let only errors of this package leave, each with the file it is about.

    Raises:
        EngineError: with the slug ``store-disk-full``, ``store-corrupt``, ``store-locked``,
            ``store-permission`` or ``store-failed``.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        slug = _slug(error, path)
        advice = _ADVICE.get(slug, "see whether disk and folder are well, and try again.")
        raise EngineError(f"{path}: the index failed ({error}): {advice}", slug=slug) from error


def _slug(error: Exception, path: Path) -> str:
    if isinstance(error, PermissionError):
        return "store-permission"
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return "store-disk-full" if full else "store-failed"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _OUTSIDE and _disk_is_full(path):
        return "store-disk-full"
    if code == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return "store-corrupt"
    return _SLUGS.get(code, "store-failed")


def _disk_is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < FULL_BELOW
    except OSError:
        return False


_FIRST = (
    "PRAGMA cache_size = -32768",  # KiB
    "PRAGMA secure_delete = ON",  # what was forgotten leaves no trace
    "PRAGMA wal_autocheckpoint = 4000",  # pages of 4 KiB
    "PRAGMA journal_size_limit = 67108864",
    "SELECT count(*) FROM sqlite_master",  # opens the file in earnest
)
"""What each connection begins with."""


class Database:
    """One SQLite file, used by several threads through a pool of connections.

    Raises:
        EngineError: from every method, see ``store_errors``.
    """

    def __init__(self, path: Path, *, create: bool = False, wal: bool = True, timeout_s: float = 60.0) -> None:
        """Open the file; ``timeout_s`` is how long to wait for another process that writes."""
        self.path = path
        self._uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        self._timeout_s = timeout_s
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self._writing = threading.RLock()
        with store_errors(path):
            try:
                first = self._connect()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _OUTSIDE or not self._is_whole():
                    raise
                # On a full or read-only disk there is no room for what writers share: read alone.
                self._uri = f"{path.absolute().as_uri()}?immutable=1"
                first = self._connect()
            if create and wal:
                first.execute("PRAGMA journal_mode = WAL").fetchall()
        # At least this one stays open, so that other processes can tell that the file is in use.
        self._idle.append(first)

    def _is_whole(self) -> bool:
        """Return whether nothing is left in the write-ahead log."""
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.exists() and not (log.exists() and log.stat().st_size)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._uri, uri=True, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            for statement in _FIRST:
                connection.execute(statement).fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def _lease(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise EngineError(f"{self.path}: the index is closed; open it again.", slug="store-closed")
        try:
            connection = self._idle.pop()  # atomic, and cheaper than a lock
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._idle.append(connection)
            if self._closed:
                self._close_idle()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the file throughout."""
        with store_errors(self.path), self._lease() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection whose changes are kept together, or not at all where the block fails."""
        with store_errors(self.path), self._writing, self._lease() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                if connection.in_transaction:  # the block may commit by itself
                    connection.execute("COMMIT")
            finally:
                connection.rollback()  # does nothing after a commit

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the file."""
        with store_errors(self.path), self._lease() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def rewrite(self) -> bool:
        """Write the file anew without what was deleted, and empty its log; False where a reader holds an old state."""
        with store_errors(self.path), self._writing, self._lease() as connection:
            # What was deleted is zeros in the log: first over the old pages, then a file without them,
            # whose way through the log overwrites that from its beginning.
            connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    def close(self) -> None:
        """Close every connection, those at work as soon as they are done."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with store_errors(self.path):
            while self._idle:
                self._idle.pop().close()


def remove_unused(path: Path, *, overwrite: bool = False) -> None:
    """Remove a database with its log, unless some connection, here or elsewhere, has it open."""
    with store_errors(path):
        probe = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)
        try:
            # Leaving the write-ahead log is allowed to the only connection.
            probe.execute("PRAGMA journal_mode = DELETE").fetchall()
        except sqlite3.Error as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                return
        finally:
            probe.close()
        for suffix in ("-wal", "-shm", ""):
            file = path.with_name(path.name + suffix)
            erase(file) if overwrite else file.unlink(missing_ok=True)


def as_text(value: str) -> str | bytes:
    """Return what SQLite can hold: a file name that is no valid Unicode goes in as bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogatepass")
    return value


def from_text(value: str | bytes) -> str:
    r"""Return the string that ``as_text`` was given.

    >>> from_text(as_text("caf\udce9.jpg")) == "caf\udce9.jpg"
    True
    """
    return value if isinstance(value, str) else value.decode(errors="surrogatepass")
