"""The frozen layers' activations, computed once and kept on disk while a classifier is trained."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.augment import augment, shrunk
from visualsearch.classifiers.contract import Example
from visualsearch.classifiers.split import Rows
from visualsearch.datatypes import Crop
from visualsearch.errors import EngineError
from visualsearch.progress import Progress

CHUNK = 32
"""Crops in one forward pass."""

LARGEST = float(np.finfo(np.float16).max)

Outputs = Callable[[Sequence[Crop]], list[NDArray[np.float32]]]
"""Crops → one array for each kept layer, (n, ...)."""


@dataclass(frozen=True, slots=True)
class Activations:
    """Layers of all copies of all examples, in half precision.

    ``layers`` are (rows, ...) arrays on disk; example i has the rows from ``first[i]`` to
    ``first[i] + copies[i]``, the picture as it is before its augmented copies.
    """

    layers: tuple[NDArray[np.float16], ...]
    first: Rows
    copies: Rows

    def read(self, layer: int, examples: Rows, rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Return a layer for ``examples``: a copy drawn by ``rng``, or the picture as it is."""
        drawn = self.first[examples]
        if rng is not None:
            drawn = drawn + rng.integers(0, self.copies[examples])
        return self.layers[layer][drawn].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Budget:
    """What fits on disk: so many augmented copies of so many examples."""

    copies: int
    examples: int


def affordable(examples: int, copies: int, row_bytes: int, bound_bytes: int) -> Budget:
    """Return what fits within the bound: fewer copies first, then fewer examples.

    >>> affordable(examples=100, copies=2, row_bytes=10, bound_bytes=2000)
    Budget(copies=1, examples=100)
    >>> affordable(examples=100, copies=2, row_bytes=10, bound_bytes=500)
    Budget(copies=0, examples=50)
    """
    rows = bound_bytes // row_bytes
    fits = min(copies, rows // max(examples, 1) - 1)
    return Budget(fits, examples) if fits >= 0 else Budget(0, rows)


@contextmanager
def activations(
    examples: Sequence[Example],
    copies: Rows,
    crop_of: Callable[[Example], Crop],
    outputs: Outputs,
    side: int,
    folder: Path,
    seed: int,
    progress: Progress,
) -> Iterator[Activations]:
    """Compute the layers of each example and ``copies[i]`` augmented copies, and keep them in ``folder``.

    The files have no name where the system allows it: they are gone with the block, however it ends.

    Raises:
        EngineError: the disk is full.
    """
    counts = copies + 1
    first = np.cumsum(counts) - counts
    crops = chain.from_iterable(
        _versions(crop_of(example), int(n), side, np.random.default_rng((seed, i)))
        for i, (example, n) in enumerate(zip(examples, copies, strict=True))
    )
    total = int(counts.sum())
    with ExitStack() as stack:
        spools: list[_Spool] = []
        for done in range(0, total, CHUNK):
            arrays = outputs(list(islice(crops, CHUNK)))
            spools = spools or [_Spool(folder, array.shape[1:], stack) for array in arrays]
            for spool, array in zip(spools, arrays, strict=True):
                spool.append(array)
            progress("activations", min(total, done + CHUNK), total)
        yield Activations(tuple(spool.array() for spool in spools), first, counts)


def _versions(crop: Crop, copies: int, side: int, rng: np.random.Generator) -> list[Crop]:
    if not copies:
        return [crop]
    small = shrunk(crop.pixels, side)
    return [crop, *(Crop(augment(small, rng)) for _ in range(copies))]


class _Spool:
    """A nameless file of rows, written from the start to the end and then mapped.

    Writing, unlike storing into a map, tells of a full disk with an error that can be caught.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], stack: ExitStack) -> None:
        self._folder, self._shape, self._rows = folder, shape, 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file: IO[bytes] = tempfile.TemporaryFile(dir=folder, prefix="activations-")  # noqa: SIM115
        except OSError as error:
            raise self._refused(error) from error
        self._file = stack.enter_context(file)

    def append(self, rows: NDArray[np.float32]) -> None:
        try:
            self._file.write(np.clip(rows, -LARGEST, LARGEST).astype(np.float16).tobytes())
        except OSError as error:
            raise self._refused(error) from error
        self._rows += len(rows)

    def array(self) -> NDArray[np.float16]:
        try:
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error
        return np.memmap(self._file, np.float16, "r", shape=(self._rows, *self._shape))

    def _refused(self, error: OSError) -> EngineError:
        message = f"{self._folder}: the activations cannot be kept: {error.strerror}: free space, or lower classifier.cache_gib."
        return EngineError(message, slug="disk")
