"""What a server remembers beside the items, as text that it can hold: failures and tombstones, each under a key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from visualsearch.datatypes import Failure, Source
from visualsearch.stores.texts import escaped, unescaped

_NAMES = ("path", "reason", "content", "stamp", "look")


def key_of(kind: str, of: str, name: str) -> str:
    """Return the key of what is remembered of ``name`` in the version ``of``."""
    return hashlib.sha256("\0".join((kind, of, escaped(name))).encode()).hexdigest()


def failure_texts(failure: Failure) -> dict[str, str]:
    """Return a failure as named texts."""
    source = failure.source
    texts = (failure.path, failure.reason, source.content, source.stamp, source.look)
    return dict(zip(_NAMES, map(escaped, texts), strict=True))


def failure_of(texts: Mapping[str, str]) -> Failure:
    """Return the failure that ``failure_texts`` was given."""
    path, reason, *source = (unescaped(texts[name]) for name in _NAMES)
    return Failure(path, reason, Source(*source))
