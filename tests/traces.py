"""What can be read from the files of a folder, packed ones included: to look for what must not be there any more."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

from visualsearch.datatypes import Vector


def spellings(name: str) -> list[bytes]:
    """Return a name as bytes, in the encodings in which programs write."""
    return [name.encode("utf-8"), name.encode("utf-16-le"), name.encode("utf-16-be")]


def bits(vector: Vector) -> list[bytes]:
    """Return a vector as bytes, in the precisions in which programs write; half of it is enough to be found."""
    half = vector[: max(4, len(vector) // 2)]
    return [half.astype(kind).tobytes() for kind in ("<f4", "<f2", "<f8", ">f4")]


def traces(folder: Path, wanted: Collection[bytes]) -> list[str]:
    """Return where one of ``wanted`` stands below ``folder``: in a path, a file or a member of an archive."""
    found = [f"the name {path}" for path in folder.rglob("*") if any(one in bytes(path) for one in wanted)]
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            parts = _unpacked(path.name, path.read_bytes())
            found += [name for name, data in parts if any(one in data for one in wanted)]
    return found


def _unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield name, data
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield f"{name}/{member}", member.encode() + b"\n" + archive.read(member)
