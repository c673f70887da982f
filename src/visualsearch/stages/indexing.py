"""Gallery ⟷ index: find what changed, and write it to the live index or to its successor."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from visualsearch.changes import Changes, diff
from visualsearch.datatypes import Item
from visualsearch.errors import DataError, EngineError, PictureError
from visualsearch.files import exclusive
from visualsearch.gallery import Listing, Picture, content_hash, list_pictures, require_column
from visualsearch.images import read
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts
from visualsearch.stages.deciding import calibrate_where_due
from visualsearch.stages.filters import known_values
from visualsearch.stages.fitting import fit_extractor
from visualsearch.stages.placing import placing, reassign
from visualsearch.stages.writing import IndexSummary, Writer
from visualsearch.stores.contract import Store


def index(parts: Parts, rebuild: bool, prune: bool, progress: Progress) -> IndexSummary:
    """Make the index match the gallery.

    Raises:
        DataError: the folder is missing or empty, or more than half of what is indexed is gone
            and ``prune`` is False; nothing is deleted then.
    """
    start = time.perf_counter()
    progress("listing the gallery", 0, 0)
    listing = list_pictures(parts.settings.gallery)
    progress("listing the gallery", 1, 1)
    column = _checked_column(parts, listing)
    with exclusive(parts.model.path):
        former = former_gallery(parts)
        if not prune:
            _refuse_other_gallery(parts, listing, former)
        fit_extractor(parts, listing, progress)
        with filling(parts, rebuild) as store:
            items = [item for page in store.pages() for item in page]
            changes = diff(listing.pictures, items, store.failures(), store.buried(), hash_of)
            if not prune:
                _refuse_mass_removal(changes, items, listing, former)
            rule = placing(parts, column)
            writer = Writer(store, parts.cropper, parts.extractor.embed, rule, progress)
            summary = writer.apply(changes, _ids_of(items))
            pages = list(store.pages())  # a store need not bear writes between two pages
            reassign(store, pages, rule)
            counts = {"pictures": len(listing.pictures), "items": store.count(), "columns": sorted(listing.columns)}
            values = known_values(item.columns for page in pages for item in page)
        parts.model.update(
            name=parts.settings.name,
            settings=parts.settings.public_dict(),
            embedding={"fingerprint": parts.embedding_fingerprint, "dim": parts.extractor.dim},
            index={**counts, "bucket_column": column, "values": values},
        )
        parts.remove_unused_graphs()
        calibrate_where_due(parts, summary.added + summary.changed + summary.removed, progress)
    seconds = time.perf_counter() - start
    return replace(summary, seconds=seconds, unmatched=listing.unmatched, former_gallery=former)


def _ids_of(items: Iterable[Item]) -> Mapping[str, Sequence[str]]:
    """Return the ids of the items of each path."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for item in items:
        found[item.path].append(item.id)
    return found


@contextmanager
def filling(parts: Parts, rebuild: bool) -> Iterator[Store]:
    """Yield the live index, or its successor, which is published if the block succeeds.

    A successor is built where there is no index yet, where the embeddings changed, or on
    ``rebuild``; one that was interrupted is taken up again.
    """
    live = parts.shelf.live()
    if live is not None and live.fingerprint == parts.embedding_fingerprint and not rebuild:
        with closing(live):
            # settings that a store can change without making its index anew
            getattr(live, "adjust", lambda: None)()
            yield live
        return
    if live is None:
        parts.embedder.ready_for_vectors()  # what fails here leaves no empty index behind
        # The first index is live while it grows: what was written is searchable, however it ends.
        parts.shelf.publish(parts.shelf.begin(parts.embedding_fingerprint, parts.extractor.dim))
        with closing(_opened(parts)) as first:
            yield first
        return
    live.close()
    with closing(parts.shelf.begin(parts.embedding_fingerprint, parts.extractor.dim)) as successor:
        # another crop may find something where the last one found nothing
        successor.clear_failures([failure.path for failure in successor.failures()])
        yield successor
        parts.shelf.publish(successor)


def _opened(parts: Parts) -> Store:
    live = parts.shelf.live()
    if live is None:
        raise EngineError("store: the index that was just made is gone. Run index again.", slug="store-replaced")
    return live


def bucket_column(parts: Parts, columns: Collection[str]) -> str | None:
    """Return the column whose values are the buckets; None where there are no buckets, or clusters.

    Raises:
        DataError: the YAML names a column that the gallery does not have.
    """
    wanted = parts.settings.buckets
    if wanted.none or wanted.clusters is not None:
        return None
    if wanted.column is None:
        return "label" if "label" in columns else None
    require_column(columns, wanted.column, "buckets.column")
    return wanted.column


def hash_of(picture: Picture) -> str | None:
    """Return the content hash of a picture's file; None where it cannot be read."""
    try:
        return content_hash(read(picture.file))
    except PictureError:
        return None


def _checked_column(parts: Parts, listing: Listing) -> str | None:
    """Return the bucket column; the gallery has what the YAML says of its paths and columns."""
    if listing.unmatched == len(listing.pictures):
        message = (
            f"gallery.path: expected paths such as {parts.settings.gallery.path!r}; received none, the first is "
            f"{listing.pictures[0].path!r}. Write what your paths are like, or leave gallery.path out."
        )
        raise DataError(message, slug="path-template-idle")
    if parts.settings.gallery.group is not None:
        require_column(listing.columns, parts.settings.gallery.group, "gallery.group")
    return bucket_column(parts, listing.columns)


def former_gallery(parts: Parts) -> Path | None:
    """Return the folder that the model was indexed from, where it is not the YAML's."""
    folder = parts.model.card().get("settings", {}).get("gallery", {}).get("folder")
    # as the card has it: a folder that the environment names stands there by that name
    named = parts.settings.public_dict()["gallery"]["folder"]
    if folder in (None, named) or Path(folder).resolve() == parts.settings.gallery.folder.resolve():
        return None
    return Path(folder)


def compared(store: Store, paths: Collection[str]) -> tuple[int, int]:
    """Return how many pictures a store has, and how many of them are not in ``paths``."""
    stored = {item.path for page in store.pages() for item in page}
    return len(stored), len(stored.difference(paths))


def _refuse_other_gallery(parts: Parts, listing: Listing, former: Path | None) -> None:
    """Refuse to put another gallery's index in the place of one that this extractor cannot use, or never made.

    One that it can use and made is compared by content instead, as soon as the changes are known.
    """
    made = bool(parts.model.card().get("index"))
    live = None if made and former is None else parts.shelf.live()
    if live is None:
        return
    with closing(live):
        if made and live.fingerprint == parts.embedding_fingerprint:
            return
        stored, gone = compared(live, {picture.path for picture in listing.pictures})
    if gone * 2 <= stored:
        return
    if made and former is not None:
        raise _other_gallery(listing, former, gone, stored)
    message = (
        f"{listing.folder}: expected an index of these pictures in the store, or none; received one of {stored} "
        f"pictures, {gone} of which are not here: it is another gallery's. Nothing was changed; give this YAML a "
        "`name:` or a `store.index` of its own, or run `index --prune` to replace it."
    )
    raise DataError(message, slug="other-gallery")


def _refuse_mass_removal(changes: Changes, items: Sequence[Item], listing: Listing, former: Path | None) -> None:
    stored = len({item.path for item in items})
    gone = len(changes.removed)
    if gone * 2 <= stored:
        return
    if former is not None:
        raise _other_gallery(listing, former, gone, stored)
    message = (
        f"{listing.folder}: {gone} of {stored} indexed pictures are gone. Nothing was changed; "
        "check the folder, or run `index --prune` to remove them from the index."
    )
    raise DataError(message, slug="too-many-gone")


def _other_gallery(listing: Listing, former: Path, gone: int, stored: int) -> DataError:
    message = (
        f"{listing.folder}: the model of this name was indexed from {former}, and {gone} of its {stored} pictures "
        "are not here. Nothing was changed; give this YAML a `name:` of its own, or run `index --prune` to replace it."
    )
    return DataError(message, slug="other-gallery")
