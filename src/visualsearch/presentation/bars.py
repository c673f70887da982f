"""A progress bar on stderr, for work that takes a while."""

from __future__ import annotations

import os
import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from visualsearch.presentation.wording import duration

PATIENCE_S = 2.0
"""Work that is done sooner shows no bar."""


class TerminalProgress:
    """Draws a bar for the stage at work once it has taken ``patience_s``; silent where no terminal is.

    The bar comes by itself, also while a stage says nothing more, and vanishes with its
    stage: when it is done, when another begins, or at ``close``. Stages may be told of from
    several threads.
    """

    def __init__(self, console: Console | None = None, patience_s: float = PATIENCE_S) -> None:
        """Draw on ``console``, or else on stderr."""
        self.console = console or _own_stderr()
        self.patience_s = patience_s
        self._lock = threading.RLock()
        self._stage: str | None = None
        self._steps = (0, 0)
        self._timer: threading.Timer | None = None
        self._bar: Progress | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` steps of a stage are done; a total of 0 is not known yet."""
        if not self.console.is_terminal:
            return
        with self._lock:
            self._steps = done, total
            if stage != self._stage:
                self._begin(stage)
            self._update()
            if total and done >= total:
                self._end()

    def close(self) -> None:
        """Stop drawing."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self.close()

    def _begin(self, stage: str) -> None:
        self._end()
        self._stage = stage
        if self.patience_s <= 0:
            self._show(stage)
            return
        self._timer = threading.Timer(self.patience_s, self._show, [stage])
        self._timer.daemon = True
        self._timer.start()

    def _show(self, stage: str) -> None:
        with self._lock:
            if self._stage != stage or self._bar is not None:
                return
            self._bar = Progress(
                TextColumn("{task.description:<30.30}"),
                BarColumn(bar_width=24, complete_style="blue", finished_style="blue", pulse_style="blue"),
                _Steps(),
                _Left(compact=True, elapsed_when_finished=True),
                console=self.console,
                transient=True,
            )
            self._bar.add_task(stage, total=None)
            self._update()
            self._bar.start()

    def _update(self) -> None:
        if self._bar is not None:
            done, total = self._steps
            self._bar.update(self._bar.task_ids[0], completed=done, total=total or None)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._bar is not None:
            self._bar.stop()
        self._stage = self._timer = self._bar = None


class _Steps(MofNCompleteColumn):
    """How many steps are done; how long it takes already where nobody knows how many there are."""

    def render(self, task: Task) -> Text:
        """Return ``3/8`` or ``12 s``."""
        return super().render(task) if task.total else Text(duration(round(task.elapsed or 0)))


class _Left(TimeRemainingColumn):
    """How long it will still take, where that can be known."""

    def render(self, task: Task) -> Text:
        """Return ``00:12`` or nothing."""
        return super().render(task) if task.total else Text()


def _own_stderr() -> Console:
    """Return a console on a copy of stderr, which goes on while a library's chatter is held back."""
    if not sys.stderr.isatty():
        return Console(file=sys.stderr, highlight=False)
    copy = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")
    return Console(file=copy, highlight=False, force_terminal=True)
