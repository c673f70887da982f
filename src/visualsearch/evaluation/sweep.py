"""What every level of ``routing.keep`` keeps and costs, and which one to take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from visualsearch.calibration.promises import Promise

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.995, 1.0)

TOLERANCE = 0.01
"""What the chosen level may lose: of the queries with a right first hit, or of the exhaustive hits."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one query comes to at one level; None where nobody knows.

    ``held`` is the share of what was promised that lies in the route, ``kept`` that of the exhaustive hits,
    ``hit`` whether the first hit is right, ``compared`` the share of the gallery, ``size`` the number of buckets.
    """

    held: float | None
    kept: float | None
    hit: float | None
    compared: float
    size: int


def swept(promises: Sequence[Promise | None], points: Sequence[Sequence[Point]]) -> dict[str, Any]:
    """Return each level's means over queries, the level to take, and the line to paste.

    Args:
        promises: of each of ``LEVELS``; None where everything is searched.
        points: for each level its queries.
    """
    levels = [_level(keep, promise, some) for keep, promise, some in zip(LEVELS, promises, points, strict=True) if some]
    keep, rule = chosen(levels)
    return {"levels": levels, "keep": keep, "line": f"routing: {{keep: {keep:g}}}", "rule": rule}


def _level(keep: float, promise: Promise | None, points: Sequence[Point]) -> dict[str, Any]:
    few = promise is not None and promise.thresholds is None
    return {
        "keep": keep,
        "promised": not few,
        "held": _mean([point.held for point in points]),
        "kept": _mean([point.kept for point in points]),
        "hit_rate": _mean([point.hit for point in points]),
        "compared": fmean(point.compared for point in points),
        "route_size": fmean(point.size for point in points),
        "note": f"{promise.n} of {promise.needed} groups" if promise is not None and few else "",
    }


def chosen(levels: Sequence[dict[str, Any]]) -> tuple[float, str]:
    """Return the cheapest level that loses little against an exhaustive search, and the rule in words.

    Little is ``TOLERANCE`` of the hit rate at 1; where nothing is known to be right, of the hits. Of levels that
    cost the same the highest is taken.

    >>> costly, cheap = ({"keep": k, "promised": True, "hit_rate": h, "kept": 1, "compared": c}
    ...                  for k, h, c in [(1.0, 0.95, 1.0), (0.9, 0.945, 0.2)])
    >>> chosen([cheap, costly])[0]
    0.9
    """
    key = "hit_rate" if any(one["hit_rate"] is not None for one in levels) else "kept"
    words = "hit rate at 1 is" if key == "hit_rate" else "share of the exhaustive hits is"
    rule = f"the cheapest level whose {words} within {TOLERANCE:.0%} of the exhaustive search's".replace("%", " %")
    best = max((one[key] for one in levels if one["keep"] >= 1.0 and one[key] is not None), default=None)
    if best is None:
        return 1.0, rule
    good = [one for one in levels if one["promised"] and one[key] is not None and one[key] >= best - TOLERANCE - 1e-9]
    return float(min(good, key=lambda one: (one["compared"], -one["keep"]))["keep"]), rule


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
