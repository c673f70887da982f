"""Queries → figures: search each query routed and exhaustively, and judge the hits by a column."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from visualsearch.crops.contract import why_nothing
from visualsearch.datatypes import Answer, Found, Hit, Item, Query
from visualsearch.embedder import Embedded
from visualsearch.errors import DataError
from visualsearch.evaluation.runs import KS, RunRow, summarise
from visualsearch.extractors.contract import Extractor, LearnedExtractor
from visualsearch.gallery import Picture, file_of, list_pictures
from visualsearch.model import QUERIES
from visualsearch.progress import Progress
from visualsearch.stages.ahead import batches
from visualsearch.stages.assembly import Parts
from visualsearch.stages.fitting import group_column
from visualsearch.stages.judging import Judge, Question, relevant_column
from visualsearch.stages.lookalikes import near_duplicates
from visualsearch.stages.memo import STAGES, QueryMemo, stacked
from visualsearch.stages.retrieval import Retrieved, retrieve
from visualsearch.stages.searching import Request, Searcher, largest, with_total

DEPTH = max(KS)
BATCH = 32


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured: the figures, a row for each query, and the routed answers themselves."""

    summary: Mapping[str, Any]
    rows: tuple[RunRow, ...]
    answers: tuple[Answer, ...]
    relevant: str | None
    """The column by which a hit is right; None where nothing says so, and only cost and ``kept`` are known."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of queries, for ``list_pictures``."""

    folder: Path
    path: str | None
    table: Path | None = None


def evaluate(parts: Parts, searcher: Searcher, progress: Progress) -> Evaluation:
    """Search the YAML's queries (or the gallery, one picture left out at a time) and measure.

    A picture that is left out takes its near-duplicates with it. Strangers are searched too;
    they count for nothing but the stranger figures.

    Raises:
        DataError: there are no queries, or the column ``queries.relevant`` does not exist.
    """
    items = {item.id: item for page in searcher.store.pages() for item in page}
    questions = list(_questions(parts, items))
    columns = {column for question in questions for column in question.picture.columns}
    relevant = relevant_column(parts.settings.queries.relevant, columns, items)
    judge = Judge(items, relevant, group_column(parts), parts.bucket_column)
    memo = QueryMemo.open(parts.model.path / QUERIES, parts.query_fingerprint(searcher.model))
    rows: list[RunRow] = []
    answers: list[Answer] = []
    progress("searching queries", 0, len(questions))
    for done, batch in enumerate(batches(questions, BATCH)):
        _remember(searcher, batch, memo)
        known = [question for question in batch if question.key in memo.entries]
        for row, answer in _searched(searcher, known, memo, judge):
            rows.append(row)
            answers.append(answer)
        progress("searching queries", min((done + 1) * BATCH, len(questions)), len(questions))
    memo.save()
    if not rows:
        raise DataError("evaluate: none of the queries could be read.", slug="queries-unreadable")
    notes = _notes(parts, searcher, judge, len(questions) - len(rows))
    summary = {**summarise(rows, KS, parts.settings.runtime.seed), "notes": notes}
    return Evaluation(summary, tuple(rows), tuple(answers), judge.relevant)


def _questions(parts: Parts, items: Mapping[str, Item]) -> Iterator[Question]:
    queries = parts.settings.queries
    if queries.folder is None:
        yield from _left_out_questions(parts, items)
    else:
        listing = list_pictures(_Folder(queries.folder, queries.path))
        yield from (Question(picture) for picture in listing.pictures)
    if queries.strangers is not None:
        listing = list_pictures(_Folder(queries.strangers, queries.path))
        yield from (Question(picture, stranger=True) for picture in listing.pictures)


def _left_out_questions(parts: Parts, items: Mapping[str, Item]) -> Iterator[Question]:
    """Yield each indexed picture, with itself and what looks like it left out."""
    by_path: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items.values():
        by_path[item.path].append(item)
    alike = near_duplicates({path: group[0].source.look for path, group in by_path.items()})
    for path, group in by_path.items():
        file = file_of(parts.settings.gallery.folder, path)
        out = frozenset(item.id for other in (path, *alike[path]) for item in by_path[other])
        yield Question(Picture(path, file, group[0].columns, group[0].source.stamp), left_out=out)


def _notes(parts: Parts, searcher: Searcher, judge: Judge, missing: int) -> list[str]:
    """Return what must be known beside the figures."""
    notes = []
    if missing:
        pictures = "1 query counts" if missing == 1 else f"{missing:,} queries count"
        notes.append(f"{pictures} for nothing: unreadable, or {why_nothing(searcher.cropper)}")
    if not searcher.embedder.buckets:
        notes.append(_unrouted(judge, parts.settings.buckets.clusters is not None))
    if judge.relevant is None:
        notes.append(
            "no column says which hits are right (`instance`, `label`, or queries.relevant): only cost is known"
        )
    else:
        notes.append(f"a hit is right if it has the query's {judge.relevant}")
    if parts.settings.queries.folder is None:
        notes.extend(_too_good(parts.extractor, bool(searcher.embedder.buckets)))
    return notes


def _too_good(extractor: Extractor, routed: bool) -> Iterator[str]:
    """Yield which figures are too good where the queries are the gallery's own pictures."""
    advice = "name others in queries.folder"
    if routed:
        yield (
            "the queries are pictures that the classifier was trained on: routed figures and its top 1 are too good; "
            + advice
        )
    if isinstance(extractor, LearnedExtractor) and extractor.supervised:
        yield f"the queries are pictures that the extractor was fitted on: all figures are too good; {advice}"


def _unrouted(judge: Judge, clusters: bool) -> str:
    """Say why routed figures are the exhaustive ones, and what to do about it."""
    if not clusters and (judge.bucket_column is None or judge.buckets < 2):
        return (
            "the gallery has fewer than two buckets, so the routed search is the exhaustive one: "
            "name a column with more values in buckets.column"
        )
    return "no classifier is trained, so the routed search is the exhaustive one: run `visualsearch train`"


def _remember(searcher: Searcher, batch: Sequence[Question], memo: QueryMemo) -> None:
    """Embed those pictures of the batch that the memo does not know; unreadable ones stay unknown."""
    new = [question for question in batch if question.key not in memo.entries]
    prepared = map(largest, searcher.prepare_each(question.picture.file for question in new))
    ready = [(question, one) for question, one in zip(new, prepared, strict=True) if one.crop is not None]
    if not ready:
        return
    start = time.perf_counter()
    embedded = searcher.embedder.embed([one.crop for _, one in ready if one.crop is not None])
    embed_ms = (time.perf_counter() - start) * 1000 / len(ready)
    probabilities = embedded.probabilities
    for row, (question, one) in enumerate(ready):
        guessed = np.empty(0, np.float32) if probabilities is None else probabilities[row]
        timings = [{**one.timings_ms, "embed": embed_ms}[stage] for stage in STAGES]
        memo.add(question.key, embedded.vectors[row], guessed, timings, one.query.box)


def _searched(
    searcher: Searcher, questions: Sequence[Question], memo: QueryMemo, judge: Judge
) -> Iterator[tuple[RunRow, Answer]]:
    if not questions:
        return
    known = [memo.entries[question.key] for question in questions]
    guesses = stacked([one.probabilities for one in known])
    embedded = Embedded(stacked([one.vector for one in known]), guesses if guesses.shape[1] else None)
    depth = searcher.depth(DEPTH) + max(len(question.left_out) for question in questions)
    start = time.perf_counter()
    # a gallery of fewer items cannot give DEPTH hits: its searches widen as for the most of KS that it can give
    enough = max((k for k in KS if k <= len(judge.items)), default=1)
    routed, total = _retrieved(searcher, embedded, Request(depth, enough=enough))
    search_ms = (time.perf_counter() - start) * 1000 / len(questions)
    everything, _ = _retrieved(searcher, embedded, Request(depth, exhaustive=True))
    for answered in (routed, everything):
        for question, each in zip(questions, answered, strict=True):
            each.found = _without(each.found, question.left_out, searcher.depth(DEPTH))
        searcher.settle(embedded.vectors, answered, DEPTH)
    for question, one, near, far in zip(questions, known, routed, everything, strict=True):
        timings = dict(zip(STAGES, map(float, one.timings_ms), strict=True)) | {"search": search_ms}
        query = Query(str(question.picture.file), one.box)
        answer = Answer(query, near.found.hits, near.route(total), model=searcher.model, timings_ms=with_total(timings))
        guess = searcher.embedder.buckets[int(np.argmax(one.probabilities))] if len(one.probabilities) else None
        yield _row(question, near, far, total, guess, judge), answer


def _retrieved(searcher: Searcher, embedded: Embedded, request: Request) -> tuple[list[Retrieved], int]:
    """Return what a search finds for each row, and how many items the index has."""
    reach = searcher.reach(request)
    plans = searcher.plans(embedded, request, reach.router)
    return retrieve(searcher.store, embedded, plans, reach), reach.router.total


def _without(found: Found, left_out: frozenset[str], depth: int) -> Found:
    """Return the first ``depth`` hits that are not left out, ranked anew."""
    kept = [hit for hit in found.hits if hit.id not in left_out][:depth]
    return Found(tuple(replace(hit, rank=rank) for rank, hit in enumerate(kept, 1)), found.compared)


def _row(question: Question, near: Retrieved, far: Retrieved, total: int, guess: str | None, judge: Judge) -> RunRow:
    right, columns = judge.right_items(question), question.picture.columns

    def judged(hits: Sequence[Hit]) -> tuple[bool, ...]:
        return tuple(hit.id in right for hit in hits)

    return RunRow(
        query=question.picture.path,
        group=columns.get(judge.group, question.picture.path),
        right_items=len(right),
        routed=tuple(hit.id for hit in near.found.hits),
        routed_right=judged(near.found.hits),
        exhaustive=tuple(hit.id for hit in far.found.hits),
        exhaustive_right=judged(far.found.hits),
        routed_compared=near.found.compared / max(total, 1),
        exhaustive_compared=far.found.compared / max(total, 1),
        right_bucket=columns.get(judge.bucket_column) if judge.bucket_column else None,
        predicted_bucket=guess,
        route_size=judge.buckets if near.plan.buckets is None else len(near.plan.buckets),
        widened=len(near.steps) > 1,
        best_score=far.found.hits[0].score if far.found.hits else None,
        stranger=question.stranger,
    )
