"""Embeddings of query pictures, kept beside the model so that a second run embeds nothing."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from visualsearch.datatypes import Matrix, Vector
from visualsearch.files import replacing

STAGES = ("decode", "crop", "embed")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was computed for one picture; ``timings_ms`` are those of ``STAGES``, when it was."""

    vector: Vector
    probabilities: Vector
    timings_ms: Vector


@dataclass(slots=True)
class QueryMemo:
    """Remembers pictures by file and stamp, for one model: another ``key`` starts empty."""

    path: Path
    key: str
    entries: dict[str, Remembered] = field(default_factory=dict)
    grown: bool = False

    @classmethod
    def open(cls, path: Path, key: str) -> QueryMemo:
        """Read the memo; what is damaged or of another model is simply computed again."""
        memo = cls(path, key)
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as kept:
                if str(kept["key"]) == key:
                    rows = zip(kept["stamps"], kept["vectors"], kept["probabilities"], kept["timings"], strict=True)
                    memo.entries = {str(stamp): Remembered(*row) for stamp, *row in rows}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            memo.entries = {}
        return memo

    def add(self, stamp: str, vector: Vector, probabilities: Vector, timings_ms: Sequence[float]) -> None:
        """Remember one picture."""
        self.entries[stamp] = Remembered(vector, probabilities, np.asarray(timings_ms, np.float32))
        self.grown = True

    def save(self) -> None:
        """Write the memo if anything was added."""
        if not self.grown:
            return
        entries = list(self.entries.values())
        with replacing(self.path) as part:
            np.savez(
                part,
                key=np.array(self.key),
                stamps=np.array(list(self.entries)),
                vectors=stacked([one.vector for one in entries]),
                probabilities=stacked([one.probabilities for one in entries]),
                timings=stacked([one.timings_ms for one in entries]),
            )
        self.grown = False


def stacked(rows: Sequence[Vector]) -> Matrix:
    """Return the rows as one matrix; without rows, an empty one."""
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, 0), np.float32)
