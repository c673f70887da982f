"""Index → samples: search for some of the gallery's own pictures, of which it is known what is right."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.calibration.matching import LOOKED_AT, Cohort, match_scores
from visualsearch.calibration.samples import Genuine, Impostors, Samples
from visualsearch.datatypes import Hit, Item, Vector
from visualsearch.progress import Progress
from visualsearch.stages.lookalikes import same_picture
from visualsearch.stores.contract import Store

PICTURES = 2000
"""Searched for at most; they stand for all other things, too."""

MOST_HITS = 10_000
"""Asked of one search at most, to find an impostor behind all that is right."""

BUDGET = 2_000_000
"""Hits asked of all searches together: where values have very many pictures, fewer are searched for."""

BATCH = 64


@dataclass(frozen=True, slots=True)
class Subject:
    """What is sampled: an index whose items show ``values`` (by id) and belong to groups; ``certain`` by id.

    ``certain`` is the classifier's largest probability for pictures that it has not learned.
    """

    store: Store
    items: Mapping[str, Item]
    values: Mapping[str, str]
    group_of: Callable[[Item], str]
    certain: Mapping[str, float]
    seed: int


@dataclass(frozen=True, slots=True)
class _Lists:
    """The best hits of one search: with all left out that is right, and with only the picture itself left out.

    ``known`` says whether the gallery has anything right for it, its near-duplicates aside.
    """

    impostors: tuple[Hit, ...]
    genuine: tuple[Hit, ...]
    twins: frozenset[str]
    known: bool


def gathered(subject: Subject, embedding: str, relevant: str, classifier: str, progress: Progress) -> Samples:
    """Search exhaustively for a sample of pictures, spread evenly over the values."""
    chosen = _spread(subject)
    values = np.array([subject.values[one] for one in chosen], np.str_)
    cohort = Cohort(np.array(chosen, np.str_), values, subject.store.vectors(chosen))
    numbers = {value: number for number, value in enumerate(sorted(set(subject.values.values())))}
    groups: defaultdict[str, int] = defaultdict(lambda: len(groups))
    impostors: list[tuple[str, int, float]] = []
    genuine: list[tuple[str, int, float, float]] = []
    for one, strange, real in _searched(subject, chosen, cohort, progress):
        if strange is not None:
            impostors.append((one, numbers[subject.values[one]], strange))
        if real is not None:
            group = groups[subject.group_of(subject.items[one])]
            genuine.append((one, group, real, subject.certain.get(one, np.nan)))
    return Samples(embedding, relevant, classifier, cohort, _impostors(impostors), _genuine(genuine))


def _spread(subject: Subject) -> list[str]:
    """Return ids, one of each value and then the next; of a value first those that the classifier has not learned."""
    ids = sorted(subject.values)
    order = np.random.default_rng(subject.seed).permutation(len(ids))
    shuffled = sorted((ids[place] for place in order), key=lambda one: one not in subject.certain)
    seen: Counter[str] = Counter()
    turns: list[tuple[int, str]] = []
    for one in shuffled:
        turns.append((seen[subject.values[one]], one))
        seen[subject.values[one]] += 1
    return [one for _, one in sorted(turns, key=lambda turn: turn[0])[:PICTURES]]


def _searched(
    subject: Subject, chosen: Sequence[str], cohort: Cohort, progress: Progress
) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield each picture's best match score among impostors, and that of a query like it; None where there is none.

    Those whose value has few pictures come first, so that the searches of a batch ask for about as many hits.
    """
    alike = Counter(subject.values.values())
    depths = {one: min(alike[subject.values[one]] + 2 * LOOKED_AT, MOST_HITS) for one in chosen}
    affordable = np.cumsum(list(depths.values())) <= BUDGET
    asked = sorted((one for one, can in zip(chosen, affordable, strict=True) if can), key=depths.__getitem__)
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        vectors = subject.store.vectors(some)
        found = subject.store.search(vectors, depths[some[-1]], [None] * len(some), {})
        lists = [_lists(subject, one, each.hits, alike) for one, each in zip(some, found, strict=True)]
        ids = list({hit.id for each in lists for hit in (*each.impostors, *each.genuine)})
        rows = dict(zip(ids, subject.store.vectors(ids), strict=True))
        for one, vector, each in zip(some, vectors, lists, strict=True):
            itself = cohort.rows_of(each.twins)
            own = [*itself, *cohort.showing(subject.values[one])]
            strange = _highest(subject, vector, each.impostors, rows, cohort, own)
            yield one, strange, _highest(subject, vector, each.genuine, rows, cohort, itself) if each.known else None
        progress("calibrating verdicts", start + len(some), len(asked))


def _lists(subject: Subject, one: str, hits: Sequence[Hit], alike: Mapping[str, int]) -> _Lists:
    item, value = subject.items[one], subject.values[one]
    twins, others = {one}, 0
    impostors: list[Hit] = []
    genuine: list[Hit] = []
    for hit in hits:
        right = subject.values.get(hit.id) == value
        if len(genuine) == LOOKED_AT and (right or len(impostors) == LOOKED_AT):
            continue
        other = subject.items.get(hit.id)
        if hit.path == item.path or (other is not None and same_picture(item, other)):
            twins.add(hit.id)
            others += right and hit.id != one
            continue
        if len(genuine) < LOOKED_AT:
            genuine.append(hit)
        if not right and len(impostors) < LOOKED_AT:
            impostors.append(hit)
    if not impostors and len(hits) >= MOST_HITS:  # all of them are right: no impostor is nearer than the last
        impostors = [hits[-1]]
    known = alike[value] - 1 - others > 0
    return _Lists(tuple(impostors), tuple(genuine), frozenset(twins), known)


def _highest(
    subject: Subject,
    vector: Vector,
    hits: Sequence[Hit],
    rows: Mapping[str, Vector],
    cohort: Cohort,
    left_out: Sequence[int],
) -> float | None:
    if not hits:
        return None
    values = [subject.values.get(hit.id, "") for hit in hits]
    cosines = np.array([hit.score for hit in hits], np.float64)
    vectors = np.stack([rows[hit.id] for hit in hits])
    return float(match_scores(vector, cosines, vectors, values, cohort, left_out).max())


def _impostors(rows: Sequence[tuple[str, int, float]]) -> Impostors:
    ids, values, scores = zip(*rows, strict=True) if rows else ((), (), ())
    return Impostors(np.array(ids, np.str_), np.array(values, np.intp), np.array(scores, np.float64))


def _genuine(rows: Sequence[tuple[str, int, float, float]]) -> Genuine:
    ids, groups, near, certain = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Genuine(
        np.array(ids, np.str_), np.array(groups, np.intp), np.array(near, np.float64), np.array(certain, np.float64)
    )
