"""What a model's folder keeps of pictures beside the index: names of classes, remembered queries, reports, compiled graphs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from itertools import count
from pathlib import Path

from visualsearch.calibration import evidence as said
from visualsearch.calibration import samples as sampled
from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.samples import Samples
from visualsearch.classifiers.forgetting import Outcome, fingerprint_of, forget_buckets, learned
from visualsearch.datatypes import Item
from visualsearch.files import erase, erasing
from visualsearch.model import MARKS, QUERIES, RESULTS
from visualsearch.stages.assembly import Parts

ALIAS = "forgotten-{}"
"""The name of a class that nobody is in any more, until the next training."""

_GIVEN = re.compile(re.escape(ALIAS).replace(r"\{\}", r"\d+"))
"""The names that were given here before."""

_UNFINISHED = re.compile(
    r"\.(card|queries|calibration|clusters|verdicts|pca|discriminant|head|tail|montage|report|run)-.+\.[a-z0-9]+"
)
"""Files that an interrupted writing left, by the names that ``files.replacing`` gives them."""

_LOOKED_AT = 4_096
"""Bytes of a file in which its mark must be."""


def erase_names(parts: Parts, gone: Collection[Item], left: Collection[Item]) -> list[str]:
    """Rename the classes in which no item is left, and take out what was learned of them; return what was done.

    Where items are left in the class of one that is gone, no centre is a single picture's any more.
    """
    training = parts.model.card().get("training")
    known = {name for item in left for name in (*item.buckets, *item.columns.values())}
    renamed = _aliases({*learned(parts.model.path), *(training or {}).get("buckets", ())} - known, known)
    merged = {name for item in gone for name in item.buckets} - set(renamed)
    became = forget_buckets(parts.model.path, renamed, merged)
    _forget_evidence(parts.model.path, [item.id for item in gone])
    if became != "same":
        _erase_graphs(parts.model.path / "runtime")
    if training and (renamed or became != "same"):
        names = [renamed.get(name, name) for name in training["buckets"]]
        notes = [note for note in training["notes"] if not any(name in note for name in renamed)]
        made_for = "" if became == "removed" else training["made_for"]
        with erasing(parts.model.card_path):
            parts.model.update(training={**training, "buckets": names, "notes": notes, "made_for": made_for})
    return _told(became, list(renamed.values()))


def _forget_evidence(folder: Path, ids: Collection[str]) -> None:
    """Take out what the classifier said of pictures that are gone, and of classes in which nobody is left."""
    evidence, classifier, buckets = Evidence.load(folder), fingerprint_of(folder), learned(folder)
    if evidence is None or classifier is None or evidence.probabilities.shape[1] != len(buckets):
        erase(folder / said.FILE)
        return
    nobody = [place for place, name in enumerate(buckets) if _GIVEN.fullmatch(name)]
    evidence.without(ids, nobody, classifier).save(folder)


def _told(became: Outcome, aliases: Collection[str]) -> list[str]:
    """Say what became of the classifier."""
    if became == "removed":
        return ["classifier: removed, for it cannot do without a class; searches are exhaustive until the next train"]
    told = []
    if aliases:
        classes = "a class that" if len(aliases) == 1 else f"{len(aliases)} classes that"
        told.append(
            f"classifier: {classes} nobody is in any more, named {', '.join(aliases)} until the next train and never "
            "predicted; what was learned of them alone (rows of the linear head, centres) is taken out"
        )
    if became == "changed" and not aliases:
        told.append("classifier: centres that may have stood for a single picture are now one mean for each class")
    if became == "changed":
        told.append("compiled networks: removed; the next search makes them anew, which takes a while")
    return told


def _aliases(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return a new name for each name but those that were given here before."""
    named = set(names)
    free = (name for number in count(1) if (name := ALIAS.format(number)) not in named and name not in taken)
    return {name: next(free) for name in sorted(named) if not _GIVEN.fullmatch(name)}


def _erase_graphs(folder: Path) -> None:
    """Erase all compiled graphs, and what an interrupted conversion left: any may have a classifier in it."""
    for kept in [path for path in folder.glob("*") if path.is_dir()]:
        # the card first: without it, none is taken for whole
        for file in sorted(kept.iterdir(), key=lambda file: file.name != "card.json"):
            erase(file)
        shutil.rmtree(kept, ignore_errors=True)


def erase_samples(parts: Parts, gone: Collection[Item]) -> list[str]:
    """Take these items out of what verdicts are calibrated with; return what was done."""
    file = parts.model.path / sampled.FILE
    if not file.exists() or not gone:
        return []
    kept = Samples.load(parts.model.path, parts.embedding_fingerprint)
    if kept is None:
        erase(file)
    else:
        kept.without([item.id for item in gone]).save(parts.model.path)
    noted = parts.model.card().get("verdicts", {})
    with erasing(parts.model.card_path):
        parts.model.update(verdicts={**noted, "changed": noted.get("changed", 0) + len(gone)})
    return [f"{sampled.FILE}: vectors, values and scores of those of them with which verdicts were calibrated"]


def erase_results(parts: Parts) -> list[str]:
    """Erase what may show the pictures: reports, montages, runs, remembered queries; return what was erased."""
    folder, told = parts.model.path, []
    for file in folder.rglob(".*"):
        if file.is_file() and _UNFINISHED.fullmatch(file.name):
            erase(file)
    memo = folder / QUERIES
    if memo.exists():
        erase(memo)
        told.append("queries.npz: the remembered embeddings of all queries, made again when they are next measured")
    shown = sorted({*(folder / "report" / name for name in RESULTS.values()), *_marked(folder)})
    shown = [file for file in shown if file.is_file() and not file.is_relative_to(parts.settings.gallery.folder)]
    for file in shown:
        erase(file)
    if shown:
        names = ", ".join(file.relative_to(folder).as_posix() for file in shown)
        told.append(f"{names}: all reports here, for they may show them; `visualsearch` writes new ones")
    return told


def _marked(folder: Path) -> Iterator[Path]:
    """Yield the reports and montages that this program wrote somewhere else in the folder."""
    for suffix, mark in MARKS.items():
        for file in folder.rglob(f"*{suffix}"):
            if file.is_file():
                with file.open("rb") as opened:
                    if mark in opened.read(_LOOKED_AT):
                        yield file
