"""Check what a caller asks for, and say why a picture is not among the hits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from visualsearch.datatypes import Item, Matrix
from visualsearch.errors import PictureError, UsageError
from visualsearch.gallery import file_of
from visualsearch.images import Picturelike
from visualsearch.stages.assembly import Parts
from visualsearch.stages.filters import nearest
from visualsearch.stages.retrieval import retrieve
from visualsearch.stages.searching import Request, Searcher, largest

MOST_HITS = 10_000


def checked_request(
    parts: Parts, k: int, where: Mapping[str, str], buckets: Collection[str] | None, exhaustive: bool
) -> Request:
    """Return a request that the index can serve.

    Raises:
        UsageError: k is out of range, or a column does not exist.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= MOST_HITS:
        raise UsageError(f"k: expected a whole number from 1 to {MOST_HITS}; received {k!r}.", slug="bad-k")
    check_columns(parts, where)
    if isinstance(buckets, str):
        raise UsageError(f"buckets: expected a list of names; received the text {buckets!r}.", slug="no-bucket-named")
    if buckets is not None and not buckets:
        raise UsageError("buckets: expected at least one bucket; received none.", slug="no-bucket-named")
    names = None if buckets is None else tuple(dict.fromkeys(buckets))
    return Request(k, {column: str(value) for column, value in where.items()}, names, exhaustive)


def check_columns(parts: Parts, where: Mapping[str, str]) -> None:
    """Refuse a filter on a column that the gallery does not have.

    Raises:
        UsageError: names the nearest column that exists.
    """
    known = parts.model.card().get("index", {}).get("columns", [])
    for column in where:
        if column not in known:
            there = ", ".join(known) or "it has none"
            message = f"where: expected a column of the gallery ({there}); received {column!r}."
            raise UsageError(message + _meant(column, known), slug="unknown-column")


def check_buckets(searcher: Searcher, request: Request) -> None:
    """Refuse a bucket that the index does not have.

    Raises:
        UsageError: names the nearest bucket that exists.
    """
    known = searcher.store.bucket_counts() if request.buckets else {}
    for name in request.buckets or ():
        if name not in known:
            message = f"bucket: expected one of the index's {len(known)} buckets; received {name!r}."
            raise UsageError(message + _meant(name, known), slug="unknown-bucket")


def why_not(parts: Parts, searcher: Searcher, image: Picturelike, path: str, request: Request) -> str:
    """Say in one sentence where the picture ``path`` of the gallery stands in the search for ``image``."""
    name = _relative(parts, path)
    items = [item for page in searcher.store.pages() for item in page if item.path == name]
    if not items:
        return _why_not_indexed(parts, searcher, name)
    prepared = largest(searcher.prepare(image))
    if prepared.error is not None or prepared.crop is None:
        raise PictureError(f"{prepared.query.path}: {prepared.error}.", slug="query-unreadable")
    embedded = searcher.embedder.embed([prepared.crop])
    reach = searcher.reach(request)
    total = reach.router.total
    routed = retrieve(searcher.store, embedded, searcher.plans(embedded, request, reach.router), reach)
    searcher.settle(embedded.vectors, routed, request.k)
    hits = {hit.id: hit for hit in routed[0].found.hits}
    found = [hits[item.id] for item in items if item.id in hits]
    if found:
        best = min(found, key=lambda hit: hit.rank)
        return f"{name} is among the hits: rank {best.rank}, score {best.score:.3f}."
    wrong = [f"{c}={v}" for c, v in request.where.items() if all(item.columns.get(c) != v for item in items)]
    if wrong:
        return f"{name} does not satisfy the filter {' and '.join(wrong)}."
    probed = routed[0].plan.names
    everything = searcher.store.search(embedded.vectors, total, [None], request.where)[0]
    rank = next(hit.rank for hit in everything.hits if hit.path == name)
    if probed is not None and not any(set(item.buckets) & probed or not item.buckets for item in items):
        return _why_not_probed(name, items[0], embedded.probabilities, searcher, rank)
    within = searcher.store.search(embedded.vectors, total, [probed], request.where)[0]
    hit = next(hit for hit in within.hits if hit.path == name)
    if hit.rank <= request.k:
        return (
            f"{name} was at rank {hit.rank} (score {hit.score:.3f}); search.rerank put it after the {request.k} hits."
        )
    return f"{name} is at rank {hit.rank} (score {hit.score:.3f}), after the {request.k} hits that were asked for."


def _why_not_probed(name: str, item: Item, probabilities: Matrix | None, searcher: Searcher, rank: int) -> str:
    guessed = () if probabilities is None else probabilities[0]
    known = {bucket: float(p) for bucket, p in zip(searcher.embedder.buckets, guessed, strict=True)}
    bucket = item.buckets[0]
    return (
        f"{name} lies in bucket {bucket!r} (probability {known.get(bucket, 0.0):.3f}), which was not probed; "
        f"an exhaustive search has it at rank {rank}."
    )


def _why_not_indexed(parts: Parts, searcher: Searcher, name: str) -> str:
    failure = next((one for one in searcher.store.failures() if one.path == name), None)
    if failure is not None:
        return f"{name} could not be indexed: {failure.reason}"
    if not file_of(parts.settings.gallery.folder, name).is_file():
        return f"{name} is not in the gallery {parts.settings.gallery.folder}."
    return f"{name} is in the gallery but not in the index: it was added since the last `index`, or was forgotten."


def _relative(parts: Parts, path: str) -> str:
    """Return ``path`` relative to the gallery, whether it was given so or from where the caller stands."""
    folder = parts.settings.gallery.folder.resolve()
    given = Path(path)
    if (folder / given).exists() and not given.is_absolute():
        return given.as_posix()
    resolved = given.resolve()
    return resolved.relative_to(folder).as_posix() if resolved.is_relative_to(folder) else given.as_posix()


def _meant(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near is not None else ""
