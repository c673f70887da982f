"""Queries → figures: search each query routed and exhaustively, and judge the hits by a column."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from visualsearch.calibration.promises import Kind
from visualsearch.datatypes import Answer, Found, Item, Query
from visualsearch.embedder import Embedded
from visualsearch.errors import DataError
from visualsearch.evaluation.latency import latency
from visualsearch.evaluation.losses import DEPTH, losses
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.summary import KS, summarise
from visualsearch.model import QUERIES
from visualsearch.progress import Progress
from visualsearch.routing import Plan
from visualsearch.stages.ahead import batches
from visualsearch.stages.asking import Asked, Rows
from visualsearch.stages.assembly import Parts
from visualsearch.stages.believing import calibration
from visualsearch.stages.fitting import group_column
from visualsearch.stages.judging import Judge, Question, relevant_column
from visualsearch.stages.matching import verdict_summary
from visualsearch.stages.memo import STAGES, QueryMemo, stacked
from visualsearch.stages.missing import missing_pictures
from visualsearch.stages.noting import notes
from visualsearch.stages.questions import questions
from visualsearch.stages.retrieval import Retrieved, retrieve
from visualsearch.stages.searching import Request, Searcher, largest, with_total

BATCH = 32

NO_CROP = "no-crop"
"""The slug of a picture that was read and has nothing to describe."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured: the figures, a row for each query, and the routed answers themselves.

    ``failed`` are the rows of queries that could not be searched; they have no answers.
    """

    summary: Mapping[str, Any]
    rows: tuple[RunRow, ...]
    answers: tuple[Answer, ...]
    relevant: str | None
    """The column by which a hit is right; None where nothing says so, and only cost and ``kept`` are known."""
    failed: tuple[RunRow, ...] = ()
    failed_files: tuple[str, ...] = ()
    """The file of each that failed."""


def evaluate(parts: Parts, searcher: Searcher, progress: Progress) -> Evaluation:
    """Search the YAML's queries (or the gallery, one picture left out at a time) and measure.

    A picture that is left out takes its near-duplicates with it. Strangers are searched too;
    they count for nothing but the stranger figures.

    Raises:
        DataError: there are no queries, none can be read, or the column ``queries.relevant`` does not exist.
    """
    items = {item.id: item for page in searcher.store.pages() for item in page}
    asked = list(questions(parts, items))
    judge = judge_of(parts, items, asked)
    lacking = missing_pictures(parts, searcher.store, searcher.cropper, {item.path for item in items.values()})
    made = Rows(judge, lacking, searcher.embedder.buckets, promised_kind(parts, judge), len(items))
    rows: list[RunRow] = []
    answers: list[Answer] = []
    failed: list[tuple[RunRow, str]] = []
    memo = open_memo(parts, searcher)
    for known, broken in embedded_questions(searcher, asked, memo, progress):
        failed += [(made.failed(question, reason), str(question.picture.file)) for question, reason in broken]
        for row, answer in _searched(searcher, known, memo, made):
            rows.append(row)
            answers.append(answer)
    memo.save()
    everything = [*rows, *(row for row, _ in failed)]
    if all(row.failed == "unreadable" for row in everything):
        raise DataError("evaluate: none of the queries could be read.", slug="queries-unreadable")
    summary = _summary(parts, searcher, rows, answers, everything)
    if summary["losses"] is not None:
        summary["losses"]["gallery"] = lacking.counts()
    summary["notes"] = notes(parts, searcher, judge, lacking, summary)
    broken_rows, files = [row for row, _ in failed], [file for _, file in failed]
    return Evaluation(summary, tuple(rows), tuple(answers), judge.relevant, tuple(broken_rows), tuple(files))


def judge_of(parts: Parts, items: Mapping[str, Item], asked: Sequence[Question]) -> Judge:
    """Return who knows which items are right.

    Raises:
        DataError: there is no column ``queries.relevant``.
    """
    columns = {column for question in asked for column in question.picture.columns}
    relevant = relevant_column(parts.settings.queries.relevant, columns, items)
    return Judge(items, relevant, group_column(parts), parts.bucket_column)


def promised_kind(parts: Parts, judge: Judge) -> Kind:
    """Return what routes must hold: what was calibrated, or else what the buckets are made from."""
    if parts.evidence is not None:
        return parts.evidence.kind
    return "bucket" if judge.bucket_column is not None else "hits"


def _summary(
    parts: Parts, searcher: Searcher, rows: Sequence[RunRow], answers: Sequence[Answer], everything: Sequence[RunRow]
) -> dict[str, Any]:
    seed = parts.settings.runtime.seed
    return {
        **summarise(rows, KS, seed, searcher.promise),
        "failed": len(everything) - len(rows),
        "calibration": calibration(parts.evidence, rows, seed),
        "losses": losses(everything, DEPTH),
        "verdicts": verdict_summary(searcher.matcher, rows, answers),
        "latency_ms": latency(rows),
    }


def open_memo(parts: Parts, searcher: Searcher) -> QueryMemo:
    """Open what is remembered of queries that were embedded before."""
    return QueryMemo.open(parts.model.path / QUERIES, parts.query_fingerprint(searcher.model))


Broken = list[tuple[Question, str]]
"""Questions that cannot be searched, each with the reason."""


def embedded_questions(
    searcher: Searcher, asked: Sequence[Question], memo: QueryMemo, progress: Progress
) -> Iterator[tuple[list[Question], Broken]]:
    """Yield, in batches, the questions that the memo knows by now, and those that cannot be searched."""
    progress("searching queries", 0, len(asked))
    for done, batch in enumerate(batches(asked, BATCH)):
        reasons = _remember(searcher, batch, memo)
        known = [question for question in batch if question.key in memo.entries]
        yield known, [(question, reasons[question.key]) for question in batch if question.key not in memo.entries]
        progress("searching queries", min((done + 1) * BATCH, len(asked)), len(asked))


def _remember(searcher: Searcher, batch: Sequence[Question], memo: QueryMemo) -> dict[str, str]:
    """Embed those pictures of the batch that the memo does not know; return why some stay unknown, by key."""
    new = [question for question in batch if question.key not in memo.entries]
    prepared = list(map(largest, searcher.prepare_each(question.picture.file for question in new)))
    ready = [(question, one) for question, one in zip(new, prepared, strict=True) if one.crop is not None]
    reasons = {
        question.key: "no_crop" if one.error is not None and one.error.slug == NO_CROP else "unreadable"
        for question, one in zip(new, prepared, strict=True)
        if one.crop is None
    }
    if not ready:
        return reasons
    start = time.perf_counter()
    embedded = searcher.embedder.embed([one.crop for _, one in ready if one.crop is not None])
    embed_ms = (time.perf_counter() - start) * 1000 / len(ready)
    probabilities = embedded.probabilities
    for row, (question, one) in enumerate(ready):
        guessed = np.empty(0, np.float32) if probabilities is None else probabilities[row]
        timings = [{**one.timings_ms, "embed": embed_ms}[stage] for stage in STAGES]
        memo.add(question.key, embedded.vectors[row], guessed, timings, one.query.box)
    return reasons


def embedded_of(memo: QueryMemo, questions: Sequence[Question]) -> Embedded:
    """Return what the memo knows of questions, in their order."""
    known = [memo.entries[question.key] for question in questions]
    guesses = stacked([one.probabilities for one in known])
    return Embedded(stacked([one.vector for one in known]), guesses if guesses.shape[1] else None)


def _searched(
    searcher: Searcher, questions: Sequence[Question], memo: QueryMemo, made: Rows
) -> Iterator[tuple[RunRow, Answer]]:
    if not questions:
        return
    embedded = embedded_of(memo, questions)
    depth = searcher.depth(DEPTH) + max(len(question.left_out) for question in questions)
    # a gallery of fewer items cannot give DEPTH hits: its searches widen as for the most of KS that it can give
    enough = max((k for k in KS if k <= len(made.judge.items)), default=1)
    out = tuple(question.left_out for question in questions)
    plans, routed, search_ms = _retrieved(searcher, embedded, Request(depth, enough=enough, left_out=out))
    _, exhaustive, exhaustive_ms = _retrieved(searcher, embedded, Request(depth, exhaustive=True, left_out=out))
    for answered in (routed, exhaustive):
        for question, each in zip(questions, answered, strict=True):
            each.found = without(each.found, question.left_out, searcher.depth(DEPTH))
        searcher.settle(embedded.vectors, answered, DEPTH)
    total = len(made.judge.items)
    for question, plan, near, far in zip(questions, plans, routed, exhaustive, strict=True):
        one = memo.entries[question.key]
        timings = dict(zip(STAGES, map(float, one.timings_ms), strict=True)) | {"search": search_ms}
        asked = Asked(question, plan, near, far, one.probabilities, {**timings, "search_exhaustive": exhaustive_ms})
        query = Query(str(question.picture.file), one.box)
        hits, route = near.found.hits, near.route(total)
        answer = Answer(query, hits, route, near.verdict, near.fit, searcher.model, timings_ms=with_total(timings))
        yield made.row(asked), answer


def _retrieved(searcher: Searcher, embedded: Embedded, request: Request) -> tuple[list[Plan], list[Retrieved], float]:
    """Return each row's first plan and what its search found, and the milliseconds for a query."""
    start = time.perf_counter()
    reach = searcher.reach(request)
    plans = searcher.plans(embedded, request, reach.router)
    retrieved = retrieve(searcher.store, embedded, plans, reach)
    return plans, retrieved, (time.perf_counter() - start) * 1000 / max(len(plans), 1)


def without(found: Found, left_out: frozenset[str], depth: int) -> Found:
    """Return the first ``depth`` hits that are not left out, ranked anew."""
    kept = [hit for hit in found.hits if hit.id not in left_out][:depth]
    return Found(tuple(replace(hit, rank=rank) for rank, hit in enumerate(kept, 1)), found.compared)
