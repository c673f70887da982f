"""A thing that many threads use and one may replace: it is closed when the last user is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Lease(Generic[T]):
    """Holds ``value`` until it is retired and nobody uses it any more, then calls ``close``."""

    def __init__(self, value: T, close: Callable[[], None]) -> None:
        """Start with no users."""
        self._value = value
        self._close = close
        self._users = 0
        self._retired = False
        self._lock = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[T]:
        """Yield the value; it stays open for the length of the block."""
        with self._lock:
            self._users += 1
        try:
            yield self._value
        finally:
            self._leave()

    def retire(self) -> None:
        """Close the value as soon as nobody uses it."""
        with self._lock:
            self._retired = True
            idle = self._users == 0
        if idle:
            self._close()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            last = self._retired and self._users == 0
        if last:
            self._close()
