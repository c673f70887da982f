"""Buckets that nobody is in any more, taken out of a trained classifier: their names, and what was learned of them alone."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from visualsearch.classifiers import CLASSIFIERS, artefact
from visualsearch.errors import EngineError
from visualsearch.files import erase
from visualsearch.plugins import load


@runtime_checkable
class ForgettingClassifier(Protocol):
    """A classifier that can do without a bucket; of any other, nothing is kept when one is forgotten."""

    @staticmethod
    def without(weights: Path, positions: Sequence[int], target: Path) -> None:
        """Write the weights to ``target`` so that the buckets at ``positions`` get no probability.

        What was learned of their pictures alone (rows of a head, centres) is not written; each row of
        probabilities sums to 1 as before.
        """
        ...


def learned(folder: Path) -> tuple[str, ...]:
    """Return the buckets of the classifier in the model ``folder``; none where there is no sound one."""
    try:
        return artefact.read_card(folder / "classifier" / artefact.CARD).buckets
    except EngineError:
        return ()


def forget_buckets(folder: Path, renamed: Mapping[str, str]) -> bool:
    """Rename buckets, and take out what was learned of them; return False where no classifier could be kept.

    Whatever the classifier was before is overwritten.

    Raises:
        EngineError: a file cannot be written.
    """
    place = folder / "classifier"
    try:
        card = artefact.read_card(place / artefact.CARD)
        plugin = load(CLASSIFIERS, card.name, "classifier")
        if not isinstance(plugin, ForgettingClassifier):
            raise EngineError(f"classifier {card.name}: it cannot forget.", slug="classifier-damaged")
        positions = [number for number, name in enumerate(card.buckets) if name in renamed]
        fresh = replace(card, buckets=tuple(renamed.get(name, name) for name in card.buckets))
        stem, suffix = card.file.rpartition("-")[0], Path(card.file).suffix
        artefact.save(folder, fresh, stem, suffix, lambda part: plugin.without(place / card.file, positions, part))
    except EngineError as error:
        if error.slug == "disk":
            raise
        _remove(place)
        return False
    return True


def _remove(place: Path) -> None:
    for file in place.rglob("*"):
        if file.is_file():
            erase(file)
    shutil.rmtree(place, ignore_errors=True)
