"""What the options of a store on a server may say: addresses, files and secrets, refused without being shown."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from visualsearch.secrets import hidden


def address(uri: str, secrets: str, expected: str) -> str:
    """Refuse what is no address, without showing what may be a password in it.

    Args:
        uri: scheme, name and port.
        secrets: the options to which user and password go.
        expected: what an address looks like, for the message.
    """
    try:
        parts = urlsplit(uri)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
    except ValueError:
        parts, known = None, False
    if parts is not None and (parts.username or parts.password):
        raise ValueError(f"expected an address without user and password; they go to {secrets}")
    if not known:
        received = "something else" if "@" in uri else repr(uri)
        raise ValueError(f"expected {expected}; received {received}")
    return uri


def a_file(example: str) -> Callable[[str], str]:
    """Return a check that takes ``file:PATH`` alone."""

    def check(text: str) -> str:
        if not text.startswith("file:"):
            raise ValueError(f"expected file:PATH, such as {example}; received {text!r}")
        return text

    return check


def from_the_environment(example: str) -> Callable[[str], str]:
    """Return a check that refuses a secret that stands in the YAML itself, without showing it."""

    def check(value: str) -> str:
        if hidden(value) == value:
            what = f"expected a value of at least 4 characters from the environment, such as ${{{example}}}"
            raise ValueError(f"{what}; received one that stands here for all to read, or a shorter one")
        return value

    return check
