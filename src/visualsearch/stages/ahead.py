"""Do the next pictures' reading and decoding while the network works on the current ones."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

BYTES = 2**27
"""What results that wait may hold together, where they are weighed."""


def ahead(
    work: Callable[[T], R], things: Iterable[T], window: int = 64, weigh: Callable[[R], int] | None = None
) -> Iterator[R]:
    """Yield ``work(thing)`` in order, at most ``window`` results ahead of the caller.

    With ``weigh`` no more of them than weigh about ``BYTES`` if all are like the last one, and at
    first one for each thread.

    >>> list(ahead(str.upper, ["a", "b"]))
    ['A', 'B']
    """
    source = iter(things)
    threads = min(4, os.cpu_count() or 1)
    room = window if weigh is None else threads
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        pending: deque[Future[R]] = deque(pool.submit(work, thing) for thing in islice(source, room))
        while pending:
            result = pending.popleft().result()
            if weigh is not None:
                room = min(window, max(threads, BYTES // max(weigh(result), 1)))
            pending.extend(pool.submit(work, thing) for thing in islice(source, max(0, room - len(pending))))
            yield result


def batches(things: Iterable[T], size: int, weigh: Callable[[T], int] | None = None) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` things; with ``weigh``, shorter ones as soon as they weigh ``BYTES``.

    >>> list(batches([1, 2, 3], 2))
    [[1, 2], [3]]
    >>> list(batches([1, BYTES, 2], 3, weigh=int))
    [[1, 134217728], [2]]
    """
    batch: list[T] = []
    weight = 0
    for thing in things:
        batch.append(thing)
        weight += 0 if weigh is None else weigh(thing)
        if len(batch) == size or weight >= BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
