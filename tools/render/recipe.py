"""Seeds: what each picture is made from, so that the same seed gives the same set."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import families, views

# Random streams start with the number of their product, so that no instance or view of one product
# can occur in another whatever seeds are given.
SPACES = {"sample": 1, "training": 2, "strangers": 3, "trial": 4, "trial strangers": 5}


def family_of(label: str) -> families.Family:
    """Return the family of a label."""
    return families.ALL[label]


def instance_rng(space: str, seed: int, label: str, instance: int) -> np.random.Generator:
    """Return the random stream that fixes an instance."""
    return np.random.default_rng([SPACES[space], seed, *label.encode(), 0, instance])


def view_of(space: str, seed: int, label: str, instance: int, view: int) -> dict[str, Any]:
    """Return the parameters of one picture of an instance."""
    rng = np.random.default_rng([SPACES[space], seed, *label.encode(), 1, instance, view])
    names = tuple(name for name in families.GALLERY if name != label)
    return views.choose(rng, family_of(label), names)
