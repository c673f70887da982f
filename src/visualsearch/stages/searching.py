"""Pictures → answers: decode, crop, embed, route, search, widen."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visualsearch import routing
from visualsearch.calibration.matching import LOOKED_AT
from visualsearch.calibration.promises import Promise
from visualsearch.crops.contract import Cropper, why_nothing
from visualsearch.datatypes import Answer, Crop, Matrix, Pixels, Query
from visualsearch.embedder import Embedded, Embedder
from visualsearch.errors import PictureError
from visualsearch.images import Picturelike, to_pixels
from visualsearch.reranking import Expansion
from visualsearch.routing import Plan, Router
from visualsearch.stages.cropping import Cropped, crop_batch, cropped
from visualsearch.stages.matching import Matcher
from visualsearch.stages.reranking import reranked
from visualsearch.stages.retrieval import Matching, Reach, Retrieved, retrieve
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
    left_out: tuple[Collection[str], ...] | None = None
    """For each row, ids that may not answer it: they are found, and judged as if they were not."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One crop of one query on its way to the network, or the reason why there is none."""

    query: Query
    crop: Crop | None
    error: PictureError | None
    timings_ms: dict[str, float]

    @property
    def area(self) -> int:
        """Return the pixels of the crop's box in the picture; a crop without a box is the only one of its picture."""
        if self.crop is None:
            return 0
        if self.crop.box is None:
            return int(self.crop.pixels.size)
        left, top, right, bottom = self.crop.box
        return (right - left) * (bottom - top)


@dataclass(frozen=True, slots=True)
class Searcher:
    """Everything that a search needs, put together once; may be shared by threads."""

    store: Store
    cropper: Cropper
    embedder: Embedder
    promise: Promise | None
    """What routes promise; None where nothing can be routed."""
    ladder: tuple[str, ...]
    at_most: float
    model: str
    unrouted: str
    """Why a search without a classifier or without a promise is exhaustive."""
    bucket_column: str | None = None
    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What the gallery's columns have, as the last index found it."""
    rerank: Expansion | None = None
    matcher: Matcher | None = None
    """What judges hits; None where nothing is calibrated."""

    def answer(self, prepared: Sequence[Prepared], request: Request) -> list[Answer]:
        """Return the answers for crops that are ready; those without a crop get their reason."""
        ready = [one for one in prepared if one.crop is not None]
        start = time.perf_counter()
        embedded = self.embedder.embed([one.crop for one in ready if one.crop is not None])
        embed_ms = _ms_since(start) / max(len(ready), 1)
        start = time.perf_counter()
        reach = self.reach(request)
        retrieved = retrieve(self.store, embedded, self.plans(embedded, request, reach.router), reach)
        self.settle(embedded.vectors, retrieved, request.k)
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
        router = Router(self.embedder.buckets, counts, total, self.promise, self.at_most, self.unrouted)
        values = self.values if self.bucket_column is None else {**self.values, self.bucket_column: counts.keys()}
        narrowed = bool(request.where) or request.buckets is not None
        matching = None if self.matcher is None else Matching(self.matcher, request.left_out, not narrowed)
        depth, enough = self.depth(request.k), request.enough or request.k
        return Reach(router, self.ladder, depth, request.where, enough, values, matching)

    def depth(self, k: int) -> int:
        """Return how many hits must come from the store so that ``k`` are left in their final order, and judged."""
        judged = 0 if self.matcher is None else LOOKED_AT
        return max(k, judged, 0 if self.rerank is None else self.rerank.among)

    def settle(self, vectors: Matrix, retrieved: Sequence[Retrieved], k: int) -> None:
        """Mark what is a match, put the hits of each row in their final order and keep ``k``; in place."""
        for one in retrieved:
            one.found = one.found if one.judged is None else one.judged.marked(one.found)
        found = reranked(self.store, vectors, [one.found for one in retrieved], self.rerank, k)
        for one, settled in zip(retrieved, found, strict=True):
            one.found = settled

    def prepare(self, image: Picturelike) -> list[Prepared]:
        """Decode and crop one picture; a picture that cannot be searched is one entry with its reason."""
        return self._prepared(crop_batch([_opened(image)], self.cropper, "query")[0])

    def prepare_each(self, images: Iterable[Picturelike]) -> Iterator[list[Prepared]]:
        """Do the same for many pictures, lazily and in batches."""
        return map(self._prepared, cropped(images, _opened, self.cropper, "query"))

    def _prepared(self, one: Cropped[Prepared]) -> list[Prepared]:
        path, opened = one.known.query.path, one.known
        if opened.error is not None:
            return [opened]
        timings = {**opened.timings_ms, "crop": one.crop_ms}
        if not one.crops:
            nothing = PictureError(why_nothing(self.cropper), slug="no-crop")
            return [Prepared(Query(path), None, nothing, timings)]
        return [Prepared(Query(path, crop.box), crop, None, timings) for crop in one.crops]

    def plans(self, embedded: Embedded, request: Request, router: Router) -> list[Plan]:
        """Return the first plan of each row."""
        rows = len(embedded.vectors)
        if request.buckets is not None:
            return [routing.chosen(request.buckets)] * rows
        if request.exhaustive:
            return [routing.exhaustive("asked for")] * rows
        if embedded.probabilities is None:
            return [routing.exhaustive(self.unrouted)] * rows
        return [router.plan(row) for row in embedded.probabilities]

    def _answer(self, one: Prepared, result: Retrieved, total: int, embed_ms: float, search_ms: float) -> Answer:
        timings = with_total({**one.timings_ms, "embed": embed_ms, "search": search_ms})
        hits, route = result.found.hits, result.route(total)
        return Answer(one.query, hits, route, result.verdict, result.fit, self.model, timings_ms=timings)


def largest(prepared: Sequence[Prepared]) -> Prepared:
    """Return the entry whose crop takes the most of its picture."""
    return max(prepared, key=lambda one: one.area)


def _opened(image: Picturelike) -> tuple[Prepared, Pixels | None]:
    """Decode a picture; it has no crop yet."""
    query = Query(str(image) if isinstance(image, str | Path) else None)
    start = time.perf_counter()
    try:
        pixels = to_pixels(image)
    except PictureError as error:
        return Prepared(query, None, error, {"decode": _ms_since(start)}), None
    return Prepared(query, None, None, {"decode": _ms_since(start)}), pixels


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def with_total(timings_ms: Mapping[str, float]) -> dict[str, float]:
    """Return the stages' milliseconds with their sum as ``total``."""
    rounded = {stage: round(ms, 3) for stage, ms in timings_ms.items()}
    return {**rounded, "total": round(sum(timings_ms.values()), 3)}
