"""Arrays in one file, which is whole or not there; what is damaged is as good as none."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.files import erasing, replacing


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays, numbers and texts by name; what the file was before is overwritten.

    Raises:
        EngineError: the file cannot be written.
    """
    kept: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    with erasing(path), replacing(path) as part:
        np.savez(part, **kept)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]] | None:
    """Return all arrays of a file; None where there is none, it is damaged, or it lacks one of these names."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return arrays if arrays.keys() >= set(names) else None
