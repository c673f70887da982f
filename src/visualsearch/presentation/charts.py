"""Charts as inline SVG: sharp at every size, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from visualsearch.presentation.markup import Markup, join, tag

WIDTH, HEIGHT = 460, 230
LEFT, RIGHT, TOP, BOTTOM = 48, 92, 12, 36
"""Margins for the axes and, on the right, for the names of the lines."""

TICKS = 4


@dataclass(frozen=True, slots=True)
class Axes:
    """Value and epoch → pixels."""

    low: float
    high: float
    epochs: int

    def x(self, epoch: float) -> float:
        """Return how far right an epoch (from 1) stands."""
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (epoch - 1) / max(self.epochs - 1, 1), 1)

    def y(self, value: float) -> float:
        """Return how far down a value stands."""
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - self.low) / (self.high - self.low), 1)


def curves(
    lines: Mapping[str, Sequence[float]],
    label: str,
    write: Callable[[float], str],
    *,
    most: float | None = None,
    reference: tuple[str, float] | None = None,
) -> Markup:
    """Draw values over epochs.

    Args:
        lines: for each name its values after epoch 1, 2, …; at least one name with one value.
        label: says in words what the chart shows.
        write: a value as text, for the vertical axis.
        most: where the vertical axis ends; the largest value if None.
        reference: the name of a value that is no curve, drawn as a dashed line.
    """
    values = [value for line in lines.values() for value in line] + ([reference[1]] if reference else [])
    axes = Axes(0.0, most or _round_up(max(values)), max(len(line) for line in lines.values()))
    named = [(name, axes.y(line[-1])) for name, line in lines.items()]
    named += [(reference[0], axes.y(reference[1]))] if reference else []
    heights = _apart([height for _, height in named])
    drawn = [_curve(axes, line, f"series-{i}") for i, line in enumerate(lines.values(), start=1)]
    drawn += [_dashed(axes, reference[1], f"series-{len(drawn) + 1}")] if reference else []
    names = [
        tag("text", name, x=WIDTH - RIGHT + 10, y=height + 4, class_=f"name series-{i}")
        for i, ((name, _), height) in enumerate(zip(named, heights, strict=True), start=1)
    ]
    grid = _grid(axes, write)
    return tag("svg", grid, *drawn, *names, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def bar(share: float, whisker: tuple[float, float] | None = None, kind: str = "accent") -> Markup:
    """Draw a share from 0 to 1 as a bar, with its confidence interval as a whisker."""
    parts = [tag("rect", width="100%", y=3, height=8, rx=3, class_="track")]
    if share > 0:
        parts.append(tag("rect", width=_across(share), y=3, height=8, rx=3, class_=kind))
    if whisker:
        low, high = (_across(bound) for bound in whisker)
        parts.append(tag("line", x1=low, x2=high, y1=7, y2=7))
        parts += [tag("line", x1=end, x2=end, y1=2, y2=12) for end in (low, high)]
    return tag("svg", *parts, class_="bar", aria_hidden="true", width="100%", height=14)


def _round_up(value: float) -> float:
    """Return the next value above whose quarters are short numbers.

    >>> _round_up(1.62), _round_up(0.07), _round_up(0.0)
    (2.0, 0.08, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def _across(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.4g}%"


def _grid(axes: Axes, write: Callable[[float], str]) -> Markup:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    values = [axes.low + (axes.high - axes.low) * i / TICKS for i in range(TICKS + 1)]
    epochs = range(1, axes.epochs + 1, -(-axes.epochs // 6))
    return join(
        *(tag("line", x1=LEFT, x2=right, y1=axes.y(v), y2=axes.y(v), class_="grid") for v in values),
        *(tag("text", write(v), x=LEFT - 8, y=axes.y(v) + 4, text_anchor="end") for v in values),
        *(tag("text", str(e), x=axes.x(e), y=floor + 17, text_anchor="middle") for e in epochs),
        tag("text", "epoch", x=right, y=floor + 32, text_anchor="end"),
    )


def _curve(axes: Axes, line: Sequence[float], kind: str) -> Markup:
    points = [(axes.x(epoch), axes.y(value)) for epoch, value in enumerate(line, start=1)]
    path = tag("polyline", points=" ".join(f"{x},{y}" for x, y in points))
    return tag("g", path, *(tag("circle", cx=x, cy=y, r=3) for x, y in points), class_=f"curve {kind}")


def _dashed(axes: Axes, value: float, kind: str) -> Markup:
    height = axes.y(value)
    return tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_=f"dashed {kind}")


def _apart(heights: Sequence[float], gap: float = 15.0) -> list[float]:
    """Move the names of lines that end close together apart, keeping their order."""
    placed = list(heights)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    for above, below in zip(order, order[1:], strict=False):
        placed[below] = max(placed[below], placed[above] + gap)
    return placed
