#!/usr/bin/env python
"""How large an index in Elasticsearch becomes: bytes of an item by type, shards, disk and nodes.

    tools/sizing.py --items 5e6 --dim 512 --replicas 2

The formulas for vectors are those of Elasticsearch's guide "Tune approximate kNN search"; what an
item takes beside its vector was measured by tools/measure_sizes.py, and is yours to measure.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

KINDS = ("flat", "hnsw", "int8_flat", "int8_hnsw")
"""Values of `store.type`."""

GRAPH_BYTES = 4 * 16
"""Of a vector's edges in a graph: 4 · m, with the server's m of 16."""

ITEM_BYTES = 450
"""Of an item beside its vector: `_source`, id, path, columns, buckets, hashes."""

SHARD_BYTES, SHARD_ITEMS = 50e9, 200e6
"""A shard should be no larger."""

VERSIONS = 3
"""Of the index on the disk while it is rebuilt: the live one, the one before it, the one being filled."""

FULL = 0.85
"""Share of a disk beyond which the server puts no further shards on it, the low watermark."""

NODE_CACHE_BYTES = 32e9
"""Page cache of a node with 64 GB of memory, half of which is heap and the rest of the system."""


def vector_hot(kind: str, dim: int) -> int:
    """Return the bytes of one vector that searches read, and that the page cache should hold.

    >>> [vector_hot(kind, 256) for kind in KINDS]
    [1024, 1088, 260, 324]
    """
    return _compared(kind, dim) + _graph(kind)


def vector_disk(kind: str, dim: int) -> int:
    """Return the bytes of one vector on the disk: beside a quantised one the float32 are kept too.

    >>> [vector_disk(kind, 256) for kind in KINDS]
    [1024, 1088, 1284, 1348]
    """
    quantised = _compared(kind, dim) if kind.startswith("int8") else 0
    return 4 * dim + quantised + _graph(kind)


def _compared(kind: str, dim: int) -> int:
    """Return the bytes that a comparison reads: float32, or a byte for each dimension and a float32 to correct it."""
    return dim + 4 if kind.startswith("int8") else 4 * dim


def _graph(kind: str) -> int:
    return GRAPH_BYTES if kind.endswith("hnsw") else 0


@dataclass(frozen=True)
class Size:
    """What an index takes; disk and cache of one copy, without replicas."""

    hot: float
    disk: float
    shards: int
    cluster_disk: float
    """With replicas, while it is rebuilt, on disks that are no fuller than FULL."""
    nodes: int
    """That hold the hot bytes of all copies, of NODE_CACHE_BYTES each; with replicas never fewer than three."""


def size(items: float, kind: str, dim: int, replicas: int = 1, item_bytes: float = ITEM_BYTES) -> Size:
    """Return what an index of so many items takes.

    >>> size(100e6, "flat", 256)
    Size(hot=102400000000.0, disk=147400000000.0, shards=3, cluster_disk=1040470588235.2942, nodes=7)
    """
    copies = 1 + replicas
    hot = items * vector_hot(kind, dim)
    disk = items * (vector_disk(kind, dim) + item_bytes)
    return Size(
        hot=hot,
        disk=disk,
        shards=math.ceil(max(disk / SHARD_BYTES, items / SHARD_ITEMS)),
        cluster_disk=disk * copies * VERSIONS / FULL,
        nodes=max(3 if replicas else 1, math.ceil(hot * copies / NODE_CACHE_BYTES)),
    )


COLUMNS: dict[str, Callable[[Size], str]] = {
    "page cache, one copy": lambda one: written(one.hot),
    "disk, one copy": lambda one: written(one.disk),
    "shards": lambda one: f"{one.shards:,}",
    "disk of the cluster": lambda one: written(one.cluster_disk),
    "nodes of 64 GB": lambda one: f"{one.nodes:,}",
}


def table(items: Sequence[float], dims: Sequence[int], replicas: int = 1, item_bytes: float = ITEM_BYTES) -> str:
    """Return the sizes as a table in Markdown."""
    lines = [f"| items | dimensions | type | {' | '.join(COLUMNS)} |", "|--:|--:|---|" + "--:|" * len(COLUMNS)]
    for number in items:
        for dim in dims:
            for kind in KINDS:
                cells = [cell(size(number, kind, dim, replicas, item_bytes)) for cell in COLUMNS.values()]
                lines.append(f"| {_number(number)} | {dim:,} | `{kind}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def written(amount: float) -> str:
    """Write bytes in powers of 1,000.

    >>> written(400), written(14_240_000_000), written(1.42e12), written(2.6e9)
    ('400 B', '14 GB', '1.4 TB', '2.6 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:.1f} {unit}" if amount < 9.95 and unit != "B" else f"{amount:,.0f} {unit}"
        amount /= 1000
    raise AssertionError


def _number(items: float) -> str:
    """Write a number of items.

    >>> _number(10e6), _number(2.5e6), _number(1e9), _number(40_000)
    ('10 million', '2.5 million', '1 billion', '40,000')
    """
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if items >= unit:
            return f"{items / unit:g} {name}"
    return f"{items:,.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table for the given numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=float, nargs="+", default=[10e6, 100e6, 1e9], help="pictures, or faces")
    parser.add_argument("--dim", type=int, nargs="+", default=[256], help="of the vectors; default: 256")
    parser.add_argument("--replicas", type=int, default=1, help="of each shard; default: %(default)s")
    parser.add_argument(
        "--item-bytes", type=float, default=ITEM_BYTES, help="of an item beside its vector; default: %(default)s"
    )
    given = parser.parse_args(arguments)
    print(table(given.items, given.dim, given.replicas, given.item_bytes), end="")


if __name__ == "__main__":
    main()
