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


def ahead(work: Callable[[T], R], things: Iterable[T], window: int = 64) -> Iterator[R]:
    """Yield ``work(thing)`` in order, at most ``window`` results ahead of the caller.

    >>> list(ahead(str.upper, ["a", "b"]))
    ['A', 'B']
    """
    source = iter(things)
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="decode") as pool:
        pending: deque[Future[R]] = deque(pool.submit(work, thing) for thing in islice(source, window))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(work, thing) for thing in islice(source, 1))
            yield result


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most ``size`` things.

    >>> list(batches([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    source = iter(things)
    while batch := list(islice(source, size)):
        yield batch
