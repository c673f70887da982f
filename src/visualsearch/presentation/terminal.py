"""What the terminal shows: results on stdout, progress and messages on stderr.

Everything fits 80 columns and says the same without colour: in a pipe, or with NO_COLOR.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from visualsearch.datatypes import Answer, Hit
from visualsearch.presentation import figures
from visualsearch.presentation.verdicts import COLOURS, verdict_line
from visualsearch.presentation.wording import (
    Judge,
    cost,
    count,
    duration,
    facts,
    nobody_knows,
    percent,
    placed,
    printable,
    why,
)

ACCENT, RIGHT, WRONG, MUTED = "blue", "green", "red", "dim"
"""The palette in the terminal's own colours, which its user has chosen to be readable."""

BAR_WIDTH = 10
FAILURES_SHOWN = 10


def stdout_console() -> Console:
    """Return where results go."""
    return Console(highlight=False, soft_wrap=False)


def stderr_console() -> Console:
    """Return where progress and messages go."""
    return Console(file=sys.stderr, highlight=False)


def print_answer(
    answer: Answer,
    *,
    items: int | None = None,
    noun: str = "item",
    judge: Judge = nobody_knows,
    hits: int | None = None,
    console: Console | None = None,
) -> None:
    """Print the hits of one query, and in a last line what the search cost.

    Args:
        answer: what was found, or why nothing could be.
        items: how many the index has, if known.
        noun: what an item is called, such as a picture or a face.
        judge: says which hits are right, where the truth is known.
        hits: how many hits are printed at most; all if None.
        console: where to; stdout if None.
    """
    console = console or stdout_console()
    _say(console, placed(answer.query.path or "picture from memory", answer.query.box), "bold")
    if answer.verdict is not None:
        _say(console, f"  {verdict_line(answer)}", COLOURS[answer.verdict])
    if answer.error is not None:
        _say(console, f"  not searched: {answer.error}", WRONG)
    elif answer.hits:
        console.print(_hits(answer, answer.hits[:hits], judge, _plain(console)))
    else:
        console.print("  no hits")
    _print_cost(answer, items, noun, console)
    console.print()


def print_index_summary(summary: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print what indexing changed: the counts, the failures with their reasons, the time."""
    console = console or stdout_console()
    kinds = ("added", "changed", "renamed", "removed", "unchanged")
    told = ", ".join(f"{summary[kind]:,} {kind}" for kind in kinds if summary.get(kind)) or "nothing to do"
    console.print(f"[bold]index[/bold]     {told} · {duration(summary.get('seconds', 0.0))}")
    failed = summary.get("failed", ())
    for failure in failed[:FAILURES_SHOWN]:
        _say(console, f"  failed    {failure['path']}: {failure['reason']}", WRONG)
    if len(failed) > FAILURES_SHOWN:
        console.print(f"  failed    {len(failed) - FAILURES_SHOWN:,} more")


def print_training(training: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print how well the classifier knows pictures that it was not trained on."""
    console = console or stdout_console()
    seconds = training.get("seconds")
    took = "" if seconds is None else f" · {duration(seconds)}"
    console.print(f"[bold]train[/bold]     {figures.top1(training)}{took}")
    for note in training.get("notes", ()):
        _say(console, f"  {note}", MUTED)


def print_evaluation(summary: Mapping[str, Any], *, console: Console | None = None) -> None:
    """Print the routed and the exhaustive search side by side, with 95 % intervals."""
    console = console or stdout_console()
    table = empty_table("", ">routed", "95 %", ">exhaustive", "95 %")
    for label, path in figures.lines(summary):
        routed, exhaustive = (
            (
                percent(figures.figure(summary, search, *path)),
                figures.interval(figures.bounds(summary, search, *path)),
            )
            for search in figures.SEARCHES
        )
        table.add_row(label, *routed, *exhaustive)
    left_out = summary.get("unanswerable")
    rest = f" ({left_out:,} without anything right in the gallery are left out)" if left_out else ""
    if left_out == summary["queries"]:
        why = "nothing says of any hit that it is right" if left_out else "none could be searched"
        rest = f": {why}, so there is nothing to measure"
    console.print(f"[bold]evaluate[/bold]  {count(summary['queries'], 'query', 'queries')}{rest}")
    if left_out != summary["queries"]:
        console.print(table)
    time_line = figures.time_line(summary)
    for line in [*figures.notes(summary), *([] if time_line is None else [time_line])]:
        console.print(Padding(Text(printable(line)), (0, 0, 0, 2), expand=False))


def print_forgotten(
    pictures: str, erased: Sequence[str], left: Sequence[str], *, console: Console | None = None
) -> None:
    """Print how many pictures were forgotten, what was erased with them, and what is left to the user."""
    console = console or stdout_console()
    _say(console, f"forgot {pictures}", "")
    for title, lines in (("erased", erased), ("left to you", left)):
        for line in lines:
            _say(console, f"  {title:<12}{line}", "")


def print_findings(findings: Sequence[tuple[str, str, str]], *, console: Console | None = None) -> None:
    """Print what ``check`` found: a level (ok, note, problem), what it is about, and a sentence."""
    console = console or stdout_console()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for level, what, says in findings:
        style = {"ok": RIGHT, "problem": WRONG}.get(level, "")
        table.add_row(Text(level, style=style), Text(what, style="bold"), Text(printable(says), overflow="fold"))
    console.print(table)


def print_written(written: Mapping[str, object], *, console: Console | None = None) -> None:
    """Print where files were written, a line each; paths are not broken, so that a terminal can open them."""
    console = console or stdout_console()
    for name, path in written.items():
        console.print(Text.assemble((f"{name:<10}", "bold"), printable(str(path))), soft_wrap=True)


def print_note(note: str, *, console: Console | None = None) -> None:
    """Print one sentence."""
    _say(console or stdout_console(), note, "")


def print_error(message: str, slug: str, *, as_json: bool = False, console: Console | None = None) -> None:
    """Print one sentence and its slug to stderr, or both as one line of JSON."""
    console = console or stderr_console()
    if as_json:
        line = Text(json.dumps({"error": {"slug": slug, "message": message}}))
    else:
        line = Text.assemble(("error: ", f"bold {WRONG}"), printable(message), (f" [{slug}]", MUTED))
    console.print(line, soft_wrap=True)


def _say(console: Console, line: str, style: str) -> None:
    """Print one line that is never broken: a terminal wraps it, a pipe gets it whole."""
    console.print(Text(printable(line), style=style), soft_wrap=True)


def _print_cost(answer: Answer, items: int | None, noun: str, console: Console) -> None:
    if answer.route is None:
        return
    console.print(Padding(Text(printable(cost(answer, items, noun)), style=ACCENT), (0, 0, 0, 2)))
    if reason := why(answer.route):
        console.print(Padding(Text(reason, style=MUTED), (0, 0, 0, 2)))


def _hits(answer: Answer, hits: Sequence[Hit], judge: Judge, plain: bool) -> Table:
    judged = {hit.id: judge(answer, hit) for hit in hits}
    told = {hit.id: facts(hit) for hit in hits}
    truth, more = any(v is not None for v in judged.values()), any(told.values())
    matched = any(hit.match for hit in hits)
    marks = [*(["match"] if matched else []), *(["right"] if truth else [])]
    table = empty_table(">#", ">score", "", *marks, "bucket", "picture", *(["columns"] if more else []))
    for hit in hits:
        cells: list[RenderableType] = [str(hit.rank), f"{hit.score:.3f}", bar(hit.score, plain)]
        cells += [Text("match" if hit.match else "", style=RIGHT)] if matched else []
        cells += [_mark(judged[hit.id])] if truth else []
        cells += [Text(printable(", ".join(hit.buckets))), Text(printable(placed(hit.path, hit.box)), overflow="fold")]
        table.add_row(*cells, *([Text(printable(told[hit.id]), style=MUTED)] if more else []))
    return table


def empty_table(*columns: str) -> Table:
    """Return an empty table; a column that starts with ``>`` is set to the right."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style=MUTED, border_style=MUTED, show_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return table


def bar(share: float, plain: bool) -> Text:
    """Draw a share of 1 in halves of a character, or in # where the output has no such characters."""
    halves = round(2 * BAR_WIDTH * min(max(share, 0.0), 1.0))
    bar = "#" * (halves // 2) if plain else "━" * (halves // 2) + "╸" * (halves % 2)
    return Text(bar.ljust(BAR_WIDTH), style=ACCENT)


def _mark(right: bool | None) -> Text:
    words = {True: ("yes", RIGHT), False: ("no", WRONG), None: ("", "")}
    word, style = words[right]
    return Text(word, style=style)


def _plain(console: Console) -> bool:
    return console.options.ascii_only
