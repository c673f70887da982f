"""The tables of the proof, set by set: measured row by row, printed, and returned for the card."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from visualsearch.config import load_settings

from . import proof, proof_card, proof_rows
from .proof import Found

APPLICATION = Path(__file__).parents[2] / "application.yaml"
DEFAULT = "this starter, as in application.yaml"
TOLD_EVERY_S = 20.0
LESS = "classifier top-1, less `head`"
OF_PHOTOGRAPHS = ("head", "last_block")
"""The tails that learn 3,000 photographs within minutes."""

NOTE = """
In brackets: 95 % interval, bootstrap over instances. Hits are those of exhaustive search; the classifier is a
head on frozen features (of the histogram: logistic regression) unless the row says more. As application.yaml has it
the embedding has dimensions besides (`extractor.discriminant`) that are fitted on the gallery's instances. Strangers are told
from queries by the cosine of the best hit, by which the product tells them; the classifier has no part in it.
"""
NOTE_TAILS = """
Less `head`: paired, query by query. Own features: searches by the classifier's pooled features in
place of the embedding (of `head` the frozen pooled layer).
"""
NOTE_PHOTOGRAPHS = f"""
The first {proof_rows.LEARNED} photographs of each category by name are the gallery, the others queries; a hit is right if it
has the query's category. Recall at 20 counts all of a category's photographs: of 30 it reaches 0.667 at most. In
brackets: 95 % interval, bootstrap over photographs. Classifier: `train: head` (of the histogram: logistic
regression) unless the row says more. Strangers are told by the cosine of the best hit.
"""


def side_of(given: Namespace) -> int:
    """Return the side of the starter's input."""
    return int(json.loads(given.weights.with_name("card.json").read_text(encoding="utf-8"))["side"])


def networks(given: Namespace) -> dict[str, str]:
    """Return the networks to compare with: name of the row and weights."""
    first = {} if given.first is None else {"first starter": str(given.first.parent)}
    return {"random ResNet50": "random", **first}


def prove_rendered(name: str, data: Path, given: Namespace, work: Path) -> dict[str, Any]:
    """Print the tables of a rendered set and return what the card keeps of them."""
    starter = given.weights.parent
    default = default_of(data, starter, work / "default")  # now: the file may change while the rest is measured
    colours = measured(f"{name}: colour histogram", proof.RENDERED, proof_rows.rendered_colours, data, side_of(given))
    found: dict[str, Found] = {"colour histogram": colours}
    for number, (row, weights) in enumerate(networks(given).items()):
        folder = work / f"network{number}"
        found[row] = measured(
            f"{name}: {row}", proof.RENDERED, proof_rows.rendered, data, weights, "head", starter, folder
        )
    tails: dict[str, Found] = {}
    for tail in given.tails:
        like = work / next(iter(tails)) if tails else None
        of = (data, str(starter), tail, starter, work / tail, like)
        row = f"this starter, train: {tail}"
        tails[tail] = found[row] = measured(f"{name}: {row}", proof.RENDERED, proof_rows.rendered, *of)
    found[DEFAULT] = measured(f"{name}: {DEFAULT}", proof.RENDERED, proof_rows.rendered, *default)
    rows = {row: proof.figures(one, proof.RENDERED) for row, one in found.items()}
    size = proof_card.set_of(data)
    show(f"{name}: {described(size)}", rows, NOTE)
    told = {"set": size, "rows": proof_card.cells(rows), **prove_tails(name, tails)}
    if name == "trial":
        say_result(f"{DEFAULT}, {proof.goals(rows[DEFAULT])}\n")
        told |= {"goals": proof.GOALS, "missed": proof.missed(rows[DEFAULT])}
    return told


def default_of(data: Path, starter: Path, folder: Path) -> tuple[Any, ...]:
    """Return the arguments of ``proof_rows.rendered`` for what application.yaml has."""
    chosen: Any = load_settings(APPLICATION)
    return data, str(starter), chosen.classifier.train, starter, folder, None, chosen.extractor.discriminant


def less_head(tails: Mapping[str, Found]) -> dict[str, proof.Row]:
    """Return how much more often than the head's each other tail's classifier is right, query by query."""
    base = tails.get("head")
    return {
        tail: proof.differences(found, base, {LESS: "classifier_right"})
        for tail, found in tails.items()
        if base is not None and tail != "head"
    }


def prove_tails(name: str, tails: Mapping[str, Found]) -> dict[str, Any]:
    """Print how the tails differ, and what they cost; return what the card keeps of it."""
    less = less_head(tails)
    own = {tail: proof.means_of(found, proof.TUNED) for tail, found in tails.items()}
    costs = {tail: proof_card.cost(found) for tail, found in tails.items()}
    rows = {
        f"`{tail}`": {
            **less.get(tail, {LESS: ""}),
            **{title: costs[tail][key] for key, title in proof_card.COST.items()},
            **{f"own features: {column}": figure for column, figure in own[tail].items()},
        }
        for tail in tails
    }
    hardware = next(iter(tails.values()))["hardware"]
    remarks = "".join(f"\n- `{tail}`: {note}" for tail in tails for note in costs[tail]["notes"])
    show(f"{name}: how much is trained, on {hardware}", rows, NOTE_TAILS + remarks)
    return {
        "hardware": hardware,
        "less_head": proof_card.cells(less),
        "own_features": proof_card.cells(own),
        "cost": costs,
    }


def prove_photographs(given: Namespace, work: Path) -> dict[str, Any]:
    """Print the table of photographs and return what the card keeps of it; without any, say so."""
    source, unknown = given.photographs, given.unknown
    if source is None:
        say("photographs are left out: no --photographs was given.")
        return {}
    starter, columns = given.weights.parent, proof.PHOTOGRAPHS
    of = (columns, proof_rows.photographs_colours, source, unknown, side_of(given))
    found = {"colour histogram": measured("photographs: colour histogram", *of)}
    for number, (row, weights) in enumerate(networks(given).items()):
        at = (source, unknown, weights, "head", starter, work / f"network{number}")
        found[row] = measured(f"photographs: {row}", columns, proof_rows.photographs, *at)
    tails: dict[str, Found] = {}
    for tail in [tail for tail in given.tails if tail in OF_PHOTOGRAPHS]:
        like = work / next(iter(tails)) if tails else None
        row = f"this starter, train: {tail}"
        at = (source, unknown, str(starter), tail, starter, work / tail)
        tails[tail] = found[row] = measured(f"photographs: {row}", columns, proof_rows.photographs, *at, like)
    rows = {row: proof.figures(one, columns) for row, one in found.items()}
    size = proof_card.photographs_of(source, unknown)
    show(f"photographs: {described(size)}", rows, NOTE_PHOTOGRAPHS)
    less = less_head(tails)
    for tail, row in less.items():
        say_result(f"{LESS}, of `{tail}`: {row[LESS]}")
    told = {"set": size, "rows": proof_card.cells(rows), "less_head": proof_card.cells(less)}
    return {"photographs": told}


def measured(label: str, columns: proof.Columns, function: Callable[..., Found], *of: Any) -> Found:
    """Return what the function finds, in a process of its own; tell now and then that it goes on.

    Raises:
        SystemExit: the process was ended from outside.
    """
    say(f"{label} ...")
    started = time.monotonic()
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        future = pool.submit(function, *of)
        while not wait([future], TOLD_EVERY_S).done:
            say(f"{label} ... {time.monotonic() - started:.0f} s")
        try:
            found = future.result()
        except BrokenProcessPool as error:
            message = f"{label}: expected figures; its process was ended: free memory, or ask for less with --tails."
            raise SystemExit(message) from error
    told = "; ".join(f"{name} {figure.value:.3f}" for name, figure in proof.figures(found, columns).items())
    say(f"{label}: {told}; after {time.monotonic() - started:.0f} s")
    return found


def described(size: Mapping[str, int]) -> str:
    """Return the sizes of a set in words.

    >>> described({"gallery": 8, "stranger_families": 2})
    '8 gallery, 2 stranger families'
    """
    return ", ".join(f"{name} {n}" if name in ("seed", "side") else f"{n} {name}" for name, n in size.items()).replace(
        "_", " "
    )


def show(title: str, rows: Mapping[str, Mapping[str, object]], note: str) -> None:
    """Print a table."""
    say_result(f"\n### {title}\n")
    for line in proof.table(rows):
        say_result(line)
    say_result(note)


def say_result(line: str) -> None:
    """Print a line of the result at once."""
    print(line, flush=True)


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, file=sys.stderr, flush=True)
