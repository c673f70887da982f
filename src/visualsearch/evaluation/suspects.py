"""Pictures whose label their neighbours contradict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NEIGHBOURS = 10
"""Of a picture, at most; those of a rare value are asked as many as there are others of it, and three at least."""

FEWEST = 3

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture of the gallery, the value that it is labelled with, and how like the one in question it is."""

    path: str
    value: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Suspect:
    """A picture that looks mislabelled: which value its neighbours have, and which share of them."""

    path: str
    value: str
    looks_like: str
    share: float
    neighbours: tuple[str, ...]
    """Those with the other value, nearest first."""


def suspect(picture: Seen, neighbours: Sequence[Seen], pictures_of_its_value: int) -> Suspect | None:
    """Return what is suspicious of a picture; None where its nearest neighbours do not mostly agree on another value.

    The neighbours vote, as in the edited nearest neighbour rule (Wilson, "Asymptotic properties of nearest neighbor
    rules using edited data", 1972): each was labelled without this picture, so what they say is out of sample, which
    is what confident learning asks of a prediction that may contradict a label (Northcutt, Jiang and Chuang,
    "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021).

    Args:
        picture: the picture.
        neighbours: the nearest other pictures, best first, near-duplicates left out.
        pictures_of_its_value: how many pictures are labelled like it, itself among them.

    >>> mug, bowls = Seen("a", "mug"), [Seen(name, "bowl") for name in "bcd"]
    >>> suspect(mug, bowls, 5)
    Suspect(path='a', value='mug', looks_like='bowl', share=1.0, neighbours=('b', 'c', 'd'))
    >>> suspect(mug, [Seen("x", "mug"), *bowls[:1], Seen("y", "vase")], 5) is None
    True
    """
    asked = neighbours[: min(NEIGHBOURS, max(FEWEST, pictures_of_its_value - 1))]
    if len(asked) < FEWEST:
        return None
    value, votes = Counter(one.value for one in asked).most_common(1)[0]
    if value == picture.value or 2 * votes <= len(asked):
        return None
    others = tuple(one.path for one in asked if one.value == value)
    return Suspect(picture.path, picture.value, value, votes / len(asked), others)


def worst(found: Sequence[tuple[Suspect, float]], number: int = SHOWN) -> list[Suspect]:
    """Return the suspects that most neighbours contradict, of equals those whose neighbours are nearest.

    ``found`` are suspects with the score of their nearest neighbour.
    """
    return [one for one, _ in sorted(found, key=lambda pair: (-pair[0].share, -pair[1], pair[0].path))[:number]]
