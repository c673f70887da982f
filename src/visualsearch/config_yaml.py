"""YAML text → plain data that knows where each key stands, with secrets put in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from visualsearch.errors import ConfigError
from visualsearch.secrets import remember

Key = tuple[str | int, ...]
"""The way to a value: ("routing", "widen", 0)."""

_VARIABLE = re.compile(r"\$(\$\{)|\$\{([^{}]*)\}")


@dataclass(slots=True)
class Document:
    """Plain data, and for each key in it where it stands: ``shop.yaml, line 7``."""

    source: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)

    def place(self, key: Key) -> str:
        """Return where ``key`` stands, or else the nearest thing around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return self.source


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: ``yaml-missing``, ``yaml-unreadable`` or ``yaml-syntax``.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        message = (
            f"{path}: there is no such file. Write one (`gallery: {{folder: photos/}}` is enough) or name it with -yml."
        )
        raise ConfigError(message, slug="yaml-missing") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        message = f"{path}: expected UTF-8; received the byte 0x{byte:02x}. Save the file as UTF-8."
        raise ConfigError(message, slug="yaml-syntax") from error
    except OSError as error:
        message = f"{path}: expected a YAML file; it cannot be read ({error.strerror})."
        raise ConfigError(message, slug="yaml-unreadable") from error
    return parse_document(text, path.name)


def parse_document(text: str, source: str) -> Document:
    """Parse YAML text; ``source`` names it in messages.

    Raises:
        ConfigError: ``yaml-syntax``, ``duplicate-key`` or ``env-missing``.
    """
    loader = yaml.SafeLoader(text)
    try:
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
        raise ConfigError(_syntax(error, source), slug="yaml-syntax") from error
    finally:
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
        value = parse_document(f"value: {written}", place).data.get("value")
        branch = document.data
        for part in key[:-1]:
            inner = branch.get(part)
            branch[part] = branch = dict(inner) if isinstance(inner, dict) else {}
        branch[key[-1]] = value
        document.places[key] = place


class _Walk:
    """Builds data from YAML nodes, noting lines and refusing what YAML would silently accept."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document

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
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, way)
        if isinstance(node, yaml.SequenceNode):
            for i, inner in enumerate(node.value):
                self._document.places[(*way, i)] = self._line(inner)
            return [self._value(inner, (*way, i)) for i, inner in enumerate(node.value)]
        value = self._loader.construct_object(node)
        return expanded(value, self._line(node)) if isinstance(value, str) else value

    def _name(self, node: yaml.Node) -> str:
        name = self._loader.construct_object(node)
        if not isinstance(name, str):
            written = getattr(node, "value", name)
            what = f"expected a key of letters; YAML reads {written!r} as {name!r}"
            message = f"{self._line(node)}: {what}. Put it in quotes."
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
        if match[2] not in environment:
            message = f"{place}: expected the environment variable {match[2]}; it is not set."
            raise ConfigError(message, slug="env-missing")
        remember(environment[match[2]], match[0])
        return environment[match[2]]

    return _VARIABLE.sub(value_of, text)


def _syntax(error: yaml.YAMLError, source: str) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"{source}, line {mark.line + 1}" if mark is not None else source
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "'\\t'" in problem:
        problem = "a tab where YAML wants spaces"
    return f"{place}: this is no YAML: {problem}."
