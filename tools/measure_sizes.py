#!/usr/bin/env python
"""Measure what an item takes in Elasticsearch, for each type of vectors, and compare with the formula.

    tools/measure_sizes.py --items 5000 --dim 256

A server with temporary data is started and ended. Items are like those of the sample gallery, vectors are
random; each index is merged into one segment. The table goes to standard output as Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
import time
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

LABELS, INSTANCES = 16, 8
PARTS = 4
"""How many segments are written at least, so that there is something to merge."""

VECTOR_FILES, SOURCE_FILES = "ve", "fd"
"""How the endings of Lucene's files begin: of vectors, quantised ones and graphs; of stored fields."""


@dataclass(frozen=True)
class Measured:
    """Bytes of an item."""

    vector: float
    source: float
    """The document, compressed, with its id; from here on all but the last of merged segments."""
    total: float
    written: float
    """All of an item before a merge: its JSON, vector included, is kept until then in case a replica asks for it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every type and print the table; 4 where no server starts."""
    given = parser().parse_args(arguments)
    try:
        with Cluster(given.version) as cluster:
            found = measured(cluster.addresses, given.items, given.dim)
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


def measured(
    hosts: Sequence[str], items: int, dim: int, kinds: Sequence[str] = sizing.KINDS, history_s: float = 90
) -> dict[str, Measured]:
    """Write an index of each type, ask the server what it takes, merge it, ask again, and remove it.

    Args:
        hosts: addresses of the server.
        items: how many are written.
        dim: of their vectors.
        kinds: the types.
        history_s: how long to wait at most until the server lets go what it keeps for replicas.
    """
    with Elasticsearch(list(hosts), request_timeout=600) as client:
        indices = {kind: _write(client, hosts, kind, items, dim) for kind in kinds}
        written = {kind: _store_bytes(client, index) for kind, index in indices.items()}
        _let_history_go(client, list(indices.values()), history_s)
        made = {kind: _merged(client, index, items, written[kind]) for kind, index in indices.items()}
        states = [index.removesuffix("-v1") + "-state" for index in indices.values()]
        client.indices.delete(index=[*indices.values(), *states])
    return made


def _write(client: Elasticsearch, hosts: Sequence[str], kind: str, items: int, dim: int) -> str:
    """Write an index through the product's own store and return its name."""
    name = f"measured-{kind.replace('_', '-')}-{secrets.token_hex(4)}"
    shelf = ElasticsearchShelf(ElasticsearchShelf.Options(hosts=tuple(hosts), index=name, type=kind), Path("/"))
    vectors = np.random.default_rng(0).standard_normal((items, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = shelf.begin("measured", dim)
    for rows in np.array_split(np.arange(items), PARTS):
        store.upsert([_item(int(row)) for row in rows], vectors[rows])
        client.indices.refresh(index=f"visualsearch-{name}-next")
    shelf.publish(store)
    [index] = client.indices.get_alias(name=f"visualsearch-{name}")
    client.indices.flush(index=index, force=True)
    return str(index)


def _merged(client: Elasticsearch, index: str, items: int, written: int) -> Measured:
    client.indices.put_settings(index=index, settings={"index.compound_format": False})  # one file for each thing
    client.indices.forcemerge(index=index, max_num_segments=1)
    client.indices.flush(index=index, force=True)
    asked = client.indices.stats(index=index, metric="segments", include_segment_file_sizes=True)
    files = asked["_all"]["primaries"]["segments"]["file_sizes"]

    def size_of(beginning: str) -> float:
        return sum(file["size_in_bytes"] for kind, file in files.items() if kind.startswith(beginning)) / items

    return Measured(size_of(VECTOR_FILES), size_of(SOURCE_FILES), _store_bytes(client, index) / items, written / items)


def _store_bytes(client: Elasticsearch, index: str) -> int:
    return int(client.indices.stats(index=index, metric="store")["_all"]["primaries"]["store"]["size_in_bytes"])


def _let_history_go(client: Elasticsearch, indices: Sequence[str], seconds: float) -> None:
    """Wait until no copy may ask for the operations any more, which the server looks at twice a minute."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not all(_without_history(client, index) for index in indices):
        time.sleep(1)
    client.indices.flush(index=list(indices), force=True)


def _without_history(client: Elasticsearch, index: str) -> bool:
    [[shard]] = client.indices.stats(index=index, level="shards")["indices"][index]["shards"].values()
    kept_from = min(lease["retaining_seq_no"] for lease in shard["retention_leases"]["leases"])
    return bool(kept_from > shard["seq_no"]["max_seq_no"])


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
        "| type | a vector by the formula | measured | deviation | `_source` | all beside the vector | an item, all | "
        "before a merge |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for kind, one in found.items():
        formula = sizing.vector_disk(kind, dim)
        off = f"{one.vector / formula - 1:+.1%}".replace("%", " %")
        beside = one.total - one.vector
        cells = [f"{number:,.0f}" for number in (one.source, beside, one.total, one.written)]
        lines.append(f"| `{kind}` | {formula:,} | {one.vector:,.0f} | {off} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
