"""What a card says of the proof: its sets, its command, its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visualsearch.files import write_text

from .cards import compact
from .proof import Found, Row
from .proof_rows import by_protocol

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


def write(card: Path, proof: Mapping[str, Any]) -> None:
    """Put what was proven of some sets into the card's figures; everything else in it stays."""
    known = json.loads(card.read_text(encoding="utf-8"))
    figures = known.get("figures", {})
    write_text(card, compact({**known, "figures": {**figures, "proof": {**figures.get("proof", {}), **proof}}}) + "\n")
