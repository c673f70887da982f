"""Numbers and sentences that the terminal, the montage and the report say alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath

from visualsearch.datatypes import Answer, Box, Hit, Probability, Route

Judge = Callable[[Answer, Hit], bool | None]
"""Is this hit right? None: nobody knows."""

_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|h|bytes|MiB|pixels)(?!\w))")


def nobody_knows(answer: Answer, hit: Hit) -> bool | None:
    """Judge no hit."""
    return None


def judge_by(column: str, value_of: Callable[[Answer], str | None]) -> Judge:
    """Call a hit right if its ``column`` equals what ``value_of`` says of the query (None: unknown)."""

    def judge(answer: Answer, hit: Hit) -> bool | None:
        value = value_of(answer)
        return None if value is None else hit.columns.get(column) == value

    return judge


def printable(text: str) -> str:
    r"""Replace what cannot be shown or would steer a terminal: control characters, bytes that are no text.

    >>> printable("a\x1b[2Jb\udcffc")
    'a�[2Jb�c'
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def query_name(path: str | None) -> str:
    """Name a query by its file and folder.

    >>> query_name("/photos/mug/red-3.jpg"), query_name("red-3.jpg"), query_name(None)
    ('mug/red-3.jpg', 'red-3.jpg', 'picture from memory')
    """
    if path is None:
        return "picture from memory"
    return "/".join([part for part in PurePath(path).parts if part != "/"][-2:])


def placed(path: str, box: Box | None) -> str:
    """Name a picture, and where in it the part lies that is meant.

    >>> placed("group.jpg", (120, 40, 200, 150)), placed("mug.jpg", None)
    ('group.jpg (80 × 110 pixels at 120, 40)', 'mug.jpg')
    """
    if box is None:
        return path
    return f"{path} ({box[2] - box[0]} × {box[3] - box[1]} pixels at {box[0]}, {box[1]})"


def percent(share: float | None) -> str:
    """Write a share.

    >>> percent(0.125), percent(0.5), percent(1.0), percent(0.00042), percent(None)
    ('12.5 %', '50.0 %', '100 %', '0.04 %', 'n/a')
    """
    if share is None:
        return "n/a"
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{100 * share:.{2 if abs(share) < 0.00095 else 1}f} %"


def unbroken(text: str) -> str:
    r"""Keep each number on one line with its unit, where lines are broken by whoever shows them.

    >>> unbroken("50.0 % of 3 pictures in 1 min 15 s")
    '50.0\xa0% of 3 pictures in 1\xa0min 15\xa0s'
    """
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """Write a number with its noun.

    >>> count(1, "picture"), count(1024, "picture")
    ('1 picture', '1,024 pictures')
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def duration(seconds: float) -> str:
    """Write a time span.

    >>> duration(0.00002), duration(0.0004), duration(0.0142), duration(2.5), duration(75), duration(3725)
    ('<0.1 ms', '0.4 ms', '14 ms', '2.5 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < 0.00005:
        return "<0.1 ms"
    if seconds < 0.0095:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bucket_list(buckets: Sequence[Probability], most: int = 3) -> str:
    """Name the most probable buckets of a route.

    >>> bucket_list([Probability("mug", 0.91), Probability("bowl", 0.06), Probability("new", None)])
    'mug 0.91, bowl 0.06, new'
    """
    names = [b.name if b.probability is None else f"{b.name} {b.probability:.2f}" for b in buckets[:most]]
    more = [f"{len(buckets) - most} more"] if len(buckets) > most else []
    return ", ".join(names + more)


def cost(answer: Answer, items: int | None = None, noun: str = "item") -> str:
    """Say what a search cost; ``items`` is how many the index has, if known, and ``noun`` what one of them is called.

    >>> from visualsearch.datatypes import Query
    >>> route = Route((Probability("mug", 0.91), Probability("bowl", 0.06)), (), compared=0.125)
    >>> cost(Answer(Query("q.jpg"), route=route, timings_ms={"total": 14.2}), 1024, "picture")
    'compared 128 of 1,024 pictures (12.5 %) in 2 buckets: mug 0.91, bowl 0.06 · 14 ms'
    >>> cost(Answer(Query("q.jpg"), route=Route((), (), compared=1.0)))
    'compared 100 % of the gallery, exhaustively'
    """
    if answer.route is None:
        return ""
    share, buckets = percent(answer.route.compared), answer.route.buckets
    told = f"{share} of the gallery"
    if items:
        told = f"{round(answer.route.compared * items):,} of {count(items, noun)} ({share})"
    where = f" in {count(len(buckets), 'bucket')}: {bucket_list(buckets)}" if buckets else ", exhaustively"
    total = answer.timings_ms.get("total")
    took = "" if total is None else f" · {duration(total / 1000)}"
    return f"compared {told}{where}{took}"


def why(route: Route) -> str:
    """Say why the route is what it is: how it was widened, or why it is exhaustive; else nothing."""
    steps = route.steps[1:] if len(route.steps) > 1 else [] if route.buckets else route.steps
    return "; ".join(step.why for step in steps)


def facts(hit: Hit) -> str:
    """Name the columns of a hit that neither its path nor its buckets tell already."""
    return ", ".join(f"{name} {value}" for name, value in sorted(hit.columns.items()) if _new(value, hit))


def _new(value: str, hit: Hit) -> bool:
    return bool(value) and value not in hit.path and value not in hit.buckets
