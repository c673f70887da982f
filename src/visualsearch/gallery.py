"""A folder of pictures, what is known of each, and what tells that a file is still the same."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from visualsearch.columns import SUFFIXES, Columns, Row, path_columns, read_table
from visualsearch.errors import DataError

_NOT_OURS = frozenset({"__MACOSX", "@eaDir"})
"""Folders of thumbnails and copies that archives and file servers leave behind."""

LOOKED_AT = 10_000
"""Files at most by which the pattern of a folder's pictures is found."""


class GallerySettings(Protocol):
    """The part of the YAML that says where pictures are and what their paths mean."""

    @property
    def folder(self) -> Path:
        """An absolute path."""
        ...

    @property
    def path(self) -> str | None:
        """The template of the columns in the paths, such as ``{label}/{instance}-{view}``."""
        ...

    @property
    def table(self) -> Path | None:
        """A CSV or JSONL file with further columns."""
        ...


@dataclass(frozen=True, slots=True)
class Picture:
    """A file of the gallery: ``path`` is relative to its folder, with forward slashes.

    ``stamp`` is ``size:mtime_ns:ctime_ns``: as long as it stays, the file is not read again. It
    is empty where the file system does not even tell that.
    """

    path: str
    file: Path
    columns: Columns
    stamp: str


@dataclass(frozen=True, slots=True)
class Listing:
    """All pictures of a folder, ordered by path.

    ``unmatched`` counts the pictures whose path does not fit the template, ``absent`` the rows
    of the table for which there is no picture.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    columns: frozenset[str]
    unmatched: int = 0
    absent: int = 0


def list_pictures(settings: GallerySettings) -> Listing:
    r"""List the pictures below a folder and their columns; nothing is read but the table.

    Hidden files and folders are left out. Links are followed; a folder that can be reached on
    several ways is listed once, by its own path if that is within the gallery. A file name that
    is not UTF-8 is written with ``\xNN`` for each byte that is not text.

    Raises:
        DataError: ``gallery-missing``, ``gallery-unreadable``, ``gallery-empty``, or of the table.
        ConfigError: the path template is wrong.
    """
    columns_of = path_columns(settings.path)
    folder = settings.folder
    table = read_table(settings.table, folder) if settings.table is not None else {}
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "there is no such folder"
        raise DataError(f"{folder}: expected a folder of pictures; {what}.", slug="gallery-missing")
    files = sorted(_files(folder))
    if not files:
        message = f"{folder}: expected pictures ({', '.join(SUFFIXES)}) in it or its folders; found none."
        raise DataError(message, slug="gallery-empty")
    return _listing(folder, files, columns_of, table)


def require_column(columns: Collection[str], name: str, key: str) -> None:
    """Check that ``columns``, those of the gallery, have the one which the YAML names at ``key``.

    Raises:
        DataError: ``unknown-column``; the sentence lists the columns that there are.
    """
    if name not in columns:
        known = ", ".join(sorted(columns)) or "none at all"
        message = f"{key}: expected a column of the gallery ({known}); received {name!r}."
        raise DataError(message, slug="unknown-column")


def content_hash(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes, by which the same picture is known under another name.

    >>> content_hash(b"")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(data).hexdigest()


def file_of(folder: Path, path: str) -> Path:
    r"""Return the file of a picture's path: the inverse of the names in a listing.

    >>> os.fsencode(file_of(Path("/photos"), "caf\\xe9.jpg"))
    b'/photos/caf\xe9.jpg'
    """
    file = folder / path
    if "\\x" not in path or file.exists():
        return file
    name = re.sub(rb"\\x([89a-f][0-9a-f])", lambda match: bytes.fromhex(match[1].decode()), path.encode())
    return folder / os.fsdecode(name)


def in_its_place(folder: Path) -> str:
    """Say what a shell would find a folder's pictures by: where the first lie, those of the most frequent suffix."""
    for depth in ("*", "*/*", "*/*/*"):
        files = islice(folder.glob(depth), LOOKED_AT)
        suffixes = Counter(file.suffix for file in files if file.suffix.lower() in SUFFIXES)
        if suffixes:
            return f"try {shlex.quote(str(folder))}/{depth}{suffixes.most_common(1)[0][0]}"
    return "there are no pictures in it"


def _listing(
    folder: Path,
    files: list[tuple[str, str, str]],
    columns_of: Callable[[str], Columns | None],
    table: dict[str, Row],
) -> Listing:
    pictures, unmatched, found = [], 0, 0
    for path, file, stamp in files:
        from_path = columns_of(path)
        row = table.get(path)
        unmatched += from_path is None
        found += row is not None
        columns = {**(from_path or {}), **(row.columns if row else {})}
        pictures.append(Picture(path, Path(file), columns, stamp))
    names = frozenset(name for picture in pictures for name in picture.columns)
    return Listing(folder, tuple(pictures), names, unmatched, len(table) - found)


def _files(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (path, file, stamp) of each picture; real folders first, then those behind links."""
    seen: set[tuple[int, int]] = set()
    folders, links = deque([str(folder)]), deque[str]()
    while folders or links:
        current = folders.popleft() if folders else links.popleft()
        for entry in _entries(current, seen):
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(entry.path)
            elif entry.name.lower().endswith(SUFFIXES):
                stamp = _stamp(entry)
                if stamp is not None:
                    yield _spelt(entry.path[len(str(folder)) :].lstrip("/")), entry.path, stamp


def _entries(folder: str, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, ordered, unless it has been seen."""
    try:
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:
            return []
        seen.add((about.st_dev, about.st_ino))
        with os.scandir(folder) as entries:
            ours = (entry for entry in entries if not entry.name.startswith(".") and entry.name not in _NOT_OURS)
            return sorted(ours, key=lambda entry: entry.name)
    except OSError as error:
        # leaving it out would look as if its pictures were gone, and take them out of the index
        message = f"{_spelt(folder)}: the folder cannot be read ({error.strerror}); nothing was changed."
        raise DataError(message, slug="gallery-unreadable") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes round in circles: a picture that cannot be read
        return False


def _stamp(entry: os.DirEntry[str]) -> str | None:
    """Return the stamp; empty where there is none to be had, None where this is no file."""
    try:
        about = entry.stat()
    except FileNotFoundError:
        return "" if entry.is_symlink() else None  # a broken link is told; a file that just went is not
    except OSError:
        return ""
    return f"{about.st_size}:{about.st_mtime_ns}:{about.st_ctime_ns}" if stat.S_ISREG(about.st_mode) else None


def _spelt(path: str) -> str:
    return path if path.isascii() else os.fsencode(path).decode("utf-8", "backslashreplace")
