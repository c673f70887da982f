"""What verdicts came to: how many queries and strangers were told what, and what other rates would come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from visualsearch.calibration.verdicts import Verdict
from visualsearch.datatypes import Answer

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""At which the trade-off is drawn."""

Least = Mapping[float, float | None]
"""For each rate the score from which on a hit is a match; None where it cannot be calibrated."""


@dataclass(frozen=True, slots=True)
class Told:
    """One query with its answer: whether it is a stranger, and whether its first hit is right (None: nothing can be)."""

    answer: Answer
    stranger: bool
    right: bool | None


def summarise(told: Sequence[Told], rules: Mapping[str, Any], least: Least) -> dict[str, Any] | None:
    """Return counts, shares and the trade-off; None where no query was given a verdict.

    ``found`` is the share of the queries with a right item whose first hit is right and a match,
    ``mistaken`` the share of them whose first hit is wrong and a match.
    """
    if all(one.answer.verdict is None for one in told):
        return None
    queries, strangers = ([one for one in told if one.stranger is kind] for kind in (False, True))
    answerable = [one for one in queries if one.right is not None]
    return {
        **rules,
        "queries": _counts(queries),
        "strangers": _counts(strangers) if strangers else None,
        "found": _share([bool(one.right) and _first_matches(one) for one in answerable]),
        "mistaken": _share([not one.right and _first_matches(one) for one in answerable]),
        "curve": {
            "match": [_match_point(rate, score, answerable, strangers) for rate, score in least.items()],
            "stranger": [_stranger_point(rate, queries, strangers) for rate in RATES],
        },
    }


def _counts(told: Sequence[Told]) -> dict[str, Any]:
    """Return how many were told what, and which shares that are."""
    counted = Counter(one.answer.verdict for one in told)
    words = {word: counted[word] for word in get_args(Verdict)}
    return {"pictures": len(told), **words, "shares": {word: _over(n, len(told)) for word, n in words.items()}}


def _first_matches(one: Told) -> bool:
    return bool(one.answer.hits) and bool(one.answer.hits[0].match)


def _match_point(rate: float, least: float | None, known: Sequence[Told], strangers: Sequence[Told]) -> dict[str, Any]:
    """Return what share would be matched if the threshold were that of another rate."""
    if least is None:
        return {"rate": rate, "least": None, "found": None, "strangers": None}

    def reached(scores: Sequence[float | None]) -> bool:
        return any(score is not None and score >= least for score in scores)

    found = [bool(one.right) and reached([hit.match_score for hit in one.answer.hits[:1]]) for one in known]
    wrong = [reached([hit.match_score for hit in one.answer.hits]) for one in strangers]
    return {"rate": rate, "least": least, "found": _share(found), "strangers": _share(wrong)}


def _stranger_point(rate: float, queries: Sequence[Told], strangers: Sequence[Told]) -> dict[str, Any]:
    """Return what share would be called a stranger at another rate, matches aside."""

    def refused(some: Sequence[Told]) -> float | None:
        fits = [(one.answer.fit, one.answer.verdict) for one in some if one.answer.fit is not None]
        return _share([fit <= rate and verdict != "match" for fit, verdict in fits])

    return {"rate": rate, "queries": refused(queries), "strangers": refused(strangers)}


def _share(what: Sequence[bool]) -> float | None:
    return _over(sum(what), len(what))


def _over(some: int, of: int) -> float | None:
    return some / of if of else None
