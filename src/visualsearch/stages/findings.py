"""What `check` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from visualsearch.errors import EngineError, VisualSearchError

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; a ``note`` works but could be better, a ``problem`` does not.

    ``exit_code`` says what kind of problem it is, as that of errors does; 0 of anything else.
    """

    level: Level
    what: str
    says: str
    exit_code: int = 0


def problem(what: str, says: str, kind: type[VisualSearchError] = EngineError) -> Finding:
    """Return a problem that another command would tell as an error of this kind."""
    return Finding("problem", what, says, kind.exit_code)
