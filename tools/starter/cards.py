"""The card of weights: where its pictures came from, how the training went, and how it is written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WIDTH = 118

LEARNING = ("step", "side", "instance_loss", "family_right", "family_loss")
UNSEEN = ("step", "unseen_category_hit", "unseen_instance_recall", "unseen_instance_hit")


def command(name: str, options: Mapping[str, Any]) -> str:
    """Return the command line; folders that lie elsewhere are named after their option.

    >>> command("prove.py", {"sample": ROOT / "data/sample", "trial": Path("/mnt/x"), "tails": ["head"], "first": None})
    'prove.py --sample data/sample --trial TRIAL --tails head'
    >>> command("train.py", {"grow_at": [0.6], "minutes": 70.0, "resume": False, "write": True})
    'train.py --grow-at 0.6 --minutes 70.0 --write'
    """
    words = [name]
    for option, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{option.replace('_', '-')}")
        if isinstance(value, Path):
            inside = value.resolve().is_relative_to(ROOT)
            words.append(value.resolve().relative_to(ROOT).as_posix() if inside else option.upper())
        elif value is not True:
            words += map(str, value if isinstance(value, list) else [value])
    return " ".join(words)


def renders(folder: Path) -> dict[str, Any]:
    """Return the command that makes a folder's pictures, and what else they were made with, as far as its recipe says."""
    from .pictures import instance_of, listed

    recipe = folder / "recipe.json"
    made = json.loads(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}
    pictures = Counter(map(instance_of, listed(folder)))
    instances = Counter(name.partition("/")[0] for name in pictures)
    counts = {"instances-per-family": max(instances.values()), "views": max(pictures.values())}
    seed = {"seed": made["seed"]} if "seed" in made else {}
    options = {**seed, **counts, "out": "RENDERS"}
    told = {key: made[key] for key in ("seed", "side", "samples") if key in made}
    return {"command": command("tools/render_gallery.py training", options), **told}


def before(start: Path) -> dict[str, Any]:
    """Return what is known of the training that left the weights a later one begins with."""
    known = json.loads(start.with_name("card.json").read_text(encoding="utf-8"))
    return {key: known[key] for key in ("data", "renders", "command", "steps", "seconds", "hardware", "sha256")}


def curve(folder: Path, points: int = 24) -> dict[str, Any]:
    """Return how a training went, from its ``curves.jsonl``: ``columns``, and rows of them, thinned out.

    Losses stand under ``learning``, the figures on instances that it did not learn under ``unseen``.
    """
    lines = [json.loads(line) for line in (folder / "curves.jsonl").read_text(encoding="utf-8").splitlines()]
    parts = {"learning": LEARNING, "unseen": UNSEEN}
    return {
        name: _rows([line for line in lines if columns[-1] in line], columns, points) for name, columns in parts.items()
    }


def _rows(lines: Sequence[Mapping[str, Any]], columns: Sequence[str], points: int) -> dict[str, Any]:
    every = max(1, -(-len(lines) // points))
    chosen = lines[every - 1 :: every] if len(lines) % every == 0 else [*lines[every - 1 :: every], lines[-1]]
    return {"columns": list(columns), "rows": [[line[column] for column in columns] for line in chosen]}


def compact(value: Any, indent: int = 0, before: int = 0) -> str:
    """Return JSON in which whatever fits into a line of 118 characters stands on one.

    ``before`` is the length of what stands before it in its line.

    >>> print(compact({"sides": [64, 96], 64: "x" * 110}).replace("x" * 110, "..."))
    {
      "sides": [64, 96],
      "64": "..."
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
        name = f"{json.dumps(str(key), ensure_ascii=False)}: "
        yield name + compact(entry, indent, len(name))
