"""A run: what each query was answered with, kept as data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from visualsearch.errors import EngineError
from visualsearch.files import write_text


@dataclass(frozen=True, slots=True)
class First:
    """A query's route before any widening: ``buckets`` (None: everything), how many, and the share that they cost.

    ``held`` is which share of what was promised lies in it, from 0 to 1: the right bucket, or the exhaustive
    hits; None where nobody knows. A route that was ``cut`` to ``routing.at_most`` has no promise.
    """

    buckets: tuple[str, ...] | None
    size: int
    compared: float
    held: float | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """What the classifier said of a query.

    ``confidence`` is the probability of the most probable bucket, ``accuracy`` which share of what was wanted lies
    in that bucket (of a right bucket all or nothing), ``brier`` the squared distance from what was wanted,
    ``strange`` one minus the probability of what was wanted. The last three are None where nobody knows.
    """

    confidence: float
    accuracy: float | None = None
    brier: float | None = None
    strange: float | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One query of an evaluation, searched routed and exhaustively.

    ``query`` is its path, ``group`` what must not be torn apart, ``right_items`` how many right
    items the gallery has. ``routed`` and ``exhaustive`` are item ids, best first, ``..._right``
    says of each whether it is right, ``..._compared`` which share of the gallery it cost.
    ``route_size`` counts the buckets that were probed in the end, ``best_score`` is the cosine
    of the first hit, and a ``stranger`` shows something that the gallery lacks. ``route`` names
    the buckets that were probed in the end (None: everything), ``..._scores`` are those of the hits,
    ``routed_match`` says which of them were called a match (None: nobody did). ``failed`` says
    why a query was not searched (``unreadable`` or ``no_crop``), and ``missing`` counts the right pictures
    of the gallery that the index lacks, by reason. Rows of older files lack what stands after ``stranger``.
    """

    query: str
    group: str
    right_items: int
    routed: tuple[str, ...]
    routed_right: tuple[bool, ...]
    exhaustive: tuple[str, ...]
    exhaustive_right: tuple[bool, ...]
    routed_compared: float
    exhaustive_compared: float
    right_bucket: str | None = None
    predicted_bucket: str | None = None
    route_size: int = 0
    widened: bool = False
    best_score: float | None = None
    stranger: bool = False
    route: tuple[str, ...] | None = None
    routed_scores: tuple[float, ...] = ()
    exhaustive_scores: tuple[float, ...] = ()
    routed_match: tuple[bool, ...] | None = None
    first: First | None = None
    guess: Guess | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    failed: str | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a row whose hits and judgements do not belong together."""
        if (len(self.routed), len(self.exhaustive)) != (len(self.routed_right), len(self.exhaustive_right)):
            raise ValueError(f"{self.query}: expected one judgement for each hit")

    @property
    def answerable(self) -> bool:
        """Return whether the gallery has anything right for this query."""
        return self.right_items > 0 and not self.stranger


def write_run(path: Path, rows: Iterable[RunRow]) -> None:
    """Write one JSON object a line, whole or not at all.

    Raises:
        EngineError: the file cannot be written.
    """
    write_text(path, "".join(json.dumps(asdict(row)) + "\n" for row in rows))


def read_run(path: Path) -> list[RunRow]:
    """Return the rows that ``write_run`` wrote.

    Raises:
        EngineError: the file cannot be read, or a line of it is no row.
    """
    row = TypeAdapter(RunRow)
    rows: list[RunRow] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            rows.append(row.validate_json(line))
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        where = f"{path}, line {len(rows) + 1}"
        message = f"{where}: expected a query and its hits; received {what}. Evaluate again to write it anew."
        raise EngineError(message, slug="run-broken") from error
    return rows
