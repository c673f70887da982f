"""What makes the shelves of one store, and where their files lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from visualsearch.stores.contract import Shelf


@dataclass(frozen=True)
class MakeShelf:
    """Makes an empty shelf with every call: a folder, or a name on the server, of its own."""

    make: Callable[[], Shelf]
    disk: Path | None
    """Where the files of all of them lie; None where that is another machine's matter, or looking would take too long."""

    def __call__(self) -> Shelf:
        """Return a shelf."""
        return self.make()
