"""What pydantic refuses, in a sentence that its reader can act on."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from visualsearch.config_yaml import Document, Key
from visualsearch.errors import ConfigError
from visualsearch.secrets import hidden

PRECISIONS = ("bfloat16", "float16", "int8", "bf16", "fp16")

EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "path_type": "a path",
    "tuple_type": "a list in [ ]",
    "list_type": "a list in [ ]",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "greater_than": "more than {gt:.10g}",
    "greater_than_equal": "{ge:.10g} or more",
    "less_than": "less than {lt:.10g}",
    "less_than_equal": "{le:.10g} or less",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
    "too_short": "{min_length} or more in [ ]",
}


SHORTHANDS = {"gallery": "folder", "queries": "folder", "buckets": "column", "search": "k"}
"""Sections that are easily written as if they were their most used key."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, where it comes in the order of telling, and its sentence."""

    line: int
    slug: str
    sentence: str


def mistake(document: Document, key: Key, slug: str, what: str) -> Mistake:
    """Return what is wrong with the value at ``key``."""
    return Mistake(_line(document.place(key)), slug, f"{document.named(key)}: {what}")


def first_of(found: Sequence[Mistake]) -> ConfigError:
    """Return the first mistake by its place in the file, and how many more there are."""
    first, more = min(found, key=lambda one: (one.slug == "missing-key", one.line)), len(found) - 1
    return ConfigError(first.sentence + (f" (and {more} more)" if more else ""), slug=first.slug)


def mistakes(
    error: ValidationError,
    document: Document,
    model: type[BaseModel],
    way: Key = (),
    owners: Mapping[str, Sequence[str]] | None = None,
) -> list[Mistake]:
    """Return what pydantic refuses, one mistake for each key.

    Args:
        error: what pydantic said.
        document: knows in which line each key stands.
        model: what was validated.
        way: where in the document the model's data stands.
        owners: options of the plug-ins beside this one → their names.
    """
    return [_mistake(one, document, model, way, owners or {}) for one in _causes(error.errors())]


def _causes(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return what was refused, without the lists that are too short only since something in them was refused."""
    places = {one["loc"][:-1] for one in errors}
    return [one for one in errors if one["type"] != "too_short" or one["loc"] not in places]


def _line(place: str) -> int:
    """Return where a place comes in the order of telling: the command line, the file, what is not in it."""
    last = place.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0 if place.startswith("--set") else sys.maxsize


def _mistake(
    one: ErrorDetails, document: Document, model: type[BaseModel], way: Key, owners: Mapping[str, Sequence[str]]
) -> Mistake:
    key, context = (*way, *one["loc"]), one.get("ctx", {})
    if one["type"] == "extra_forbidden":
        hint = _hint(str(key[-1]), _known(model, one["loc"][:-1]), owners)
        return mistake(document, key, "unknown-key", f"unknown key.{hint}")
    if one["type"] == "missing":
        example = "search: {rerank: {least: 0.95}}" if key[0] == "search" else "gallery: {folder: photos/}"
        sentence = f"{document.named(key)} is missing: it has no default. Example: {example}."
        return Mistake(_line(document.place(key)), "missing-key", sentence)
    if one["type"] in ("value_error", "path-template"):
        slug = "bad-value" if one["type"] == "value_error" else one["type"]
        said = str(context.get("error", one["msg"])).rstrip(".")
        said += "" if said.endswith("?") else "."
        field, colon, rest = said.partition(": ")
        if colon and field in _known(model, one["loc"]):  # it was the whole section that was looked at
            key, said = (*key, field), rest
        return mistake(document, key, slug, said)
    received = one["input"]
    if key == ("runtime", "precision") and received in PRECISIONS:
        return mistake(document, key, "not-yet", f"only float32 is available for now; received {received}.")
    expected = EXPECTED.get(one["type"], one["msg"]).format(**context)
    shown = _written(received, document.texts.get(key))
    return mistake(document, key, "bad-value", f"expected {expected}; received {shown}.{_near(one, key, document)}")


def _hint(key: str, known: Sequence[str], owners: Mapping[str, Sequence[str]]) -> str:
    if ":" in key:
        return " Put a space behind its colon."
    near = difflib.get_close_matches(key, known, n=1)
    if not near and key in owners:
        return f" It belongs to {', '.join(owners[key][:3])}; known here: {', '.join(sorted(known))}."
    return (f" Did you mean {near[0]!r}?" if near else "") + f" Known here: {', '.join(sorted(known))}."


def _near(one: ErrorDetails, key: Key, document: Document) -> str:
    """Return the nearest of the values that are allowed, or how to write what was meant."""
    received = one["input"]
    allowed = str(one.get("ctx", {}).get("expected", "")).replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(received), allowed, n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    if one["type"] in ("string_type", "path_type") and received is not None and key in document.texts:
        return f" To mean text, put it in quotes: '{document.texts[key]}'."
    if one["type"].startswith("model_") and key[-1] in SHORTHANDS and isinstance(received, str | int):
        if ":" in str(received):
            return " Put a space behind the colon."
        return f" Write {key[-1]}: {{{SHORTHANDS[str(key[-1])]}: {hidden(str(received))}}}."
    return ""


def _written(value: object, text: str | None = None) -> str:
    """Return a value as its writer knows it; secrets are hidden before it is cut short."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        read = str(value).lower()
        return read if text is None or text.lower() == read else f"{text}, which YAML reads as {read}"
    if text is not None:
        return text[:80]
    shown = hidden(repr(value))
    return shown if len(shown) <= 80 else shown[:79] + "…"


def _known(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    """Return the keys that stand where ``loc`` leads."""
    for part in loc:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        candidates = [inner, *get_args(inner)]
        found = [one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)]
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)
