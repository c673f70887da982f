"""Everything that can go wrong, as one tree.

    VisualSearchError
    ├── UsageError      exit 2   the command, the YAML or an argument
    │   └── ConfigError          ... a key or value of the YAML
    ├── DataError       exit 3   folders, tables and pictures
    │   └── PictureError         ... one picture that cannot be read
    └── EngineError     exit 4   store, disk, weights, runtime
        └── RefusedItems         ... items that a store refused, beside others that it wrote

A message is one sentence: where, what was expected, what came, what to do. The slug is
stable: scripts may compare it.
"""

from collections.abc import Mapping

from visualsearch.secrets import hidden


class VisualSearchError(Exception):
    """Base of every error that this library raises on purpose."""

    exit_code = 4

    def __init__(self, message: str, *, slug: str) -> None:
        """Keep the sentence, without secrets, and its stable slug, for example ``gallery-missing``."""
        super().__init__(hidden(message))
        self.slug = slug

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way between processes with the slug."""
        return _rebuild, (type(self), str(self), self.slug)


class UsageError(VisualSearchError):
    """The command or an argument is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A key or value of the YAML is wrong."""


class DataError(VisualSearchError):
    """A folder, a table or the pictures in it are missing or wrong."""

    exit_code = 3


class PictureError(DataError):
    """One picture cannot be read."""


class EngineError(VisualSearchError):
    """The store, the disk, the weights or the runtime failed."""


class RefusedItems(EngineError):
    """A store refused items for good, and wrote the others; ``reasons`` has the reason of each by its id."""

    def __init__(self, message: str, *, slug: str, reasons: Mapping[str, str] | None = None) -> None:
        """Keep the reasons beside the sentence."""
        super().__init__(message, slug=slug)
        self.reasons = reasons or {}


def _rebuild(kind: type[VisualSearchError], message: str, slug: str) -> VisualSearchError:
    return kind(message, slug=slug)
