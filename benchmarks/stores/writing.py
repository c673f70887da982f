"""How fast documents are written: by the store, by the bare client, by the embedded store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from elasticsearch.helpers import parallel_bulk

from benchmarks.stores.server import Bench, say
from benchmarks.stores.vectors import DIM, Gallery
from visualsearch.stores.contract import Store
from visualsearch.stores.elasticsearch_catalogue import loading
from visualsearch.stores.elasticsearch_mapping import document, document_id, index_body
from visualsearch.stores.elasticsearch_options import ElasticsearchOptions
from visualsearch.stores.elasticsearch_store import ElasticsearchStore

PAGE = 1_000
"""Items that `visualsearch copy` writes in one call."""

NAME = "bulk"
BARE, STORE = "bare client, `parallel_bulk`", "store, one call"
Row = dict[str, Any]


def writing(bench: Bench) -> list[Row]:
    """Return a row for each way to write the same documents into an empty index until they can be searched."""
    size = min(bench.bulk, len(bench.made.vectors))
    ready = list(actions(bench.made, size))
    ways: dict[tuple[str, str], Callable[[], float]] = {}
    for kind in bench.types:
        ways[BARE, kind] = partial(bare, bench, kind, ready)
        ways[STORE, kind] = partial(product, bench, kind, size, size)
        ways[f"store, calls of {PAGE:,}", kind] = partial(product, bench, kind, size, PAGE)
    ways[f"embedded store, calls of {PAGE:,}", ""] = partial(embedded, bench, size)
    rows = [{"written by": name, "type": kind, "items/s": list[float]()} for name, kind in ways]
    say(f"writing {size:,} vectors in {len(ways)} ways, {bench.repetitions} times")
    for repetition in range(bench.repetitions):
        for number, (row, way) in enumerate(zip(rows, ways.values(), strict=True), 1):
            before = bench.bulk_bytes()
            row["items/s"].append(size / way())
            row["bytes/item"] = (bench.bulk_bytes() - before) / size
            say(f"{row['written by']} {row['type']}: {row['items/s'][-1]:,.0f} items/s")
            bench.progress("writing anew", repetition * len(ways) + number, bench.repetitions * len(ways))
    return rows


def actions(made: Gallery, size: int) -> Iterator[dict[str, Any]]:
    """Yield what the bare client is given: the store's own documents, ready, with vectors as lists of numbers."""
    for item, vector in zip(made.items(0, size), made.vectors[:size].tolist(), strict=True):
        yield {"_id": document_id(item.id), **document(item), "vector": vector}


def bare(bench: Bench, kind: str, ready: list[dict[str, Any]]) -> float:
    """Return the seconds of `parallel_bulk` with the store's mapping, settings, bytes in a request, and threads."""
    options, index, body = ElasticsearchOptions(), bench.index(NAME), index_body(DIM, kind, 1, {})
    body["settings"] |= loading(options.loading_replicas)
    bench.client.indices.create(index=index, **body)
    bounds = {"thread_count": options.in_flight, "max_chunk_bytes": options.bulk_mib << 20, "chunk_size": len(ready)}
    start = time.perf_counter()
    for _ in parallel_bulk(bench.client, ready, index=index, **bounds):
        pass  # it raises where a document is refused
    bench.client.indices.refresh(index=index)
    taken = time.perf_counter() - start
    all_there(bench.client.count(index=index)["count"], len(ready))
    bench.remove(NAME)
    return taken


def product(bench: Bench, kind: str, size: int, page: int) -> float:
    """Return the seconds of the Elasticsearch store in calls of ``page`` items, as it makes the documents itself."""
    store = bench.shelf(NAME, kind).begin("benchmark", DIM)
    assert isinstance(store, ElasticsearchStore)
    with closing(store):
        taken = timed(bench, store, size, page, store.refresh)
        all_there(store.count(), size)
    bench.remove(NAME)
    return taken


def embedded(bench: Bench, size: int) -> float:
    """Return the seconds of the embedded store, whose calls return when all is on the disk."""
    with closing(bench.embedded(f"bulk-{time.monotonic_ns()}").begin("benchmark", DIM)) as store:
        taken = timed(bench, store, size, PAGE, lambda: None)
        all_there(store.count(), size)
    return taken


def timed(bench: Bench, store: Store, size: int, page: int, finish: Callable[[], None]) -> float:
    """Return the seconds of writing so many items."""
    items, vectors = bench.made.items(0, size), bench.made.vectors
    start = time.perf_counter()
    for first in range(0, size, page):
        some = items[first : first + page]
        store.upsert(some, vectors[first : first + len(some)])
    finish()
    return time.perf_counter() - start


def all_there(found: int, size: int) -> None:
    """Refuse to compare what did not write everything."""
    if found != size:
        raise SystemExit(f"{found:,} items were written instead of {size:,}")
