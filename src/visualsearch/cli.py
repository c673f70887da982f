"""The command line: parse, call the library, present; errors become exit codes here and nowhere else."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

from visualsearch import __version__
from visualsearch.errors import EngineError, UsageError, VisualSearchError

DESCRIPTION = "Reverse image search that classifies before it retrieves."
NOTES = """\
without a command: index the gallery, train what is missing, search the queries, write a report
exit codes: 0 ok, 2 usage or YAML, 3 data (folder, table, any query), 4 engine (store, disk, weights), 130 interrupted"""

INDEXED = "what was indexed by then stays, and the same command goes on from there"
KEPT = {
    None: f"{INDEXED}; a training that was under way begins anew.",
    "index": f"{INDEXED}.",
    "train": "index and classifier are as they were; run it again to train from the beginning.",
}
"""What an interrupted command (None: without one) leaves, and how to go on."""

KEPT |= dict.fromkeys(("search", "evaluate", "check"), "nothing was changed; run it again to see the rest.")

KEPT_ELSE = "what was done so far is kept; run the same command again to go on."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; no traceback reaches the user."""
    given = sys.argv[1:] if argv is None else argv
    try:
        args = parser().parse_args(given)
    except _Misused as error:
        return _complain(error, as_json="--json" in given, usage=error.usage)
    try:
        return _run(args)
    except VisualSearchError as error:
        return _complain(error, args.json)
    except KeyboardInterrupt:
        return _stopped(args)
    except BrokenPipeError:
        # the reader has left: nothing more can be said, not even at interpreter exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        message = "memory ran out: close other programs, or lower store.memory_mib."
        return _complain(EngineError(message, slug="memory"), args.json)
    except Exception as error:
        if os.environ.get("VISUALSEARCH_DEBUG"):
            raise
        message = f"{type(error).__name__}: {error}. This is a defect: VISUALSEARCH_DEBUG=1 shows where."
        return _complain(EngineError(message, slug="internal"), args.json)


def _run(args: argparse.Namespace) -> int:
    from visualsearch import commands

    _route_warnings(args.quiet or args.json)
    command = args.command or "run"
    run: int = getattr(commands, command)(args)
    return run


def _route_warnings(quiet: bool) -> None:
    """Let the library's own warnings come as notes on stderr, or not at all."""
    log = logging.getLogger("visualsearch")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("note: %(message)s"))
    log.handlers = [logging.NullHandler() if quiet else handler]
    log.propagate = False


def _stopped(args: argparse.Namespace) -> int:
    """Say calmly what a command that was interrupted leaves behind; return the exit code."""
    from visualsearch.presentation.terminal import print_error, print_note, stderr_console

    sentence = f"Stopped: {KEPT.get(args.command, KEPT_ELSE)}"
    if args.json:
        print_error(sentence, "interrupted", as_json=True)
    else:
        print_note(sentence, console=stderr_console())
    return 130


def _complain(error: VisualSearchError, as_json: bool, usage: str = "") -> int:
    """Say what went wrong on stderr; return the exit code."""
    from visualsearch.presentation.terminal import print_error

    if usage and not as_json:
        sys.stderr.write(usage)
    print_error(str(error), error.slug, as_json=as_json)
    return error.exit_code


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; ``docs/commands.md`` is made from it."""
    made = _Command("visualsearch", description=DESCRIPTION, epilog=NOTES, formatter_class=_Formatter)
    _common(made, at_the_top=True)
    made.set_defaults(command=None)
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Command)
    _add(commands, "train", "train the classifier on the indexed gallery")
    index = _add(commands, "index", "bring the index to the gallery's state; embed only what is new")
    index.add_argument("--rebuild", action="store_true", help="embed everything again, beside the live index")
    index.add_argument("--prune", action="store_true", help="accept that more than half of the pictures are gone")
    _search_options(_add(commands, "search", "find the pictures most like IMAGE"))
    evaluate = _add(commands, "evaluate", "measure the YAML's queries, routed and exhaustive")
    evaluate.add_argument("--report", type=Path, metavar="FILE", help="also write the HTML report there")
    evaluate.add_argument(
        "--sweep", action="store_true", help="also measure other levels of routing.keep, and say which one to take"
    )
    evaluate.add_argument(
        "--against", type=Path, metavar="OTHER.yaml", help="also measure another YAML on the same queries, and compare"
    )
    forget = _add(commands, "forget", "erase pictures from all that was made of them, for good")
    forget.add_argument("paths", nargs="*", metavar="PATH", help="relative to the gallery folder")
    forget.add_argument(
        "--where", action="append", type=_pair, default=[], metavar="COLUMN=VALUE", help="all pictures with this value"
    )
    copy = _add(commands, "copy", "copy the index to another YAML's store; embeds nothing")
    copy.add_argument("--to", type=Path, required=True, metavar="OTHER.yaml", help="names the store to copy to")
    check = _add(commands, "check", "say what is well and what is missing")
    check.epilog = (
        "exit code: that of the worst problem, 2 YAML, 3 data (gallery), 4 engine (store, weights, model); else 0"
    )
    check.add_argument(
        "--deep", action="store_true", help="also read every stored vector, and compare searches with brute force"
    )
    check.add_argument("--schema", action="store_true", help="print the JSON schema of the YAML and stop")
    made.commands = commands.choices
    return made


def _search_options(search: argparse.ArgumentParser) -> None:
    search.add_argument("images", nargs="+", metavar="IMAGE", help="a picture file")
    search.add_argument("-k", type=int, metavar="N", help="number of hits (default: search.k)")
    search.add_argument(
        "--where",
        action="append",
        type=_pair,
        default=[],
        metavar="COLUMN=VALUE",
        help="only pictures with this value; where none has it, there are no hits, and that is no error",
    )
    search.add_argument("--bucket", action="append", metavar="NAME", help="probe this bucket instead of the route")
    search.add_argument("--exhaustive", action="store_true", help="compare with every item")
    search.add_argument(
        "--why",
        action="store_true",
        help="show the route: buckets, probabilities, steps, what each brought, what is promised",
    )
    search.add_argument("--why-not", metavar="PATH", help="say why this picture of the gallery is not a hit")
    search.add_argument("--montage", type=Path, metavar="FILE", help="draw query and hits as a PNG")


def _add(commands: argparse._SubParsersAction[_Command], name: str, does: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=does, description=does[0].upper() + does[1:] + ".")
    command.set_defaults(command=name)
    _common(command, at_the_top=False)
    return command


def _common(made: argparse.ArgumentParser, at_the_top: bool) -> None:
    """Add what every command takes, before or behind its name; only the top level has defaults."""

    def default(value: object) -> object:
        return value if at_the_top else argparse.SUPPRESS

    yml = Path("application.yaml")
    made.add_argument("-yml", type=Path, default=default(yml), metavar="FILE", help=f"default: {yml}")
    made.add_argument(
        "--set",
        action=_Extend,
        dest="overrides",
        default=default([]),
        metavar="KEY=VALUE",
        help="override a key of the YAML",
    )
    made.add_argument("--json", action="store_true", default=default(False), help="print JSON")
    made.add_argument("-q", "--quiet", action="store_true", default=default(False), help="print results only")


class _Extend(argparse.Action):
    """Gather overrides given before and behind the command's name."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest, None) or []), values])


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keep the line breaks of the notes."""


class _Misused(UsageError):
    """The command line is wrong; ``usage`` is what argparse shows of the command."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message, slug="usage")
        self.usage = usage


class _Command(argparse.ArgumentParser):
    """A parser that raises its errors, so that they are told as all others are."""

    commands: Collection[str] = ()
    """What it takes as a command."""

    def error(self, message: str) -> NoReturn:
        wrong = re.match(r"argument COMMAND: invalid choice: '(.*?)' \(", message)
        if wrong:
            message = f"expected a command ({', '.join(self.commands)}) or none; received '{wrong[1]}'"
        near = difflib.get_close_matches(wrong[1], self.commands, n=1) if wrong else []
        meant = f" Did you mean '{near[0]}'?" if near else ""
        raise _Misused(f"{self.prog}: {message}.{meant}", self.format_usage())


def _pair(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not (column and equals):
        raise argparse.ArgumentTypeError(f"expected COLUMN=VALUE; received {text!r}")
    return column, value
