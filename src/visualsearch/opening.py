"""What every command begins with: the YAML, and how far the work is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from visualsearch.config import load_settings
from visualsearch.pipeline import VisualSearch
from visualsearch.presentation.bars import TerminalProgress
from visualsearch.progress import Progress, silent


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[VisualSearch]:
    """Open what the YAML describes, drawing progress unless told to be quiet."""
    settings = load_settings(args.yml, args.overrides, "-yml")
    with _progress(args) as progress, VisualSearch(settings, progress) as search:
        yield search


@contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Progress]:
    if args.quiet or args.json:
        yield silent
    else:
        with TerminalProgress() as progress:
            yield progress
