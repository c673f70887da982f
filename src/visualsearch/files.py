"""Where files are meant to be, and files that are either whole or not there: written beside, then moved into place."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from visualsearch.errors import EngineError


def located(path: str | Path, base: Path) -> Path:
    """Return an absolute path: relative ones are meant from ``base``, ``~`` is the home folder."""
    try:
        home = Path(path).expanduser()
    except RuntimeError:  # there is no such user: then there is no such file, which is said where it is missed
        home = Path(path)
    return Path(os.path.abspath(base / home))


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target`` to write to; move it into place if the block succeeds.

    Raises:
        EngineError: the folder cannot be written, or the disk is full.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.chmod(0o644)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        message = f"{target}: expected to write this file; received {why}. Free space or fix the rights, and run again."
        raise EngineError(message, slug="disk") from error


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Let one process at a time work in ``folder``; the lock goes with the process, however it ends.

    A folder that is made for it goes again if the block fails and has put nothing there.

    Raises:
        EngineError: another process is at work there, or the folder cannot be written.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on Windows: two processes there do the same work twice, and end well
        yield
        return
    lock = folder / ".lock"
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        message = (
            f"{folder}: expected to write here; received {error.strerror}. Free space or fix the rights, and run again."
        )
        raise EngineError(message, slug="disk") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"{folder}: another process is indexing here. Wait for it, and run again."
            raise EngineError(message, slug="busy") from error
        try:
            yield
        except BaseException:
            if new and os.listdir(folder) == [lock.name]:
                lock.unlink()
                _remove_empty(new)
            raise


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, up to the first that something lies in."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def write_text(target: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with replacing(target) as part:
        part.write_text(text, encoding="utf-8")


def erase(path: Path) -> None:
    """Overwrite a file and remove it, so that its bytes are not read from the disk any more; none is no error.

    A file that has another name too (a hard link) only loses this one: whoever made that keeps a copy.

    Raises:
        EngineError: the file cannot be written or removed.
    """
    try:
        if not path.is_symlink():
            with path.open("r+b") as file:
                if os.fstat(file.fileno()).st_nlink == 1:
                    _overwrite(file)
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"{path}: expected to overwrite and remove this file; received {error.strerror or error}. Fix the rights, and run again."
        raise EngineError(message, slug="disk") from error


@contextmanager
def erasing(target: Path) -> Iterator[None]:
    """Overwrite what ``target`` was before the block, where the block has put another file in its place."""
    try:
        old = target.open("r+b")
    except OSError:  # there is none, or none that may be written: then the block says so
        yield
        return
    with old:
        yield
        if os.fstat(old.fileno()).st_nlink == 0:
            _overwrite(old)


def _overwrite(file: IO[bytes]) -> None:
    """Write zeros over all of an open file, down to the disk."""
    left = file.seek(0, os.SEEK_END)
    file.seek(0)
    while left > 0:
        left -= file.write(bytes(min(left, 1 << 20)))
    file.flush()
    os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
