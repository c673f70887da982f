"""What pydantic refuses, in a sentence that its reader can act on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from visualsearch.config_yaml import Document, Key
from visualsearch.errors import ConfigError

NOT_YET = {
    ("buckets", "clusters"): "buckets from clusters are not available yet: name a column, or none: true",
}
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
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:g} or less",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
}


def explained(
    error: ValidationError,
    document: Document,
    model: type[BaseModel],
    way: Key = (),
    owners: Mapping[str, Sequence[str]] | None = None,
) -> ConfigError:
    """Return the first mistake by its place in the file, and how many more there are.

    Args:
        error: what pydantic said.
        document: knows in which line each key stands.
        model: what was validated.
        way: where in the document the model's data stands.
        owners: options of the plug-ins beside this one → their names.
    """
    details = sorted(error.errors(), key=lambda one: (_line(document.place((*way, *one["loc"]))), str(one["loc"])))
    slug, sentence = _sentence(details[0], document, model, way, owners or {})
    more = len(details) - 1
    return ConfigError(sentence + (f" (and {more} more)" if more else ""), slug=slug)


def _line(place: str) -> int:
    last = place.rpartition(" ")[2]
    return int(last) if last.isdigit() else 0


def _sentence(
    one: ErrorDetails, document: Document, model: type[BaseModel], way: Key, owners: Mapping[str, Sequence[str]]
) -> tuple[str, str]:
    key = (*way, *one["loc"])
    place, name = document.place(key), ".".join(map(str, key))
    if key in NOT_YET:
        return "not-yet", f"{place}: {name}: {NOT_YET[key]}."
    if one["type"] == "extra_forbidden":
        return (
            "unknown-key",
            f"{place}: {name}: unknown key.{_hint(str(key[-1]), _known(model, one['loc'][:-1]), owners)}",
        )
    if one["type"] == "missing":
        return "missing-key", f"{place}: {name} is missing: it has no default. Example: gallery: {{folder: photos/}}."
    if one["type"] == "value_error":
        reason = str(one.get("ctx", {}).get("error", one["msg"])).rstrip(".")
        return "bad-value", f"{place}: {name or document.source}: {reason}."
    received = one["input"]
    if key == ("runtime", "precision") and received in PRECISIONS:
        return "not-yet", f"{place}: {name}: only float32 is available for now; received {received}."
    expected = EXPECTED.get(one["type"], one["msg"]).format(**one.get("ctx", {}))
    return "bad-value", f"{place}: {name}: expected {expected}; received {_written(received)}.{_near(one, received)}"


def _hint(key: str, known: Sequence[str], owners: Mapping[str, Sequence[str]]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    if not near and key in owners:
        return f" It belongs to {', '.join(owners[key][:3])}; known here: {', '.join(sorted(known))}."
    return (f" Did you mean {near[0]!r}?" if near else "") + f" Known here: {', '.join(sorted(known))}."


def _near(one: ErrorDetails, received: object) -> str:
    """Return the nearest of the values that are allowed."""
    allowed = str(one.get("ctx", {}).get("expected", "")).replace(" or ", ", ").replace("'", "").split(", ")
    near = difflib.get_close_matches(str(received), allowed, n=1)
    if near:
        return f" Did you mean {near[0]!r}?"
    if one["type"] == "string_type" and isinstance(received, bool):
        return " YAML reads no, off, yes and on as true or false: put it in quotes."
    return ""


def _written(value: object) -> str:
    words: dict[object, str] = {None: "nothing (null)"}
    if isinstance(value, bool):
        return str(value).lower()
    text = words.get(value) if value is None else repr(value)
    return (text or "")[:80]


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
