"""How a file begins that is no picture, in words."""

from __future__ import annotations

import codecs

LETTERS, BYTES = 24, 8
"""How much of text, or of anything else, is shown."""

READ = 8 * LETTERS
"""Bytes that are looked at: enough for that much text with indents between its words."""


def beginning(data: bytes) -> str:
    r"""Describe the first bytes of a file: as text if they are UTF-8 that can be read, else as numbers.

    >>> beginning(b"<html>\n  <head>\n  <title>Not found"), beginning(b"Hello")
    ("text that begins '<html> <head> <title>Not…'", "the text 'Hello'")
    >>> beginning(bytes(range(20))), beginning(b"\xff\x00")
    ('it begins with the bytes 00 01 02 03 04 05 06 07 …', 'the bytes ff 00')
    """
    text = _text(data[:READ], whole=len(data) <= READ)
    if not text:
        begins, numbers = len(data) > BYTES, data[:BYTES].hex(" ")
        return f"it begins with the bytes {numbers} …" if begins else f"the bytes {numbers}"
    if len(text) <= LETTERS and len(data) <= READ:
        return f"the text '{text}'"
    return f"text that begins '{text[:LETTERS].rstrip()}…'"


def _text(data: bytes, whole: bool) -> str:
    """Return bytes as one line of text, or nothing where they are none; the last character is cut unless ``whole``."""
    try:
        line = " ".join(codecs.getincrementaldecoder("utf-8-sig")().decode(data, final=whole).split())
    except UnicodeDecodeError:
        return ""
    return line if line.isprintable() else ""
