"""Pictures → answers: decode, crop, embed, route, search, widen."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from visualsearch import routing
from visualsearch.crops.contract import Cropper
from visualsearch.datatypes import Answer, Crop, Query
from visualsearch.embedder import Embedded, Embedder
from visualsearch.errors import PictureError
from visualsearch.images import Picturelike, to_pixels
from visualsearch.routing import Plan, Router
from visualsearch.stages.retrieval import Reach, Retrieved, retrieve
from visualsearch.stores.contract import Store


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller may ask of a search beside the picture."""

    k: int
    where: Mapping[str, str] = field(default_factory=dict)
    buckets: tuple[str, ...] | None = None
    exhaustive: bool = False
    enough: int | None = None
    """Hits with which the search does not widen; k if None."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One crop of one query on its way to the network, or the reason why there is none."""

    query: Query
    crop: Crop | None
    error: PictureError | None
    timings_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Searcher:
    """Everything that a search needs, put together once; may be shared by threads."""

    store: Store
    cropper: Cropper
    embedder: Embedder
    keep: float
    ladder: tuple[str, ...]
    at_most: float
    model: str
    no_classifier: str
    """Why a search without classifier is exhaustive."""
    bucket_column: str | None = None
    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What the gallery's columns have, as the last index found it."""

    def answer(self, prepared: Sequence[Prepared], request: Request) -> list[Answer]:
        """Return the answers for crops that are ready; those without a crop get their reason."""
        ready = [one for one in prepared if one.crop is not None]
        start = time.perf_counter()
        embedded = self.embedder.embed([one.crop for one in ready if one.crop is not None])
        embed_ms = _ms_since(start) / max(len(ready), 1)
        start = time.perf_counter()
        reach = self.reach(request)
        retrieved = retrieve(self.store, embedded, self.plans(embedded, request, reach.router), reach)
        search_ms = _ms_since(start) / max(len(ready), 1)
        results = iter(retrieved)
        return [
            Answer(one.query, model=self.model, error=str(one.error), timings_ms=with_total(one.timings_ms))
            if one.crop is None
            else self._answer(one, next(results), reach.router.total, embed_ms, search_ms)
            for one in prepared
        ]

    def reach(self, request: Request) -> Reach:
        """Return how far a search may go in the index as it is now."""
        counts, total = self.store.bucket_counts(), self.store.count()
        router = Router(self.embedder.buckets, counts, total, self.keep, self.at_most)
        values = self.values if self.bucket_column is None else {**self.values, self.bucket_column: counts.keys()}
        return Reach(router, self.ladder, request.k, request.where, request.enough or request.k, values)

    def prepare(self, image: Picturelike) -> list[Prepared]:
        """Decode and crop one picture; a picture that cannot be read is one entry with its reason."""
        path = str(image) if isinstance(image, str | Path) else None
        start = time.perf_counter()
        try:
            pixels = to_pixels(image)
        except PictureError as error:
            return [Prepared(Query(path), None, error, {"decode": _ms_since(start)})]
        decode_ms, start = _ms_since(start), time.perf_counter()
        crops = self.cropper.crops([pixels])[0]
        timings = {"decode": decode_ms, "crop": _ms_since(start)}
        if not crops:
            nothing = PictureError("nothing to describe was found in the picture.", slug="no-crop")
            return [Prepared(Query(path), None, nothing, timings)]
        return [Prepared(Query(path, crop.box), crop, None, timings) for crop in crops]

    def plans(self, embedded: Embedded, request: Request, router: Router) -> list[Plan]:
        """Return the first plan of each row."""
        rows = len(embedded.vectors)
        if request.buckets is not None:
            return [routing.chosen(request.buckets)] * rows
        if request.exhaustive:
            return [routing.exhaustive("asked for")] * rows
        if embedded.probabilities is None:
            return [routing.exhaustive(self.no_classifier)] * rows
        return [router.plan(row) for row in embedded.probabilities]

    def _answer(self, one: Prepared, result: Retrieved, total: int, embed_ms: float, search_ms: float) -> Answer:
        timings = with_total({**one.timings_ms, "embed": embed_ms, "search": search_ms})
        return Answer(one.query, result.found.hits, result.route(total), model=self.model, timings_ms=timings)


def largest(prepared: Sequence[Prepared]) -> Prepared:
    """Return the entry whose crop has the largest area."""
    return max(prepared, key=lambda one: 0 if one.crop is None else int(np.prod(one.crop.pixels.shape[:2])))


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def with_total(timings_ms: Mapping[str, float]) -> dict[str, float]:
    """Return the stages' milliseconds with their sum as ``total``."""
    rounded = {stage: round(ms, 3) for stage, ms in timings_ms.items()}
    return {**rounded, "total": round(sum(timings_ms.values()), 3)}
