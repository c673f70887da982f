#!/usr/bin/env python
"""Measure what an item takes in Elasticsearch, for each type of vectors, and compare with the formula.

    tools/measure_sizes.py --items 5000 --dim 256

A server with temporary data is started and ended. Items are like those of the sample gallery, vectors are
random; each index is merged into one segment. The table goes to standard output as Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

import numpy as np  # noqa: E402  (the root and src must be on the path first)
from elasticsearch import Elasticsearch  # noqa: E402

from tools import sizing  # noqa: E402
from tools.elasticsearch.cluster import VERSIONS, Cluster, Failed, Missing  # noqa: E402
from visualsearch.datatypes import Item, Source  # noqa: E402
from visualsearch.stages.writing import item_id  # noqa: E402
from visualsearch.stores.elasticsearch import ElasticsearchShelf  # noqa: E402

LABELS = 16
INSTANCES = 8


@dataclass(frozen=True)
class Measured:
    """Bytes of an item, all of them and where they lie."""

    total: float
    vector: float
    source: float
    """The document as it was given, compressed, with its id."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every type and print the table; 4 where no server starts."""
    given = parser().parse_args(arguments)
    try:
        with Cluster(given.version) as cluster:
            found = {kind: measured(cluster.addresses, kind, given.items, given.dim) for kind in sizing.KINDS}
    except (Missing, Failed) as error:
        print(error, file=sys.stderr)
        return 4
    print("\n".join(rows(found, given.dim)))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--items", type=int, default=5000, help="how many are written; default: %(default)s")
    made.add_argument("--dim", type=int, default=256, help="of the vectors; default: %(default)s")
    made.add_argument("--version", choices=VERSIONS, default=VERSIONS[0], help="of the server; default: %(default)s")
    return made


def measured(hosts: Sequence[str], kind: str, items: int, dim: int) -> Measured:
    """Write an index, merge it, and ask the server what it takes."""
    name = f"measured-{kind.replace('_', '-')}"
    shelf = ElasticsearchShelf(ElasticsearchShelf.Options(hosts=tuple(hosts), index=name, type=kind), Path("/"))
    with Elasticsearch(list(hosts), request_timeout=600) as client:
        store = shelf.begin("measured", dim)
        vectors = np.random.default_rng(0).standard_normal((items, dim)).astype(np.float32)
        store.upsert(
            [_item(number) for number in range(items)], vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        )
        shelf.publish(store)
        alias = f"visualsearch-{name}"
        client.indices.forcemerge(index=alias, max_num_segments=1)
        client.indices.flush(index=alias, force=True)
        [index] = client.indices.get_alias(name=alias)
        used = client.indices.disk_usage(index=alias, run_expensive_tasks=True)[index]
        total = client.indices.stats(index=alias, metric="store")["_all"]["primaries"]["store"]["size_in_bytes"]
        client.indices.delete(index=f"{index},{alias}-state")
    fields = used["fields"]
    return Measured(
        total=total / items,
        vector=fields["vector"]["knn_vectors_in_bytes"] / items,
        source=used["all_fields"]["stored_fields_in_bytes"] / items,
    )


def _item(number: int) -> Item:
    """Return an item like those of the sample: 16 labels, 8 pictures of each thing."""
    thing, view = divmod(number, INSTANCES)
    label = f"label{thing % LABELS:02}"
    columns = {"label": label, "instance": f"{label}-{thing}", "view": str(view)}
    content, look = (hashlib.sha256(f"{what} {number}".encode()).hexdigest() for what in ("content", "look"))
    path = f"{label}/{label}-{thing}-{view}.jpg"
    moment = 1_700_000_000_123_456_789 + 1_234_567_891 * number
    source = Source(content, f"{10_000 + number}:{moment}:{moment}", look)
    return Item(item_id(path, 0), path, columns, (label,), source)


def rows(found: dict[str, Measured], dim: int) -> list[str]:
    """Return the table: formula, measurement and deviation for each type."""
    lines = [
        "| type | a vector by the formula | measured | deviation | `_source` | all beside the vector | an item, all |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, one in found.items():
        formula = sizing.vector_disk(kind, dim)
        off = one.vector / formula - 1
        cells = (f"{one.vector:,.0f}", f"{off:+.1%}", f"{one.source:,.0f}", f"{one.total - one.vector:,.0f}")
        lines.append(f"| `{kind}` | {formula:,} | {' | '.join(cells)} | {one.total:,.0f} |".replace("%", " %"))
    return lines


if __name__ == "__main__":
    sys.exit(main())
