"""The report's sections that show pictures: queries with their hits, and the worst of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.datatypes import Answer, Box, Hit, Route
from visualsearch.evaluation.metrics import average_precision_at, reciprocal_rank
from visualsearch.evaluation.runs import RunRow
from visualsearch.presentation import charts
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.parts import Section
from visualsearch.presentation.thumbnails import Kind, ThumbnailOf
from visualsearch.presentation.wording import count, duration, percent, printable, query_name, unbroken, why

EXAMPLES = 12
FOLDED = 84
WORST = 8
HITS = 7
BUCKETS = 4
DEPTH = 20
"""Of the average precision by which queries are called bad."""

CHECK, CROSS = (
    Markup('<circle class="shape" cx="8" cy="8" r="8"/><path d="M4.6 8.4l2.3 2.3 4.4-5"/>'),
    Markup('<rect class="shape" width="16" height="16" rx="1"/><path d="M5 5l6 6M11 5l-6 6"/>'),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer, and the row of the evaluation that judges it, if there is one."""

    answer: Answer
    row: RunRow | None = None

    @property
    def precision(self) -> float:
        """Return the average precision; 1 where nothing can be wrong."""
        if self.row is None or not self.row.answerable:
            return 1.0
        return average_precision_at(DEPTH, self.row.routed_right, self.row.right_items)

    @property
    def misled(self) -> bool:
        """Return whether another bucket than the right one was the most probable."""
        row = self.row
        return (
            row is not None
            and None not in (row.right_bucket, row.predicted_bucket)
            and (row.right_bucket != row.predicted_bucket)
        )

    @property
    def missed(self) -> bool:
        """Return whether the first hit is wrong."""
        return self.row is not None and self.row.answerable and not any(self.row.routed_right[:1])

    def right(self, hit: Hit) -> bool | None:
        """Judge a hit; None where nobody knows."""
        if self.row is None or not self.row.answerable:
            return None
        return dict(zip(self.row.routed, self.row.routed_right, strict=True)).get(hit.id)


@dataclass(frozen=True, slots=True)
class Queries:
    """Which of ``total`` queries the report shows: the worst, examples, and more that are folded."""

    worst: tuple[Asked, ...]
    examples: tuple[Asked, ...]
    folded: tuple[Asked, ...]
    total: int


@dataclass(slots=True)
class Pictures:
    """Thumbnails as data URIs, until the page would become too large."""

    thumbnails: ThumbnailOf
    bytes_left: int

    def image(self, path: str | None, kind: Kind, alt: str, box: Box | None) -> Markup:
        """Return an <img>; a query without a file has none."""
        if path is None:
            return tag("span", "picture from memory", class_="muted")
        jpeg = self.thumbnails(path, kind, box)
        self.bytes_left -= len(jpeg)
        source = f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
        return tag("img", src=source, alt=printable(alt), decoding="async")


def selected(answers: Sequence[Answer], rows: Sequence[RunRow]) -> Queries:
    """Choose what is shown; ``rows`` are in the order of the answers, or none belong to them."""
    judged = [Asked(answer, rows[i] if len(rows) == len(answers) else None) for i, answer in enumerate(answers)]
    asked = [one for one in judged if one.row is None or not one.row.stranger]
    bad = [one for one in asked if one.precision < 1 and (one.misled or one.missed)]
    worst = sorted(bad, key=lambda one: (not one.misled, one.precision))[:WORST]
    rest = _without(asked, worst)
    examples = _spread(rest, EXAMPLES)
    folded = _spread(_without(rest, examples), FOLDED)
    return Queries(tuple(worst), tuple(examples), tuple(folded), len(asked))


def _without(asked: Sequence[Asked], taken: Sequence[Asked]) -> list[Asked]:
    known = {id(one) for one in taken}
    return [one for one in asked if id(one) not in known]


def _spread(asked: Sequence[Asked], most: int) -> list[Asked]:
    """Return at most ``most``, evenly spread, in their order."""
    places = np.linspace(0, len(asked) - 1, min(most, len(asked)))
    return [asked[i] for i in places.round().astype(int)]


def worst_section(queries: Queries, pictures: Pictures) -> Section | None:
    """Return the queries that came out worst: wrong bucket first, then least average precision."""
    if not queries.worst:
        return None
    body = join(*(_query(asked, pictures, f"worst-{i}") for i, asked in enumerate(queries.worst, start=1)))
    note = "Queries whose most probable bucket is wrong come first, then those of the least average precision."
    return Section("worst", "Worst queries", note, body)


def query_section(queries: Queries, pictures: Pictures) -> Section | None:
    """Return queries with their hits, as many as the page has room for."""
    shown = [_query(asked, pictures, f"query-{i}") for i, asked in enumerate(queries.examples, start=1)]
    if not shown:
        return None
    folded: list[Markup] = []
    for number, asked in enumerate(queries.folded, start=len(shown) + 1):
        if pictures.bytes_left <= 0:
            break
        folded.append(_query(asked, pictures, f"query-{number}"))
    summary = tag("summary", count(len(folded), "more query", "more queries"))
    more = tag("details", summary, *folded, class_="more") if folded else None
    box = tag("input", type="checkbox", id="only-misses")
    missed = any(asked.missed for asked in queries.examples + queries.folded)
    only = tag("label", box, "only queries whose first hit is wrong", class_="filter") if missed else None
    return Section("queries", "Queries and their hits", _told(queries, len(folded)), join(only, *shown, more))


def _told(queries: Queries, folded: int) -> str:
    hidden = queries.total - len(queries.worst) - len(queries.examples) - folded
    if not hidden:
        return "All but the worst, which stand by themselves." if queries.worst else ""
    return f"Spread evenly over all {queries.total:,} queries; {hidden:,} are not shown."


def _query(asked: Asked, pictures: Pictures, name: str) -> Markup:
    answer = asked.answer
    path = answer.query.path
    title = tag(
        "h3",
        printable(query_name(path)),
        id=name,
        title=printable(path or ""),
    )
    frame = tag("div", pictures.image(path, "query", f"query {path}", answer.query.box), class_="frame")
    facts = tag(
        "div",
        title,
        _verdict(asked),
        _route(answer.route),
        _cost(answer),
    )
    kind = "query miss" if asked.missed or answer.error else "query"
    left = tag("div", frame, facts, class_="asked")
    return tag("article", left, _hits(asked, pictures), class_=kind, aria_labelledby=name)


def _verdict(asked: Asked) -> Markup | None:
    row = asked.row
    if row is None or not row.answerable:
        return None
    if asked.misled:
        return tag("p", mark(False), f"{row.right_bucket} taken for {row.predicted_bucket}", class_="cost")
    found = reciprocal_rank(row.routed_right)
    text = f"first right hit at rank {round(1 / found)}" if found else f"none right among {len(row.routed)}"
    return tag("p", mark(found == 1), text, class_="cost")


def _route(route: Route | None) -> Markup | None:
    if route is None or not route.buckets:
        return None
    rows = [
        tag(
            "li",
            tag("span", printable(bucket.name), class_="name", title=printable(bucket.name)),
            tag("span", charts.bar(bucket.probability or 0.0)),
            tag("span", "new" if bucket.probability is None else f"{bucket.probability:.2f}", class_="number"),
        )
        for bucket in route.buckets[:BUCKETS]
    ]
    return tag("ul", *rows, class_="route", aria_label="buckets of the route with their probabilities")


def _cost(answer: Answer) -> Markup | None:
    if answer.route is None:
        return None
    where = f" in {count(len(answer.route.buckets), 'bucket')}" if answer.route.buckets else ""
    took = f" · {duration(answer.timings_ms['total'] / 1000)}" if "total" in answer.timings_ms else ""
    told = tag("p", unbroken(f"compared {percent(answer.route.compared)}{where}{took}"), class_="cost")
    reason = why(answer.route)
    return join(told, tag("p", reason, class_="cost") if reason else None)


def _hits(asked: Asked, pictures: Pictures) -> Markup:
    if asked.answer.error is not None or not asked.answer.hits:
        return tag("p", printable(asked.answer.error or "no hits"), class_="failed")
    return tag("ol", *(_hit(asked, hit, pictures) for hit in asked.answer.hits[:HITS]), class_="hits")


def _hit(asked: Asked, hit: Hit, pictures: Pictures) -> Markup:
    right = asked.right(hit)
    frame = tag("div", pictures.image(hit.path, "hit", hit.path, hit.box), class_="frame")
    told = f"{hit.score:.3f} match" if hit.match else f"{hit.score:.3f}"
    score = tag("span", tag("span", told), None if right is None else mark(right), class_="score")
    path = tag("span", breakable(hit.path), class_="path")
    return tag("li", frame, score, path, class_={True: "right", False: "wrong", None: None}[right])


def breakable(path: str) -> Markup:
    """Return a path that may be broken after its separators, but not before its suffix.

    >>> breakable("mug/mug01-0.jpg")
    'mug/<wbr>mug01-<wbr>0.jpg'
    """
    parts = re.split(r"(?<=[/_ -])|(?<=\.)(?!\w{1,5}$)", printable(path))
    return Markup("<wbr>".join(join(part) for part in parts))


def mark(right: bool) -> Markup:
    """Return a check in a disc or a cross in a square, with its word for those who cannot see it."""
    drawn = tag("svg", CHECK if right else CROSS, viewBox="0 0 16 16", aria_hidden="true")
    word = tag("span", "right" if right else "wrong", class_="hidden")
    return tag("span", drawn, word, class_=f"mark {'right' if right else 'wrong'}")
