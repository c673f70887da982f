"""What a run measures with: a server, what is put into it, and how often it is asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.stores.vectors import Gallery, Truth
from tools.elasticsearch.cluster import Cluster
from visualsearch.progress import Progress
from visualsearch.stores.elasticsearch import ElasticsearchShelf
from visualsearch.stores.embedded import EmbeddedShelf

TYPES = ("flat", "hnsw", "int8_flat", "int8_hnsw")
USUAL = TYPES[:2]
PATIENCE_S = 600
"""A machine that is busy with something else makes a run slow and does not end it."""

PREFIX = "benchmark"
"""How the names of a run's indices begin."""


@dataclass(frozen=True)
class Bench:
    """A server of one node, a client of it, a gallery and what is true of it."""

    cluster: Cluster
    client: Elasticsearch
    made: Gallery
    truth: Truth
    folder: Path
    progress: Progress
    types: Sequence[str]
    """Which of TYPES are measured."""

    repetitions: int
    bulk: int
    """Items that each repetition writes anew."""

    warm_up_s: float
    """Seconds that each way to search is tried before it is timed: Java compiles what it has seen often."""

    def shelf(self, name: str, kind: str, **options: Any) -> ElasticsearchShelf:
        """Return a shelf of the Elasticsearch store on the server."""
        where = {"hosts": tuple(self.cluster.addresses), "index": f"{PREFIX}-{name}", "type": kind}
        chosen = ElasticsearchShelf.Options(**where, timeout_s=PATIENCE_S, patience_s=PATIENCE_S, **options)
        return ElasticsearchShelf(chosen, self.folder / name)

    def embedded(self, name: str) -> EmbeddedShelf:
        """Return a shelf of the embedded store; all vectors fit into its memory."""
        mib = 64 + (2 * self.made.vectors.nbytes >> 20)
        return EmbeddedShelf(EmbeddedShelf.Options(memory_mib=mib), self.folder / name)

    def index(self, name: str) -> str:
        """Return the alias of a published index."""
        return f"visualsearch-{PREFIX}-{name}"

    def requests(self) -> int:
        """Return how many requests the server has counted."""
        return sum(told["count"] for _, told in self._traffic())

    def bulk_bytes(self) -> int:
        """Return how many bytes of bulk requests the server has read."""
        return sum(told["total_size_in_bytes"] for route, told in self._traffic() if route.endswith("/_bulk"))

    def remove(self, name: str) -> None:
        """Remove the indices whose names begin like this one's."""
        for index in self.client.indices.get(index=f"{self.index(name)}*"):
            self.client.indices.delete(index=index)

    def settled(self, name: str, merged: bool) -> int:
        """Wait until an index is at rest, merged to one segment first if asked for; return its segments."""
        index = self.index(name)
        if merged:
            self.client.options(request_timeout=3_600).indices.forcemerge(index=index, max_num_segments=1)
            self.client.indices.refresh(index=index)
        while True:
            told = self.client.indices.stats(index=index, metric="segments,merge")["_all"]["primaries"]
            if not told["merges"]["current"]:
                return int(told["segments"]["count"])
            time.sleep(0.5)

    def _traffic(self) -> Iterator[tuple[str, dict[str, int]]]:
        (node,) = self.cluster.get("_nodes/stats/http")["nodes"].values()
        for route, told in node["http"]["routes"].items():
            if not route.startswith("/_nodes"):  # these ask, as here
                yield route, told["requests"]


def say(text: str) -> None:
    """Tell what happens next, beside the result."""
    print(text, file=sys.stderr, flush=True)
