"""The values that the stages hand to each other: frozen, typed, and nothing but data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""A picture: (height, width, 3), RGB."""

Vector = NDArray[np.float32]
"""An embedding: (dim,), unit length."""

Matrix = NDArray[np.float32]
"""Several embeddings, or several rows of probabilities: (n, dim)."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the upright picture; right and bottom are exclusive."""

Buckets = frozenset[str] | None
"""The buckets that a search probes; ``None`` is exhaustive."""


@dataclass(frozen=True, slots=True)
class Crop:
    """The part of a picture that is described: all of it (``box`` is None), or one face.

    ``pixels`` shows the box, and around it what a margin adds and the picture has; a part larger
    than any network looks at is shrunk. ``landmarks`` are (5, 2), x and y in pixels of ``pixels``:
    the eye on the left of the picture, the other one, the nose, the corners of the mouth from
    left to right. A similarity transform of ``pixels`` aligns the face by them; of a face half
    outside the picture some lie beyond its border. ``confidence`` is from 0 to 1.
    """

    pixels: Pixels
    box: Box | None = None
    landmarks: NDArray[np.float32] | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What tells whether a file is still the one that was indexed.

    ``content`` is the SHA-256 of its bytes, ``stamp`` what the file system says of it (a
    changed stamp asks for a new look at the content), ``look`` a 256-bit difference hash by
    which near-duplicates are found.
    """

    content: str
    stamp: str
    look: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """What a store holds beside a vector: one crop of one picture of the gallery."""

    id: str
    path: str
    columns: Mapping[str, str]
    buckets: tuple[str, ...]
    source: Source
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture that could not be indexed, and why; not tried again until it changes."""

    path: str
    reason: str
    source: Source


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture that a search returns; ``score`` is cosine similarity, higher is closer.

    ``match_score`` says how sure it is that it shows what the query shows, ``match`` whether that is
    sure enough; None where nothing is calibrated.
    """

    id: str
    path: str
    columns: Mapping[str, str]
    buckets: tuple[str, ...]
    score: float
    rank: int
    box: Box | None = None
    rerank_score: float | None = None
    match_score: float | None = None
    match: bool | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a store answers for one vector: hits, best first, and how many items it compared."""

    hits: tuple[Hit, ...]
    compared: int


@dataclass(frozen=True, slots=True)
class Probability:
    """A bucket of a route; ``probability`` is None where the classifier has never learned it."""

    name: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a route: why it was taken, what it probed, the share that it compared.

    ``buckets`` counts what is probed by then, 0 where it is everything; ``added`` names what this step brought.
    """

    why: str
    buckets: int
    compared: float
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """The buckets that one query probed, why, and what it cost.

    ``compared`` is the share of the gallery's items that were compared, widening included.
    ``promise`` is what calibration guarantees of the route; None until a model is calibrated.
    """

    buckets: tuple[Probability, ...]
    steps: tuple[Step, ...]
    compared: float
    promise: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What was searched for: a file (or None for pixels from memory) and the crop's box."""

    path: str | None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one crop of a query is answered with; JSON has the same names.

    ``fit`` is the share of the queries that are like the gallery which fit it as badly as this one or worse;
    None where that is not calibrated, or only a part of the gallery was asked for.
    """

    query: Query
    hits: tuple[Hit, ...] = ()
    route: Route | None = None
    verdict: str | None = None
    fit: float | None = None
    model: str | None = None
    error: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
