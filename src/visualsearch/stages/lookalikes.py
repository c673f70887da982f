"""Which pictures of a gallery are near-duplicates of which."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from visualsearch.datatypes import Item
from visualsearch.images import ALIKE_BITS, looks_alike

CHUNK = 2048


def near_duplicates(looks: Mapping[str, str]) -> dict[str, list[str]]:
    """Return, for each path, the other paths whose look is alike.

    All pairs are compared by one matrix product: with bits as ±1, two rows of 256 agree in
    (256 + their dot product) / 2 places.

    >>> near_duplicates({"a": "0f" * 32, "b": "0f" * 31 + "0e", "c": "f0" * 32})
    {'a': ['b'], 'b': ['a'], 'c': []}
    """
    paths = [path for path, seen in looks.items() if seen]
    twins: dict[str, list[str]] = {path: [] for path in looks}
    if not paths:
        return twins
    packed = np.frombuffer(bytes.fromhex("".join(looks[path] for path in paths)), np.uint8).reshape(len(paths), -1)
    signs = np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1
    enough = signs.shape[1] - 2 * ALIKE_BITS
    for start in range(0, len(paths), CHUNK):
        rows, others = np.nonzero(signs[start : start + CHUNK] @ signs.T >= enough)
        for row, other in zip((rows + start).tolist(), others.tolist(), strict=True):
            if row != other and looks_alike(looks[paths[row]], looks[paths[other]]):
                twins[paths[row]].append(paths[other])
    return twins


def same_picture(one: Item, other: Item) -> bool:
    """Tell whether two items are of one picture, or of near-duplicates."""
    return one.path == other.path or looks_alike(one.source.look, other.source.look)
