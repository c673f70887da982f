"""Buckets that nobody is in any more, taken out of a trained classifier: their names, and what was learned of them alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from visualsearch.classifiers import CLASSIFIERS, artefact
from visualsearch.errors import EngineError
from visualsearch.files import erase
from visualsearch.plugins import load


@runtime_checkable
class ForgettingClassifier(Protocol):
    """A classifier that can do without a bucket; of any other, nothing is kept when one is forgotten."""

    @staticmethod
    def without(weights: Path, gone: Sequence[int], merged: Sequence[int]) -> Callable[[Path], None] | None:
        """Return what writes the weights without what shows single pictures; None where they show none.

        The buckets at the positions ``gone`` get no probability, and what was learned of their pictures
        alone (rows of a head, centres) is not written; rows of probabilities sum to 1 as before. Those of
        ``merged`` have lost pictures and have others: what may stand for a single one becomes a mean.
        """
        ...


Outcome = Literal["same", "changed", "removed"]
"""What became of a classifier; it is removed where it cannot forget."""


def learned(folder: Path) -> tuple[str, ...]:
    """Return the buckets of the classifier in the model ``folder``; none where there is no sound one."""
    try:
        return artefact.read_card(folder / "classifier" / artefact.CARD).buckets
    except EngineError:
        return ()


def fingerprint_of(folder: Path) -> str | None:
    """Return the fingerprint of the classifier in the model ``folder``; None where there is no sound one."""
    try:
        return artefact.read_card(folder / "classifier" / artefact.CARD).fingerprint
    except EngineError:
        return None


def forget_buckets(folder: Path, renamed: Mapping[str, str], merged: Collection[str] = ()) -> Outcome:
    """Rename buckets, and take out what was learned of them; of ``merged`` only what stands for single pictures.

    Whatever the classifier was before is overwritten.

    Raises:
        EngineError: a file cannot be written.
    """
    place = folder / "classifier"
    if not place.exists() or not (renamed or merged):
        return "same"
    try:
        return _rewritten(folder, artefact.read_card(place / artefact.CARD), renamed, merged)
    except EngineError as error:
        if error.slug == "disk":
            raise
        _remove(place)
        return "removed"


def _rewritten(folder: Path, card: artefact.Card, renamed: Mapping[str, str], merged: Collection[str]) -> Outcome:
    plugin = load(CLASSIFIERS, card.name, "classifier")
    if not isinstance(plugin, ForgettingClassifier):
        raise EngineError(f"classifier {card.name}: it cannot forget.", slug="classifier-damaged")
    gone, thinner = ([place for place, name in enumerate(card.buckets) if name in names] for names in (renamed, merged))
    write = plugin.without(folder / "classifier" / card.file, gone, thinner) if gone or thinner else None
    if write is None:
        return "same"
    fresh = replace(card, buckets=tuple(renamed.get(name, name) for name in card.buckets))
    artefact.save(folder, fresh, card.file.rpartition("-")[0], Path(card.file).suffix, write)
    return "changed"


def _remove(place: Path) -> None:
    for file in place.rglob("*"):
        if file.is_file():
            erase(file)
    shutil.rmtree(place, ignore_errors=True)
