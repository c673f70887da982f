#!/usr/bin/env python
"""Run every earlier system and ours through the pipeline and write one table: `make baselines LFW=… CALTECH=…`.

Each configuration runs in a process of its own, one after another. What was embedded is kept below --out, so that a
run that was interrupted goes on where it stopped. It writes baselines.md, baselines.json, and baselines.html with
pictures of what the queries find. Exit codes: 0; 1 where a configuration ended in a way that it does not explain;
2 and 3 as of visualsearch; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:1] = [str(ROOT), str(ROOT / "src")]

from tools.protocols import people  # noqa: E402  (the root and src must be on the path first)
from tools.protocols.categories import split  # noqa: E402
from tools.protocols.page import write_page  # noqa: E402
from tools.protocols.rows import Task, row_of  # noqa: E402
from tools.protocols.systems import LEFT_OPEN, OURS, SYSTEMS, System, also  # noqa: E402
from tools.protocols.tables import table_of  # noqa: E402
from visualsearch import VisualSearchError  # noqa: E402
from visualsearch.files import write_text  # noqa: E402
from visualsearch.presentation.bars import TerminalProgress  # noqa: E402
from visualsearch.presentation.terminal import print_error  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and return the exit code."""
    given = parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        task = task_of(given)
        if given.row is not None:
            return one_row(given, task)
        return all_rows(given, sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print_error("interrupted: run it again, and it goes on where it stopped.", "interrupted")
        return 130
    except VisualSearchError as error:
        print_error(str(error), error.slug)
        return error.exit_code


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; at least one folder must be named."""
    parser = argparse.ArgumentParser(
        prog="tools/baselines.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lfw", type=Path, help="a folder with a sub-folder for each person, and pairs.txt")
    parser.add_argument("--caltech", type=Path, help="a folder with a sub-folder for each category")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "baselines", help="where everything goes")
    parser.add_argument("--limit", type=positive, metavar="PEOPLE", help="only so many people, always the same ones")
    parser.add_argument("--categories", type=positive, help="only so many categories, the first ones")
    parser.add_argument("--only", default="", metavar="ID,ID", help="only these systems")
    parser.add_argument("--also", type=Path, action="append", default=[], help="a further configuration for people")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="set a key of every file")
    parser.add_argument("--published", action="store_true", help="take the published weights everywhere")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.lfw is None and given.caltech is None:
        parser.error("expected --lfw FOLDER, --caltech FOLDER or both")
    listed = [system.id for system in systems_of(given)]
    known = set(listed)
    if len(listed) > len(known):
        parser.error("--also: expected a file name that no other system has")
    unknown = set(filter(None, given.only.split(","))) - known
    if unknown:
        parser.error(f"--only: expected some of {', '.join(sorted(known))}; received {', '.join(sorted(unknown))}")
    return given


def positive(text: str) -> int:
    """Return a whole number from 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1; received {text}")
    return int(text)


def systems_of(given: argparse.Namespace) -> list[System]:
    """Return the systems of the folders that are given, those of --also among them."""
    folders = {"lfw": given.lfw, "caltech": given.caltech}
    further = [also(file, "lfw") for file in given.also]
    return [system for system in (*SYSTEMS, *further) if folders[system.data] is not None]


def out_of(given: argparse.Namespace) -> Path:
    """Return where everything goes; a trial has a folder of its own, for its indexes are of other pictures."""
    trial = [
        f"{number}-{what}" for what, number in (("people", given.limit), ("categories", given.categories)) if number
    ]
    return Path(given.out.absolute(), "-".join(["trial", *trial]) if trial else "")


def task_of(given: argparse.Namespace) -> Task:
    """Make the folders that the systems look into, and tell the configurations where they are."""
    out = out_of(given)
    folder = pairs = categories = None
    if given.lfw is not None:
        folder = given.lfw.absolute()
        pairs = folder / people.PAIRS if (folder / people.PAIRS).is_file() else None
        if given.limit is not None:
            folder = people.part(folder, given.limit, out / "people")
        people.People.of(folder)  # a folder without pictures is told at once, not once for each system
        os.environ["LFW"] = str(folder)
    if given.caltech is not None:
        categories = split(given.caltech.absolute(), out / "categories", given.categories)
        os.environ["CALTECH101"] = str(categories.gallery)
    return Task(out, folder, pairs, categories, given.published, tuple(given.set))


def one_row(given: argparse.Namespace, task: Task) -> int:
    """Measure one system in this process and keep its row."""
    [system] = [one for one in systems_of(given) if one.id == given.row]
    with TerminalProgress() as progress:
        row = row_of(system, task, progress)
    write_text(_row_file(task.out, system.id), json.dumps(row, indent=2) + "\n")
    return 0


def all_rows(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measure each system in a process of its own, and write the table after each."""
    out, wanted, broken = out_of(given), set(filter(None, given.only.split(","))), 0
    for system in systems_of(given):
        if wanted and system.id not in wanted:
            continue
        print(f"{system.id}: {system.title}", flush=True)
        command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--row", system.id]
        code = subprocess.run(command, check=False).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code:
            broken += 1
            print(f"{system.id} ended with code {code}; its row is that of an earlier run, if there is one", flush=True)
        write_tables(out, systems_of(given))
    print(f"{out / 'baselines.md'}\n{out / 'baselines.html'}")
    return 1 if broken else 0


def write_tables(out: Path, systems: Sequence[System]) -> None:
    """Write the rows that there are, as data, as Markdown and as a page with pictures."""
    kept = {system.id: _row_file(out, system.id) for system in systems}
    found = [json.loads(file.read_text(encoding="utf-8")) for file in kept.values() if file.is_file()]
    kinds = sorted({row["data"] for row in found}, reverse=True)
    left_open = [row for row in LEFT_OPEN if row["data"] in kinds]
    rows = sorted([*found, *left_open], key=lambda row: row["id"] in OURS)
    tables = [table_of(rows, data) for data in kinds]
    write_text(out / "baselines.json", json.dumps(rows, indent=2) + "\n")
    write_text(out / "baselines.md", "# Baselines\n\n" + "\n".join(table.markdown() for table in tables))
    write_page(out / "baselines.html", tables, rows)


def _row_file(out: Path, system: str) -> Path:
    return out / "rows" / f"{system}.json"


if __name__ == "__main__":
    sys.exit(main())
