"""Hits → an order that the surest of them confirm: query expansion, in NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from visualsearch.datatypes import Hit, Matrix, Vector
from visualsearch.plugins import Settings


class Expansion(Settings):
    """Compare hits with the mean of the query and its surest hits; the first hit stays the first."""

    name: Literal["expansion"] = "expansion"
    """There is no other way yet."""
    least: Annotated[float, Field(gt=-1, lt=1)]
    """The score from which on a hit is sure; it depends on the extractor."""
    neighbours: PositiveInt = 5
    """How many hits may be sure at most."""
    power: Annotated[float, Field(ge=0, le=100)] = 3.0
    """A sure hit weighs as much as its score to this power, the query 1."""
    among: Annotated[int, Field(ge=1, le=10_000)] = 50
    """How many hits are put in order anew; those beyond `search.k` may come forward."""


def reordered(query: Vector, hits: Sequence[Hit], vectors: Matrix, how: Expansion) -> tuple[Hit, ...]:
    """Return the hits, best first, in their new order, ranked from 1; row i of ``vectors`` is that of hit i.

    This is query expansion with weights (Radenović, Tolias and Chum, 2018, section 3.5), but for
    two things: only hits of which the score says that they are right take part, so that nothing is
    changed where none is sure; and the first hit, which the expansion can only make worse where it is right, stays.
    """
    scores = np.array([hit.score for hit in hits], np.float64)
    sure = scores[: how.neighbours] >= how.least
    if not sure.any():
        return tuple(hits)
    weights = np.where(sure, np.maximum(scores[: how.neighbours], 0.0) ** how.power, 0.0)
    mean = query.astype(np.float64) + weights @ vectors[: how.neighbours].astype(np.float64)
    anew = vectors.astype(np.float64) @ (mean / max(float(np.linalg.norm(mean)), 1e-12))
    order = [0, *(1 + np.argsort(-anew[1:], kind="stable")).tolist()]
    return tuple(replace(hits[i], rank=rank, rerank_score=float(anew[i])) for rank, i in enumerate(order, 1))
