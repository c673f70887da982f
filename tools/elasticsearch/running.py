"""Which clusters this user has started by command: one file for each, locked as long as its process lives."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.elasticsearch.cluster import PREFIX
from tools.elasticsearch.home import cache

SECONDS_TO_STOP = 60


@dataclass(frozen=True)
class Record:
    """A cluster that was started by command."""

    pid: int
    """Of the process that started it and ends it."""

    version: str
    addresses: list[str]
    """Of each node, and beside it:"""

    processes: list[int]
    folder: str


@contextmanager
def recorded(record: Record) -> Iterator[None]:
    """Keep a record until the end of the block; after a kill the lock is gone, and the record counts no more."""
    path = _folder() / f"{record.pid}.json"
    new = path.with_suffix(".new")
    with new.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(record)))
        file.flush()
        new.rename(path)  # whoever sees it sees it whole and locked
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def records() -> list[Record]:
    """Return the records of those that run; what a killed one left is removed, its temporary data too."""
    running = []
    for path in sorted(_folder().glob("*.json")):
        try:
            with path.open() as file:
                record = Record(**json.load(file))
                if _locked(file.fileno()):
                    running.append(record)
                    continue
        except FileNotFoundError:  # it ended meanwhile
            continue
        path.unlink(missing_ok=True)
        if Path(record.folder).name.startswith(PREFIX):
            shutil.rmtree(record.folder, ignore_errors=True)
    return running


def exists(pid: int) -> bool:
    """Say whether the process ``pid`` has a record."""
    return (_folder() / f"{pid}.json").exists()


def stop(record: Record) -> bool:
    """Tell a cluster's process to end; say whether it is gone within a minute, its servers with it."""
    with suppress(ProcessLookupError):
        os.kill(record.pid, signal.SIGTERM)
    end = time.monotonic() + SECONDS_TO_STOP
    while record in records():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _folder() -> Path:
    folder = cache() / "running"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
