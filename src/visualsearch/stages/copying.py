"""Move an index to another store without embedding anything again."""

from __future__ import annotations

from contextlib import closing

from visualsearch.errors import DataError, UsageError
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts


def copy(source: Parts, target: Parts, progress: Progress) -> int:
    """Copy items, vectors, failures and tombstones; publish when whole; return the number of items.

    Raises:
        DataError: the source has no index, or one made by another extractor than the YAML's.
        UsageError: source and target are the same store.
    """
    live = source.shelf.live()
    if live is None:
        raise DataError("copy: nothing is indexed yet. Run `visualsearch index` first.", slug="index-missing")
    with closing(live):
        if (source.settings.out, source.settings.store) == (target.settings.out, target.settings.store):
            raise UsageError("copy --to: expected another store; received the same one.", slug="same-store")
        successor = target.shelf.begin(live.fingerprint, live.dim)
        with closing(successor):
            total = live.count()
            done = 0
            for page in live.pages():
                successor.upsert(page, live.vectors([item.id for item in page]))
                done += len(page)
                progress("copying items", done, total)
            successor.record_failures(live.failures())
            successor.bury(live.buried())
            target.shelf.publish(successor)
    return total
