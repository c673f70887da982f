"""What must be known beside an evaluation's figures, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visualsearch.crops.contract import why_nothing
from visualsearch.extractors.contract import LearnedExtractor
from visualsearch.stages.assembly import Parts
from visualsearch.stages.judging import Judge
from visualsearch.stages.missing import Missing
from visualsearch.stages.searching import Searcher


def notes(parts: Parts, searcher: Searcher, judge: Judge, missing: Missing, summary: Mapping[str, Any]) -> list[str]:
    """Return the sentences, those that change what the figures mean first."""
    told = [*_shifted(summary), *_uncounted(searcher, summary["failed"])]
    if not searcher.embedder.buckets:
        told.append(_unrouted(judge, parts.settings.buckets.clusters is not None))
    if judge.relevant is None:
        told.append(
            "no column says which hits are right (`instance`, `label`, or queries.relevant): only cost is known"
        )
    else:
        told.append(f"a hit is right if it has the query's {judge.relevant}")
    if not missing.known:
        told.append(
            "the gallery's folder cannot be listed, so pictures that are not in the index are not counted as lost"
        )
    if parts.settings.queries.folder is None:
        told.extend(_too_good(parts, searcher))
    return told


def _shifted(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentence for queries of another kind than what routes were calibrated on."""
    shift = (summary["calibration"] or {}).get("shift")
    if shift is None or not shift["shifted"]:
        return
    held = "" if summary["promise"] is None else "the promise does not hold for these queries: "
    yield (
        f"{held}they are stranger to the classifier than the gallery's pictures on which it was calibrated "
        f"(p = {shift['p_value']:.1g})"
    )


def _uncounted(searcher: Searcher, failed: int) -> Iterator[str]:
    if failed:
        pictures = "1 query counts" if failed == 1 else f"{failed:,} queries count"
        yield f"{pictures} for nothing but losses: unreadable, or {why_nothing(searcher.cropper)}"


def _too_good(parts: Parts, searcher: Searcher) -> Iterator[str]:
    """Yield which figures are too good where the queries are the gallery's own pictures."""
    split, learned = parts.settings.queries.split, parts.model.card().get("training", {}).get("split")
    advice = "name others in queries.folder"
    if searcher.embedder.buckets and (split is None or split != learned):
        again = advice if split is None else "run train, which leaves them out"
        yield (
            "the queries are pictures that the classifier was trained on: routed figures and its top 1 are too good; "
            + again
        )
    if isinstance(parts.extractor, LearnedExtractor) and parts.extractor.supervised:
        yield f"the queries are pictures that the extractor was fitted on: all figures are too good; {advice}"


def _unrouted(judge: Judge, clusters: bool) -> str:
    """Say why routed figures are the exhaustive ones, and what to do about it."""
    if not clusters and (judge.bucket_column is None or judge.buckets < 2):
        return (
            "the gallery has fewer than two buckets, so the routed search is the exhaustive one: "
            "name a column with more values in buckets.column"
        )
    return "no classifier is trained, so the routed search is the exhaustive one: run `visualsearch train`"
