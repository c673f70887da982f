"""Remove pictures for good: a tombstone of their content keeps them out of every later index."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing

from visualsearch.errors import DataError, UsageError
from visualsearch.stages.assembly import Parts
from visualsearch.stages.explaining import check_columns
from visualsearch.stages.filters import known_values


def forget(parts: Parts, paths: Collection[str], where: Mapping[str, str] | None) -> list[str]:
    """Bury and delete the items of ``paths``, and those whose columns equal ``where``.

    A tombstone is a content hash, so copies of a forgotten picture are forgotten with it.

    Raises:
        UsageError: neither paths nor a filter, or a path that is not in the index.
        DataError: there is no index.
    """
    if isinstance(paths, str):
        raise UsageError(f"forget: expected a list of paths; received the text {paths!r}.", slug="nothing-named")
    check_columns(parts, where or {})
    if not paths and not where:
        raise UsageError("forget: expected pictures or --where COLUMN=VALUE; received neither.", slug="nothing-named")
    live = parts.shelf.live()
    if live is None:
        raise DataError("forget: nothing is indexed yet. Run `visualsearch index` first.", slug="index-missing")
    with closing(live) as store:
        items = [item for page in store.pages() for item in page]
        failures = {one.path: one.source.content for one in store.failures()}
        unknown = sorted(set(paths) - {item.path for item in items} - set(failures))
        if unknown:
            message = (
                f"forget: expected pictures of the index; received {unknown[0]!r}, which is not in it. "
                "Paths are relative to the gallery folder."
            )
            raise UsageError(message, slug="unknown-picture")
        wanted = {item.source.content for item in items if item.path in paths or _equal(item.columns, where)}
        wanted |= {failures[path] for path in paths if failures.get(path)}
        # tombstones first: interrupted here, the next index removes what is left of them
        store.bury(wanted)
        # looked at again: another process may just have written a copy
        items = [item for page in store.pages() for item in page]
        doomed = [item for item in items if item.source.content in wanted]
        store.delete([item.id for item in doomed])
        store.clear_failures([path for path, content in failures.items() if content in wanted])
    gone = {item.id for item in doomed}
    values = known_values(item.columns for item in items if item.id not in gone)
    if index := parts.model.card().get("index"):
        parts.model.update(index={**index, "values": values})
    return sorted({item.path for item in doomed} | {path for path in paths if path in failures})


def _equal(columns: Mapping[str, str], where: Mapping[str, str] | None) -> bool:
    return bool(where) and all(columns.get(column) == value for column, value in (where or {}).items())
