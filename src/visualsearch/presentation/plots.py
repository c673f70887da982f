"""Charts of an evaluation as inline SVG: reliability, and what a route costs against what it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.wording import percent

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 18, 14, 44
"""Margins for the axes."""

LEGEND, LEGEND_WIDTH = 34, 113
"""How far down the axes begin where a line above them names the colours, and the room of each name."""

LEGEND_LEFT = 8

TICKS = 5
APART = 12
"""Pixels between the names of two points."""

FEWEST_SHOWN = 0.25
"""How strong a bin of hardly any pictures is drawn, against 1 for the fullest."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Values of both axes → pixels."""

    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    top: float = TOP

    def x(self, value: float) -> float:
        """Return how far right a value stands."""
        low, high = self.x_range
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low), 1)

    def y(self, value: float) -> float:
        """Return how far down a value stands."""
        low, high = self.y_range
        return round(HEIGHT - BOTTOM - (HEIGHT - self.top - BOTTOM) * (value - low) / (high - low), 1)


def reliability(binned: Sequence[Mapping[str, Any]], title: str) -> Markup:
    """Draw the accuracy of each bin of confidence beside the diagonal, on which both are the same.

    Args:
        binned: what ``evaluation.reliability.bins`` returned.
        title: says in words what the chart shows.
    """
    plane, most = Plane(), max(one["count"] for one in binned)
    bars = [_bin(plane, one, most) for one in binned]
    diagonal = tag("line", x1=plane.x(0), y1=plane.y(0), x2=plane.x(1), y2=plane.y(1), class_="dashed series-2")
    said = "; ".join(
        f"confidence {percent(one['confidence'])}: right {percent(one['accuracy'])} of {one['count']:,}"
        for one in binned
    )
    return _drawn(title, said, _grid(plane, "confidence", "right"), *bars, diagonal)


def _bin(plane: Plane, one: Mapping[str, Any], most: int) -> Markup:
    left, right, top = plane.x(one["low"]), plane.x(one["high"]), plane.y(one["accuracy"])
    strength = FEWEST_SHOWN + (1 - FEWEST_SHOWN) * one["count"] / most
    bar = tag(
        "rect", x=left + 1, y=top, width=right - left - 2, height=plane.y(0) - top, class_="bin", fill_opacity=strength
    )
    return join(bar, tag("circle", cx=plane.x(one["confidence"]), cy=top, r=3.5, class_="point"))


@dataclass(frozen=True, slots=True)
class Trace:
    """A line of the sweep: its name, its points (compared, share), and how the points are named."""

    name: str
    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...] = ()


def sweep(traces: Sequence[Trace], title: str, chosen: float | None = None) -> Markup:
    """Draw what is kept against what it costs, a line for each figure.

    Args:
        traces: at least one with one point; the first one's points are labelled.
        title: says in words what the chart shows.
        chosen: the share compared of the level that is recommended.
    """
    points = [point for trace in traces for point in trace.points]
    low = max(0.0, (int(min(share for _, share in points) * 10 - 1e-9)) / 10)
    plane = Plane((0.0, _reach(max(cost for cost, _ in points))), (min(low, 0.9), 1.0), LEGEND)
    mark = [] if chosen is None else [_upright(plane, chosen)]
    lines = [_trace(plane, trace, number) for number, trace in enumerate(traces, start=1)]
    legend = [_named(trace.name, number) for number, trace in enumerate(traces, start=1)]
    said = "; ".join(
        f"{trace.name}: " + ", ".join(f"{percent(share)} at {percent(cost)}" for cost, share in trace.points)
        for trace in traces
    )
    return _drawn(title, said, _grid(plane, "compared", ""), *mark, *lines, *legend)


def _trace(plane: Plane, trace: Trace, number: int) -> Markup:
    places = [(plane.x(cost), plane.y(share)) for cost, share in trace.points]
    line = tag("polyline", points=" ".join(f"{x},{y}" for x, y in places))
    dots = [tag("circle", cx=x, cy=y, r=3) for x, y in places]
    names, above = list[Markup](), -HEIGHT * 1.0
    for (x, y), name in sorted(zip(places, trace.labels, strict=False), key=lambda one: one[0][1]):
        if y - above >= APART:  # of points that lie close together the highest is named
            names.append(tag("text", name, x=x + 6, y=y + 14, class_="small"))
            above = y
    return join(tag("g", line, *dots, class_=f"curve series-{number}"), *names)


def _named(name: str, number: int) -> Markup:
    x, y = LEGEND_LEFT + LEGEND_WIDTH * (number - 1), TOP + 2
    sample = tag("g", tag("polyline", points=f"{x},{y - 4} {x + 14},{y - 4}"), class_=f"curve series-{number}")
    return join(sample, tag("text", name, x=x + 18, y=y, class_="name"))


def _upright(plane: Plane, value: float) -> Markup:
    x = plane.x(value)
    return tag("line", x1=x, x2=x, y1=LEGEND, y2=HEIGHT - BOTTOM, class_="dashed series-2")


def _reach(cost: float) -> float:
    return next(edge for edge in (0.1, 0.2, 0.5, 1.0) if cost <= edge + 1e-9)


def _grid(plane: Plane, across: str, down: str) -> Markup:
    floor, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    steps = [i / TICKS for i in range(TICKS + 1)]
    values = [plane.y_range[0] + (plane.y_range[1] - plane.y_range[0]) * step for step in steps]
    costs = [plane.x_range[0] + (plane.x_range[1] - plane.x_range[0]) * step for step in steps]
    return join(
        *(tag("line", x1=LEFT, x2=right, y1=plane.y(v), y2=plane.y(v), class_="grid") for v in values),
        *(tag("text", f"{v:.0%}", x=LEFT - 8, y=plane.y(v) + 4, text_anchor="end") for v in values),
        *(tag("text", f"{v:.0%}", x=plane.x(v), y=floor + 18, text_anchor="middle") for v in costs),
        tag("text", across, x=right, y=floor + 36, text_anchor="end", class_="name"),
        tag("text", down, x=LEFT + 6, y=TOP + 10, class_="name") if down else None,
    )


def _drawn(title: str, said: str, *parts: Markup) -> Markup:
    head = (tag("title", title), tag("desc", said))
    return tag("svg", *head, *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)
