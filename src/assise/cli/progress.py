"""What is said while a command runs: lines, and between them how far it is."""

from __future__ import annotations

import sys
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from assise.cli.render import format_bytes
from assise.transfer.tasks import Progress

EVERY_S = 10
"""Seconds between two lines where there is no terminal."""


class Talker:
    """Says lines on stderr; shows progress as a bar on a terminal, elsewhere as a line every ten seconds."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._first = Progress("", "", 0, 0, 0)
        self._began = self._said = 0.0

    def say(self, line: str) -> None:
        """Say a line; a bar ends before it."""
        self.stop()
        print(line, file=sys.stderr, flush=True)

    def watch(self, progress: Progress) -> None:
        """Show how far a step is."""
        now = monotonic()
        if (progress.step, progress.collection) != (self._first.step, self._first.collection):
            self.stop()
            self._first, self._began, self._said = progress, now, now
        if sys.stderr.isatty():
            self._show(progress, now)
        elif now - self._said >= EVERY_S:
            self._said = now
            share = f"{100 * progress.position // max(1, progress.size)} % of {format_bytes(progress.size)}"
            self.say(f"{progress.step} {progress.collection}: {progress.documents:,} documents, {share}, {self._rates(progress, now)}")

    def stop(self) -> None:
        """Take the bar away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _show(self, progress: Progress, now: float) -> None:
        rates = self._rates(progress, now)
        if self._bars is None:
            self._bars = Bars(
                TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
                BarColumn(bar_width=20),
                TextColumn("{task.fields[rates]}", markup=False, table_column=Column(no_wrap=True)),
                console=Console(stderr=True),
                transient=True,
                expand=True,
            )
            self._bars.add_task(f"{progress.step} {progress.collection}", total=progress.size, rates=rates)
            self._bars.start()
        self._bars.update(self._bars.task_ids[0], completed=progress.position, rates=rates)

    def _rates(self, progress: Progress, now: float) -> str:
        """Documents and bytes of the file a second since the collection's first chunk, and the time left at this rate."""
        seconds, size = now - self._began, progress.position - self._first.position
        if seconds <= 0 or size <= 0:
            return ""
        left = round((progress.size - progress.position) * seconds / size)
        documents = (progress.documents - self._first.documents) / seconds
        return f"{documents:,.0f} documents/s, {format_bytes(round(size / seconds))}/s, {left // 60}:{left % 60:02} left"
