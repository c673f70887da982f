"""One system → one row of its table, with the pictures that belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.protocols import figures
from tools.protocols.categories import Categories
from tools.protocols.indexing import Place, Ready, ready, weights_of, with_peak
from tools.protocols.mistakes import SHOWN as WRONG_SHOWN
from tools.protocols.mistakes import mistakes, shown
from tools.protocols.people import People, read_pairs
from tools.protocols.runs import Run, answers, searched
from tools.protocols.systems import OURS, System
from tools.protocols.verification import verified
from visualsearch.datatypes import Answer, Hit
from visualsearch.errors import EngineError, VisualSearchError
from visualsearch.evaluation.runs import RunRow
from visualsearch.gallery import file_of
from visualsearch.presentation.montage import draw_montage
from visualsearch.progress import Progress
from visualsearch.stages.measuring import Evaluation

Row = dict[str, Any]

SHOWN = 10
"""Hits of a query that are drawn."""

NOT_PUBLISHED = "not measured with the published weights"


@dataclass(frozen=True, slots=True)
class Task:
    """Where pictures come from, where everything goes, and whether published weights are wanted everywhere."""

    out: Path
    people: Path | None = None
    pairs: Path | None = None
    categories: Categories | None = None
    published: bool = False
    overrides: tuple[str, ...] = ()
    """What is set beside every file, as behind ``--set``."""


def row_of(system: System, task: Task, progress: Progress) -> Row:
    """Measure a system, or say in a sentence why that is not possible."""
    published = ("extractor.weights=published",) if task.published and system.had else ()
    place = Place(system.file, task.out / "models" / system.id, (*task.overrides, *published))
    row: Row = {"id": system.id, "data": system.data, "system": system.title, "claim": system.claim, "had": system.had}
    row |= {"weights": weights_of(place.settings()), "store": place.settings().store.name, "measured": False}
    try:
        measured = measured_people if system.data == "lfw" else measured_categories
        return {**row, **measured(place, task, system, progress), "measured": True}
    except VisualSearchError as error:
        lacking = isinstance(error, EngineError) and error.slug.startswith("weights-") and system.had
        return {**row, "slug": error.slug, "note": f"{NOT_PUBLISHED if lacking else 'not measured'}: {error}"}


def measured_people(place: Place, task: Task, system: System, progress: Progress) -> Row:
    """Return the figures of a system on people's pictures, and draw what the ten queries find."""
    assert task.people is not None
    people = People.of(task.people)
    with ready(place, progress, train=False) as done, closing(_store(done)) as store:
        rerank = done.search.settings.search.rerank
        run = searched(store, people, rerank, progress)
        cost = with_peak(place.out / "cost.json", done.cost)
        montage = _draw(answers(store, people, run, people.ten, rerank), people, system, task.out)
        wrong = mistakes(run.ranked, people.codes, run.places, run.vectors)
        if system.id in OURS and wrong:
            montage |= _draw_mistakes(shown(store, people, run, wrong[:WRONG_SHOWN]), people, system, task.out)
    told = {**_people_figures(run, people, task.pairs), "wrong_first": len(wrong)}
    return {"store": done.store, "figures": told, **_costs(cost, run), **montage}


def _people_figures(run: Run, people: People, pairs: Path | None) -> dict[str, Any]:
    near, codes = run.near, people.codes
    return {
        "pictures": len(people.paths),
        "people": len(set(people.names)),
        "without_face": run.without_face,
        "split": figures.split_accuracy(near, codes),
        "left_in": {str(k): figures.left_in(near, codes, k) for k in (1, 2, 3)},
        "itself_first": figures.itself_first(near),
        "leave_one_out": figures.leave_one_out(run.ranked, codes),
        "ten": figures.found_of_ten(run.ranked, codes, people.ten),
        "verification": verified(read_pairs(pairs), people, run.places, run.vectors) if pairs else None,
    }


def _costs(cost: Mapping[str, Any], run: Run | None = None) -> dict[str, Any]:
    each = 1000 * cost["seconds"] / cost["pictures"] if cost["pictures"] else None
    told = {"ms_a_picture": each, "peak_mib": cost["peak_mib"]}
    return {"cost": told if run is None else {**told, "ms_a_search": run.search_ms}}


def measured_categories(place: Place, task: Task, system: System, progress: Progress) -> Row:
    """Return the figures of a system on the categories' queries, and draw what some of them find."""
    assert task.categories is not None
    where = Place(place.file, place.out, (*place.overrides, *task.categories.overrides))
    with ready(where, progress, train=True) as done:
        found = done.search.evaluate()
        cost = with_peak(place.out / "cost.json", done.cost)
    summary = found.summary
    told = {name: summary[name] for name in ("queries", "classifier", "routed", "exhaustive", "kept")}
    montage = _draw_categories(found, task.categories.gallery, system, task.out)
    return {"store": done.store, "figures": told, **_costs(cost), **montage}


def _store(done: Ready) -> Any:
    store = done.search._parts.shelf.live()
    if store is None:
        raise EngineError("store: the index that was just made is gone. Run it again.", slug="store-replaced")
    return store


def _draw(found: list[Answer], people: People, system: System, out: Path) -> Row:
    whose = {str(file_of(people.folder, people.paths[query])): people.names[query] for query in people.ten}

    def judge(answer: Answer, hit: Hit) -> bool:
        return whose[str(answer.query.path)] == people.names[people.number[hit.path]]

    path = out / "pictures" / f"{system.id}.png"
    draw_montage(found, people.folder, _picture, path, judge=judge, title=_title(system), hits=SHOWN)
    return {"pictures": path.relative_to(out).as_posix()}


def _draw_mistakes(some: list[Answer], people: People, system: System, out: Path) -> Row:
    """Draw each query, the other person's picture that came first, and the nearest of its own, which came later."""

    def judge(answer: Answer, hit: Hit) -> bool:
        return hit.rank == 2

    path = out / "pictures" / f"{system.id}-mistakes.png"
    draw_montage(some, people.folder, _picture, path, judge=judge, title="Surest mistakes")
    return {"mistakes": path.relative_to(out).as_posix()}


def _draw_categories(found: Evaluation, gallery: Path, system: System, out: Path) -> Row:
    step = max(len(found.rows) // SHOWN, 1)
    chosen = list(zip(found.answers, found.rows, strict=True))[step // 2 :: step][:SHOWN]
    rows: dict[str | None, RunRow] = {answer.query.path: row for answer, row in chosen}

    def judge(answer: Answer, hit: Hit) -> bool:
        row = rows[answer.query.path]
        return dict(zip(row.routed, row.routed_right, strict=True))[hit.id]

    path = out / "pictures" / f"{system.id}.png"
    draw_montage(
        [answer for answer, _ in chosen], gallery, _picture, path, judge=judge, title=_title(system), hits=SHOWN
    )
    return {"pictures": path.relative_to(out).as_posix()}


def _picture(answer: Answer) -> Path | None:
    return Path(answer.query.path) if answer.query.path is not None else None


def _title(system: System) -> str:
    """Return the title in letters that the montage's font has."""
    return system.title.replace(" →", ",")
