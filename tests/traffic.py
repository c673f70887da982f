"""Many at work on one index, while something happens to its servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager

from faults import assert_same_hits, brute_force, items, opened, searches, until

from visualsearch.datatypes import Matrix
from visualsearch.stores.elasticsearch import ElasticsearchShelf

PIECE = 25
OLD = 1_000
"""Items that are there before anybody begins: searchers look among them."""


class Traffic:
    """Two who write all vectors, again and again, and two who search; each has the index open for itself."""

    def __init__(self, shelf: ElasticsearchShelf, vectors: Matrix) -> None:
        """Write the old items, so that there is something to be found."""
        self._shelf = shelf
        self._vectors = vectors
        self._expected = searches(brute_force(vectors[:OLD]), {"thousand": "0"})
        self._enough = threading.Event()
        self._written = self._searched = 0
        self._workers: list[Future[None]] = []
        self._write(0, OLD)

    @contextmanager
    def flows(self) -> Iterator[None]:
        """Let all of them work for the length of the block, and until everything is written.

        Raises:
            EngineError: what any of them was told; AssertionError: a search found something else.
        """
        middle = (OLD + len(self._vectors)) // 2
        tasks = [(self._writer, OLD, middle), (self._writer, middle, len(self._vectors)), *2 * [(self._searcher,)]]
        with ThreadPoolExecutor(len(tasks)) as pool:
            self._workers = [pool.submit(*task) for task in tasks]
            try:
                yield
            finally:
                self._enough.set()
        self._raise()

    def goes_on(self, steps: int = 20) -> None:
        """Wait until so many more writes and searches were answered."""
        written, searched = self._written + steps, self._searched + steps
        until(lambda: self._raise() or (self._written >= written and self._searched >= searched))

    def _raise(self) -> None:
        for worker in self._workers:
            if worker.done():
                worker.result()

    def _writer(self, start: int, end: int) -> None:
        self._write(start, end)
        while not self._enough.is_set():
            self._write(start, min(start + 10 * PIECE, end))

    def _write(self, start: int, end: int) -> None:
        with closing(opened(self._shelf)) as store:
            for begin in range(start, end, PIECE):
                piece = range(begin, min(begin + PIECE, end))
                store.upsert(items(piece), self._vectors[piece.start : piece.stop])
                self._written += 1

    def _searcher(self) -> None:
        with closing(opened(self._shelf)) as store:
            while not self._enough.is_set():
                assert_same_hits(searches(store, {"thousand": "0"}), self._expected)
                self._searched += 1
