"""A runtime that says when it prepares a network, which takes a while the first time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from visualsearch.progress import Progress
from visualsearch.runtimes.contract import Forward, Runtime

if TYPE_CHECKING:
    import keras

STAGE = "preparing the network"


class TellingRuntime:
    """Another runtime, with word of its work."""

    def __init__(self, runtime: Runtime, progress: Progress) -> None:
        """Compile by ``runtime`` and tell ``progress``."""
        self.name = runtime.name
        self._runtime = runtime
        self._progress = progress

    def compile(self, build: Callable[[], keras.Model], key: str) -> Forward:
        """Return what the runtime compiles."""
        self._progress(STAGE, 0, 0)
        try:
            return self._runtime.compile(build, key)
        finally:
            self._progress(STAGE, 1, 1)

    def keep_only(self, keys: Collection[str]) -> None:
        """Have the runtime remove all other graphs."""
        self._runtime.keep_only(keys)
