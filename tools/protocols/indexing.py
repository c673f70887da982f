"""A configuration → an index that is searched: embedded once, kept, and brought to the store that the file names."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.elasticsearch.cluster import Cluster, Failed, Missing
from visualsearch import VisualSearch
from visualsearch.config import Application, load_settings
from visualsearch.files import write_text
from visualsearch.progress import Progress

HEAP_MIB = 512

EMBEDDED = "store={name: embedded}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a configuration is run: its file, the folder of everything made, and what is set beside the file."""

    file: Path
    out: Path
    overrides: tuple[str, ...] = ()

    def settings(self, *more: str) -> Application:
        """Return the settings, all that is made below ``out``."""
        own = load_settings(self.file, (*self.overrides, *more))
        name = f"{self.out.name}-{own.store.name}"
        return load_settings(
            self.file, (*self.overrides, *more, f"name={name}", f"out={json.dumps(str(self.out / own.store.name))}")
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """An index in the store of its configuration; ``store`` says in words which one it came to be."""

    search: VisualSearch
    store: str
    cost: dict[str, Any]
    """Seconds and pictures that were embedded, and ``peak_mib``, over all runs so far."""


@contextmanager
def ready(place: Place, progress: Progress, *, train: bool) -> Iterator[Ready]:
    """Index (and train) what is not yet there, in the embedded store, and yield it in the configuration's own.

    Where that is Elasticsearch a server of its own is started; without Java and Maven the embedded store stands in.
    """
    with VisualSearch(place.settings(EMBEDDED), progress) as source:
        summary = source.index()
        if train and not source.trained:
            source.train()
        cost = spent(place.out / "cost.json", summary.seconds, summary.added + summary.changed)
        with ExitStack() as running:
            overrides, store = _own_store(place, running)
            settings = place.settings(*overrides)
            if settings.store.name == "embedded":
                yield Ready(source, store, cost)
                return
            with VisualSearch(settings, progress) as target:
                source.copy_to(target)
                yield Ready(target, store, cost)


def _own_store(place: Place, running: ExitStack) -> tuple[Sequence[str], str]:
    """Return what must be set for the configuration's store to be there, and its name."""
    name = place.settings().store.name
    if name != "elasticsearch":
        return (), name
    try:
        cluster = running.enter_context(Cluster(heap_mib=HEAP_MIB))
    except (Missing, Failed) as error:
        return (EMBEDDED,), f"embedded, for Elasticsearch did not start: {error}"
    return (f"store.hosts={json.dumps(cluster.addresses)}",), f"{name} {cluster.version}"


def spent(file: Path, seconds: float, pictures: int) -> dict[str, Any]:
    """Add what was embedded now to what was before, and return both; what was embedded already costs nothing again."""
    cost = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"seconds": 0.0, "pictures": 0}
    if pictures:
        cost |= {"seconds": cost["seconds"] + seconds, "pictures": cost["pictures"] + pictures}
    return with_peak(file, cost)


def with_peak(file: Path, cost: dict[str, Any]) -> dict[str, Any]:
    """Note the most memory that a process of this configuration has held, and keep it all in ``file``."""
    kept = {**cost, "peak_mib": max(cost.get("peak_mib", 0.0), round(peak_mib(), 1))}
    write_text(file, json.dumps(kept))
    return kept


def peak_mib() -> float:
    """Return the most memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def weights_of(settings: Application) -> str:
    """Say which weights the extractor has: starter, published, random, a file, or those of its package."""
    options = settings.extractor
    source = getattr(options, "source", None) or getattr(options, "weights", None)
    if source is None:
        file = getattr(options, "file", None)
        return f"its package's ({options.name})" if file is None else Path(file).name
    return f"file {os.path.basename(str(source))}" if str(source).startswith("file:") else str(source)
