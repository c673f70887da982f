"""The kinds of plug-in that the YAML chooses by ``name:``, and how a section becomes their options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from visualsearch.classifiers import CLASSIFIERS
from visualsearch.config_errors import Mistake, mistake, mistakes
from visualsearch.config_yaml import Document
from visualsearch.crops import CROPS
from visualsearch.errors import ConfigError, EngineError
from visualsearch.extractors import EXTRACTORS
from visualsearch.files import located
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


def plugin_options(document: Document, kind: str, base: Path) -> Options | list[Mistake]:
    """Return a section's validated options, or what is wrong with them; no weight is loaded.

    Raises:
        EngineError: the packages that the plug-in needs are not installed.
    """
    section = {} if document.data.get(kind) is None else document.data[kind]
    if not isinstance(section, dict):
        what = f"expected keys such as `name: {DEFAULTS[kind]}`; received {section!r}."
        if isinstance(section, str) and section in TABLES[kind]:
            what += f" Write {kind}: {{name: {section}}}."
        return [mistake(document, (kind,), "bad-value", what)]
    name = section.get("name", DEFAULTS[kind])
    if not isinstance(name, str):
        received = document.texts.get((kind, "name"), repr(name)) or "nothing (null)"
        return [mistake(document, (kind, "name"), "bad-value", f"expected text; received {received}.")]
    try:
        options = _options_class(kind, name)
    except ConfigError as error:
        what = str(error).removeprefix(f"{kind}.name: ")
        return [mistake(document, (kind, "name"), error.slug, what)]
    try:
        return options.model_validate({**_located(section, base), "name": name}, context={"base": base})
    except ValidationError as error:
        return mistakes(error, document, options, (kind,), _owners(kind, name))


def _options_class(kind: str, name: str) -> type[Options]:
    """Return what a plug-in may be told."""
    options = getattr(load(TABLES[kind], name, kind), "Options", None)
    if not (isinstance(options, type) and issubclass(options, Options)):
        message = f"expected a class with `Options`, a subclass of visualsearch.plugins.Options; {name!r} has none."
        raise ConfigError(message, slug="unknown-plugin")
    return options


def _located(section: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return the section with ``file:PATH`` values made absolute."""
    return {key: _file(value, base) if isinstance(value, str) else value for key, value in section.items()}


def _file(value: str, base: Path) -> str:
    prefix, colon, path = value.partition(":")
    return f"file:{located(path, base)}" if (prefix, colon) == ("file", ":") else value


def _owners(kind: str, name: str) -> dict[str, list[str]]:
    """Return, for each option, the other plug-ins of this kind that know it."""
    owners: dict[str, list[str]] = {}
    for other, row in TABLES[kind].items():
        if other == name:
            continue
        try:
            keys = load({other: row}, other, kind).Options.model_fields
        except EngineError:  # its packages are not installed, so it is not what was meant
            continue
        for key in keys:
            owners.setdefault(key, []).append(other)
    return owners
