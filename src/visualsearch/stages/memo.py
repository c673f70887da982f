"""Embeddings of query pictures, kept beside the model so that a second run embeds nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualsearch.arrays import read_arrays
from visualsearch.datatypes import Box, Matrix, Vector
from visualsearch.files import replacing

STAGES = ("decode", "crop", "embed")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was computed for one picture; ``timings_ms`` are those of ``STAGES``, when it was."""

    vector: Vector
    probabilities: Vector
    timings_ms: Vector
    box: Box | None = None


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
        columns = ("vectors", "probabilities", "timings", "boxes")
        memo, kept = cls(path, key), read_arrays(path, ("key", "stamps", *columns))
        if kept is None or str(kept["key"]) != key:
            return memo
        try:
            rows = zip(*(kept[column] for column in columns), strict=True)
            entries = (Remembered(v, p, timings_ms, _box(edges)) for v, p, timings_ms, edges in rows)
            memo.entries = dict(zip(map(str, kept["stamps"]), entries, strict=True))
        except (ValueError, TypeError):
            memo.entries = {}
        return memo

    def add(
        self, stamp: str, vector: Vector, probabilities: Vector, timings_ms: Sequence[float], box: Box | None
    ) -> None:
        """Remember one picture, and where in it the crop lies."""
        self.entries[stamp] = Remembered(vector, probabilities, np.asarray(timings_ms, np.float32), box)
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
                boxes=np.array([one.box or (0, 0, 0, 0) for one in entries], np.int64),
            )
        self.grown = False


def _box(edges: NDArray[np.int64]) -> Box | None:
    """Return the box of four edges; all of a picture is kept as four zeros."""
    left, top, right, bottom = map(int, edges)
    return (left, top, right, bottom) if right else None


def stacked(rows: Sequence[Vector]) -> Matrix:
    """Return the rows as one matrix; without rows, an empty one."""
    return np.stack(rows).astype(np.float32) if rows else np.empty((0, 0), np.float32)
