#!/usr/bin/env python
"""Draw calibration and test groups again and again, and say how often routes hold what they promise.

`benchmarks/promise.py YAML…`: for each YAML, whose model must be trained, the groups that were held out of the
classifier's training are divided at random into three quarters to calibrate on (more where a level needs more) and
the rest to test, many times. A route is what a search probes before any widening. Prints a table as Markdown: for
each level the mean share that was held, its standard error over the draws, the mean number of buckets and the mean
share of the gallery that such a route compares.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(ROOT), str(ROOT / "src")]

from visualsearch.calibration.conformal import even_shares, needed  # noqa: E402  (the root and src must come first)
from visualsearch.calibration.evidence import Evidence  # noqa: E402
from visualsearch.calibration.promises import Promise  # noqa: E402
from visualsearch.config import load_settings  # noqa: E402
from visualsearch.errors import DataError, VisualSearchError  # noqa: E402
from visualsearch.presentation.terminal import print_error  # noqa: E402
from visualsearch.stages.assembly import Parts  # noqa: E402

LEVELS = (0.80, 0.90, 0.95)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one draw came to: means over the test groups."""

    held: float
    buckets: float
    compared: float


def drawn(evidence: Evidence, sizes: NDArray[np.float64], level: float, rng: np.random.Generator) -> Drawn:
    """Calibrate on some groups and test the others; ``sizes`` are the shares of the gallery that lie in each bucket."""
    names = rng.permutation(np.unique(evidence.groups))
    chosen = np.isin(evidence.groups, names[: max(needed(level), 3 * len(names) // 4)])
    promise = part(evidence, chosen).promise(level)
    test = part(evidence, ~chosen)
    routes = np.stack([route(promise, row) for row in test.probabilities])
    weights = even_shares(test.groups)
    inside = np.take_along_axis(routes, test.wanted, axis=1).mean(axis=1)
    return Drawn(*(float(np.average(one, weights=weights)) for one in (inside, routes.sum(axis=1), routes @ sizes)))


def part(evidence: Evidence, rows: NDArray[np.bool_]) -> Evidence:
    """Return some of the rows."""
    return replace(
        evidence, **{name: getattr(evidence, name)[rows] for name in ("ids", "groups", "probabilities", "wanted")}
    )


def route(promise: Promise, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the buckets that a search probes first."""
    inside = promise.admitted(probabilities)
    inside[int(np.argmax(probabilities))] = True
    return inside


def lines(yaml: Path, overrides: list[str], levels: list[float], draws: int, seed: int) -> list[str]:
    """Return the rows of one configuration.

    Raises:
        DataError: it has no index or no calibrated classifier.
    """
    parts = Parts(load_settings(yaml, overrides))
    store = parts.shelf.live()
    if store is None or parts.classifier is None or parts.evidence is None:
        raise DataError(f"{yaml}: expected an index and a trained classifier: run it first.", slug="not-trained")
    counts, total = store.bucket_counts(), store.count()
    store.close()
    sizes = np.array([counts.get(name, 0) / total for name in parts.classifier.buckets])
    rows = []
    for level in levels:
        if parts.evidence.n <= needed(level):
            rows.append(f"| {parts.settings.name} | {level:g} | {parts.evidence.n} groups, too few | – | – | – |")
            continue
        rng = np.random.default_rng(seed)
        all_draws = [drawn(parts.evidence, sizes, level, rng) for _ in range(draws)]
        held = np.array([one.held for one in all_draws])
        error = held.std(ddof=1) / np.sqrt(draws)
        rows.append(
            f"| {parts.settings.name} | {level:g} | {parts.evidence.n} groups | {held.mean():.4f} ± {error:.4f} | "
            f"{np.mean([one.buckets for one in all_draws]):.2f} of {len(sizes)} | "
            f"{np.mean([one.compared for one in all_draws]):.1%} |"
        )
    return rows


def main() -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/promise.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("yaml", type=Path, nargs="+")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="set a key of every file")
    parser.add_argument("--levels", type=float, nargs="+", default=list(LEVELS))
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        "| gallery | keep | held out | held ± standard error | buckets | compared |\n| :-- | --: | --: | --: | --: | --: |"
    )
    try:
        for yaml in given.yaml:
            print("\n".join(lines(yaml, given.set, given.levels, given.draws, given.seed)), flush=True)
    except VisualSearchError as error:
        print_error(str(error), error.slug)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
