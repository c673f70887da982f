"""Verdicts in words: the same in terminal, montage and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visualsearch.datatypes import Answer
from visualsearch.presentation.wording import count, percent

COLOURS = {"match": "green", "similar": "yellow", "stranger": "red"}
"""In the terminal's own colours."""

LIKE_THE_GALLERY = "strangers that are to the gallery as its own are to each other"
"""For whom the false match rate is promised."""


def verdict_line(answer: Answer) -> str:
    """Say what a query is, and why.

    >>> from visualsearch.datatypes import Query
    >>> verdict_line(Answer(Query("q.jpg"), verdict="stranger", fit=0.02))
    'stranger: 2.0 % of queries like the gallery fit as badly'
    >>> verdict_line(Answer(Query("q.jpg"), verdict="similar", fit=0.6)), verdict_line(Answer(Query("q.jpg")))
    ('similar: the gallery has too little to tell a match by', '')
    """
    if answer.verdict is None:
        return ""
    if answer.verdict == "stranger" and answer.fit is not None:
        return f"stranger: {percent(answer.fit)} of queries like the gallery fit as badly"
    if answer.verdict == "match":
        matches = sum(bool(hit.match) for hit in answer.hits)
        return f"match: {count(matches, 'hit is', 'hits are')} sure to be the same"
    known = any(hit.match is not None for hit in answer.hits)
    told = "no hit is sure enough to be a match" if known else "the gallery has too little to tell a match by"
    return f"similar: {told}"


def legend(rules: Mapping[str, Any] | None) -> list[str]:
    """Say from which score on a hit is a match, when a query is a stranger, and for whom that is promised."""
    if rules is None:
        return []
    match, stranger, relevant = rules["match"], rules["stranger"], rules["relevant"]
    told = [f"match: {_lacking(match, f'values of {relevant}', 'match.false_rate')}"]
    if match["least"] is not None:
        told = [
            f"match: a match score of {match['least']:.3f} or more, which at most {percent(match['rate'])} of "
            f"{LIKE_THE_GALLERY} reach (calibrated on {match['n']:,} values of {relevant})"
        ]
    if stranger["n"] < stranger["needed"]:
        return [*told, f"stranger: {_lacking(stranger, 'groups', 'match.stranger_rate')}"]
    return [
        *told,
        f"stranger: nothing is near and no bucket fits, so badly as for at most {percent(stranger['rate'])} of "
        f"queries that are like the gallery (calibrated on {count(stranger['n'], 'group')})",
    ]


def _lacking(rule: Mapping[str, Any], what: str, key: str) -> str:
    return f"never told: {rule['n']:,} of {rule['needed']:,} {what} that {key} {rule['rate']:g} needs"


def lines(verdicts: Mapping[str, Any] | None) -> list[str]:
    """Return sentences for what an evaluation told of verdicts."""
    if not verdicts:
        return []
    told = [f"verdicts: of the queries {_shares(verdicts['queries'])}"]
    if verdicts["strangers"]:
        told.append(f"verdicts: of the strangers {_shares(verdicts['strangers'])}")
    if verdicts["match"]["least"] is not None and verdicts["found"] is not None:
        told.append(
            f"found first and a match: {percent(verdicts['found'])} of the queries; wrong and a match: "
            f"{percent(verdicts['mistaken'])}"
        )
    return told


def _shares(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{percent(counts['shares'][word])} {word}" for word in ("match", "similar", "stranger"))
