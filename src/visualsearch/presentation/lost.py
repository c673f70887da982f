"""The report's sections on what was lost, on which pictures, and on labels that look wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visualsearch.datatypes import Answer, Box
from visualsearch.evaluation.losses import KINDS, lost
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.suspects import Suspect
from visualsearch.presentation import charts, figures
from visualsearch.presentation.galleries import Pictures, breakable
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.parts import Section, cell, row_head, table
from visualsearch.presentation.wording import count, percent, printable, query_name

WORST = 7
"""Queries that are shown of each kind of loss."""

NEIGHBOURS = 3
"""Of a picture that looks mislabelled."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query's row with its file and the part of it that was searched."""

    row: RunRow
    file: str | None
    box: Box | None = None


def queries_of(answers: Sequence[Answer], rows: Sequence[RunRow], failed: Sequence[tuple[RunRow, str]]) -> list[Query]:
    """Return all queries, those that could not be searched last, each of which comes with its file."""
    searched = zip(answers, rows, strict=True) if len(answers) == len(rows) else ()
    asked = [Query(row, answer.query.path, answer.query.box) for answer, row in searched]
    return [*asked, *(Query(row, file) for row, file in failed)]


def losses_section(
    evaluation: Mapping[str, Any] | None, queries: Sequence[Query], pictures: Pictures
) -> Section | None:
    """Return which stage lost how many of the expected hits, and the queries that lost most to each."""
    losses = (evaluation or {}).get("losses")
    if not losses:
        return None
    expected = losses["expected"]
    kinds = [("found", "found")] + [(kind, figures.LOSSES[kind]) for kind in KINDS]
    rows = [_row(label, losses[kind], expected, kind) for kind, label in kinds]
    if losses["threshold"] is not None:
        rows.append(_row(figures.LOSSES["threshold"], losses["threshold"], expected, "threshold"))
    head = [("", ""), ("hits", "number"), ("of those expected", "number"), ("", "drawn")]
    note = (
        f"{expected:,} right hits were to be expected: for each query as many as the gallery has right pictures for, "
        "up to 20. Each that is missing is the fault of one stage."
    )
    if losses["gained"]:
        note += f" {count(losses['gained'], 'found hit')} only the routed search has, in place of others."
    worst = [_worst(kind, queries, pictures) for kind in KINDS if losses[kind]]
    return Section("losses", "What was lost, and where", note, join(table("Expected hits", head, rows), *worst))


def _row(label: str, hits: int, expected: int, kind: str) -> list[Markup]:
    drawn = charts.bar(hits / expected, kind="accent" if kind == "found" else "other")
    share = cell(percent(hits / expected), "number")
    return [row_head(label), cell(f"{hits:,}", "number"), share, cell(drawn, "drawn last")]


def _worst(kind: str, queries: Sequence[Query], pictures: Pictures) -> Markup | None:
    told = [(lost(query.row), query) for query in queries]
    ranked = sorted((one for one in told if one[0][kind]), key=lambda one: (-one[0][kind], one[1].row.query))
    tiles = [_tile(kind, counts, query, pictures) for counts, query in ranked[:WORST]]
    title = f"{figures.LOSSES[kind]}: {count(len(ranked), 'query', 'queries')}"
    more = ", those that lost most" if len(ranked) > WORST else ""
    return join(tag("h3", title + more, class_="lost"), tag("ol", *tiles, class_="hits lost"))


def _tile(kind: str, counts: Mapping[str, int], query: Query, pictures: Pictures) -> Markup:
    frame = tag("div", pictures.image(query.file, "query", f"query {query.row.query}", query.box), class_="frame")
    said = tag("span", f"{counts[kind]} of {counts['expected']} lost", class_="score")
    misled = None
    if kind == "bucket_not_probed" and query.row.right_bucket != query.row.predicted_bucket:
        misled = tag("span", f"{query.row.right_bucket} taken for {query.row.predicted_bucket}", class_="path")
    return tag("li", frame, said, misled, tag("span", breakable(query_name(query.file)), class_="path"))


def suspects_section(suspects: Sequence[Suspect], pictures: Pictures) -> Section | None:
    """Return the pictures of the gallery that look mislabelled, each with those it looks like."""
    if not suspects:
        return None
    note = (
        "Most of the nearest other pictures of these have another label. The label may be wrong, or the picture may "
        "show what the extractor cannot tell apart."
    )
    return Section("labels", "Labels to look at", note, join(*(_suspect(one, pictures) for one in suspects)))


def _suspect(one: Suspect, pictures: Pictures) -> Markup:
    frame = tag("div", pictures.image(one.path, "hit", one.path, None), class_="frame")
    text = f"{percent(one.share)} of its neighbours: {printable(one.looks_like)}"
    facts = tag("div", tag("h3", breakable(one.path)), tag("p", f"labelled {printable(one.value)}", class_="cost"),
                tag("p", text, class_="cost"))  # fmt: skip
    like = [
        tag(
            "li",
            tag("div", pictures.image(path, "hit", path, None), class_="frame"),
            tag("span", breakable(path), class_="path"),
        )
        for path in one.neighbours[:NEIGHBOURS]
    ]
    return tag("article", tag("div", frame, facts, class_="asked"), tag("ol", *like, class_="hits"), class_="query")
