"""Which pictures of the gallery the index lacks, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from visualsearch.crops.contract import Cropper, why_nothing
from visualsearch.errors import DataError
from visualsearch.evaluation.losses import MISSING
from visualsearch.gallery import Picture, list_pictures
from visualsearch.stages.assembly import Parts
from visualsearch.stages.indexing import hash_of
from visualsearch.stages.judging import Question
from visualsearch.stages.writing import REFUSED
from visualsearch.stores.contract import Store


@dataclass(slots=True)
class Missing:
    """The gallery's pictures that cannot be found, by reason; ``known`` is False where the folder cannot be listed."""

    reasons: dict[str, str]
    pictures: dict[str, Picture] = field(default_factory=dict)
    known: bool = True

    def counts(self) -> dict[str, int]:
        """Return how many there are for each reason."""
        counted = Counter(self.reasons.values())
        return {reason: counted[reason] for reason in MISSING}

    def by_value(self, column: str | None) -> dict[str, list[str]]:
        """Return the paths of those that have a value in ``column``, by that value."""
        values: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.reasons:
            value = self.pictures[path].columns.get(column) if column is not None else None
            if value is not None:
                values[value].append(path)
        return dict(values)

    def right_for(self, question: Question, relevant: str | None, by_value: dict[str, list[str]]) -> dict[str, int]:
        """Return how many pictures that are right for a question are missing, by reason."""
        value = question.picture.columns.get(relevant) if relevant is not None else None
        if value is None or question.stranger:
            return {}
        return dict(Counter(self.reasons[path] for path in by_value.get(value, ())))


def missing_pictures(parts: Parts, store: Store, cropper: Cropper, indexed: Collection[str]) -> Missing:
    """Compare the gallery's folder with the index; what was forgotten on purpose is not missing."""
    try:
        listing = list_pictures(parts.settings.gallery)
    except DataError:  # an index can be searched where its gallery is not
        return Missing({}, known=False)
    outside = {picture.path: picture for picture in listing.pictures if picture.path not in indexed}
    failed = {failure.path: failure.reason for failure in store.failures()}
    kept_out = _forgotten((picture for path, picture in outside.items() if path not in failed), store.buried())
    reasons = {path: _reason(failed.get(path), why_nothing(cropper)) for path in outside if path not in kept_out}
    return Missing(reasons, {path: outside[path] for path in reasons})


def _forgotten(pictures: Iterable[Picture], buried: frozenset[str]) -> set[str]:
    return {picture.path for picture in pictures if hash_of(picture) in buried} if buried else set()


def _reason(failure: str | None, nothing: str) -> str:
    if failure is None or failure.startswith(REFUSED):
        return "not_indexed"
    return "no_crop" if failure == nothing else "unreadable"
