"""Plug-ins: a visible table of names, imported only when chosen; dotted paths for third parties."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticKnownError

from visualsearch.errors import ConfigError, EngineError
from visualsearch.secrets import hidden_in


class Settings(BaseModel):
    """A part of the YAML: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show no secret in ``repr``, and so in no log or traceback."""
        for name, value in super().__repr_args__():
            yield name, hidden_in(value)

    @model_serializer(mode="wrap")
    def _dump(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Show no secret in a dump either, and so in no card or report."""
        dumped: dict[str, Any] = hidden_in(write(self))
        return dumped

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse ``k: yes``, which pydantic would take for 1."""
        kinds = _kinds(cls.model_fields[info.field_name].annotation) if info.field_name else set()
        if isinstance(value, bool) and bool not in kinds and kinds & {int, float}:
            raise PydanticKnownError("int_type" if int in kinds else "float_type")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """Return the types within an annotation such as ``PositiveInt | None``."""
    inner = get_args(annotation)
    return set().union(*map(_kinds, inner)) if inner else {annotation} if isinstance(annotation, type) else set()


class Options(Settings):
    """What a plug-in may be told in the YAML; each plug-in class has its own as ``Options``."""

    name: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A row of a table: where the class is, and which extra of this package it needs."""

    target: str
    needs: str | None = None


def load(table: Mapping[str, Plugin], name: str, kind: str) -> Any:
    """Import and return the class behind ``name``: a row of the table, or ``package.module:Class``.

    Raises:
        ConfigError: there is no such row and it is no importable path.
        EngineError: the packages that the plug-in needs are not installed.
    """
    row = table.get(name) or (Plugin(name) if ":" in name else None)
    if row is None:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        names = sorted(table)
        shown = ", ".join(names[:8]) + (f" … {len(names)} in all" if len(names) > 8 else "")
        message = f"{kind}.name: expected one of {shown} (or package.module:Class); received {name!r}."
        raise ConfigError(message + hint, slug="unknown-plugin")
    module, _, attribute = row.target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if name not in table:
            raise ConfigError(f"{kind}.name: {name!r} cannot be imported: {error}.", slug="unknown-plugin") from error
        message = (
            f"{kind} {name!r} needs packages that are not installed ({error}): pip install 'visualsearch[{row.needs}]'."
        )
        raise EngineError(message, slug="missing-package") from error
