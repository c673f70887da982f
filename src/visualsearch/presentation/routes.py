"""Why a search went where it did: its buckets, its steps, where the hits came from, and what is promised of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from visualsearch.datatypes import Answer, Hit, Probability, Route
from visualsearch.presentation.terminal import MUTED, bar, empty_table, stdout_console
from visualsearch.presentation.wording import percent, printable

SHOWN = 15
"""Buckets that are listed; routes over clusters may have hundreds."""


def print_route(answer: Answer, *, console: Console | None = None) -> None:
    """Print the buckets of an answer's route with their hits, the steps, and the promise."""
    console = console or stdout_console()
    route = answer.route
    if route is None:
        return
    first: dict[str, int] = {}
    for number, step in enumerate(route.steps, 1):
        first.update({name: number for name in step.added if name not in first})
    known = {bucket.name: bucket for bucket in route.buckets}
    listed = [known.get(name, Probability(name, None)) for name in first] or list(route.buckets)
    if listed:
        console.print(_buckets(listed, route, first, answer.hits, console.options.ascii_only))
        console.print()
    console.print(_steps(route, first, answer.hits))
    console.print()
    if said := promise(route):
        console.print(Text(f"  {printable(said)}"), soft_wrap=True)
        console.print()


def promise(route: Route) -> str:
    """Say what calibration promises of a route; nothing where it promises nothing.

    >>> promise(Route((), (), 0.1, {"kind": "bucket", "level": 0.9, "n": 26, "held": True}))
    'promise: the right bucket with probability 0.9 or more, before any widening; of queries like the gallery, on average (26 groups)'
    """
    if route.promise is None:
        return ""
    level, n = route.promise["level"], route.promise["n"]
    what = {
        "bucket": f"the right bucket with probability {level:g} or more",
        "hits": f"{level:g} or more of the hits of an exhaustive search",
    }[route.promise["kind"]]
    if not route.promise["held"]:
        return f"no promise: routing.at_most cut the route, which would have to be longer for {what}"
    return f"promise: {what}, before any widening; of queries like the gallery, on average ({n} groups)"


def _buckets(
    listed: Sequence[Probability], route: Route, first: Mapping[str, int], hits: Sequence[Hit], plain: bool
) -> Table:
    """Return a row for each bucket: how likely it was, which step brought it, how many of the hits lie in it."""
    predicted = any(bucket.probability is not None for bucket in listed)
    unknown = "" if not route.buckets else "not learned yet" if predicted else "not asked for"
    found = Counter(name for hit in hits for name in hit.buckets)
    table = empty_table("bucket", ">probability", "", ">step", ">hits")
    for bucket in listed[:SHOWN]:
        likely = bucket.probability
        text, drawn = (unknown, "") if likely is None else (f"{likely:.3f}", bar(likely, plain))
        step = str(first.get(bucket.name, 1))
        table.add_row(Text(printable(bucket.name)), text, drawn, step, str(found[bucket.name]))
    if rest := listed[SHOWN:]:
        hits_there = sum(found[bucket.name] for bucket in rest)
        table.add_row(Text(f"{len(rest):,} more", style=MUTED), "", "", "", str(hits_there))
    return table


def _steps(route: Route, first: Mapping[str, int], hits: Sequence[Hit]) -> Table:
    """Return a row for each step: why, what it probed by then, what that cost, how many of the hits it brought."""
    brought = Counter(_step_of(hit, first, len(route.steps)) for hit in hits)
    table = empty_table(">step", "why", ">buckets", ">compared", ">hits")
    for number, step in enumerate(route.steps, 1):
        table.add_row(
            str(number), Text(step.why), str(step.buckets or "all"), percent(step.compared), str(brought[number])
        )
    return table


def _step_of(hit: Hit, first: Mapping[str, int], last: int) -> int:
    """Return the step that brought a hit; one in no bucket is compared from the first step on."""
    steps = [first.get(name, last) for name in hit.buckets]
    return min(steps, default=1)
