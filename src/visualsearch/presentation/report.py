"""The report: one HTML file that needs nothing else and opens without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from visualsearch.datatypes import Answer
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.suspects import Suspect
from visualsearch.files import write_text
from visualsearch.model import GENERATOR
from visualsearch.presentation import figures, sections
from visualsearch.presentation.galleries import Pictures, query_section, selected, worst_section
from visualsearch.presentation.lost import losses_section, queries_of, suspects_section
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.palette import DARK, LIGHT, Palette
from visualsearch.presentation.parts import Section
from visualsearch.presentation.proofs import calibration_section, sweep_section
from visualsearch.presentation.thumbnails import ThumbnailOf
from visualsearch.presentation.verdict_section import verdict_section
from visualsearch.presentation.wording import count, percent, unbroken

PICTURE_BYTES = 4_000_000
"""What the thumbnails may take before base64 makes them a third larger."""

FOOTER = "Scores are cosine similarities: higher is closer. Intervals are 95 % bootstrap intervals over groups."


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found beside the figures.

    ``failed`` are queries that could not be searched, each with its file, ``suspects`` pictures of the gallery that look
    mislabelled, ``sweep`` what ``evaluate --sweep`` told.
    """

    failed: Sequence[tuple[RunRow, str]] = ()
    suspects: Sequence[Suspect] = ()
    sweep: Mapping[str, Any] | None = None


def write_report(
    path: Path,
    *,
    title: str,
    settings: Mapping[str, Any],
    answers: Sequence[Answer],
    thumbnails: ThumbnailOf,
    evaluation: Mapping[str, Any] | None = None,
    rows: Sequence[RunRow] = (),
    training: Mapping[str, Any] | None = None,
    index: Mapping[str, Any] | None = None,
    findings: Findings | None = None,
) -> None:
    """Write the report.

    Args:
        path: where the file goes.
        title: the gallery's name.
        settings: what the YAML came to, without secrets.
        answers: of the queries; a bounded number is shown.
        thumbnails: a query's or a hit's path → a small JPEG.
        evaluation: what ``evaluation.summary.summarise`` returned.
        rows: one for each answer, in the same order, or none.
        training: what ``Training.as_dict`` returned.
        index: what ``IndexSummary.as_dict`` returned.
        findings: what else was found.

    Raises:
        EngineError: the file cannot be written.
    """
    queries, pictures = selected(answers, rows), Pictures(thumbnails, PICTURE_BYTES)
    searched = [section(queries, pictures) for section in (query_section, worst_section)]
    parts = (
        *(sections.figures_section(evaluation, answers), *searched, sections.evaluation_section(evaluation)),
        *_found(evaluation, answers, rows, findings or Findings(), pictures),
        *(verdict_section(evaluation), sections.classifier_section(training, rows)),
        *(sections.timing_section(answers, evaluation), sections.index_section(index)),
        sections.settings_section(settings),
    )
    write_text(path, _page(title, _lead(evaluation, answers, index), [part for part in parts if part]))


def _found(
    evaluation: Mapping[str, Any] | None,
    answers: Sequence[Answer],
    rows: Sequence[RunRow],
    findings: Findings,
    pictures: Pictures,
) -> list[Section | None]:
    return [
        losses_section(evaluation, queries_of(answers, rows, findings.failed), pictures),
        suspects_section(findings.suspects, pictures),
        calibration_section(evaluation),
        sweep_section(findings.sweep),
    ]


def _page(title: str, lead: str, parts: Sequence[Section]) -> str:
    links = [tag("li", tag("a", part.title, href=f"#{part.name}")) for part in parts]
    return Template(_resource("report.html")).substitute(
        title=join(title),
        generator=join(GENERATOR),
        lead=join(unbroken(lead)),
        light=_variables(LIGHT),
        dark=_variables(DARK),
        style=_resource("report.css"),
        links=join(*links),
        sections=join(*(part.markup() for part in parts)),
        footer=join(unbroken(FOOTER)),
    )


def _resource(name: str) -> str:
    return files("visualsearch.presentation").joinpath(name).read_text(encoding="utf-8")


def _variables(palette: Palette) -> Markup:
    return Markup(" ".join(f"--{name.replace('_', '-')}: {colour};" for name, colour in asdict(palette).items()))


def _lead(evaluation: Mapping[str, Any] | None, answers: Sequence[Answer], index: Mapping[str, Any] | None) -> str:
    told = count(int(figures.figure(evaluation, "queries") or len(answers)), "query", "queries")
    pictures = sum(int(figures.figure(index, kind) or 0) for kind in ("added", "changed", "renamed", "unchanged"))
    if pictures:
        told += f", searched in {count(pictures, 'picture')}"
    share = figures.figure(evaluation, "routed", "compared")
    return (
        f"{told}." if share is None else f"{told}: on average each was compared with {percent(share)} of the gallery."
    )
