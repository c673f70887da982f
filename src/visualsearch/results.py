"""What a run leaves to look at: a montage, a report, and the run itself as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from visualsearch.config import Application
from visualsearch.datatypes import Answer, Hit
from visualsearch.evaluation.runs import write_run
from visualsearch.evaluation.suspects import Suspect
from visualsearch.model import RESULTS
from visualsearch.presentation.montage import draw_montage
from visualsearch.presentation.report import Findings, write_report
from visualsearch.presentation.thumbnails import Thumbnails
from visualsearch.stages.measuring import Evaluation

MONTAGE_QUERIES = 8


@dataclass(frozen=True)
class Results:
    """One evaluation with what belongs to it, ready to be shown."""

    settings: Application
    evaluation: Evaluation
    card: Mapping[str, Any]
    index: Mapping[str, Any] | None = None
    suspects: Sequence[Suspect] = ()
    sweep: Mapping[str, Any] | None = None

    @property
    def items(self) -> int:
        """Return how many items the index has."""
        return int(self.card["index"]["items"])

    @property
    def findings(self) -> Findings:
        """Return what the report tells beside the figures."""
        failed = zip(self.evaluation.failed, self.evaluation.failed_files, strict=True)
        return Findings(tuple(failed), self.suspects, self.sweep)

    def examples(self, number: int) -> list[Answer]:
        """Return ``number`` real queries, spread evenly over all of them."""
        rows = zip(self.evaluation.answers, self.evaluation.rows, strict=True)
        real = [answer for answer, row in rows if not row.stranger]
        number = min(number, len(real))
        return [real[(2 * place + 1) * len(real) // (2 * number)] for place in range(number)]

    def judge(self, answer: Answer, hit: Hit) -> bool | None:
        """Say whether a hit is right; None where nothing is known of the query."""
        return self._judged.get(answer.query.path, {}).get(hit.id)

    @cached_property
    def _judged(self) -> dict[str | None, dict[str, bool]]:
        if self.evaluation.relevant is None:
            return {}
        return {
            answer.query.path: dict(zip(row.routed, row.routed_right, strict=True))
            for answer, row in zip(self.evaluation.answers, self.evaluation.rows, strict=True)
        }


def write_results(results: Results, folder: Path, report: Path | None = None) -> dict[str, Path]:
    """Write montage, report and run into ``folder``; return where each lies.

    Raises:
        EngineError: a file cannot be written.
    """
    written = {name: folder / file for name, file in RESULTS.items()} | ({"report": report} if report else {})
    draw(results.examples(MONTAGE_QUERIES), results.settings.gallery.folder, written["montage"], results)
    write_report(
        written["report"],
        title=results.settings.name,
        settings=results.settings.public_dict(),
        answers=results.evaluation.answers,
        thumbnails=Thumbnails(results.settings.gallery.folder),
        evaluation=results.evaluation.summary,
        rows=results.evaluation.rows,
        training=results.card.get("training"),
        index=results.index or {"unchanged": results.items},
        findings=results.findings,
    )
    write_run(written["run"], [*results.evaluation.rows, *results.evaluation.failed])
    return written


def draw(answers: Sequence[Answer], gallery: Path, path: Path, results: Results | None = None) -> None:
    """Draw answers as a montage; with ``results`` right and wrong hits are marked."""
    if results is None:
        draw_montage(answers, gallery, _query_picture, path)
    else:
        draw_montage(answers, gallery, _query_picture, path, judge=results.judge, title=results.settings.name)


def _query_picture(answer: Answer) -> Path | None:
    return Path(answer.query.path) if answer.query.path is not None else None
