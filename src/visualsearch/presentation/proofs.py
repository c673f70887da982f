"""The report's sections on the promise, on probabilities, and on what the sweep found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visualsearch.presentation import charts, figures, plots
from visualsearch.presentation.markup import Markup, join, tag
from visualsearch.presentation.parts import Section, card, cell, row_head, table
from visualsearch.presentation.wording import count, percent, unbroken

GROUPS = {"queries": "Queries", "pictures": "Calibration pictures"}
"""Whose probabilities are shown."""


def promise_card(evaluation: Mapping[str, Any] | None) -> list[Markup]:
    """Return the card that holds what was promised against what was measured."""
    promise = (evaluation or {}).get("promise")
    held = figures.figure(evaluation, "promise", "held")
    if promise is None or held is None:
        return []
    inner = figures.bounds(evaluation, "promise", "held")
    below = f"{percent(promise['level'])} promised: {figures.promised(promise)}"
    return [card("Promise held", percent(held), charts.bar(held, inner), below)]


def calibration_section(evaluation: Mapping[str, Any] | None) -> Section | None:
    """Return how far the classifier's probabilities can be believed, and whether the queries are like the gallery."""
    told = (evaluation or {}).get("calibration")
    if not told or not any(told.get(name) for name in GROUPS):
        return None
    drawn = [
        _figure(f"{caption}: {figures.believed(told[name])}", plots.reliability(told[name]["bins"], caption))
        for name, caption in GROUPS.items()
        if told.get(name)
    ]
    note = (
        "A bar is how often the most probable bucket was right among those of about one confidence, the stronger the "
        "more there are; on the dashed line both are the same. Calibration pictures are of groups that the classifier "
        "never learned."
    )
    return Section("calibration", "Calibration", note, join(tag("div", *drawn, class_="charts"), _shift(told["shift"])))


def sweep_section(sweep: Mapping[str, Any] | None) -> Section | None:
    """Return what other levels of ``routing.keep`` would keep and cost."""
    if sweep is None:
        return None
    routed = [one for one in sweep["levels"] if one["promised"] and one["compared"] < 1]
    levels = routed or [one for one in sweep["levels"] if one["promised"]]
    names = {"kept": "hits kept", "held": "promise held", "right_kept": "right hits kept", "hit_rate": "hit rate at 1"}
    traces: list[plots.Trace] = []
    for key, name in names.items():
        known = [one for one in levels if one[key] is not None]
        labels = tuple(f"{one['keep']:g}" for one in known) if not traces else ()
        if known:
            traces.append(plots.Trace(name, tuple((one["compared"], one[key]) for one in known), labels))
    chosen = next((one["compared"] for one in levels if one["keep"] == sweep["keep"]), None)
    chart = _figure("Kept against compared", plots.sweep(traces, "Kept against compared", chosen)) if traces else None
    head = [("keep", ""), *((name, "number") for name in names.values()), ("compared", "number"), ("", "")]
    rows = [
        [
            row_head(f"{one['keep']:g}"),
            *(cell(percent(one[key]), "number") for key in (*names, "compared")),
            cell(one["note"], "text"),
        ]
        for one in sweep["levels"]
    ]
    line = tag("p", tag("code", sweep["line"]), unbroken(f": {sweep['rule']}."))
    body = join(tag("div", chart, class_="charts") if chart else None, table("Levels of keep", head, rows), line)
    return Section("sweep", "What routing.keep costs", "First routes, before any widening.", body)


def _shift(shift: Mapping[str, Any] | None) -> Markup | None:
    if shift is None:
        return None
    said = (
        "The queries are stranger to the classifier than the pictures on which it was calibrated, so what is promised "
        "does not hold for them"
        if shift["shifted"]
        else "Nothing says that the queries are stranger to the classifier than the pictures on which it was calibrated"
    )
    groups = shift["groups"]
    compared = f"{count(groups['queries'], 'group')} of queries, {groups['calibration']:,} of calibration"
    text = f"{said} (Mann-Whitney test, {compared}, p = {shift['p_value']:.2g})."
    return tag("p", unbroken(text), class_="warning" if shift["shifted"] else "muted")


def _figure(caption: str, drawn: Markup) -> Markup:
    return tag("figure", tag("figcaption", unbroken(caption)), drawn, class_="chart")
