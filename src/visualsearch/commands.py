"""What each command does: call the library, present what it returns."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from visualsearch.config import load_settings
from visualsearch.config_schema import schema
from visualsearch.crops import noun_of
from visualsearch.datatypes import Answer
from visualsearch.errors import DataError, PictureError, UsageError
from visualsearch.evaluation.runs import write_run
from visualsearch.model import RESULTS
from visualsearch.opening import opened
from visualsearch.pipeline import VisualSearch
from visualsearch.presentation import comparisons, terminal
from visualsearch.presentation.routes import print_route
from visualsearch.presentation.verdicts import legend
from visualsearch.presentation.wording import count
from visualsearch.results import Results, draw, write_results
from visualsearch.stages.checking import starter_advice
from visualsearch.stages.comparing import compare
from visualsearch.stages.measuring import Evaluation
from visualsearch.stages.questions import refuse_missing_queries
from visualsearch.stages.writing import IndexSummary

SHOWN = 3
"""Queries whose hits the one-click run prints; all of them are in the report."""

SHOWN_HITS = 5

NOTHING_TO_LEARN = ("no-buckets", "single-bucket", "no-labels", "too-few-items")
"""Reasons why a gallery has no classifier; its searches are exhaustive, and that is no failure."""


def run(args: argparse.Namespace) -> int:
    """Index what changed, train what is missing, search the queries, show the result."""
    with opened(args) as search:
        refuse_missing_queries(search.settings)
        summary = search.index()
        indexed = summary.as_dict()
        _say(args, lambda: _show_index(search, summary))
        training, note = _trained(search)
        if training is not None:
            _say(args, lambda: terminal.print_training(training))
        if note:
            _say(args, lambda: terminal.print_note(f"note      {note}"))
        evaluation = search.evaluate()
        results = Results(search.settings, evaluation, search.card(), indexed, search.mislabelled())
        written = write_results(results, search.settings.out / "report")
        if args.json:
            return _print_json({"index": indexed, "evaluation": evaluation.summary, "written": written})
        for answer in results.examples(SHOWN):
            noun = noun_of(search.settings.crop)
            terminal.print_answer(answer, items=results.items, noun=noun, judge=results.judge, hits=SHOWN_HITS)
        terminal.print_evaluation(evaluation.summary)
        terminal.print_written(written)
    return 0


def train(args: argparse.Namespace) -> int:
    """Train the classifier."""
    with opened(args) as search:
        training = search.train().as_dict()
    return _shown(args, training, lambda: terminal.print_training(training))


def index(args: argparse.Namespace) -> int:
    """Bring the index to the gallery's state."""
    with opened(args) as search:
        summary = search.index(rebuild=args.rebuild, prune=args.prune)
        return _shown(args, summary.as_dict(), lambda: _show_index(search, summary))


def search(args: argparse.Namespace) -> int:
    """Search for each picture; where some cannot be read, the answers for the others come before the error."""
    where = _pairs(args.where)
    if args.montage and args.montage.suffix.lower() != ".png":
        message = f"--montage: expected a file that ends in .png; received {str(args.montage)!r}."
        raise UsageError(message, slug="montage-format")
    with opened(args) as search:
        if args.why_not:
            if args.montage:
                raise UsageError("--montage: expected hits to draw; --why-not has none: leave one out.", slug="no-hits")
            if len(args.images) > 1:
                raise UsageError("--why-not: expected one query; received several.", slug="several-queries")
            said = search.why_not(
                args.images[0], args.why_not, args.k, where=where, buckets=args.bucket, exhaustive=args.exhaustive
            )
            return _shown(args, {"why_not": said}, lambda: terminal.print_note(said))
        answers = list(
            search.search_each(args.images, args.k, where=where, buckets=args.bucket, exhaustive=args.exhaustive)
        )
        failed = [answer for answer in answers if answer.error is not None]
        if len(failed) < len(answers):
            _show_answers(args, search, answers)
    if failed:
        raise _unreadable(failed, len(args.images))
    return 0


def _show_answers(args: argparse.Namespace, search: VisualSearch, answers: Sequence[Answer]) -> None:
    if args.montage:
        draw(answers, search.settings.gallery.folder, args.montage)
    if args.json:
        _print_json([asdict(answer) for answer in answers])
        return
    for answer in answers:
        terminal.print_answer(answer, items=search.count(), noun=noun_of(search.settings.crop))
        if args.why:
            print_route(answer)
    for line in legend(search.verdict_rules) if args.why else ():
        terminal.print_note(line)
    if args.montage:
        terminal.print_written({"montage": args.montage})


def evaluate(args: argparse.Namespace) -> int:
    """Measure the YAML's queries."""
    with opened(args) as search:
        evaluation = search.evaluate()
        sweep = search.sweep() if args.sweep else None
        against = _compared(search, evaluation, args.against) if args.against else None
        written = {}
        if args.report or args.sweep:
            suspects = search.mislabelled()
            results = Results(search.settings, evaluation, search.card(), suspects=suspects, sweep=sweep)
            written = write_results(results, search.settings.out / "report", args.report)
        else:
            write_run(search.settings.out / "report" / RESULTS["run"], evaluation.rows)
    more = {name: told for name, told in {"sweep": sweep, "against": against}.items() if told is not None}
    if args.json:
        return _print_json({**evaluation.summary, **more})
    terminal.print_evaluation(evaluation.summary)
    if against is not None:
        comparisons.print_against(against)
    if sweep is not None:
        comparisons.print_sweep(sweep)
    terminal.print_written(written)
    return 0


def _compared(search: VisualSearch, evaluation: Evaluation, other: Path) -> dict[str, Any]:
    """Measure another YAML on the same queries."""
    with VisualSearch.from_yaml(other, (), search.progress) as opponent:
        return compare(evaluation, opponent.evaluate(), other.name, search.settings.runtime.seed)


def forget(args: argparse.Namespace) -> int:
    """Remove pictures for good."""
    with opened(args) as search:
        gone = search.forget(args.paths, where=_pairs(args.where) or None)
    told = {"forgotten": gone, "erased": gone.erased, "left": gone.left}
    return _shown(args, told, lambda: terminal.print_forgotten(count(len(gone), "picture"), gone.erased, gone.left))


def copy(args: argparse.Namespace) -> int:
    """Copy the index to another store."""
    with opened(args) as source, VisualSearch(load_settings(args.to, option="--to")) as target:
        copied = source.copy_to(target)
    return _shown(args, {"copied": copied}, lambda: terminal.print_note(f"copied {count(copied, 'item')}"))


def check(args: argparse.Namespace) -> int:
    """Say what is well and what is missing; exit with the code of the worst problem."""
    if args.schema:
        return _print_json(schema())
    with opened(args) as search:
        found = search.check(deep=args.deep)
    if args.json:
        _print_json([asdict(one) for one in found])
    else:
        terminal.print_findings([(one.level, one.what, one.says) for one in found])
    return max((one.exit_code for one in found), default=0)


def _show_index(search: VisualSearch, summary: IndexSummary) -> None:
    """Print what indexing did, and what is worth knowing of what was new."""
    terminal.print_index_summary(summary.as_dict())
    if summary.former_gallery is not None:
        terminal.print_note(f"note      this model was indexed from {summary.former_gallery} until now")
    if summary.unmatched:
        pictures = count(summary.unmatched, "picture")
        terminal.print_note(f"note      {pictures} do not fit gallery.path and have no columns from it")
    if summary.added and (advice := starter_advice(search.settings)):
        terminal.print_note(f"note      {advice}")


def _trained(search: VisualSearch) -> tuple[dict[str, Any] | None, str]:
    """Train where no classifier is yet; return the training, or a note why there is none."""
    if search.trained:
        return None, ""
    try:
        return search.train().as_dict(), ""
    except DataError as error:
        if error.slug not in NOTHING_TO_LEARN:
            raise
        return None, str(error)


def _unreadable(failed: Sequence[Answer], asked: int) -> PictureError:
    """Return the error of queries that could not be searched, with the first one's reason."""
    first = f"{failed[0].query.path}: {failed[0].error}."
    many = "" if asked == 1 else f"{len(failed)} of {asked} pictures could not be searched, the first is "
    return PictureError(many + first, slug="query-unreadable")


def _pairs(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return filters as a mapping.

    Raises:
        UsageError: a column is named twice.
    """
    if len(dict(given)) < len(given):
        raise UsageError("--where: expected each column once; received one twice.", slug="column-twice")
    return dict(given)


def _say(args: argparse.Namespace, show: Callable[[], None]) -> None:
    if not (args.json or args.quiet):
        show()


def _print_json(value: object) -> int:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))  # noqa: T201
    return 0


def _shown(args: argparse.Namespace, value: object, show: Callable[[], None]) -> int:
    """Print ``value`` as JSON where that was asked for, else ``show`` it."""
    if args.json:
        return _print_json(value)
    show()
    return 0
