#!/usr/bin/env python
"""Compare how much of the classifier's network is trained: head, last_block or all.

    tools/compare_tails.py --data data/sample --json tails.json

The table goes to standard output as Markdown. Its last three columns are an exhaustive search by
the classifier's own pooled features, so that they can be compared with the extractor's row.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from visualsearch.errors import VisualSearchError

TAILS = ("head", "last_block", "all")
BASE = TAILS[0]
TOP1, LESS = "classifier top-1", "less `head`"
EMBEDDINGS = {
    "instance hit rate at 1": "instance_hit",
    "recall at 20": "recall",
    "category hit rate at 1": "category_hit",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train each tail, print the table, and write it as JSON if asked."""
    given = parser().parse_args(arguments)
    for part in ("gallery", "queries"):
        if not (given.data / part).is_dir():
            raise SystemExit(f"--data: expected a folder {given.data / part}; there is none. Check the path.")
    from starter.proof import table

    with tempfile.TemporaryDirectory(prefix="tails-") as folder:
        found = measured(given, Path(folder))
    rows = rows_of(found)
    print("\n".join(table({name: _cells(row) for name, row in rows.items()})))
    if given.json is not None:
        plain = {name: {key: _plain(value) for key, value in row.items()} for name, row in rows.items()}
        given.json.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="folder with gallery/ and queries/")
    made.add_argument(
        "--weights", default="starter", help="starter, random, file:PATH, or the folder of another starter"
    )
    made.add_argument("--tails", nargs="+", choices=TAILS, default=list(TAILS), help="how much is trained")
    made.add_argument("--json", type=Path, help="write the figures to this file too")
    return made


def measured(given: argparse.Namespace, folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what each tail found; progress goes to standard error."""
    from starter.tails import compare

    found: dict[str, Mapping[str, Any]] = {}
    for tail in (tail for tail in TAILS if tail in given.tails):
        print(f"train: {tail}", file=sys.stderr, flush=True)
        try:
            made = compare(given.data, given.weights, tail, folder / tail)
        except VisualSearchError as error:
            raise SystemExit(str(error)) from error
        found[tail] = {**made, "group": made["instance"]}
    return found


def rows_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the table: the extractor's own embedding, then each tail with its cost and its features as an embedding.

    Means have 95 % bootstrap intervals over instances; differences to the head are paired by query.
    """
    from starter.proof import differences, means_of

    first, head = next(iter(found.values())), found.get(BASE)
    rows: dict[str, dict[str, Any]] = {"the extractor's own embedding": {}}
    for tail, one in found.items():
        row: dict[str, Any] = means_of(one, {TOP1: "classifier_right"})
        if head is not None:
            row |= {LESS: ""} if tail == BASE else differences(one, head, {LESS: "classifier_right"})
        row |= {"training, s": round(one["seconds"]), "peak, MiB": round(one["peak_mib"])}
        row |= {"GMAC for a query": round(one["gmac"], 3), "passes": one["passes"]}
        rows[f"`{tail}`"] = row | means_of(one, {name: f"tuned_{key}" for name, key in EMBEDDINGS.items()})
    own = means_of(first, EMBEDDINGS)
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    rows["the extractor's own embedding"] = {column: own.get(column, "") for column in columns}
    return rows


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    return value.as_dict() if hasattr(value, "as_dict") else value


if __name__ == "__main__":
    main()
