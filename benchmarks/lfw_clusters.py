"""What routes over clusters keep and cost on an indexed gallery whose groups are people, such as LFW.

Groups are held out of clusters and training; they stay items of the gallery. They are drawn anew into
calibration and test many times, as a promise is about a mean over such draws. Nothing is embedded: the vectors are
those of the index. Each query is a picture of the gallery, with itself and what looks like it left out.

    python benchmarks/lfw_clusters.py -yml resources/configs/lfw.yaml
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from visualsearch import VisualSearch, VisualSearchError
from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.promises import Promise
from visualsearch.classifiers.contract import Example
from visualsearch.classifiers.network import fit
from visualsearch.classifiers.spread import Rows, nearest_rows
from visualsearch.stages.calibrating import some_of_each
from visualsearch.stages.clustering import Clustered, clusters_of
from visualsearch.stages.fitting import group_of


@dataclass(frozen=True)
class Trial:
    """The held-out pictures: their probabilities, where their hits lie, and which of these show the same person."""

    examples: list[Example]
    probabilities: NDArray[np.float32]
    wanted: Rows
    same: NDArray[np.bool_]
    sizes: NDArray[np.float64]


def main() -> int:
    """Print the table; the exit status says whether it could be made."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("-yml", required=True, help="a YAML with buckets: {clusters: …} whose gallery is indexed")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of visualsearch")
    parser.add_argument("--held", type=int, default=800, help="groups that are held out")
    parser.add_argument("--calibrate", type=int, default=600, help="so many of them calibrate, the others are queries")
    parser.add_argument("--redraws", type=int, default=200)
    parser.add_argument("--levels", type=float, nargs="+", default=[0.9, 0.95, 0.98, 0.985, 0.99])
    args = parser.parse_args()
    try:
        with VisualSearch.from_yaml(args.yml, args.set) as search:
            made, trial = prepared(search, args.held)
    except VisualSearchError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{len(made.examples):,} items, {args.held} groups held out, {args.calibrate} of them calibrate, "
        f"{args.redraws} redraws, {len(made.clusters.names)} clusters\n"
    )
    print("| keep | kept | of groups | same person kept | compared | buckets |\n|--:|--:|--:|--:|--:|--:|")
    for level in args.levels:
        rows = np.array([redrawn(trial, level, args.calibrate, seed) for seed in range(args.redraws)])
        kept, by_group, same, compared, probed = rows.mean(axis=0)
        error = rows[:, 0].std(ddof=1) / np.sqrt(len(rows))
        print(f"| {level:g} | {kept:.4f} ± {error:.4f} | {by_group:.4f} | {same:.4f} | {compared:.2%} | {probed:.0f} |")
    return 0


def prepared(search: VisualSearch, held: int) -> tuple[Clustered, Trial]:
    """Make clusters and train on all but the held-out groups; ask about these."""
    parts = search._parts
    store = parts.shelf.live()
    if store is None:
        raise SystemExit("nothing is indexed there: run visualsearch index first")
    items = [item for page in store.pages() for item in page]
    groups = sorted({group_of(parts, item) for item in items})
    apart = frozenset(np.random.default_rng(0).permutation(groups)[:held].tolist())
    start = time.perf_counter()
    made = clusters_of(parts, store, items, apart)
    store.close()
    print(f"clusters: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    start = time.perf_counter()
    network, loss = fit(made.spread(), 0, lambda *_: None)
    print(
        f"training: {time.perf_counter() - start:.0f} s, loss {loss:.3f}, {network.size:,} multiply-adds a query",
        file=sys.stderr,
    )
    rows = np.array([row for row, one in enumerate(made.examples) if one.group in apart])
    left_out = {place: [row, *made.twins.get(int(row), ())] for place, row in enumerate(rows)}
    hits = nearest_rows(made.vectors[rows], made.vectors, 20, left_out)
    names = np.array([example.group for example in made.examples])
    homes = made.homes(tuple(map(str, made.clusters.names)))
    sizes = np.bincount(homes, minlength=len(made.clusters.names)).astype(np.float64)
    return made, Trial(
        [made.examples[row] for row in rows],
        network.classify(made.vectors[rows]),
        homes[hits],
        names[hits] == names[rows][:, None],
        sizes,
    )


def redrawn(trial: Trial, level: float, calibrate: int, seed: int) -> list[float]:
    """Return what the test groups of one draw keep: all hits, the same by group, the same person's; cost and buckets."""
    names = np.array([example.group for example in trial.examples])
    drawn = np.random.default_rng((seed, 1)).permutation(np.unique(names))
    numbers = {example.id: row for row, example in enumerate(trial.examples)}
    chosen = set(drawn[:calibrate].tolist())
    some = some_of_each([one for one in trial.examples if one.group in chosen], seed)
    rows = np.array([numbers[example.id] for example in some])
    groups = np.unique(names[rows], return_inverse=True)[1]
    evidence = Evidence(
        "hits",
        "",
        np.array([one.id for one in some]),
        groups,
        trial.probabilities[rows],
        trial.wanted[rows],
        trial.sizes,
    )
    test = np.flatnonzero(~np.isin(names, list(chosen)))
    admitted = routes(evidence.promise(level), trial.probabilities[test])
    inside = np.take_along_axis(admitted, trial.wanted[test], axis=1)
    same, kept = trial.same[test], inside.mean(axis=1)
    known = same.any(axis=1)
    _, group, pictures = np.unique(names[test], return_inverse=True, return_counts=True)
    return [
        float(kept.mean()),
        float(np.average(kept, weights=1 / pictures[group])),
        float(((inside & same).sum(axis=1)[known] / same.sum(axis=1)[known]).mean()),
        float((admitted @ trial.sizes).mean() / trial.sizes.sum()),
        float(admitted.sum(axis=1).mean()),
    ]


def routes(promise: Promise, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which buckets each query's route has, before any widening: those admitted, and the most probable one."""
    admitted = np.stack([promise.admitted(row) for row in probabilities])
    admitted[np.arange(len(admitted)), probabilities.argmax(axis=1)] = True
    return admitted


if __name__ == "__main__":
    sys.exit(main())
