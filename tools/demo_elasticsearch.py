#!/usr/bin/env python
"""Show that Elasticsearch finds what the embedded store finds: `make demo-elasticsearch`.

It starts a server with temporary data, runs the one-click job of resources/configs/elasticsearch.yaml
against it, searches every query of the sample in both stores, and ends the server, however it ends.
The gallery is read, embedded and indexed anew; the classifier is that of application.yaml, for two
trainings would not give two equal ones. Where that model is not there yet, its one-click job runs first.
Exit codes: 0 the same hits; 1 others; 2, 3 and 4 as of visualsearch, 4 where no server starts; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from rich.console import Console  # noqa: E402  (the root and src must be on the path first)
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

from tools.agreement import Agreement, Pair  # noqa: E402
from tools.elasticsearch.cluster import Cluster, Failed, Missing  # noqa: E402
from visualsearch import Answer, EngineError, VisualSearch, VisualSearchError, cli  # noqa: E402
from visualsearch.presentation.bars import TerminalProgress  # noqa: E402
from visualsearch.presentation.terminal import RIGHT, WRONG, empty_table, print_error, stdout_console  # noqa: E402
from visualsearch.presentation.wording import count, duration, percent, query_name  # noqa: E402

EMBEDDED = Path(os.path.relpath(ROOT / "application.yaml"))
ELASTICSEARCH = Path(os.path.relpath(ROOT / "resources" / "configs" / "elasticsearch.yaml"))
HEAP_MIB = 512

EXAMPLES, EXAMPLE_HITS, DIFFERENCES = 3, 5, 5
"""How many queries, how many hits of each, and how many differences are shown."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration and return its exit code."""
    argparse.ArgumentParser(
        prog="tools/demo_elasticsearch.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    console = stdout_console()
    try:
        return demonstrate(console)
    except KeyboardInterrupt:
        print_error("interrupted: the server has ended.", "interrupted")
        return 130
    except (Missing, Failed) as error:
        print_error(str(error), "server-missing" if isinstance(error, Missing) else "server-failed")
        return EngineError.exit_code
    except VisualSearchError as error:
        print_error(str(error), error.slug)
        return error.exit_code


def demonstrate(console: Console) -> int:
    """Start the server, index the sample in it, and compare every query's answers."""
    _head(console, "A server of its own; the first time its jars are fetched, 40 MB")
    with Cluster(heap_mib=HEAP_MIB) as cluster:
        console.print(f"Elasticsearch {cluster.version} answers at {cluster.addresses[0]}")
        address = f"store.hosts={json.dumps(cluster.addresses)}"
        if code := embedded_model(console) or one_click(console, ELASTICSEARCH, address):
            return code
        _head(console, "Every query of the sample in both stores")
        found = answers(address)
    return 0 if report(console, found) else 1


def embedded_model(console: Console) -> int:
    """Bring the model of application.yaml up to date, and give its classifier to the other; return an exit code."""
    with VisualSearch.from_yaml(EMBEDDED) as search:
        ready = search.trained
        if ready:
            search.index()
    if not ready and (code := one_click(console, EMBEDDED)):
        return code
    # A copy to a store that keeps nothing leaves what was learned, and the index to the one-click job.
    nowhere = ["store={name: bruteforce}"]
    with VisualSearch.from_yaml(EMBEDDED) as source, VisualSearch.from_yaml(ELASTICSEARCH, nowhere) as target:
        source.copy_to(target)
    return 0


def one_click(console: Console, yml: Path, *overrides: str) -> int:
    """Run the one-click job and return its exit code."""
    told = ["-yml", str(yml), *(part for override in overrides for part in ("--set", override))]
    shown = " ".join(f"'{part}'" if '"' in part else part for part in told)
    _head(console, f"$ python VisualSearch.py {shown}")
    code = cli.main(told)
    if code == 130:
        raise KeyboardInterrupt
    return code


def answers(address: str) -> dict[str, list[Pair]]:
    """Return each query's pair of answers, of routed and of exhaustive searches."""
    with (
        TerminalProgress() as progress,
        VisualSearch.from_yaml(EMBEDDED) as embedded,
        VisualSearch.from_yaml(ELASTICSEARCH, [address]) as elasticsearch,
    ):
        folder = embedded.settings.queries.folder
        queries = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
        found: dict[str, list[Pair]] = {"routed": [], "exhaustive": []}
        for name, pairs in found.items():
            both = (one.search_each(queries, exhaustive=name == "exhaustive") for one in (embedded, elasticsearch))
            for pair in zip(*both, strict=True):
                pairs.append(pair)
                progress(f"{name} searches", len(pairs), len(queries))
    return found


def report(console: Console, found: Mapping[str, Sequence[Pair]]) -> bool:
    """Print examples and the table; return whether all answers are the same."""
    for one, other in _examples(found["routed"]):
        console.print(Text(query_name(one.query.path), style="bold"))
        console.print(_side_by_side(one, other))
        console.print()
    agreements = {name: Agreement.of(pairs) for name, pairs in found.items()}
    console.print(_summary(agreements))
    told = [f"{name}, {sentence}" for name, one in agreements.items() for sentence in one.differences]
    console.print()
    for sentence in told[:DIFFERENCES]:
        console.print(Text(f"  {sentence}", style=WRONG), soft_wrap=True)
    if told:
        console.print(Text(f"{count(len(told), 'search', 'searches')} differ (embedded; elasticsearch).", style=WRONG))
    else:
        console.print(Text("The same hits and scores in both stores. The server has ended.", style=RIGHT))
    return not told


def _examples(pairs: Sequence[Pair]) -> Iterator[Pair]:
    step = max(len(pairs) // EXAMPLES, 1)
    yield from pairs[step // 2 :: step][:EXAMPLES]


def _side_by_side(one: Answer, other: Answer) -> Table:
    table = empty_table(">#", "picture", ">embedded", ">elasticsearch", ">difference")
    for hit, twin in list(zip_longest(one.hits, other.hits))[:EXAMPLE_HITS]:
        there = hit or twin
        off = f"{abs(hit.score - twin.score):.0e}" if hit and twin and hit.id == twin.id else "another"
        scores = (f"{each.score:.6f}" if each else "none" for each in (hit, twin))
        table.add_row(str(there.rank), Text(there.path), *scores, off)
    return table


def _summary(agreements: Mapping[str, Agreement]) -> Table:
    table = empty_table("", *(f">{name}" for name in agreements))
    rows = {
        "queries with the same answer": lambda one: f"{one.same:,} of {one.queries:,}",
        "hits at the same place": lambda one: f"{one.same_hits:,} of {one.hits:,}",
        "largest difference of scores": lambda one: f"{one.largest:.1e}",
        "compared, embedded": lambda one: percent(one.compared[0]),
        "compared, elasticsearch": lambda one: percent(one.compared[1]),
        "a search takes, embedded": lambda one: duration(one.seconds[0]),
        "a search takes, elasticsearch": lambda one: duration(one.seconds[1]),
    }
    for label, cell in rows.items():
        table.add_row(label, *(cell(one) for one in agreements.values()))
    return table


def _head(console: Console, line: str) -> None:
    console.print()
    console.print(Text(line, style="bold"), soft_wrap=True)
    console.print()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
