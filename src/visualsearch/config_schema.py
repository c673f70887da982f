"""The JSON schema of the YAML, the options of every built-in plug-in included."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from visualsearch.config import Application
from visualsearch.kinds import DEFAULTS, TABLES
from visualsearch.plugins import Options, load

DRAFT = "https://json-schema.org/draft/2020-12/schema"

ELSEWHERE = {
    "title": "another package's",
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": ":", "description": "`package.module:Class`."}},
    "required": ["name"],
}
"""A plug-in of a third party; what it may be told is known when it is loaded."""


def schema() -> dict[str, Any]:
    """Return the schema by which an editor completes keys and marks mistakes."""
    made = Application.model_json_schema()
    made["$schema"] = DRAFT
    for kind in DEFAULTS:
        made["properties"][kind] = {
            "description": f"Which {kind}, by `name`, with its options. Default: {DEFAULTS[kind]}.",
            "oneOf": [*(_options(kind, options, names) for options, names in _by_options(kind).items()), ELSEWHERE],
        }
    made["required"] = ["gallery"]
    made["properties"]["out"]["default"] = "models/{name}"
    made["$defs"].pop("Options", None)
    return made


def _by_options(kind: str) -> dict[type[Options], list[str]]:
    """Return each class of options once, with the names of the plug-ins that share it."""
    names: defaultdict[type[Options], list[str]] = defaultdict(list)
    for name in TABLES[kind]:
        names[load(TABLES[kind], name, kind).Options].append(name)
    return dict(names)


def _options(kind: str, options: type[Options], names: list[str]) -> dict[str, Any]:
    made = options.model_json_schema()
    choice = {"enum": names} if len(names) > 1 else {"const": names[0]}
    made["properties"]["name"] = {**choice, "description": f"The {kind}."}
    if DEFAULTS[kind] in names:
        made["properties"]["name"]["default"] = DEFAULTS[kind]
    else:
        made["required"] = ["name"]
    made["title"] = f"{kind}: {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    return made
