"""Faults for tests: an extractor on a bad day, a line that breaks, a node that dies; and the comparison afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest
from fakes import Grid, paint
from servers import Cluster

from visualsearch import VisualSearch
from visualsearch.crops.contract import Role
from visualsearch.crops.whole import Whole
from visualsearch.datatypes import Buckets, Crop, Found, Item, Matrix, Pixels, Source
from visualsearch.stores.bruteforce import BruteForceStore, Contents
from visualsearch.stores.contract import Store
from visualsearch.stores.elasticsearch import ElasticsearchShelf
from visualsearch.stores.elasticsearch_store import ElasticsearchStore

# ------------------------------------------------------------------------------- plug-ins


class Disturbed(Grid):
    """`Grid` on a bad day: slow, and something happens as soon as so many crops were embedded."""

    class Options(Grid.Options):
        """How fine the grid is, and how long each batch takes."""

        pause_s: float = 0.0

    happens: ClassVar[Mapping[int, Callable[[], object]]] = {}

    def __init__(self, options: Options, runtime: object, folder: Path) -> None:
        """Begin to count."""
        super().__init__(options, runtime, folder)
        self._pause_s = options.pause_s
        self._seen = 0

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, dim) unit rows, later."""
        time.sleep(self._pause_s)
        before, self._seen = self._seen, self._seen + len(crops)
        for after, happen in Disturbed.happens.items():
            if before < after <= self._seen:
                happen()
        return super().embed(crops)


class Crooked(Whole):
    """`Whole`, but of pictures nine pixels wide it gives a box that no integer field can hold."""

    def crops(self, images: Sequence[Pixels], role: Role) -> list[list[Crop]]:
        """Return each image as its only crop."""
        return [[Crop(image, (0, 0, 1, 2**40) if image.shape[1] == 9 else None)] for image in images]


# ------------------------------------------------------------------------------- galleries and commands


class Gallery:
    """Pictures in a folder, and YAML files that index them into one store or another."""

    def __init__(self, folder: Path, pictures: int) -> None:
        """Paint the pictures, in sub-folders that are their buckets."""
        self.folder = folder
        self.pictures = pictures
        for number in range(pictures):
            paint(folder / f"gallery/{number % 7}/{number:05}.png", seed=number, hue=number % 3, size=(8, 8))

    def yml(
        self, name: str, store: str = "elasticsearch", pause_s: float = 0, crop: str = "whole", **options: Any
    ) -> Path:
        """Write a YAML with a model folder and an index of its own; ``options`` are the store's."""
        extractor = {"name": "faults:Disturbed", "pause_s": pause_s}
        made: dict[str, Any] = {"name": name, "out": f"models/{name}", "gallery": {"folder": "gallery"}}
        made |= {"crop": {"name": crop}, "extractor": extractor, "store": {"name": store, **options}}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(made))
        return path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        """Return what ``index --json`` printed."""
        assert self.code == 0, self.err
        made: dict[str, Any] = json.loads(self.out)
        return made

    def said(self, slug: str) -> str:
        """Return the one sentence of an engine's error; nothing else was printed, but that one waits."""
        assert (self.code, self.out) == (4, ""), self
        sentence = re.fullmatch(rf"(?:note: waiting for .+ s\)\n)*error: (.+) \[{slug}\]\n", self.err)
        assert sentence, self.err
        return sentence[1]


def begin(yml: Path, *arguments: str) -> subprocess.Popen[str]:
    """Begin `index` as a process of its own."""
    command = [sys.executable, "-m", "visualsearch", "-yml", str(yml), "index", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(running: subprocess.Popen[str], seconds: float = 240) -> Ended:
    """Wait until a command has ended."""
    try:
        out, err = running.communicate(timeout=seconds)
    except BaseException:
        running.kill()
        running.communicate()
        raise
    return Ended(running.returncode, out, err)


# ------------------------------------------------------------------------------- comparison


def found(yml: Path) -> tuple[dict[str, tuple[Any, ...]], list[Found]]:
    """Return every item with its vector, and what searches find, routed and not, for vectors of nobody's."""
    with VisualSearch.from_yaml(yml) as search:
        live = search._parts.shelf.live()
    assert live is not None
    with closing(live) as store:
        items = [item for page in store.pages() for item in page]
        vectors = store.vectors([item.id for item in items])
        assert store.count() == len(items)
        held = {one.id: (one.path, one.buckets, row.tobytes()) for one, row in zip(items, vectors, strict=True)}
        return held, searches(store)


def searches(store: Store, where: Mapping[str, str] = MappingProxyType({})) -> list[Found]:
    """Search for 24 random vectors, a third of them in all buckets, the others in two and in one."""
    routes: list[Buckets] = [None, frozenset({"1", "4"}), frozenset({"2"})]
    return store.search(random_rows(24, store.dim, seed=99), 10, [routes[i % 3] for i in range(24)], where)


def assert_same(one: Path, other: Path) -> None:
    """Compare all items, to the bit of the vectors, and the hits and scores of searches."""
    (items, answers), (expected_items, expected) = found(one), found(other)
    assert items == expected_items
    assert_same_hits(answers, expected)


def assert_same_hits(answers: Sequence[Found], expected: Sequence[Found]) -> None:
    """Compare hits, how many items were compared, and scores."""
    assert [told.compared for told in answers] == [told.compared for told in expected]
    assert [[hit.id for hit in told.hits] for told in answers] == [[hit.id for hit in told.hits] for told in expected]
    assert scores(answers) == pytest.approx(scores(expected), abs=1e-5)


def scores(answers: Iterable[Found]) -> list[float]:
    """Return all scores."""
    return [hit.score for told in answers for hit in told.hits]


def items(numbers: Iterable[int]) -> list[Item]:
    """Return items in buckets `0` to `6`, with a column that tells their thousand."""
    return [
        Item(f"{n:05}", f"{n}.jpg", {"thousand": str(n // 1000)}, (str(n % 7),), Source(f"content {n}", "s"))
        for n in numbers
    ]


def random_rows(n: int, dim: int, seed: int = 0) -> Matrix:
    """Return random vectors of unit length."""
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def brute_force(vectors: Matrix) -> BruteForceStore:
    """Return a store in memory with ``items`` and their vectors."""
    store = BruteForceStore(Contents("f", vectors.shape[1]))
    store.upsert(items(range(len(vectors))), vectors)
    return store


def assert_holds(shelf: ElasticsearchShelf, vectors: Matrix) -> None:
    """Compare the live index, read by nobody who wrote it, with ``vectors`` and their brute-force searches."""
    with closing(opened(shelf)) as store:
        store.refresh()
        assert store.count() == len(vectors)
        held = [item for page in store.pages() for item in page]
        assert held == items(range(len(vectors)))
        np.testing.assert_array_equal(store.vectors([item.id for item in held]), vectors)
        assert_same_hits(searches(store), searches(brute_force(vectors)))


# ------------------------------------------------------------------------------- the cluster


def opened(shelf: ElasticsearchShelf) -> ElasticsearchStore:
    """Open the live index."""
    store = shelf.live()
    assert isinstance(store, ElasticsearchStore)
    return store


def live_shelf(cluster: Cluster, name: str, dim: int, **options: Any) -> ElasticsearchShelf:
    """Return a shelf with an empty index that is live."""
    chosen = ElasticsearchShelf.Options(hosts=cluster.addresses, index=name, **options)
    shelf = ElasticsearchShelf(chosen, Path("/unused/model/index"))
    shelf.publish(shelf.begin("f", dim))
    return shelf


def until(condition: Callable[[], object], seconds: float = 240) -> None:
    """Wait for something that must come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def taken(cluster: Cluster, index: str) -> int:
    """Return how many documents an index has taken so far, seen by searches or not."""
    try:
        return int(cluster.get(f"{index}/_stats/indexing")["_all"]["primaries"]["indexing"]["index_total"])
    except (OSError, KeyError):  # there is no such index yet
        return 0


def holder(cluster: Cluster, index: str) -> int:
    """Return the number of the node, from 0, that has the primary copy of an index's first shard."""
    shards = cluster.get(f"_cat/shards/{index}?format=json")
    (name,) = [one["node"] for one in shards if (one["prirep"], one["shard"]) == ("p", "0")]
    return int(name.removeprefix("node-")) - 1
