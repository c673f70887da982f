"""Move an index to another store without embedding anything again."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from visualsearch.errors import DataError, UsageError
from visualsearch.files import replacing
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts
from visualsearch.stages.indexing import compared
from visualsearch.stores.contract import Store

FITTED = ("pca.npz", "discriminant.npz")
"""What an extractor learned from the gallery, as files of the model folder."""

AT_ONCE = 8_000
"""Items that are written in one call: enough for a store that sends several requests at once."""


def copy(source: Parts, target: Parts, progress: Progress) -> int:
    """Copy items, vectors, failures, tombstones and what was learned; return the number of items.

    The target's index is replaced only when the copy is whole.

    Raises:
        DataError: the source has no index, or one made by another extractor than its YAML names; or the target's
            store has one of another gallery, which the target never made.
        UsageError: source and target are the same store, or the target's YAML names another extractor.
    """
    live = source.shelf.live()
    if live is None:
        raise DataError("copy: nothing is indexed yet. Run `visualsearch index` first.", slug="index-missing")
    with closing(live):
        if (source.settings.out, source.settings.store) == (target.settings.out, target.settings.store):
            raise UsageError("copy --to: expected another store; received the same one.", slug="same-store")
        if live.fingerprint != source.embedding_fingerprint:
            message = "copy: the index was made with another extractor than the YAML names. Run `visualsearch index`."
            raise DataError(message, slug="index-stale")
        _refuse_other_gallery(live, target)
        if live.fingerprint != _fingerprint_with_fitted(source, target):
            message = (
                "copy --to: expected a YAML with the same crop and extractor; it names others, whose searches could "
                "not use this index. Nothing was changed."
            )
            raise UsageError(message, slug="other-extractor")
        _copy_fitted(source.model.path, target.model.path)
        total = _copy_items(live, target, progress)
    _copy_card(source, target)
    return total


def _copy_items(live: Store, target: Parts, progress: Progress) -> int:
    with closing(target.shelf.begin(live.fingerprint, live.dim)) as successor:
        total = live.count()
        resumed, done = successor.count() > 0, 0
        for page in live.pages(AT_ONCE):
            successor.upsert(page, live.vectors([item.id for item in page]))
            done += len(page)
            progress("copying items", done, total)
        if resumed:
            _drop_what_was_lost(successor, live)
        failures = live.failures()
        successor.clear_failures({one.path for one in successor.failures()} - {one.path for one in failures})
        successor.record_failures(failures)
        successor.bury(live.buried())
        target.shelf.publish(successor)
    return total


def _drop_what_was_lost(successor: Store, live: Store) -> None:
    """Remove what a copy that was killed has written and the source has lost since."""
    for page in list(successor.pages(AT_ONCE)):
        ids = [item.id for item in page]
        kept = {item.id for item in live.get(ids)}
        successor.delete([item for item in ids if item not in kept])


def _refuse_other_gallery(live: Store, target: Parts) -> None:
    """Refuse to replace what lies in the target's store, where the target never made it and it is of other pictures."""
    there = None if target.model.card().get("index") else target.shelf.live()
    if there is None:
        return
    with closing(there):
        stored, gone = compared(there, {item.path for page in live.pages() for item in page})
    if gone * 2 > stored:
        message = (
            f"copy --to: expected a store with an index of these pictures, or none; received one of {stored} pictures, "
            f"{gone} of which are not in the source: it is another gallery's. Nothing was changed; give the other YAML a "
            "`name:` or a `store.index` of its own."
        )
        raise DataError(message, slug="other-gallery")


def _fingerprint_with_fitted(source: Parts, target: Parts) -> str:
    """Return what the target's index must be made with once it has what was fitted; nothing is left behind."""
    with tempfile.TemporaryDirectory() as folder:
        for model in (target.model.path, source.model.path):  # what the target has fitted itself comes first
            _copy_fitted(model, Path(folder))
        return Parts(target.settings.model_copy(update={"out": Path(folder)})).embedding_fingerprint


def _copy_fitted(source: Path, target: Path) -> None:
    """Give a model folder that lacks what was fitted another's, before its extractor looks for it."""
    for name in FITTED:
        kept, wanted = source / name, target / name
        if kept.exists() and not wanted.exists():
            with replacing(wanted) as part:
                shutil.copyfile(kept, part)


def _copy_card(source: Parts, target: Parts) -> None:
    """Copy what the card says of the index, and the classifier where the target would train the same."""
    card = source.model.card()
    target.model.update(name=target.settings.name, index=card["index"], embedding=card["embedding"])
    if source.model.path == target.model.path:
        return
    if source.samples is not None:
        source.samples.save(target.model.path)
        target.model.update(verdicts=card.get("verdicts", {}))
    _copy_clusters(source, target)
    if source.classifier is not None and source.settings.classifier == target.settings.classifier:
        shutil.copytree(source.model.path / "classifier", target.model.path / "classifier", dirs_exist_ok=True)
        if source.evidence is not None:
            source.evidence.save(target.model.path)
        target.model.update(training={**card["training"], "made_for": target.classifier_purpose})


def _copy_clusters(source: Parts, target: Parts) -> None:
    """Give the target the clusters by whose names its buckets are called now, whatever it had before."""
    if source.clusters is not None:
        source.clusters.save(target.model.path)
        target.forget_classifier()
