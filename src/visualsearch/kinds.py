"""The kinds of plug-in that the YAML chooses by ``name:``, and how a section becomes their options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from visualsearch.classifiers import CLASSIFIERS
from visualsearch.config_errors import explained
from visualsearch.config_yaml import Document
from visualsearch.crops import CROPS
from visualsearch.errors import ConfigError
from visualsearch.extractors import EXTRACTORS
from visualsearch.plugins import Options, Plugin, load
from visualsearch.stores import STORES

TABLES: Mapping[str, Mapping[str, Plugin]] = {
    "crop": CROPS,
    "classifier": CLASSIFIERS,
    "extractor": EXTRACTORS,
    "store": STORES,
}
"""A section of the YAML → the plug-ins that it can name."""

DEFAULTS = {"crop": "whole", "classifier": "resnet50", "extractor": "resnet50", "store": "embedded"}


def plugin_options(document: Document, kind: str, base: Path) -> Options:
    """Return a section's validated options; no weight is loaded.

    Raises:
        ConfigError: the section is no mapping, names no plug-in, or has an option that is wrong.
    """
    section = document.data.get(kind) or {}
    if not isinstance(section, dict):
        what = f"expected keys such as `name: {DEFAULTS[kind]}`; received {section!r}"
        raise ConfigError(f"{document.place((kind,))}: {kind}: {what}.", slug="bad-value")
    name = section.get("name", DEFAULTS[kind])
    if not isinstance(name, str):
        message = f"{document.place((kind, 'name'))}: {kind}.name: expected text; received {name!r}."
        raise ConfigError(message, slug="bad-value")
    try:
        plugin = load(TABLES[kind], name, kind)
    except ConfigError as error:
        raise ConfigError(f"{document.place((kind, 'name'))}: {error}", slug=error.slug) from error
    options: type[Options] = plugin.Options
    try:
        return options.model_validate({**_located(section, base), "name": name})
    except ValidationError as error:
        raise explained(error, document, options, (kind,), _owners(kind, name)) from error


def _located(section: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return the section with ``file:PATH`` values made absolute."""
    return {key: _file(value, base) if isinstance(value, str) else value for key, value in section.items()}


def _file(value: str, base: Path) -> str:
    prefix, colon, path = value.partition(":")
    return f"file:{base / Path(path).expanduser()}" if (prefix, colon) == ("file", ":") else value


def _owners(kind: str, name: str) -> dict[str, list[str]]:
    """Return, for each option, the other plug-ins of this kind that know it."""
    owners: dict[str, list[str]] = {}
    for other, row in TABLES[kind].items():
        if other == name:
            continue
        for key in load({other: row}, other, kind).Options.model_fields:
            owners.setdefault(key, []).append(other)
    return owners
