"""Write docs/configuration.md from the YAML's schema, docs/commands.md from the parser, the sizes in docs/production.md.

python tools/write_docs.py           write them
python tools/write_docs.py --check   only say which are out of date; exit 1 if any is
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tools import sizing  # noqa: E402  (the root and src must be on the path first)
from visualsearch.cli import parser  # noqa: E402
from visualsearch.config_schema import schema  # noqa: E402

MADE = "<!-- made by tools/write_docs.py; change the docstrings it is made from -->\n\n"

Schema = Mapping[str, Any]


def configuration() -> str:
    """Return the page of all keys: what each means, what it may be, its default."""
    whole = schema()
    parts = [
        MADE,
        "# Configuration\n\n",
        "Every key but `gallery.folder` has a default. Paths are relative to the file, in `--set` too; `~` is the home\n"
        "folder. `${NAME}` stands for the environment variable NAME and is shown like that wherever settings are\n"
        'shown; within `{ }` it must stand in quotes, `"${NAME}"`. `$${` stands for `${` itself. A plug-in of another\n'
        "package is named `package.module:Class`.\n\n",
    ]
    plain = {name: key for name, key in whole["properties"].items() if "$ref" not in key and "oneOf" not in key}
    parts.append(_table(plain))
    for name, key in whole["properties"].items():
        if "$ref" in key:
            section = whole["$defs"][key["$ref"].rpartition("/")[2]]
            parts.append(f"\n## {name}\n\n{section['description']}\n\n{_table(section['properties'])}")
            parts.extend(_nested(f"{name}.{inner}", whole, one) for inner, one in section["properties"].items())
        elif "oneOf" in key:
            parts.append(f"\n## {name}\n\n{key['description']}\n")
            parts.extend(_plugin(name, options) for options in key["oneOf"] if not _elsewhere(options))
    return "".join(parts)


def _nested(name: str, whole: Schema, key: Schema) -> str:
    """Return the part of a key that has keys of its own; nothing for any other."""
    refs = [one["$ref"] for one in key.get("anyOf", []) if "$ref" in one]
    if not refs:
        return ""
    section = whole["$defs"][refs[0].rpartition("/")[2]]
    return f"\n### {name}\n\n{section['description']}\n\n{_table(section['properties'])}"


def _elsewhere(options: Schema) -> bool:
    return "pattern" in options["properties"]["name"]


def _plugin(kind: str, options: Schema) -> str:
    keys = options["properties"]
    names = keys["name"].get("enum") or [keys["name"]["const"]]
    listed = ", ".join(f"`{name}`" for name in names)
    told = f"{_cell(options['description'])}\n\n" if "description" in options else ""
    own = {name: key for name, key in keys.items() if name != "name"}
    heading = f"\n### {kind}: {listed}\n\n" if len(names) == 1 else f"\n### {kind}\n\nOne of {listed}.\n\n"
    return heading + told + (_table(own) if own else "No further keys.\n")


def _table(keys: Schema) -> str:
    return "| key | means | may be | default |\n|---|---|---|---|\n" + "".join(
        f"| `{name}` | {_cell(key.get('description', ''))} | {_kinds(key)} | {_default(key)} |\n"
        for name, key in keys.items()
    )


def _default(key: Schema) -> str:
    return f"`{json.dumps(key['default'])}`" if "default" in key else ""


def _kinds(key: Schema) -> str:
    return _cell(" or ".join(dict.fromkeys(_kind(one) for one in key.get("anyOf", [key]))))


def _kind(key: Schema) -> str:
    if "enum" in key:
        return ", ".join(f"`{one}`" for one in key["enum"])
    if "$ref" in key:
        return "keys"
    if "const" in key:
        return f"`{key['const']}`"
    if key.get("format") == "path":
        return "path"
    if key.get("type") == "array":
        return f"list of {_kind(key['items'])}" if "items" in key else "list"
    signs = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    bounds = [f"{sign} {key[name]:.10g}" for name, sign in signs if name in key]
    kind = {"string": "text", "boolean": "true or false"}.get(key.get("type", ""), key.get("type", "anything"))
    return " ".join([kind, ", ".join(bounds)]).strip()


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").replace("``", "`")


def commands() -> str:
    """Return the page of all commands: what each prints for ``--help``."""
    top = parser()
    parts = [MADE, "# Commands\n", _help("visualsearch", top)]
    parts.extend(_help(f"visualsearch {name}", command) for name, command in _subcommands(top))
    return "".join(parts)


def _subcommands(top: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _help(name: str, command: argparse.ArgumentParser) -> str:
    os.environ["COLUMNS"] = "100"
    text = "\n".join(line.rstrip() for line in command.format_help().splitlines())
    return f"\n## {name}\n\n```text\n{text}\n```\n"


SIZES = "<!-- sizes: made by tools/write_docs.py from tools/sizing.py -->\n"
END_OF_SIZES = "<!-- end of sizes -->\n"


def production() -> str:
    """Return the page on production with its table of sizes made anew; the rest is as it is written."""
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
    before, rest = page.split(SIZES)
    after = rest.split(END_OF_SIZES)[1]
    table = sizing.table(items=(10e6, 100e6, 1e9), dims=(256,))
    return f"{before}{SIZES}\n{table}\n{END_OF_SIZES}{after}"


PAGES = {"configuration.md": configuration, "commands.md": commands, "production.md": production}


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or check them."""
    arguments = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    arguments.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    args = arguments.parse_args(argv)
    stale = []
    for name, make in PAGES.items():
        page, text = ROOT / "docs" / name, make()
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        stale.append(f"docs/{name}")
        if not args.check:
            page.parent.mkdir(exist_ok=True)
            page.write_text(text, encoding="utf-8")
    print("\n".join(f"{page}: out of date; run python tools/write_docs.py" if args.check else page for page in stale))
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
