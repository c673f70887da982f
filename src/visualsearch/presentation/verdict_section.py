"""The report's section of verdicts: what was told, and what other rates would come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visualsearch.presentation import charts
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.parts import Section, cell, row_head, table
from visualsearch.presentation.verdicts import LIKE_THE_GALLERY, lines
from visualsearch.presentation.wording import percent

Points = Sequence[Mapping[str, Any]]
"""What each rate comes to, the lowest first."""


def verdict_section(evaluation: Mapping[str, Any] | None) -> Section | None:
    """Return how many queries were told what, and the curves of what other rates would come to."""
    verdicts = (evaluation or {}).get("verdicts")
    if not verdicts:
        return None
    head = [("", ""), ("pictures", "number"), *((word, "number") for word in ("match", "similar", "stranger"))]
    rows = [
        [row_head(name), cell(f"{some['pictures']:,}", "number"), *_cells(some)]
        for name, some in (("queries", verdicts["queries"]), ("strangers", verdicts["strangers"]))
        if some
    ]
    note = f"The false match rate holds for {LIKE_THE_GALLERY}: all pictures of one value left out, its own are the stranger."
    told = tag("ul", *(tag("li", line) for line in lines(verdicts)), class_="muted")
    body = join(table("What was told", head, rows), told, *_curves(verdicts["curve"]))
    return Section("verdicts", "Verdicts", note, body)


def _cells(counts: Mapping[str, Any]) -> list[Markup]:
    return [cell(percent(counts["shares"][word]), "number") for word in ("match", "similar", "stranger")]


def _curves(curve: Mapping[str, Points]) -> list[Markup]:
    """Return both trade-offs as charts, side by side, and their numbers as tables."""
    wanted = [
        ("Told a match, by false match rate", curve["match"], {"found": "known", "strangers": "strangers"}),
        ("Called a stranger, by stranger rate", curve["stranger"], {"queries": "queries", "strangers": "strangers"}),
    ]
    known = [
        (title, [point for point in points if any(point[key] is not None for key in names)], names)
        for title, points, names in wanted
    ]
    drawn = [
        tag("figure", tag("figcaption", title), trade_off(title, points, names), class_="chart")
        for title, points, names in known
        if len(points) > 1
    ]
    return [
        tag("div", *drawn, class_="charts"),
        *(_numbers(title, points, names) for title, points, names in known if points),
    ]


def _numbers(title: str, points: Points, names: Mapping[str, str]) -> Markup:
    head = [("rate", ""), *((name, "number") for name in names.values())]
    rows = [
        [row_head(f"{100 * point['rate']:g} %"), *(cell(percent(point[key]), "number") for key in names)]
        for point in points
    ]
    return table(title, head, rows)


def trade_off(title: str, points: Points, names: Mapping[str, str]) -> Markup:
    """Draw shares over rates that stand at even distances; a line for each of ``names`` that is known."""
    axes = charts.Axes(0.0, 1.0, len(points))
    right, floor = charts.WIDTH - charts.RIGHT, charts.HEIGHT - charts.BOTTOM
    shares = [place / charts.TICKS for place in range(charts.TICKS + 1)]
    grid = [
        *(tag("line", x1=charts.LEFT, x2=right, y1=axes.y(v), y2=axes.y(v), class_="grid") for v in shares),
        *(tag("text", f"{v:.0%}", x=charts.LEFT - 8, y=axes.y(v) + 4, text_anchor="end") for v in shares),
        *(
            tag("text", f"{100 * point['rate']:g} %", x=axes.x(place), y=floor + 17, text_anchor="middle")
            for place, point in enumerate(points, start=1)
        ),
    ]
    lines_drawn = [
        _line(axes, [point[key] for point in points], name, f"series-{number}")
        for number, (key, name) in enumerate(names.items(), start=1)
    ]
    box = f"0 0 {charts.WIDTH} {charts.HEIGHT}"
    return tag("svg", *grid, *lines_drawn, viewBox=box, role="img", aria_label=title)


def _line(axes: charts.Axes, shares: Sequence[float | None], name: str, kind: str) -> Markup | None:
    places = [(axes.x(place), axes.y(share)) for place, share in enumerate(shares, start=1) if share is not None]
    if not places:
        return None
    path = tag("polyline", points=" ".join(f"{x},{y}" for x, y in places))
    dots = [tag("circle", cx=x, cy=y, r=3) for x, y in places]
    label = tag("text", name, x=charts.WIDTH - charts.RIGHT + 10, y=places[-1][1] + 4, class_=f"name {kind}")
    return join(tag("g", path, *dots, class_=f"curve {kind}"), label)
