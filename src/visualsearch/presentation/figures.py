"""Which figures of an evaluation or a training are shown, and how: the same in terminal and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visualsearch.presentation import verdicts
from visualsearch.presentation.wording import count, percent

SEARCHES = ("routed", "exhaustive")

METRICS = {"hit_rate_at": "hit rate at", "recall_at": "recall at", "map_at": "mean average precision at"}

LOSSES = {
    "unreadable": "unreadable",
    "no_crop": "without a crop",
    "not_indexed": "not in the index",
    "bucket_not_probed": "in a bucket not probed",
    "ranked_lower": "ranked lower by the extractor",
    "threshold": "found, not called a match",
}
"""What can lose a hit, in words."""

Line = tuple[str, tuple[str, ...]]
"""A label, and where its figure stands below ``routed`` and ``exhaustive``."""


def figure(summary: Mapping[str, Any] | None, *path: str) -> float | None:
    """Return a figure from deep inside a summary, or None where any part of the way is missing.

    >>> figure({"routed": {"compared": 0.1}}, "routed", "compared"), figure({}, "kept")
    (0.1, None)
    """
    found = _at(summary, path)
    return float(found) if isinstance(found, int | float) else None


def bounds(summary: Mapping[str, Any] | None, *path: str) -> tuple[float, float] | None:
    """Return the confidence interval of a figure, or None where there is none."""
    found = _at(summary, ("intervals", *path))
    return (found[0], found[1]) if isinstance(found, Sequence) and len(found) == 2 else None


def interval(pair: Sequence[float] | None) -> str:
    """Write a confidence interval of a share; one without width says nothing.

    >>> interval([0.91, 0.975]), interval([1.0, 1.0]), interval(None)
    ('91.0–97.5 %', '', '')
    """
    if pair is None or pair[0] == pair[1]:
        return ""
    return f"{percent(pair[0]).removesuffix(' %')}–{percent(pair[1])}"


def with_interval(summary: Mapping[str, Any], *path: str) -> str:
    """Write a share, its interval in brackets behind it."""
    inner = interval(bounds(summary, *path))
    return percent(figure(summary, *path)) + (f" ({inner})" if inner else "")


def lines(summary: Mapping[str, Any]) -> list[Line]:
    """Return the rows of the table in which routed and exhaustive search stand side by side."""
    routed = summary.get("routed", {})
    rows: list[Line] = [(f"{label} {k}", (name, k)) for name, label in METRICS.items() for k in routed.get(name, ())]
    return [*rows, ("compared", ("compared",))]


def notes(summary: Mapping[str, Any]) -> list[str]:
    """Return sentences for the figures that belong to both searches, the classifier, or strangers."""
    told = []
    if figure(summary, "kept") is not None and summary.get("unanswerable") != summary.get("queries", -1):
        told.append(f"kept {with_interval(summary, 'kept')} of the exhaustive hits, right or wrong")
    told += [*_promise_note(summary), *_loss_note(summary)]
    if figure(summary, "classifier", "top1") is not None:
        asked = _at(summary, ("calibration", "queries"))
        more = f"; {believed(asked)}" if isinstance(asked, Mapping) else ""
        told.append(f"classifier: top 1 {with_interval(summary, 'classifier', 'top1')}{more}")
    told += _route_note(summary)
    if (area := figure(summary, "strangers", "auroc")) is not None:
        pictures = count(summary["strangers"]["pictures"], "picture")
        told.append(f"strangers: AUROC {area:.3f} of the best score ({pictures}; 0.5 is chance)")
    return [*told, *verdicts.lines(summary.get("verdicts")), *summary.get("notes", ())]


def promised(promise: Mapping[str, Any]) -> str:
    """Say what a promise is about.

    >>> promised({"kind": "bucket", "level": 0.9, "n": 99, "needed": 9})
    'the right bucket in the route before widening, for queries like the gallery (99 groups)'
    """
    if promise["n"] < promise["needed"]:
        return f"everything was searched, for there are {promise['n']} groups of {promise['needed']}"
    what = "the right bucket" if promise["kind"] == "bucket" else "the exhaustive hits"
    return f"{what} in the route before widening, for queries like the gallery ({count(promise['n'], 'group')})"


def believed(asked: Mapping[str, Any]) -> str:
    """Say how far probabilities can be believed.

    >>> believed({"ece": 0.0621, "brier": 0.1286})
    'calibration error 6.2 %, Brier score 0.129'
    """
    return f"calibration error {percent(asked['ece'])}, Brier score {asked['brier']:.3f}"


def _promise_note(summary: Mapping[str, Any]) -> list[str]:
    promise = summary.get("promise")
    if promise is None or promise["held"] is None:
        return []
    cut = f"; {count(promise['cut'], 'route')} cut by routing.at_most" if promise["cut"] else ""
    level = f"{100 * promise['level']:.4g} %"
    return [f"promise of {level}, held in {with_interval(summary, 'promise', 'held')}: {promised(promise)}{cut}"]


def _loss_note(summary: Mapping[str, Any]) -> list[str]:
    losses = summary.get("losses")
    if not losses:
        return []
    lost = [
        f"{percent(losses[kind] / losses['expected'])} {words}"
        for kind, words in LOSSES.items()
        if kind != "threshold" and losses[kind]
    ]
    found = f"{percent(losses['found'] / losses['expected'])} of {count(losses['expected'], 'expected hit')} found"
    gained = f" ({percent(losses['gained'] / losses['expected'])} by routed searches only)" if losses["gained"] else ""
    return [f"losses, after widening: {found}{gained}; {', '.join(lost) or 'none lost'}"]


def _route_note(summary: Mapping[str, Any]) -> list[str]:
    after = figure(summary, "classifier", "route_size")
    size, cost = (figure(summary, "before_widening", name) for name in ("route_size", "compared"))
    if after is None:
        return []
    if size is None:
        return [f"route: {after:.1f} buckets, a mean over queries"]
    return [f"route: {size:.1f} buckets, {percent(cost)} compared before widening, {after:.1f} after, means"]


def time_line(summary: Mapping[str, Any]) -> str | None:
    """Say how long the stages of a search took, median and 95th percentile.

    >>> time_line({"latency_ms": {"embed": {"median": 41.2, "p95": 75.5}, "search": {"median": 0.5, "p95": 0.89}}})
    'time: embed 41 (76) ms, search 0.5 (0.9) ms; median (95th percentile)'
    """
    stages = summary.get("latency_ms")
    if not stages:
        return None
    told = [
        f"{name.replace('search_exhaustive', 'exhaustive')} {_short(one['median'])} ({_short(one['p95'])}) ms"
        for name, one in stages.items()
    ]
    return f"time: {', '.join(told)}; median (95th percentile)"


def _short(ms: float) -> str:
    return f"{ms:.0f}" if ms >= 9.5 else f"{ms:.1f}"


def top1(training: Mapping[str, Any]) -> str:
    """Say how well a classifier knows the pictures that were held out from its training.

    >>> top1({"top1": {"chosen": 0.875, "head": 0.75}, "held_out": {"pictures": 8}})
    'top 1 on 8 held-out pictures: 87.5 % (only a head: 75.0 %)'
    >>> top1({"top1": {"chosen": 0.875, "known": 1.0}, "held_out": {"pictures": 8, "views": 20}})
    'top 1 on 8 held-out pictures: 87.5 %; on 20 other views of what it had learned: 100 %'
    """
    chosen, head = figure(training, "top1", "chosen"), only_head(training)
    if chosen is None:
        return "nothing was held out to measure top 1"
    pictures = figure(training, "held_out", "pictures")
    told = "held-out pictures" if pictures is None else count(int(pictures), "held-out picture")
    compared = "" if head is None else f" (only a head: {percent(head)})"
    said = f"top 1 on {told}: {percent(chosen)}{compared}"
    known, views = figure(training, "top1", "known"), figure(training, "held_out", "views")
    if known is None or not views:
        return said
    return f"{said}; on {count(int(views), 'other view')} of what it had learned: {percent(known)}"


def only_head(training: Mapping[str, Any]) -> float | None:
    """Return the top 1 of a mere head; None where that is what was trained, or nobody knows."""
    head = figure(training, "top1", "head")
    return None if head == figure(training, "top1", "chosen") else head


def _at(tree: object, path: Sequence[str]) -> object:
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree
