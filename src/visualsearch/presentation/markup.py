"""HTML and SVG whose text and attributes cannot be anything else: everything is escaped once."""

from __future__ import annotations

import html


def escape(text: str) -> str:
    """Escape text; what is no Unicode (a file name's stray bytes) becomes a question mark."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


VOID = frozenset({"img", "input", "br", "meta"})
"""Elements without content and end tag."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Markup | None
Attribute = str | int | float | bool | None


def tag(element: str, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element; text in it is escaped unless it is ``Markup``.

    ``class_`` stands for class, ``_`` for a hyphen; an attribute that is None or False is left
    out, one that is True has no value.

    >>> tag("a", "<&>", href="x?a=1&b=2", aria_label='"')
    '<a href="x?a=1&amp;b=2" aria-label="&quot;">&lt;&amp;&gt;</a>'
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if element in VOID:
        return Markup(f"<{element}{written}>")
    return Markup(f"<{element}{written}>{join(*children)}</{element}>")


def join(*children: Child) -> Markup:
    """Return children one after the other, escaped unless they are ``Markup``."""
    return Markup("".join(c if isinstance(c, Markup) else escape(c) for c in children if c is not None))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    hyphenated = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {hyphenated}"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f' {hyphenated}="{escape(text)}"'
