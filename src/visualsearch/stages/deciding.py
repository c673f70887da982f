"""When verdicts are calibrated, and from what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Literal

from visualsearch.datatypes import Item
from visualsearch.errors import DataError
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts
from visualsearch.stages.fitting import group_of
from visualsearch.stages.judging import relevant_column
from visualsearch.stages.sampling import Subject, gathered
from visualsearch.stores.contract import Store

DRIFT = 0.1
"""Share of the items that may change before verdicts are calibrated anew."""


def calibrate_verdicts(parts: Parts, store: Store, progress: Progress) -> None:
    """Search for a sample of the index, and keep beside the model what came of it.

    Nothing is kept where no column says what is right.
    """
    items = {item.id: item for page in store.pages() for item in page}
    relevant = _relevant(parts, items)
    if relevant is None:
        return
    values = {item.id: item.columns[relevant] for item in items.values() if item.columns.get(relevant)}
    evidence = parts.evidence
    known = () if evidence is None else zip(evidence.ids.tolist(), evidence.probabilities.max(axis=1), strict=True)
    subject = Subject(
        store,
        items,
        values,
        lambda item: group_of(parts, item),
        {item_id: float(most) for item_id, most in known},
        parts.settings.runtime.seed,
    )
    classifier = "" if evidence is None else evidence.classifier
    gathered(subject, parts.embedding_fingerprint, relevant, classifier, progress).save(parts.model.path)
    parts.model.update(verdicts={"items": len(items), "changed": 0})


def calibrate_where_due(parts: Parts, changed: int, progress: Progress) -> None:
    """Calibrate where that was not done yet, or where much has changed since; else count what has."""
    noted = parts.model.card().get("verdicts", {})
    since = noted.get("changed", 0) + changed
    samples, wanted = parts.samples, parts.settings.queries.relevant
    if samples is not None and wanted in (None, samples.relevant) and since <= DRIFT * noted.get("items", 0):
        if changed:
            parts.model.update(verdicts={**noted, "changed": since})
        return
    calibrate_now(parts, progress)


def calibrate_now(parts: Parts, progress: Progress) -> None:
    """Calibrate on the live index, where there is one."""
    live = parts.shelf.live()
    if live is not None:
        with closing(live) as store:
            calibrate_verdicts(parts, store, progress)


def verdict_findings(parts: Parts) -> Iterator[tuple[Literal["ok", "note"], str]]:
    """Yield what ``check`` says: whether verdicts are told, and how many groups are missing where they are not."""
    matcher = parts.matcher
    if matcher is None:
        says = (
            "not calibrated: run index, with a column that says what is right (`instance`, `label`, queries.relevant)"
        )
        yield "note", says
        return
    rules = matcher.as_dict()
    relevant, match, stranger = rules["relevant"], rules["match"], rules["stranger"]
    for what, key, rule in (
        (f"values of {relevant}", "match.false_rate", match),
        ("groups of queries that are like the gallery", "match.stranger_rate", stranger),
    ):
        if rule["n"] >= rule["needed"]:
            yield "ok", f"{key} {rule['rate']:g} is calibrated on {rule['n']:,} {what}"
        else:
            missing = rule["needed"] - rule["n"]
            enough = f"; {1 / (rule['n'] + 1) + 0.0005:.3f} or more would do" if rule["n"] else ""
            says = f"{key} {rule['rate']:g} needs {rule['needed']:,} {what}, and {missing:,} are missing: never told"
            yield "note", says + enough


def _relevant(parts: Parts, items: Mapping[str, Item]) -> str | None:
    """Return the column by which a hit is right; None where there is none, of which ``evaluate`` speaks."""
    columns = {column for item in items.values() for column in item.columns}
    try:
        return relevant_column(parts.settings.queries.relevant, columns, items)
    except DataError:
        return None
