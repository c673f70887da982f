#!/usr/bin/env python
"""Prove what training gave: the starter beside a colour histogram, a random network and an earlier starter.

    tools/prove_starter.py --sample data/sample --trial RENDERS --tails head last_block all --write

RENDERS is what `render_gallery.py trial --out RENDERS` makes. Tables go to standard output as
Markdown, progress to standard error.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from visualsearch.errors import VisualSearchError

TAILS = ("head", "last_block", "all")
STARTER = Path(__file__).parents[1] / "models" / "starter" / "resnet50.npz"


def main(arguments: list[str] | None = None) -> None:
    """Print every table that was asked for; write them into the card if asked."""
    given = parser().parse_args(arguments)
    check(given)
    given.tails = [tail for tail in TAILS if tail in given.tails]
    try:
        with tempfile.TemporaryDirectory(prefix="proof-") as work:
            for told in proved(given, Path(work)):
                if given.write:  # after each set: what took so long is not lost with the next
                    keep(given, told)
    except VisualSearchError as error:
        raise SystemExit(str(error)) from error


def proved(given: argparse.Namespace, work: Path) -> Iterator[dict[str, Any]]:
    """Yield what was found of one set after the other, by the set's name."""
    from starter.proof_sets import prove_photographs, prove_rendered

    if given.sample is not None:
        yield {"sample": prove_rendered("sample", given.sample, given, work / "sample")}
    yield prove_photographs(given, work / "photographs")
    if given.trial is not None:
        yield {"trial": prove_rendered("trial", given.trial, given, work / "trial")}


def keep(given: argparse.Namespace, told: dict[str, Any]) -> None:
    """Put what was found of a set into the card, beside what it has of others."""
    from starter import cards, proof, proof_card
    from starter.proof_sets import say

    card = given.weights.with_name("card.json")
    printed_by = {"command": cards.command("tools/prove_starter.py", vars(given)), "resamples": proof.RESAMPLES}
    proof_card.write(card, {name: {**printed_by, **part} for name, part in told.items()})
    say(f"{card}: the figures stand under figures.proof")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sample", type=Path, help="folder with gallery/, queries/ and perhaps strangers/")
    made.add_argument("--trial", type=Path, help="a larger one, to which the goals apply")
    made.add_argument("--photographs", type=Path, help="folder of category/picture.jpg, as Caltech-101")
    made.add_argument("--unknown", type=Path, help="folder of photographs of none of the categories")
    made.add_argument("--first", type=Path, help="resnet50.npz of an earlier starter, its card beside it")
    made.add_argument("--weights", type=Path, default=STARTER, help="resnet50.npz of the starter, its card beside it")
    made.add_argument("--tails", nargs="+", choices=TAILS, default=list(TAILS), help="how much is trained")
    made.add_argument("--write", action="store_true", help="put the figures into the card beside the weights")
    return made


def check(given: argparse.Namespace) -> None:
    """Refuse paths that lead nowhere before anything is computed."""
    if given.sample is None and given.trial is None and given.photographs is None:
        raise SystemExit("expected a set to measure on; received none. Give --sample, --trial or --photographs.")
    for name in ("sample", "trial"):
        folder = getattr(given, name)
        for part in ("gallery", "queries") if folder is not None else ():
            if not (folder / part).is_dir():
                raise SystemExit(f"--{name}: expected a folder {folder / part}; there is none. Render the set first.")
    for name in ("photographs", "unknown"):
        if getattr(given, name) is not None and not getattr(given, name).is_dir():
            raise SystemExit(f"--{name}: expected a folder {getattr(given, name)}; there is none. Check the path.")
    for name in ("weights", "first"):
        path = getattr(given, name)
        if path is not None and not (path.name == "resnet50.npz" and path.is_file() and has_card(path)):
            raise SystemExit(f"--{name}: expected resnet50.npz with its card.json beside it; found none at {path}.")


def has_card(weights: Path) -> bool:
    """Return whether a card lies beside the weights."""
    return weights.with_name("card.json").is_file()


if __name__ == "__main__":
    main()
