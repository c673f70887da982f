"""What a card says of the proof: its sets, its command, its figures; and the card as text that can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from visualsearch.files import write_text

from .proof import Found, Row
from .proof_rows import by_protocol

ROOT = Path(__file__).parents[2]
WIDTH = 118

COST = {
    "seconds": "seconds of training",
    "peak_mib": "peak MiB of training",
    "gmac": "GMAC a query",
    "passes": "passes a query",
}
"""What a tail costs, and the column's title."""


def set_of(folder: Path) -> dict[str, int]:
    """Return how large a rendered set is, and the seed and side that its recipe names."""
    from .pictures import instance_of, listed

    known = listed(folder / "gallery")
    told = {
        "families": len({path.parent.name for path in known}),
        "instances": len(set(map(instance_of, known))),
        "gallery": len(known),
        "queries": len(listed(folder / "queries")),
    }
    if (folder / "strangers").is_dir():
        strangers = listed(folder / "strangers")
        told |= {"strangers": len(strangers), "stranger_families": len({path.parent.name for path in strangers})}
    recipe = folder / "recipe.json"
    made = json.loads(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}
    return told | {key: made[key] for key in ("seed", "side") if key in made}


def photographs_of(source: Path, unknown: Path | None) -> dict[str, int]:
    """Return how large a set of photographs is."""
    gallery, queries = by_protocol(source)
    told = {
        "categories": len({path.parent for path in gallery}),
        "gallery": len(gallery),
        "queries": len(queries),
    }
    return told if unknown is None else {**told, "strangers": sum(path.is_file() for path in unknown.iterdir())}


def cost(found: Found) -> dict[str, Any]:
    """Return what a training and then a query cost."""
    rounded = {
        "seconds": round(found["seconds"]),
        "peak_mib": round(found["peak_mib"]),
        "gmac": round(found["gmac"], 3),
    }
    return {**rounded, "passes": found["passes"], "notes": list(found["notes"])}


def cells(rows: Mapping[str, Row]) -> dict[str, Any]:
    """Return rows of figures for a card."""
    return {name: {column: figure.as_dict() for column, figure in row.items()} for name, row in rows.items()}


def command(name: str, options: Mapping[str, Any]) -> str:
    """Return the command line; folders that lie elsewhere are named after their option.

    >>> command("prove.py", {"sample": ROOT / "data/sample", "trial": Path("/mnt/x"), "tails": ["head"], "first": None})
    'prove.py --sample data/sample --trial TRIAL --tails head'
    """
    words = [name]
    for option, value in options.items():
        if value is True:
            words.append(f"--{option}")
        elif isinstance(value, list):
            words += [f"--{option}", *value]
        elif isinstance(value, Path):
            inside = value.resolve().is_relative_to(ROOT)
            words += [f"--{option}", value.resolve().relative_to(ROOT).as_posix() if inside else option.upper()]
    return " ".join(words)


def write(card: Path, proof: Mapping[str, Any]) -> None:
    """Put the proof into the card's figures; everything else in it stays."""
    known = json.loads(card.read_text(encoding="utf-8"))
    write_text(card, compact({**known, "figures": {**known.get("figures", {}), "proof": proof}}) + "\n")


def compact(value: Any, indent: int = 0, before: int = 0) -> str:
    """Return JSON in which whatever fits into a line of 118 characters stands on one.

    ``before`` is the length of what stands before it in its line.

    >>> print(compact({"sides": [64, 96], "text": "x" * 110}).replace("x" * 110, "..."))
    {
      "sides": [64, 96],
      "text": "..."
    }
    """
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + before + len(line) + 1 <= WIDTH:
        return line
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    inner = ",\n".join(" " * (indent + 2) + entry for entry in _entries(value, indent + 2))
    return f"{opening}\n{inner}\n{' ' * indent}{closing}"


def _entries(value: dict[str, Any] | list[Any], indent: int) -> Iterator[str]:
    if isinstance(value, list):
        yield from (compact(entry, indent) for entry in value)
        return
    for key, entry in value.items():
        name = f"{json.dumps(key, ensure_ascii=False)}: "
        yield name + compact(entry, indent, len(name))
