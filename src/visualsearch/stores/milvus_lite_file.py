"""Milvus Lite: a folder that a process opens once, shared by all of its stores, and serves to itself alone."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from visualsearch.errors import EngineError
from visualsearch.stores.milvus_counts import Memory

LONGEST_FOLDER = 60
"""Of the folder for temporary files: the path of a socket has room for some hundred bytes."""


class LiteFile:
    """An open folder of Milvus Lite, and the address at which this process reaches it.

    Milvus Lite answers whoever reaches it, so the address is a socket in a folder that only this user
    may enter, and no port of the machine. It takes no two writes at once, nor a write beside a
    search: hold ``lock`` for everything that is asked.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, which is made where it is not there; see ``borrow``."""
        from milvus_lite.adapter.grpc.server import start_server_in_thread

        self.path = path
        self.process = os.getpid()
        self.lock = threading.RLock()
        self.memory = Memory(float("inf"))  # nobody else can write
        self.users = 0
        short = len(tempfile.gettempdir()) <= LONGEST_FOLDER
        self._folder = Path(tempfile.mkdtemp(prefix=f"visualsearch-{self.process}-", dir=None if short else "/tmp"))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._server, self._database, _ = start_server_in_thread(str(path), host=f"unix:{self._folder}/socket")
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.address = f"unix:{self._folder}/socket:0"  # the 0 is a port, for which a socket has no use

    def close(self) -> None:
        """Write everything to the folder, and let others have it."""
        try:
            self._server.stop(grace=1).wait()
            self._database.close()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


_open: dict[Path, LiteFile] = {}
_changing = threading.Lock()


def borrow(path: Path) -> LiteFile:
    """Return the open folder; ``give_back`` it once.

    Raises:
        EngineError: another process has it open (``store-locked``), or it cannot be opened
            (``store-permission``, ``store-disk-full``, ``store-corrupt``).
    """
    where = path.resolve()
    with _changing:
        file = _open.get(where)
        if file is None or file.process != os.getpid():
            file = _open[where] = _attempt(lambda: LiteFile(where), path)
        file.users += 1
        return file


def give_back(file: LiteFile) -> None:
    """Close the folder where nobody else in this process uses it."""
    with _changing:
        file.users -= 1
        if file.users or file.process != os.getpid():
            return
        _open.pop(file.path, None)
        _attempt(file.close, file.path)


def _attempt(work: Callable[[], Any], path: Path) -> Any:
    from milvus_lite.exceptions import DataDirLockedError

    try:
        return work()
    except DataDirLockedError as error:
        message = (
            f"{path}: another process has this file open, and Milvus Lite serves one at a time: "
            "wait until it is done, or use a server."
        )
        raise EngineError(message, slug="store-locked") from error
    except PermissionError as error:
        message = f"{path}: access is not allowed: change the permissions or choose another `out`."
        raise EngineError(message, slug="store-permission") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError(f"{path}: the disk is full: free some and try again.", slug="store-disk-full") from error
        message = f"{path}: this is no sound file of Milvus Lite ({error}): delete it and index again."
        raise EngineError(" ".join(message.split()), slug="store-corrupt") from error


@atexit.register
def _close_all() -> None:
    for file in list(_open.values()):
        if file.process == os.getpid():
            _open.pop(file.path, None)
            file.close()
