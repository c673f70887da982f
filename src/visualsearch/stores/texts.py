"""Text of any kind as the engines can hold it: what they cannot is written out."""

from __future__ import annotations

import re

MARK = "\U0010ffff"
"""Begins an escape: six hexadecimal digits follow. It is no character and stands in no sound text."""

STRANGE = re.compile("[\0\ud800-\udfff\U0010ffff]")
"""What no engine holds: NUL, and the lone surrogates of file names that are no valid Unicode."""

_ESCAPED = re.compile(MARK + "([0-9a-f]{6})")


def escaped(text: str, strange: re.Pattern[str] = STRANGE) -> str:
    r"""Return text in which every ``strange`` character is written out; MARK must be one of them.

    >>> escaped("mug 🐈"), unescaped(escaped("caf\udce9\0")) == "caf\udce9\0"
    ('mug 🐈', True)
    """
    return strange.sub(lambda found: f"{MARK}{ord(found[0]):06x}", text)


def unescaped(text: str) -> str:
    """Return the text that ``escaped`` was given."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if MARK in text else text
