"""Remove pictures for good: nothing of them is left in what was made, and a tombstone keeps them out of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from visualsearch.columns import path_columns, read_table
from visualsearch.datatypes import Failure, Item
from visualsearch.errors import DataError, UsageError
from visualsearch.files import erasing
from visualsearch.stages.assembly import Parts
from visualsearch.stages.dissolving import forget_centroids
from visualsearch.stages.erasing import erase_names, erase_results, erase_samples
from visualsearch.stages.explaining import check_columns
from visualsearch.stages.filters import known_values, nothing_has
from visualsearch.stores.contract import Store

BEGUN, DONE = "begun", "done"
"""What the card says of ``forgetting``: a run that was interrupted is completed by the next one."""

YOURS = (
    "the pictures themselves are yours and stay in the gallery's folder: delete them there; copies with other bytes "
    "would be indexed as new ones",
    "what you made elsewhere stays: backups and snapshots, indexes that `copy --to` made, reports and montages "
    "outside the model's folder, what a terminal or a log kept",
    "what the networks learned from the pictures together with others (classifier, PCA, discriminants) is not theirs alone; "
    "the next `visualsearch train` makes the classifier without them",
)


class Forgotten(list[str]):
    """The paths that were forgotten; ``erased`` says what was erased with them, ``left`` what is not this program's to erase."""

    def __init__(self, paths: Collection[str], erased: Collection[str] = (), left: Collection[str] = ()) -> None:
        """Keep the paths in their order."""
        super().__init__(paths)
        self.erased = tuple(erased)
        self.left = tuple(left)


@dataclass(frozen=True, slots=True)
class _Doomed:
    """What must go: content hashes, and the paths of failures, of which some have no content."""

    contents: frozenset[str]
    failed: frozenset[str]


def forget(parts: Parts, paths: Collection[str], where: Mapping[str, str] | None) -> Forgotten:
    """Bury and erase the items of ``paths``, and those whose columns equal ``where``.

    A tombstone is a content hash, so copies of a forgotten picture are forgotten with it.

    Raises:
        UsageError: neither paths nor a filter, a path that is not in the index, or values that no picture has.
        DataError: there is no index.
    """
    if isinstance(paths, str):
        raise UsageError(f"forget: expected a list of paths; received the text {paths!r}.", slug="nothing-named")
    check_columns(parts, where or {})
    unfinished = parts.model.card().get("forgetting") == BEGUN
    if not paths and not where and not unfinished:
        raise UsageError("forget: expected pictures or --where COLUMN=VALUE; received neither.", slug="nothing-named")
    live = parts.shelf.live()
    if live is None:
        raise DataError("forget: nothing is indexed yet. Run `visualsearch index` first.", slug="index-missing")
    with closing(live) as store:
        doomed = _doomed(parts, store, paths, where or {}, unfinished)
        with erasing(parts.model.card_path):
            parts.model.update(forgetting=BEGUN)
        # tombstones first: interrupted here, the next index removes what is left of them
        store.bury(doomed.contents)
        contents = doomed.contents | store.buried()
        gone, left = _parted(store, contents)
        with erasing(parts.model.card_path):
            _update_card(parts, left)
        erased = _erased_beside(parts, store, gone, left)
        # last of all: interrupted before, the next run finds them again, and what to do for them
        store.delete([item.id for item in gone])
        store.clear_failures(doomed.failed)
    survives = _erase(parts, contents, doomed.failed)
    parts.model.update(forgetting=DONE)
    items = "1 item" if len(gone) == 1 else f"{len(gone):,} items"
    told = f"index: vectors, paths and columns of {items}, and the index written anew without them"
    return Forgotten(sorted({item.path for item in gone} | doomed.failed), [told, *erased], [*YOURS, *survives])


def _erased_beside(parts: Parts, store: Store, gone: Sequence[Item], left: Sequence[Item]) -> list[str]:
    """Erase what the model's folder keeps of items that are gone; return what was erased."""
    return [
        *forget_centroids(parts, store, gone, left),
        *erase_names(parts, gone, left),
        *erase_samples(parts, gone),
        *erase_results(parts),
    ]


def _doomed(parts: Parts, store: Store, paths: Collection[str], where: Mapping[str, str], unfinished: bool) -> _Doomed:
    """Return what ``paths`` and ``where`` name.

    Raises:
        UsageError: a path is not in the index or no picture has the values, and no interrupted run has taken them out.
    """
    items = [item for page in store.pages() for item in page]
    failures = {one.path: one for one in store.failures()}
    unknown = sorted(set(paths) - {item.path for item in items} - set(failures))
    if unknown and not unfinished:
        message = (
            f"forget: expected pictures of the index; received {unknown[0]!r}, which is not in it. "
            "Paths are relative to the gallery folder."
        )
        raise UsageError(message, slug="unknown-picture")
    contents = {item.source.content for item in items if item.path in paths or _equal(item.columns, where)}
    failed = {path for path in paths if path in failures}
    if where:
        failed |= {path for path, columns in _columns_of(parts, failures) if _equal(columns, where)}
    contents |= {failures[path].source.content for path in failed}
    failed |= {path for path, one in failures.items() if one.source.content in contents - {""}}
    doomed = _Doomed(frozenset(contents - {""}), frozenset(failed))
    if not (doomed.contents or doomed.failed or unfinished):
        values = parts.model.card().get("index", {}).get("values", {})
        raise UsageError(f"forget: nothing was changed, for {nothing_has(where, values)}", slug="unknown-picture")
    return doomed


def _parted(store: Store, contents: Collection[str]) -> tuple[list[Item], list[Item]]:
    """Return the items of these contents, and those that are left; looked at again, for another may just have written a copy."""
    items = [item for page in store.pages() for item in page]
    gone = [item for item in items if item.source.content in contents]
    return gone, [item for item in items if item.source.content not in contents]


def _erase(parts: Parts, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
    """Erase from the store's disk; return what may survive there."""
    erase = getattr(parts.shelf, "erase", None)
    if erase is None:  # a plug-in from before there was such a promise
        return (f"store {parts.settings.store.name}: it only deletes, so what was deleted may be on its disk still",)
    survives: tuple[str, ...] = erase(contents, paths)
    return survives


def _update_card(parts: Parts, left: Collection[Item]) -> None:
    """Let the card know only what the items that are left have."""
    if index := parts.model.card().get("index"):
        values = known_values(item.columns for item in left)
        parts.model.update(index={**index, "items": len(left), "values": values})


def _columns_of(parts: Parts, failures: Mapping[str, Failure]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the path of each failure with the columns that the picture would have."""
    if not failures:
        return
    gallery = parts.settings.gallery
    columns_of = path_columns(gallery.path)
    try:
        table = read_table(gallery.table, gallery.folder) if gallery.table is not None else {}
    except DataError:  # it is gone, and what the paths say must do
        table = {}
    for path in failures:
        row = table.get(path)
        yield path, {**(columns_of(path) or {}), **(row.columns if row else {})}


def _equal(columns: Mapping[str, str], where: Mapping[str, str]) -> bool:
    return bool(where) and all(columns.get(column) == value for column, value in where.items())
