"""What verdicts are calibrated with: scores of searches whose truth is known, kept beside the model."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from visualsearch.arrays import read_arrays, write_arrays
from visualsearch.calibration.conformal import needed
from visualsearch.calibration.matching import Cohort
from visualsearch.calibration.verdicts import Familiar, MatchRule, match_rule

FILE = "verdicts.npz"
"""In a model's folder."""

_FORMAT = "1"


@dataclass(frozen=True, slots=True)
class Impostors:
    """The best match score of each search from which all was left out that is right: (n,) each.

    ``values`` are numbers: pictures of one value are one group.
    """

    ids: NDArray[np.str_]
    values: NDArray[np.intp]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Genuine:
    """What searches came to from which only the picture itself was left out, with its near-duplicates: (n,) each.

    ``near`` is the best match score, ``certain`` the classifier's largest probability, NaN where there is none.
    """

    ids: NDArray[np.str_]
    groups: NDArray[np.intp]
    near: NDArray[np.float64]
    certain: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Samples:
    """All that thresholds are computed from; tied to the embeddings, the column and the classifier that made it.

    ``classifier`` is empty where nothing was asked of one.
    """

    embedding: str
    relevant: str
    classifier: str
    cohort: Cohort
    impostors: Impostors
    genuine: Genuine

    def match_rule(self, rate: float) -> MatchRule:
        """Return from which score on a hit is a match."""
        return match_rule(self.impostors.scores, self.impostors.values, rate)

    def familiar(self, classifier: str, rate: float) -> Familiar:
        """Return by what strangers are told, for searches with this classifier; empty if there is none.

        Only pictures that the classifier has not learned show how sure it is of what is new to it; where there are
        too few of them for the rate, it is not asked.
        """
        genuine = self.genuine
        asked = ~np.isnan(genuine.certain)
        if classifier and classifier == self.classifier and len(np.unique(genuine.groups[asked])) >= needed(1 - rate):
            return Familiar(genuine.near[asked], genuine.certain[asked], genuine.groups[asked])
        return Familiar(genuine.near, None, genuine.groups)

    def without(self, ids: Collection[str]) -> Samples:
        """Return the same with everything of these items left out."""
        gone = list(ids)
        return replace(
            self,
            cohort=_without(self.cohort, gone),
            impostors=_without(self.impostors, gone),
            genuine=_without(self.genuine, gone),
        )

    def save(self, folder: Path) -> None:
        """Write it into a model's folder, whole or not at all; what was there is overwritten.

        Raises:
            EngineError: the file cannot be written.
        """
        arrays: dict[str, Any] = {"format": _FORMAT}
        arrays |= {name: getattr(self, name) for name in ("embedding", "relevant", "classifier")}
        for name, part in self._parts().items():
            arrays |= {f"{name}.{field.name}": getattr(part, field.name) for field in fields(part)}
        write_arrays(folder / FILE, arrays)

    def _parts(self) -> dict[str, Cohort | Impostors | Genuine]:
        return {"cohort": self.cohort, "impostors": self.impostors, "genuine": self.genuine}

    @classmethod
    def load(cls, folder: Path, embedding: str) -> Self | None:
        """Return what ``save`` wrote of these embeddings; None where there is none, or it is damaged or of others."""
        parts = {"cohort": Cohort, "impostors": Impostors, "genuine": Genuine}
        named = {part: {field.name: f"{part}.{field.name}" for field in fields(kind)} for part, kind in parts.items()}
        wanted = (
            "format",
            "embedding",
            "relevant",
            "classifier",
            *(name for one in named.values() for name in one.values()),
        )
        kept = read_arrays(folder / FILE, wanted)
        if kept is None or (str(kept["format"]), str(kept["embedding"])) != (_FORMAT, embedding):
            return None
        made = {part: parts[part](**{field: kept[name] for field, name in one.items()}) for part, one in named.items()}
        return cls(embedding, str(kept["relevant"]), str(kept["classifier"]), **made)


Part = TypeVar("Part", Cohort, Impostors, Genuine)


def _without(part: Part, ids: list[str]) -> Part:
    rows = ~np.isin(part.ids, ids)
    return replace(part, **{field.name: getattr(part, field.name)[rows] for field in fields(part)})
