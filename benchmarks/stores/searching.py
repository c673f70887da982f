"""How long searches take, and what they find: routed, exhaustive, along a graph."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.stores.server import TYPES, Bench, say
from benchmarks.stores.vectors import BUCKETS, DIM, Gallery, K
from visualsearch.calibration.promises import Promise
from visualsearch.datatypes import Found
from visualsearch.embedder import Embedded
from visualsearch.stages.retrieval import retrieve
from visualsearch.stages.searching import Request, Searcher
from visualsearch.stores.contract import Shelf, Store

CANDIDATES = (100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000)
ENOUGH = 0.99
EXHAUSTIVE, GRAPH = "exhaustive, `flat`", "whole `hnsw`"
SLICE = 20_000
"""Items in one call while an index is filled."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One way to search; ``routed`` says which truth it is held against."""

    name: str
    routed: bool
    find: Callable[[int], Found]
    segments: int | None = None


def searching(bench: Bench, merged: bool = True) -> tuple[dict[str, list[Row]], dict[str, float]]:
    """Return the rows of all searches for each state of the indices, and how many items/s each store took in.

    ``merged`` measures them once more with a single segment.
    """
    shelves: dict[str, Shelf] = {kind: bench.shelf(kind, kind) for kind in bench.types}
    states = dict[str, list[Row]]()
    with ExitStack() as opened:
        filled = {
            name: fill(bench, shelf, name) for name, shelf in (*shelves.items(), ("embedded", bench.embedded("e")))
        }
        stores = {name: opened.enter_context(closing(store)) for name, (store, _) in filled.items()}
        for state, whole in (("as loaded", False), ("merged to one segment", True))[: 1 + merged]:
            say(f"searching, indices {state}")
            segments = {kind: bench.settled(kind, whole) for kind in bench.types}
            states[state] = measured(bench, [*cases(bench, stores, segments, opened)])
    return states, {name: rate for name, (_, rate) in filled.items()}


def fill(bench: Bench, shelf: Shelf, what: str) -> tuple[Store, float]:
    """Write and publish everything; return the live store, and the items/s that were written."""
    size, taken, store = len(bench.made.vectors), 0.0, shelf.begin("benchmark", DIM)
    say(f"writing {size:,} vectors: {what}")
    for start in range(0, size, SLICE):
        items = bench.made.items(start, min(start + SLICE, size))
        begun = time.perf_counter()
        store.upsert(items, bench.made.vectors[start : start + SLICE])
        taken += time.perf_counter() - begun
        bench.progress(f"writing: {what}", start + len(items), size)
    say(f"{what}: {size / taken:,.0f} items/s")
    shelf.publish(store)
    live = shelf.live()
    assert live is not None
    return live, size / taken


def cases(bench: Bench, stores: dict[str, Store], segments: dict[str, int], opened: ExitStack) -> Iterator[Case]:
    """Yield the ways to search, first the one that all are compared with."""
    made = bench.made
    for kind in (kind for kind in TYPES if kind in stores and kind != "hnsw"):
        yield Case(f"routed, `{kind}`", True, finder(stores[kind], made, True), segments[kind])
        yield Case(f"exhaustive, `{kind}`", False, finder(stores[kind], made, False), segments[kind])
    if "hnsw" in stores:
        yield Case("routed, `hnsw`", True, finder(stores["hnsw"], made, True), segments["hnsw"])
        for case in along_the_graph(bench, opened):
            yield replace(case, segments=segments["hnsw"])
    yield Case("routed, embedded store", True, finder(stores["embedded"], made, True))
    yield Case("exhaustive, embedded store", False, finder(stores["embedded"], made, False))


def along_the_graph(bench: Bench, opened: ExitStack) -> Iterator[Case]:
    """Yield the whole-index search with the fewest candidates, and the first that agrees well enough."""
    for candidates in CANDIDATES:
        store = bench.shelf("hnsw", "hnsw", num_candidates=candidates).live()
        assert store is not None
        opened.enter_context(closing(store))
        case = Case(f"{GRAPH}, `num_candidates` {candidates}", False, finder(store, bench.made, False))
        agreed = agreement(bench, case)
        say(f"{case.name}: agreement {agreed:.3f}")
        if agreed >= ENOUGH or candidates in (CANDIDATES[0], CANDIDATES[-1]):
            yield case
        if agreed >= ENOUGH:
            return


def finder(store: Store, made: Gallery, routed: bool) -> Callable[[int], Found]:
    """Return what the product does for a query from the embedding on; the route is the one bucket of the query."""
    embedder: Any = SimpleNamespace(buckets=made.labels)
    cropper: Any = None
    promise = Promise("bucket", 0.9, 9, 9, np.full(BUCKETS, 0.5))
    searcher = Searcher(store, cropper, embedder, promise, ladder=(), at_most=1.0, model="", unrouted="")
    request, certain = Request(K, exhaustive=not routed), np.eye(BUCKETS, dtype=np.float32)

    def find(query: int) -> Found:
        embedded = Embedded(made.queries[query : query + 1], certain[made.asked[query : query + 1]])
        reach = searcher.reach(request)
        return retrieve(store, embedded, searcher.plans(embedded, request, reach.router), reach)[0].found

    return find


def agreement(bench: Bench, case: Case) -> float:
    """Return the mean agreement with brute force over the queries."""
    queries = range(len(bench.made.queries))
    return float(np.mean([bench.truth.agreement(query, case.find(query).hits, case.routed) for query in queries]))


def measured(bench: Bench, some: list[Case]) -> list[Row]:
    """Return a row for each case: agreement and requests of a first round, then the median ms of each repetition.

    In between everything is tried until it is warm, and the repetitions take turns.
    """
    rows, queries = list[Row](), range(len(bench.made.queries))
    for case in some:
        before = bench.requests()
        agreed = agreement(bench, case)
        requests = (bench.requests() - before) / len(queries)
        told = {"search": case.name, "segments": case.segments, "agreement": agreed}
        rows.append({**told, "requests": requests, "ms": list[float]()})
    for number, case in enumerate(some, 1):
        end, tries = time.monotonic() + bench.warm_up_s, itertools.cycle(queries)
        while time.monotonic() < end:
            case.find(next(tries))
        bench.progress("warming up", number, len(some))
    for repetition in range(bench.repetitions):
        for number, (case, row) in enumerate(zip(some, rows, strict=True), 1):
            row["ms"].append(1e3 * float(np.median([seconds(case.find, query) for query in queries])))
            bench.progress("searching", repetition * len(some) + number, bench.repetitions * len(some))
    for row in rows:
        say(f"{row['search']}: {np.median(row['ms']):.2f} ms, agreement {row['agreement']:.3f}")
    return rows


def seconds(find: Callable[[int], object], query: int) -> float:
    """Return how long one search takes."""
    start = time.perf_counter()
    find(query)
    return time.perf_counter() - start
