"""Writing in requests of a bounded size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def portions(groups: Iterable[Sequence[T]], limit: int, weigh: Callable[[T], int]) -> Iterator[list[T]]:
    """Gather groups into requests that weigh at most ``limit``; a group is never torn apart.

    >>> list(portions([["a"], ["bcd"], ["e", "f"]], 4, len))
    [['a', 'bcd'], ['e', 'f']]
    """
    gathered: list[T] = []
    size = 0
    for group in groups:
        more = sum(map(weigh, group))
        if gathered and size + more > limit:
            yield gathered
            gathered, size = [], 0
        gathered.extend(group)
        size += more
    if gathered:
        yield gathered
