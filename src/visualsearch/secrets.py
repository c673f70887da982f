"""Values that came from the environment: shown as ``${NAME}`` wherever text is made for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHORTEST = 4
"""Values shorter than this are no secrets, and would be found in every sentence."""

_written: dict[str, str] = {}
"""A value that was put in for ``${NAME}`` → how it was written in the YAML."""


def remember(value: str, written: str) -> None:
    """Hide ``value`` from now on behind what the YAML says."""
    if len(value) >= SHORTEST and value != written:
        # also as messages quote it: a quote or a backslash in it would come escaped
        for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
            _written[form] = written


def hidden(text: str) -> str:
    """Return ``text`` with every remembered value written as in the YAML, the longest first."""
    for value in sorted(_written, key=len, reverse=True):
        text = text.replace(value, _written[value])
    return text


def hidden_in(data: Any) -> Any:
    """Return data (dicts, lists, tuples, text, paths) with its remembered values hidden."""
    if isinstance(data, dict):
        return {key: hidden_in(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(hidden_in(value) for value in data)
    if isinstance(data, Path):
        return Path(hidden(str(data)))
    return hidden(data) if isinstance(data, str) else data
