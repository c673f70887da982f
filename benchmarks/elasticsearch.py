"""Measure the Elasticsearch store on a server of its own: python benchmarks/elasticsearch.py --vectors 100000.

All tables come from one run, so their ratios hold even where another machine's milliseconds do not. A figure is the
median of the repetitions, the lowest and the highest behind it; what is compared takes turns within each repetition,
and a ratio is the median of the repetitions' own. A search is the product's from the embedding on: counts, plan,
request, hits as objects, one query at a time. Agreement is the share of the nearest by brute force in float64, among the
items that the search was to compare, that it found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:1] = [str(ROOT), str(ROOT / "src")]  # instead of this folder, where `elasticsearch` would be this file

import elasticsearch  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.stores.searching import searching  # noqa: E402
from benchmarks.stores.server import PATIENCE_S, TYPES, USUAL, Bench, say  # noqa: E402
from benchmarks.stores.tables import goals, searching_table, writing_table  # noqa: E402
from benchmarks.stores.vectors import BUCKETS, DIM, K, Truth, gallery  # noqa: E402
from benchmarks.stores.writing import writing  # noqa: E402
from tools.elasticsearch.cluster import VERSIONS, Cluster, Failed, Missing  # noqa: E402
from visualsearch.errors import EngineError  # noqa: E402
from visualsearch.presentation.bars import TerminalProgress  # noqa: E402


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else None,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--version", choices=VERSIONS, default=VERSIONS[0], help="of the server")
    add("--vectors", type=positive, default=100_000, help="how many are searched")
    add("--types", nargs="+", choices=TYPES, default=USUAL, help="of index; a large graph takes long to build")
    add("--queries", type=positive, default=50, help="searches of each kind in a repetition")
    add("--repetitions", type=positive, default=5, help="of everything that is timed")
    add("--bulk", type=positive, default=20_000, help="vectors that each repetition writes anew")
    add("--warm-up-s", type=float, default=10.0, help="seconds that each kind of search is tried first")
    add("--as-loaded", action="store_true", help="leave the segments as they are: merging a large graph builds it anew")
    add("--heap", type=positive, default=2_048, metavar="MIB", help="of the server")
    add("--minutes", type=float, default=120.0, help="after which it gives up")
    add("--out", type=Path, metavar="FILE", help="where to write every repetition's figures, as JSON")
    return parser.parse_args(given)


def positive(text: str) -> int:
    """Return a number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1; received {text}")
    return number


def run(given: argparse.Namespace, cluster: Cluster, folder: Path) -> dict[str, Any]:
    """Return all figures."""
    load = os.getloadavg()[0]
    say(f"making {given.vectors:,} vectors and the truth about {given.queries} queries")
    made = gallery(given.vectors, given.queries)
    client = elasticsearch.Elasticsearch(cluster.addresses, request_timeout=PATIENCE_S)
    with client, TerminalProgress() as progress:
        counts = (given.repetitions, given.bulk, given.warm_up_s)
        bench = Bench(cluster, client, made, Truth(made), folder, progress, tuple(given.types), *counts)
        states, loads = searching(bench, merged=not given.as_loaded)
        written = writing(bench)
    return {
        "version": cluster.version,
        "vectors": given.vectors,
        "searching": states,
        "whole load, items/s": loads,
        "writing": written,
        "load of the machine, before and after": [load, os.getloadavg()[0]],
    }


def report(given: argparse.Namespace, figures: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the report, in Markdown."""
    before, after = figures["load of the machine, before and after"]
    told = (
        f"{given.vectors:,} vectors of {DIM} dimensions in {BUCKETS} buckets, one shard, top {K}, {given.queries} queries "
        f"one at a time, median of {given.repetitions} repetitions (lowest–highest). Elasticsearch {figures['version']} "
        f"with a heap of {given.heap:,} MiB, client {elasticsearch.__versionstr__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}); "
        f"load of the machine {before:.1f} before, {after:.1f} after."
    )
    yield from textwrap.wrap(told, 118)
    for state, rows in figures["searching"].items():
        yield from ("", f"Searching, indices {state}:", "", *searching_table(rows))
    bulk = min(given.bulk, given.vectors)
    loads = (f"{name} {rate:,.0f}" for name, rate in figures["whole load, items/s"].items())
    yield from ("", f"Writing {bulk:,} of them into an empty index, until they can be searched:", "")
    yield from (*writing_table(figures["writing"]), "", f"The whole load, once, items/s: {', '.join(loads)}.", "")
    yield from goals(figures["searching"], figures["writing"], given.vectors)


@contextmanager
def bounded(minutes: float) -> Iterator[None]:
    """Leave the block in order, which ends the server, when the time is over or a signal says so."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(
            f"ended: {minutes:g} minutes are over"
            if number == signal.SIGALRM
            else f"ended by {signal.Signals(number).name}"
        )

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, end)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> int:
    """Start a server, measure, end it, print; return the exit code, 4 where something failed."""
    given = arguments()
    try:
        figures = measured(given)
    except (Missing, Failed, EngineError, elasticsearch.ApiError, elasticsearch.TransportError) as error:
        say(str(error))
        return 4
    if given.out is not None:
        given.out.write_text(json.dumps({**vars(given), "out": None, **figures}, indent=1) + "\n", encoding="utf-8")
    print("\n".join(report(given, figures)))
    return 0


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Return all figures, measured on a server that is started for them and ended."""
    with bounded(given.minutes), tempfile.TemporaryDirectory() as folder:
        say(f"starting Elasticsearch {given.version}")
        with Cluster(given.version, heap_mib=given.heap) as cluster:
            return run(given, cluster, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
