"""What every store asks of vectors before it takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Matrix
from visualsearch.errors import EngineError

TOLERANCE = 0.01
"""How far a length may be from 1: room for vectors that were kept in half precision."""


def unit_rows(vectors: NDArray[np.floating], dim: int, rows: int | None = None) -> Matrix:
    """Return ``vectors`` as contiguous float32, (rows, dim).

    Raises:
        EngineError: another shape, or a row that is not of unit length (``store-vectors``).
    """
    matrix = np.ascontiguousarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[1] != dim or rows not in (None, len(matrix)):
        expected = f"({'n' if rows is None else rows}, {dim})"
        message = f"store: expected vectors of shape {expected}, received {matrix.shape}: "
        raise EngineError(message + "index again with the extractor that searches.", slug="store-vectors")
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    wrong = ~(np.abs(lengths - 1) <= TOLERANCE)  # true of NaN too
    if wrong.any():
        row = int(np.argmax(wrong))
        message = f"store: expected vectors of length 1, received length {lengths[row]} in row {row}: "
        raise EngineError(message + "the extractor must normalise what it returns.", slug="store-vectors")
    return matrix


def unit_enough(vectors: Matrix) -> Matrix:
    """Return vectors that a server takes for unit ones: their squared length is within 5e-5 of 1.

    Those that are already are left as they are, to the bit.
    """
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    off = np.abs(squares - 1) > 5e-5
    if not off.any():
        return vectors
    made = vectors.copy()
    made[off] = (vectors[off] / np.sqrt(squares[off, None])).astype(np.float32)
    return made
