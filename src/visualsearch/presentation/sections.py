"""The report's sections that hold figures, tables and charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from visualsearch.datatypes import Answer
from visualsearch.evaluation.runs import RunRow
from visualsearch.presentation import charts, figures
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.parts import Section, card, cell, row_head, table
from visualsearch.presentation.proofs import promise_card
from visualsearch.presentation.wording import count, duration, percent, printable, unbroken
from visualsearch.yaml_text import as_yaml

STAGES = ("decode", "crop", "embed", "search", "total")
CONFUSIONS_SHOWN = 12
FAILURES_SHOWN = 50


def figures_section(evaluation: Mapping[str, Any] | None, answers: Sequence[Answer]) -> Section | None:
    """Return the cards with the main figures, those that are known."""
    cards = [
        *_hit_rate_card(evaluation),
        *promise_card(evaluation),
        *_cost_cards(evaluation, answers),
        *_classifier_card(evaluation),
    ]
    if not cards:
        return None
    return Section("figures", "At a glance", "", tag("div", *cards, class_="cards"))


def evaluation_section(evaluation: Mapping[str, Any] | None) -> Section | None:
    """Return the table in which routed and exhaustive search stand side by side."""
    if evaluation is None:
        return None
    head = [
        ("figure", ""),
        ("routed", "number"),
        ("", "drawn"),
        ("95 %", ""),
        ("exhaustive", "number"),
        ("95 %", ""),
    ]
    rows = [_evaluation_row(evaluation, label, path) for label, path in figures.lines(evaluation)]
    body = table("Routed and exhaustive search, means over queries", head, rows)
    told = tag("ul", *(tag("li", unbroken(note)) for note in figures.notes(evaluation)), class_="muted")
    left_out = int(figures.figure(evaluation, "unanswerable") or 0)
    note = "The exhaustive search compares a query with every picture: it is what routing is measured against."
    if left_out:
        unanswerable = count(left_out, "query has", "queries have")
        note += f" {unanswerable} no right picture in the gallery and count only for cost."
    return Section("evaluation", "Evaluation", note, join(body, told))


def classifier_section(training: Mapping[str, Any] | None, rows: Sequence[RunRow]) -> Section | None:
    """Return how the training went, and which buckets the classifier takes for each other."""
    drawn, confused = _training_charts(training or {}), _confusions(rows)
    if not training and confused is None:
        return None
    note = "" if not training else _sentence(f"{figures.top1(training)}{_took(training)}")
    body = join(tag("div", *drawn, class_="charts") if drawn else None, confused)
    return Section("classifier", "Classifier", note, body)


def timing_section(answers: Sequence[Answer], evaluation: Mapping[str, Any] | None = None) -> Section | None:
    """Return how long the stages of a search took: median and 95th percentile."""
    times = {stage: [a.timings_ms[stage] for a in answers if stage in a.timings_ms] for stage in STAGES}
    known = {stage: np.percentile(ms, [50, 95]).tolist() for stage, ms in times.items() if ms}
    other = [figures.figure(evaluation, "latency_ms", "search_exhaustive", name) for name in ("median", "p95")]
    if None not in other:
        known["exhaustive search, beside"] = other
    if not known:
        return None
    longest = max(late for _, late in known.values()) or 1.0
    rows = [_timing_row(stage, median, late, longest) for stage, (median, late) in known.items()]
    head = [("stage", ""), ("median", "number"), ("95th percentile", "number"), ("", "drawn")]
    note = "For one query; embedding and search run in batches, and a batch's time is shared by its queries."
    return Section("timings", "Time", note, table("Time for each stage of a search", head, rows))


def index_section(index: Mapping[str, Any] | None) -> Section | None:
    """Return what the index holds, and which pictures could not be read."""
    if index is None:
        return None
    kinds = ("added", "changed", "renamed", "removed", "unchanged")
    told = [f"{index[kind]:,} {kind}" for kind in kinds if index.get(kind)]
    failed = index.get("failed") or ()
    unreadable = [f"{len(failed):,} unreadable"] if "failed" in index else []
    note = _sentence(", ".join([*told, *unreadable]) + _took(index))
    rows = [[row_head(one["path"]), cell(printable(one["reason"]), "text")] for one in failed[:FAILURES_SHOWN]]
    shown = "" if len(failed) <= FAILURES_SHOWN else f", the first {FAILURES_SHOWN}"
    body = (
        table(f"Pictures that are not searchable{shown}", [("picture", ""), ("why", "")], rows) if rows else Markup("")
    )
    return Section("index", "Gallery", note, body)


def settings_section(settings: Mapping[str, Any]) -> Section:
    """Return every setting behind the report, folded."""
    rows = [
        [tag("th", tag("code", key), scope="row"), cell(tag("code", printable(value)), "text")]
        for key, value in _flat(settings)
    ]
    body = table("Every key, defaults included", [("key", ""), ("value", "")], rows)
    return Section("settings", "Settings", "", tag("details", tag("summary", count(len(rows), "setting")), body))


def _hit_rate_card(evaluation: Mapping[str, Any] | None) -> list[Markup]:
    routed, exhaustive = (figures.figure(evaluation, search, "hit_rate_at", "1") for search in figures.SEARCHES)
    if routed is None or exhaustive is None:
        return []
    inner = figures.bounds(evaluation, "routed", "hit_rate_at", "1")
    text = f"exhaustive {percent(exhaustive)}" + (f" · 95 % {figures.interval(inner)}" if inner else "")
    bars = [charts.bar(routed, inner), charts.bar(exhaustive, kind="other")]
    return [card("Hit rate at 1, routed", percent(routed), *bars, text)]


def _cost_cards(evaluation: Mapping[str, Any] | None, answers: Sequence[Answer]) -> list[Markup]:
    shares = [answer.route.compared for answer in answers if answer.route is not None]
    compared = figures.figure(evaluation, "routed", "compared")
    compared = compared if compared is not None else float(np.mean(shares)) if shares else None
    kept = figures.figure(evaluation, "kept")
    cards = []
    if compared is not None:
        cards.append(card("Compared", percent(compared), charts.bar(compared), "of the gallery, a mean over queries"))
    if kept is not None:
        inner = figures.bounds(evaluation, "kept")
        cards.append(card("Kept", percent(kept), charts.bar(kept, inner), "of the hits of an exhaustive search"))
    total = [answer.timings_ms["total"] for answer in answers if "total" in answer.timings_ms]
    if total:
        cards.append(card("Time", duration(float(np.median(total)) / 1000), "for one query, median"))
    return cards


def _classifier_card(evaluation: Mapping[str, Any] | None) -> list[Markup]:
    top1 = figures.figure(evaluation, "classifier", "top1")
    size = figures.figure(evaluation, "classifier", "route_size")
    if top1 is None:
        return []
    inner = figures.bounds(evaluation, "classifier", "top1")
    route = "" if size is None else f"; a route has {size:.1f} buckets on average"
    return [card("Right bucket first", percent(top1), charts.bar(top1, inner), f"of queries{route}")]


def _evaluation_row(evaluation: Mapping[str, Any], label: str, path: Sequence[str]) -> list[Markup]:
    routed, exhaustive = (figures.figure(evaluation, search, *path) for search in figures.SEARCHES)
    inner, other = (figures.bounds(evaluation, search, *path) for search in figures.SEARCHES)
    return [
        row_head(label),
        cell(percent(routed), "number"),
        cell(join(charts.bar(routed or 0.0, inner), charts.bar(exhaustive or 0.0, other, "other")), "drawn"),
        cell(figures.interval(inner), "range"),
        cell(percent(exhaustive), "number"),
        cell(figures.interval(other), "range"),
    ]


def _training_charts(training: Mapping[str, Any]) -> list[Markup]:
    epochs = training.get("curves") or ()
    if len(epochs) < 2:  # a single point is no curve
        return []

    def line(key: str) -> list[float]:
        return [epoch[key] for epoch in epochs if epoch.get(key) is not None]

    losses = {name: line(key) for name, key in {"training": "loss", "held out": "val_loss"}.items() if line(key)}
    top1, head = line("val_top1"), figures.only_head(training)
    drawn = []
    if losses:
        drawn.append(_chart("Loss", charts.curves(losses, "Loss over epochs, training and held out", "{:.3g}".format)))
    if top1:
        reference = None if head is None else ("only a head", head)
        label = f"Top 1 on held-out pictures over epochs, up to {percent(max(top1))}"
        chart = charts.curves({"classifier": top1}, label, "{:.0%}".format, most=1.0, reference=reference)
        drawn.append(_chart("Top 1 on held-out pictures", chart))
    return drawn


def _chart(caption: str, drawn: Markup) -> Markup:
    return tag("figure", tag("figcaption", caption), drawn, class_="chart")


def _confusions(rows: Sequence[RunRow]) -> Markup | None:
    pairs = [(row.right_bucket, row.predicted_bucket) for row in rows if row.right_bucket and row.predicted_bucket]
    asked = Counter(right for right, _ in pairs)
    wrong = Counter((right, guess) for right, guess in pairs if right != guess).most_common(CONFUSIONS_SHOWN)
    if not wrong:
        return None
    head = [("is", ""), ("taken for", ""), ("queries", "number"), ("of its queries", "number"), ("", "drawn")]
    cells = [
        [
            row_head(right),
            cell(printable(guess)),
            cell(f"{times:,}", "number"),
            cell(percent(times / asked[right]), "number"),
            cell(charts.bar(times / asked[right], kind="other"), "drawn last"),
        ]
        for (right, guess), times in wrong
    ]
    return table("Buckets that are taken for each other most often", head, cells)


def _timing_row(stage: str, median: float, late: float, longest: float) -> list[Markup]:
    drawn = charts.bar(median / longest, (median / longest, late / longest))
    times = [duration(ms / 1000) for ms in (median, late)]
    return [row_head(stage), *(cell(time, "number") for time in times), cell(drawn, "drawn last")]


def _took(told: Mapping[str, Any]) -> str:
    seconds = told.get("seconds")
    return "" if seconds is None else f" · {duration(seconds)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _flat(settings: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Return nested settings as (key.key, value as in YAML), in their order."""
    pairs: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{above}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, Mapping) and value else [(name, as_yaml(value))]
    return pairs
