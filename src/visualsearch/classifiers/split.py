"""Which pictures are learned from and which are held out: by group, so that no group is on both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.contract import Example

Rows = NDArray[np.intp]
"""Positions in a sequence of examples."""

SHARE = 0.2
"""How much is held out: of a bucket's groups, or of its pictures where it has one group only."""

FEWEST = 3
"""A bucket's single group is torn only if it has this many pictures."""

POOR = 5
"""A bucket with fewer pictures to learn from is named: what it learns is a few pictures rather than their kind."""

NAMED = 5
"""So many of such buckets are named, the poorest first."""


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint sets of rows, ascending.

    ``held`` are whole groups: what figures are taken from. ``torn`` are pictures of buckets with
    a single group, which stays in ``learn``: they only tell when to stop, unless there is
    nothing else.
    """

    learn: Rows
    held: Rows
    torn: Rows

    @property
    def validation(self) -> Rows:
        """Return what early stopping looks at."""
        return np.concatenate([self.held, self.torn])

    @property
    def judged(self) -> Rows:
        """Return what figures are taken from."""
        return self.held if len(self.held) else self.torn


def split(examples: Sequence[Example], seed: int) -> Split:
    """Hold out about a fifth of each bucket's groups; every bucket keeps a group to learn from.

    >>> pictures = [Example(f"{b}{i}", b, f"{b}{i // 2}") for b in "xy" for i in range(10)]
    >>> parts = split(pictures, seed=0)
    >>> len(parts.learn), len(parts.held), len(parts.torn)
    (16, 4, 0)
    """
    rng = np.random.default_rng(seed)
    members: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        members[example.bucket].add(example.group)
    held = _held_groups(members, rng)
    torn = _torn({b for b, groups in members.items() if len(groups) == 1}, examples, rng)
    where = [1 if e.group in held else 2 if i in torn else 0 for i, e in enumerate(examples)]
    learn, whole, pieces = (np.flatnonzero(np.array(where) == part) for part in range(3))
    return Split(learn, whole, pieces)


def remarks(examples: Sequence[Example], parts: Split) -> tuple[str, ...]:
    """Return what must be said of a split: what could not be held out, what was torn, and what is hardly known."""
    counts, notes = Counter(example.bucket for example in examples), []
    if len(parts.torn):
        torn = _buckets(len({examples[i].bucket for i in parts.torn}))
        notes.append(f"{torn} a single group: {len(parts.torn)} of their pictures are held out by picture")
        if not len(parts.held):
            notes.append("no group could be held out: top-1 is of pictures whose group was learned, and too good")
    missing = len(counts) - len({examples[i].bucket for i in parts.validation})
    if not len(parts.validation):
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


def _torn(single: Collection[str], examples: Sequence[Example], rng: np.random.Generator) -> set[int]:
    """Choose pictures of the buckets whose only group has to be learned from."""
    torn: set[int] = set()
    for bucket in sorted(single):
        rows = [i for i, example in enumerate(examples) if example.bucket == bucket]
        if len(rows) >= FEWEST:
            torn |= set(rng.choice(rows, max(1, round(SHARE * len(rows))), replace=False).tolist())
    return torn
