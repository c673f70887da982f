"""What is well and what is missing: YAML, machine, model, index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec

from visualsearch.config import Application
from visualsearch.errors import DataError, VisualSearchError
from visualsearch.gallery import list_pictures, require_column
from visualsearch.stages.assembly import Parts
from visualsearch.stages.deciding import verdict_findings
from visualsearch.stages.drifting import drifted
from visualsearch.stages.findings import Finding, problem
from visualsearch.stages.forgetting import BEGUN
from visualsearch.stages.indexing import bucket_column, hash_of
from visualsearch.stages.proving import vector_findings
from visualsearch.stores.contract import Store

RECIPE = "recipe.json"
"""Lies beside a gallery that this project rendered."""

HASTY_S = 10.0
"""How long a store may be silent before it is told: who asks what is wrong does not want to wait as long as a load."""


def findings(parts: Parts, deep: bool) -> list[Finding]:
    """Look at everything, one part after the other; ``deep`` also reads every artefact and vector."""
    parts = _hasty(parts)
    looks: list[tuple[str, Callable[[Parts, bool], Iterator[Finding]]]] = [
        ("gallery", _gallery),
        ("machine", _machine),
        ("weights", _weights),
        ("model", _model),
        ("index", _index),
    ]
    found: list[Finding] = []
    for what, look in looks:
        try:
            found.extend(look(parts, deep))
        except VisualSearchError as error:
            found.append(problem(what, str(error), type(error)))
    return found


def _hasty(parts: Parts) -> Parts:
    """Return the same with less patience for a store that is away, where it has any."""
    store = parts.settings.store
    if getattr(store, "patience_s", 0.0) <= HASTY_S:
        return parts
    hasty = parts.settings.model_copy(update={"store": store.model_copy(update={"patience_s": HASTY_S})})
    return Parts(hasty, parts.progress)


def _gallery(parts: Parts, deep: bool) -> Iterator[Finding]:
    listing = list_pictures(parts.settings.gallery)
    columns = ", ".join(sorted(listing.columns)) or "none"
    yield Finding("ok", "gallery", f"{len(listing.pictures)} pictures; columns: {columns}")
    if listing.unmatched:
        yield Finding(
            "note", "gallery", f"{listing.unmatched} pictures do not fit gallery.path and have no columns from it"
        )
    for key, named in (
        ("gallery.group", parts.settings.gallery.group),
        ("queries.relevant", parts.settings.queries.relevant),
    ):
        if named is not None:
            require_column(listing.columns, named, key)
    column, clusters = bucket_column(parts, listing.columns), parts.settings.buckets.clusters
    none = f"clusters: {clusters}" if clusters is not None else "none: every search is exhaustive"
    yield Finding("ok", "buckets", f"column {column}" if column else none)


def _machine(parts: Parts, deep: bool) -> Iterator[Finding]:
    yield Finding("ok", "runtime", f"{parts.runtime.name}, {parts.settings.runtime.precision}")
    if find_spec("openvino") is None:
        yield Finding("note", "runtime", "openvino is not installed: pip install openvino makes embedding faster")


def _weights(parts: Parts, deep: bool) -> Iterator[Finding]:
    extractor = parts.extractor
    yield Finding("ok", "extractor", f"{extractor.name}, {extractor.dim} dimensions")
    if getattr(parts.settings.extractor, "source", None) == "published":
        yield Finding("note", "weights", "published weights are fetched at the first index, where they were not before")
    if advice := starter_advice(parts.settings):
        yield Finding("note", "extractor", advice)


def starter_advice(settings: Application) -> str | None:
    """Return what to say where the starter's weights meet pictures that are not rendered like its own."""
    starter = getattr(settings.extractor, "source", None) == "starter"
    if not starter or (settings.gallery.folder.parent / RECIPE).exists():
        return None
    return (
        "the starter's weights have seen rendered objects only, never a photograph: for pictures of your own "
        "`extractor: {weights: published}` finds better"
    )


def _model(parts: Parts, deep: bool) -> Iterator[Finding]:
    if parts.model.card().get("forgetting") == BEGUN:
        says = "a run was interrupted, and what it should erase may be on the disk still: run forget again"
        yield problem("forget", says)
    damaged = parts.model.damaged()
    if damaged:
        yield problem("model", f"{', '.join(damaged)} differ from the card: run index, and train again")
    classifier = parts.classifier
    if classifier is None:
        if not parts.has_buckets:
            why = "the gallery has no buckets" if parts.model.card().get("index") else "nothing is indexed yet"
            yield Finding("ok", "classifier", f"none: {why}, searches are exhaustive")
        else:
            yield Finding("note", "classifier", "not trained: searches are exhaustive; run train")
        return
    top1 = parts.model.card()["training"]["top1"]["chosen"]
    said = "nothing could be held out to measure it" if top1 is None else f"held-out top-1 {top1:.3f}"
    yield Finding("ok", "classifier", f"{len(classifier.buckets)} buckets; {said}")
    yield _promise(parts)


def _promise(parts: Parts) -> Finding:
    """Say what routes promise, and how many groups are missing where they promise nothing."""
    if parts.evidence is None:
        return Finding("note", "routing", "not calibrated, so every search is exhaustive: run train")
    promise = parts.promise
    if promise is None:
        return Finding("ok", "routing", f"{parts.unrouted}: every search is exhaustive")
    if promise.thresholds is None:
        missing = promise.needed - promise.n
        says = (
            f"{promise.n} calibration groups, {missing} fewer than the {promise.needed} that routing.keep {promise.level:g} "
            f"needs, so every search is exhaustive: add groups and train, or lower routing.keep to "
            f"{promise.n / (promise.n + 1):.2f} or less"
        )
        return Finding("note", "routing", says)
    kept = f"{promise.says}, for queries like the gallery"
    return Finding("ok", "routing", f"{kept}; calibrated on {promise.n} groups of the {promise.needed} that it needs")


def _index(parts: Parts, deep: bool) -> Iterator[Finding]:
    live = parts.shelf.live()
    if live is None:
        yield Finding("note", "index", "nothing is indexed yet: run index")
        return
    with closing(live) as store:
        if store.fingerprint != parts.embedding_fingerprint:
            says = f"made with {parts.made_with}: run index, or give this YAML another name"
            yield problem("index", says, DataError)
            return
        yield Finding("ok", "index", f"{store.count()} items of {store.dim} dimensions")
        failures = store.failures()
        yield from _missing(parts, store, {one.path for one in failures})
        if failures:
            first = failures[0]
            yield Finding(
                "note", "index", f"pictures that failed: {len(failures)}, such as {first.path}: {first.reason}"
            )
        yield from _unlearned(parts, store)
        for reason, says in drifted(parts.clusters, store):
            yield Finding("note" if reason else "ok", "clusters", says)
        yield from (Finding(level, "verdicts", says) for level, says in verdict_findings(parts))
        yield from _unfinished(parts)
        yield from (Finding("note", "index", says) for says in getattr(store, "notes", list)())
        if deep:
            yield from vector_findings(store)


def _missing(parts: Parts, store: Store, failed: set[str]) -> Iterator[Finding]:
    """Compare the paths of gallery and index; content is compared by ``index``."""
    gallery = {picture.path: picture for picture in list_pictures(parts.settings.gallery).pictures}
    indexed = {item.path for page in store.pages() for item in page}
    new, gone = gallery.keys() - indexed - failed, len(indexed - gallery.keys())
    buried = store.buried() if new else frozenset[str]()
    kept_out = {path for path in new if hash_of(gallery[path]) in buried} if buried else set()
    if kept_out:
        yield Finding("ok", "index", f"{len(kept_out)} of the gallery's pictures were forgotten and stay out")
    if new - kept_out or gone:
        says = f"{len(new - kept_out)} pictures are not indexed, {gone} indexed ones are gone: run index"
        yield Finding("note", "index", says)


def _unlearned(parts: Parts, store: Store) -> Iterator[Finding]:
    if parts.classifier is None:
        return
    new = sorted(set(store.bucket_counts()) - set(parts.classifier.buckets))
    if new:
        names = ", ".join(new[:5]) + (" …" if len(new) > 5 else "")
        yield Finding("note", "buckets", f"never learned, so in every route: {len(new)} ({names}); run train")


def _unfinished(parts: Parts) -> Iterator[Finding]:
    """Name the successor that a rebuild left, where a store can tell; others go on with it, or make it anew, unasked."""
    name = getattr(parts.shelf, "unfinished", lambda: None)()
    if name is not None:
        says = f"{name}, of a rebuild or copy that runs or was interrupted, takes room: run index --rebuild to end it"
        yield Finding("note", "index", says)
