"""YAML text → plain data that knows where each key stands, with secrets put in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from visualsearch.config_files import read_yaml
from visualsearch.errors import ConfigError
from visualsearch.secrets import remember

Key = tuple[str | int, ...]
"""The way to a value: ("routing", "widen", 0)."""

_VARIABLE = re.compile(r"\$(\$\{)|\$\{([^{}]*)(\}?)")

MOST_VALUES = 100_000
"""A file with more, aliases written out, is an attack or an accident."""

HINTS = (
    (r"got '\{'", r"\$\{", 'put "${NAME}" in quotes where it stands within { }'),
    (r"block end", r":\s+\{", "put a value that begins with { in quotes"),
    (r"mapping values", r"", "put text with a colon and a space in quotes, or set the indentation right"),
    (r"escape character", r"", "write a backslash within single quotes"),
    (r"start any token|alphabetic or numeric", r"", "put a value that begins with a sign such as * or @ in quotes"),
    (r"another document", r"", "leave out the line ---"),
)
"""What YAML complains of, what stands in the line → what to do."""


@dataclass(slots=True)
class Document:
    """Plain data, and for each key in it where it stands: ``shop.yaml, line 7``."""

    source: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    texts: dict[Key, str] = field(default_factory=dict)
    """Values that YAML does not read as text, as they are written."""

    def named(self, key: Key) -> str:
        """Return where ``key`` stands and its dotted name, which ``--set`` says already."""
        place, name = self.place(key), ".".join(map(str, key))
        return place if not name or place == f"--set {name}" else f"{place}: {name}"

    def place(self, key: Key) -> str:
        """Return where ``key`` stands, or else the nearest thing around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.source


def read_document(path: Path, option: str | None = None) -> Document:
    """Read a YAML file, which ``option`` of the command line names.

    Raises:
        ConfigError: ``yaml-missing``, ``yaml-unreadable`` or ``yaml-syntax``.
    """
    return parse_document(read_yaml(path, option), path.name)


def parse_document(text: str, source: str) -> Document:
    """Parse YAML text; ``source`` names it in messages.

    Raises:
        ConfigError: ``yaml-syntax``, ``duplicate-key`` or ``env-missing``.
    """
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        document = Document(source)
        if root is None:
            return document
        if not isinstance(root, yaml.MappingNode):
            what = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
            message = f"{source}: expected keys such as `gallery:`; received {what} at the top."
            raise ConfigError(message, slug="yaml-syntax")
        document.data = _Walk(loader, document).mapping(root, ())
        return document
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(error, source, text), slug="yaml-syntax") from error
    except RecursionError as error:
        message = f"{source}: expected a few levels of keys; received an alias of itself, or brackets without end."
        raise ConfigError(message, slug="yaml-syntax") from error
    finally:
        if loader is not None:
            loader.dispose()


def override(document: Document, overrides: Sequence[str]) -> None:
    """Put ``key.key=value`` into the document; values are read as YAML.

    Raises:
        ConfigError: ``bad-override``.
    """
    for text in overrides:
        name, equals, written = text.partition("=")
        key = tuple(name.strip().split("."))
        if not equals or not all(key):
            message = f"--set {text}: expected key=value, such as routing.keep=0.99."
            raise ConfigError(message, slug="bad-override")
        place = f"--set {name.strip()}"
        value = _overriding(written, place)
        branch = document.data
        for depth, part in enumerate(key[:-1]):
            inner = branch.get(part)
            if not isinstance(inner, dict):
                document.places[key[: depth + 1]] = place
            branch[part] = branch = dict(inner) if isinstance(inner, dict) else {}
        branch[key[-1]] = value
        for told in (document.places, document.texts):  # what stood below it in the file is gone
            for old in [old for old in told if old[: len(key)] == key]:
                del told[old]
        document.places[key] = place


def _overriding(written: str, place: str) -> Any:
    """Return what ``--set`` gives: YAML, or else text, so that a shell's quotes are enough for ``{label}/{view}``."""
    try:
        return parse_document(f"value: {written}", place).data.get("value")
    except ConfigError as error:
        if error.slug != "yaml-syntax":
            raise
    return expanded(written, place)


class _Walk:
    """Builds data from YAML nodes, noting lines and refusing what YAML would silently accept."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._values = 0

    def mapping(self, node: yaml.MappingNode, way: Key) -> dict[str, Any]:
        self._refuse_duplicates(node)
        self._loader.flatten_mapping(node)
        made = {}
        for key_node, value_node in node.value:
            name = self._name(key_node)
            self._document.places[(*way, name)] = self._line(key_node)
            made[name] = self._value(value_node, (*way, name))
        return made

    def _value(self, node: yaml.Node, way: Key) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            message = f"{self._line(node)}: expected at most {MOST_VALUES} values; received more, through aliases."
            raise ConfigError(message, slug="yaml-syntax")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, way)
        if isinstance(node, yaml.SequenceNode):
            for i, inner in enumerate(node.value):
                self._document.places[(*way, i)] = self._line(inner)
            return [self._value(inner, (*way, i)) for i, inner in enumerate(node.value)]
        return self._scalar(node, way)

    def _scalar(self, node: yaml.Node, way: Key) -> Any:
        try:
            value = self._loader.construct_object(node)
        except ValueError:  # it looked like a date or a number and is none
            value = node.value
        if isinstance(value, str):
            return expanded(value, self._line(node))
        self._document.texts[way] = node.value
        return value

    def _name(self, node: yaml.Node) -> str:
        name = self._loader.construct_object(node)
        if not isinstance(name, str):
            what = "received a list or keys"
            if isinstance(node, yaml.ScalarNode):
                what = f"YAML reads {node.value!r} as {name!r}. Put it in quotes"
            message = f"{self._line(node)}: expected a key of letters; {what}."
            raise ConfigError(message, slug="yaml-syntax")
        return name

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: dict[str, str] = {}
        for key_node, _ in node.value:
            name = str(getattr(key_node, "value", ""))
            if name in seen and name != "<<":
                first = seen[name].rpartition(", ")[2]
                message = f"{self._line(key_node)}: {name} stands in {first} already; expected it once."
                raise ConfigError(message, slug="duplicate-key")
            seen[name] = self._line(key_node)

    def _line(self, node: yaml.Node) -> str:
        source = self._document.source
        return source if source.startswith("--set") else f"{source}, line {node.start_mark.line + 1}"


def expanded(text: str, place: str, environment: Mapping[str, str] = os.environ) -> str:
    """Put the environment's values in for ``${NAME}``; ``$${`` stands for ``${`` itself.

    Raises:
        ConfigError: ``env-missing``: the variable is not set.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1]:
            return "${"
        if not match[3] or not re.fullmatch(r"[A-Za-z_]\w*", match[2]):
            message = (
                f"{place}: expected ${{NAME}}, an environment variable; received {match[0]!r}. Write $${{ for ${{."
            )
            raise ConfigError(message, slug="bad-value")
        if match[2] not in environment:
            message = (
                f"{place}: expected the environment variable {match[2]}; it is not set. "
                f"Set it, or write $${{{match[2]}}} for the text itself."
            )
            raise ConfigError(message, slug="env-missing")
        remember(environment[match[2]], match[0])
        return environment[match[2]]

    return _VARIABLE.sub(value_of, text)


def _syntax(error: yaml.YAMLError, source: str, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{source}, line {mark.line + 1}" if mark is not None else source
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "'\\t'" in problem:
        problem = "a tab where YAML wants spaces"
    line = text.splitlines()[mark.line] if mark is not None and mark.line < len(text.splitlines()) else ""
    todo = next((hint for said, has, hint in HINTS if re.search(said, problem) and re.search(has, line)), None)
    return f"{place}: this is no YAML: {problem}" + (f": {todo}." if todo else ".")
