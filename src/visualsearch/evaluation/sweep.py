"""What every level of ``routing.keep`` keeps and costs, and which one to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from visualsearch.calibration.promises import Promise

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0)

ENOUGH = 0.99
"""What the chosen level must keep: of the right hits of an exhaustive search, or of all where nobody knows the right ones."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one query comes to at one level; None where nobody knows.

    ``held`` is the share of what was promised that lies in the route, ``kept`` that of the exhaustive hits,
    ``right`` that of the right ones among them, ``hit`` whether the first hit is right, ``compared`` the share of the
    gallery, ``size`` the number of buckets.
    """

    held: float | None
    kept: float | None
    right: float | None
    hit: float | None
    compared: float
    size: int


def swept(promises: Sequence[Promise | None], points: Sequence[Sequence[Point]]) -> dict[str, Any]:
    """Return each level's means over queries, the level to take, and the line to paste.

    Args:
        promises: of each of ``LEVELS``; None where everything is searched.
        points: for each level its queries, one at least.
    """
    levels = [_level(keep, promise, some) for keep, promise, some in zip(LEVELS, promises, points, strict=True)]
    keep, rule = chosen(levels)
    return {"levels": levels, "keep": keep, "line": f"routing: {{keep: {keep:g}}}", "rule": rule}


def _level(keep: float, promise: Promise | None, points: Sequence[Point]) -> dict[str, Any]:
    few = promise is not None and promise.thresholds is None
    return {
        "keep": keep,
        "promised": not few,
        "held": _mean([point.held for point in points]),
        "kept": _mean([point.kept for point in points]),
        "right_kept": _mean([point.right for point in points]),
        "hit_rate": _mean([point.hit for point in points]),
        "compared": fmean(point.compared for point in points),
        "route_size": fmean(point.size for point in points),
        "note": f"{promise.n} of {promise.needed} groups" if promise is not None and few else "",
    }


def chosen(levels: Sequence[Mapping[str, Any]]) -> tuple[float, str]:
    """Return the cheapest level that keeps enough of what an exhaustive search finds, and the rule in words.

    Levels with too few calibration groups are not chosen; of those that cost the same the highest is.

    >>> costly, cheap = ({"keep": k, "promised": True, "right_kept": r, "kept": 0.8, "compared": c}
    ...                  for k, r, c in [(1.0, 1.0, 1.0), (0.9, 0.995, 0.2)])
    >>> chosen([cheap, costly])[0]
    0.9
    """
    known = any(one["right_kept"] is not None for one in levels)
    key, what = ("right_kept", "right hits") if known else ("kept", "hits")
    rule = f"the cheapest level that keeps {100 * ENOUGH:g} % of the {what} of an exhaustive search; of equally cheap ones the highest"
    good = [one for one in levels if one["promised"] and one[key] is not None and one[key] >= ENOUGH]
    return float(min(good, key=lambda one: (one["compared"], -one["keep"]), default={"keep": 1.0})["keep"]), rule


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
