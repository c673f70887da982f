"""Which pictures are learned from and which are held out: by group, so that no group is on both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.contract import Example

Rows = NDArray[np.intp]
"""Positions in a sequence of examples."""

SHARE = 0.2
"""How much is held out: of a bucket's groups, and of the pictures of each group that stays."""

FEWEST = 3
"""Only groups of this many pictures lose some of them."""

PLENTY = 30
"""So many held-out views of known groups are enough to decide by."""

POOR = 5
"""A bucket with fewer pictures to learn from is named: what it learns is a few pictures rather than their kind."""

NAMED = 5
"""So many of such buckets are named, the poorest first."""


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint sets of rows, ascending.

    ``held`` are whole groups: things that were not learned. ``views`` are further pictures of
    groups that stay in ``learn``, as queries are: they show things that the gallery has.
    """

    learn: Rows
    held: Rows
    views: Rows

    @property
    def tuning(self) -> Rows:
        """Return what decides when to stop and what to choose: ``views``, or everything where those are few."""
        return self.views if len(self.views) >= PLENTY else np.concatenate([self.held, self.views])

    @property
    def judged(self) -> Rows:
        """Return what the first figure is taken from."""
        return self.held if len(self.held) else self.views


def split(examples: Sequence[Example], seed: int) -> Split:
    """Hold out about a fifth of each bucket's groups, and of the pictures of each group that stays.

    Every bucket keeps a group to learn from, and every such group a picture.

    >>> pictures = [Example(f"{b}{i}", b, f"{b}{i // 5}") for b in "xy" for i in range(25)]
    >>> parts = split(pictures, seed=0)
    >>> len(parts.learn), len(parts.held), len(parts.views)
    (32, 10, 8)
    """
    rng = np.random.default_rng(seed)
    members: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        members[example.bucket].add(example.group)
    held = _held_groups(members, rng)
    views = _views([(i, example) for i, example in enumerate(examples) if example.group not in held], rng)
    where = [1 if e.group in held else 2 if i in views else 0 for i, e in enumerate(examples)]
    learn, whole, pieces = (np.flatnonzero(np.array(where) == part) for part in range(3))
    return Split(learn, whole, pieces)


def remarks(examples: Sequence[Example], parts: Split) -> tuple[str, ...]:
    """Return what must be said of a split: what could not be held out, what was torn, and what is hardly known."""
    counts, notes = Counter(example.bucket for example in examples), []
    homes: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        homes[example.bucket].add(example.group)
    single = sum(len(groups) == 1 for groups in homes.values())
    if single and len(parts.views):
        notes.append(f"{_buckets(single)} a single group: held out by picture")
        if not len(parts.held):
            notes.append("no group could be held out: top-1 is of pictures whose group was learned, and too good")
    missing = len(counts) - len({examples[i].bucket for i in [*parts.held, *parts.views]})
    if missing == len(counts):
        notes.append("nothing could be held out: a fixed number of epochs, and no figures")
    elif missing:
        notes.append(f"{_buckets(missing)} too few pictures to hold any out")
    poor = sorted((count, bucket) for bucket, count in counts.items() if count < POOR)
    if poor:
        named = ", ".join(f"{bucket}: {count}" for count, bucket in poor[:NAMED]) + (", …" if poor[NAMED:] else "")
        notes.append(
            f"{_buckets(len(poor))} fewer than {POOR} pictures to learn from ({named}) and may be missed: add pictures"
        )
    return tuple(notes)


def _buckets(number: int) -> str:
    return "1 bucket has" if number == 1 else f"{number} buckets have"


def sample(examples: Sequence[Example], size: int, seed: int) -> list[Example]:
    """Return at most ``size`` examples, in their order, taken evenly from the buckets.

    Small buckets stay whole; at least one example of each bucket is kept.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[int]] = defaultdict(list)
    for i in rng.permutation(len(examples)):
        rows[examples[i].bucket].append(int(i))
    room, kept = size, list[int]()
    for left, bucket in zip(range(len(rows), 0, -1), sorted(rows, key=lambda b: (len(rows[b]), b)), strict=True):
        taken = rows[bucket][: max(1, room // left)]
        kept += taken
        room -= len(taken)
    return [examples[i] for i in sorted(kept)]


def _held_groups(members: Mapping[str, set[str]], rng: np.random.Generator) -> set[str]:
    """Choose groups bucket by bucket, the poorest first; a group may lie in several buckets."""
    homes: dict[str, list[str]] = defaultdict(list)
    for bucket, groups in members.items():
        for group in groups:
            homes[group].append(bucket)
    left = Counter({bucket: len(groups) for bucket, groups in members.items()})
    held: set[str] = set()
    for bucket in sorted(members, key=lambda b: (len(members[b]), b)):
        wanted = max(1, round(SHARE * len(members[bucket]))) - len(members[bucket] & held)
        candidates = sorted(members[bucket] - held)
        for i in rng.permutation(len(candidates)):
            group = candidates[i]
            if wanted > 0 and all(left[home] > 1 for home in homes[group]):
                held.add(group)
                left.subtract(homes[group])
                wanted -= 1
    return held


def _views(staying: Sequence[tuple[int, Example]], rng: np.random.Generator) -> set[int]:
    """Choose a fifth of the pictures of each group that has enough; every bucket keeps one to learn from."""
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, example in staying:
        rows[example.group, example.bucket].append(i)
    views: set[int] = set()
    for key in sorted(rows):
        if len(rows[key]) >= FEWEST:
            views |= set(rng.choice(rows[key], max(1, round(SHARE * len(rows[key]))), replace=False).tolist())
    return views
