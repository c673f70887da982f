"""Tell strangers from known people: python benchmarks/lfw_strangers.py -yml resources/configs/lfw.yaml.

Every picture of an index is a query with itself left out. People of a single picture are the
strangers: the gallery has nobody that they could be. For a false match rate the threshold lies so that this
share of the strangers is told a match; of the others those count whose first hit is the right person
and a match. Beside it stands what the index' own calibration, which knows no stranger, comes to.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualsearch import VisualSearch
from visualsearch.calibration.matching import LOOKED_AT
from visualsearch.embedder import Embedded
from visualsearch.stages.lookalikes import near_duplicates
from visualsearch.stages.matching import Matcher
from visualsearch.stores.contract import Store

BATCH = 256
RATES = (0.01, 0.05)


@dataclass(frozen=True)
class Searched:
    """(n,) of each query: the best score, the first hit's, whether that is right, whether nobody can be."""

    best: NDArray[np.float64]
    first: NDArray[np.float64]
    right: NDArray[np.bool_]
    stranger: NDArray[np.bool_]
    names: list[tuple[str, str]]

    def nearest(self, count: int) -> list[tuple[float, str, str]]:
        """Return the strangers with the highest scores: the score, who it is, who it is taken for."""
        order = [place for place in np.argsort(-self.best, kind="stable") if self.stranger[place]][:count]
        return [(float(self.best[place]), *self.names[place]) for place in order]

    def found(self, least: float) -> tuple[float, float]:
        """Return the share of strangers told a match, and of the known found first and a match."""
        known = ~self.stranger
        return float((self.best[self.stranger] >= least).mean()), float(
            (self.right & (self.first >= least))[known].mean()
        )

    def least(self, rate: float) -> float:
        """Return the score that this share of the strangers exceeds."""
        exceeded = np.quantile(self.best[self.stranger], 1 - rate, method="higher")
        return float(np.nextafter(exceeded, np.inf))


def searched(matcher: Matcher, store: Store, twins: bool) -> Iterator[tuple[str, Searched]]:
    """Search for every picture; yield what cosines and what match scores come to. ``twins`` are left out on demand."""
    items = [item for page in store.pages() for item in page]
    ids_of = {item.path: item.id for item in items}
    alike = near_duplicates({item.path: item.source.look for item in items}) if twins else {}
    out = {item.id: {item.id, *(ids_of[path] for path in alike.get(item.path, ()))} for item in items}
    depth = LOOKED_AT + max(len(some) for some in out.values())
    people = {item.id: item.columns.get(matcher.samples.relevant, item.id) for item in items}
    pictures = Counter(people.values())
    rows: dict[str, list[tuple[float, float, bool, bool]]] = {"cosine": [], "match score": []}
    names: list[tuple[str, str]] = []
    for start in range(0, len(items), BATCH):
        ids = [item.id for item in items[start : start + BATCH]]
        vectors = store.vectors(ids)
        found = store.search(vectors, depth, [None] * len(ids), {})
        judged = matcher.judged(store, Embedded(vectors, None), found, [out[one] for one in ids], strangers=False)
        for one, each, scores in zip(ids, found, judged, strict=True):
            hits = [hit for hit in each.hits if hit.id not in out[one]][:LOOKED_AT]
            right, stranger = people[hits[0].id] == people[one], pictures[people[one]] == 1
            names.append((people[one], people[hits[0].id]))
            rows["cosine"].append((hits[0].score, hits[0].score, right, stranger))
            rows["match score"].append((scores.best or 0.0, scores.scores[hits[0].id], right, stranger))
    for name, some in rows.items():
        best, first, is_right, strange = map(np.array, zip(*some, strict=True))
        yield name, Searched(best, first, is_right, strange, names)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-yml", type=Path, required=True, help="a YAML file that is indexed already")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--near-duplicates-out", action="store_true", help="as `evaluate` does it")
    parser.add_argument(
        "--nearest", type=int, default=0, help="name so many strangers that look most like somebody else"
    )
    asked = parser.parse_args()
    with VisualSearch.from_yaml(asked.yml, asked.overrides) as search:
        matcher, live = search._parts.matcher, search._parts.shelf.live()
        if matcher is None or live is None:
            raise SystemExit("expected an index that is calibrated; run `visualsearch index` first")
        with closing(live) as store:
            results = dict(searched(matcher, store, asked.near_duplicates_out))
        rules = {rate: matcher.samples.match_rule(rate) for rate in RATES}
    some = results["cosine"]
    print(f"{some.stranger.sum():,} strangers, {(~some.stranger).sum():,} known")
    print(f"the first hit is right for {some.right[~some.stranger].mean():.3f} of the known\n")
    print("| score | false matches 1 % | 5 % |\n|---|--:|--:|")
    for name, result in results.items():
        print(f"| {name} | {' | '.join(f'{result.found(result.least(rate))[1]:.3f}' for rate in RATES)} |")
    print(
        "\ncalibrated on the gallery alone:\n\n| promised | values | strangers told a match | known found |\n|--:|--:|--:|--:|"
    )
    for rate, rule in rules.items():
        if rule.least is not None:
            false, found = results["match score"].found(rule.least)
            print(f"| {rate:.0%} | {rule.n:,} | {false:.2%} | {found:.3f} |")
    for score, name, other in results["cosine"].nearest(asked.nearest):
        print(f"{score:.3f} {name} {other}")


if __name__ == "__main__":
    main()
