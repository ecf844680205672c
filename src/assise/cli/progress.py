"""What is said while a command runs: lines, and between them how far it is."""

from __future__ import annotations

import sys
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars

from assise.cli.render import format_bytes
from assise.transfer.tasks import Progress

EVERY_S = 10
"""Seconds between two lines where there is no terminal."""

BAR = 16
"""Columns of the bar."""

WIDE = 80
"""Columns of a terminal that shows documents and bytes a second beside the time that is left."""


class Talker:
    """Says lines on stderr; shows progress as a bar on a terminal, elsewhere as a line every ten seconds."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._first = Progress("", "", 0, 0, 0)
        self._began = self._said = 0.0

    def say(self, line: str) -> None:
        """Say a line; a bar ends before it."""
        self.stop()
        if sys.stderr:
            print(line, file=sys.stderr, flush=True)

    def watch(self, progress: Progress) -> None:
        """Show how far a step is."""
        if not sys.stderr:
            return
        now = monotonic()
        if (progress.step, progress.collection) != (self._first.step, self._first.collection):
            self.stop()
            self._first, self._began, self._said = progress, now, now
        if self._bars is not None or sys.stderr.isatty():
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
        console = self._bars.console if self._bars else Console(stderr=True)
        name, rates = f"{progress.step} {progress.collection}", self._rates(progress, now)
        if console.width < WIDE:
            rates = rates.rpartition(", ")[2]
        room = console.width - len(rates) - BAR - 3
        if self._bars is None:
            texts = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=BAR), TextColumn("{task.fields[rates]}", markup=False)]
            self._bars = Bars(*texts, console=console, transient=True)
            self._bars.add_task("", total=progress.size, rates="")
            self._bars.start()
        shown = name if len(name) <= room else f"{name[: room - 1]}…"
        self._bars.update(self._bars.task_ids[0], description=shown, completed=progress.position, rates=rates)

    def _rates(self, progress: Progress, now: float) -> str:
        """Documents and bytes of the file a second since the collection's first chunk, and the time left at this rate."""
        seconds, size = now - self._began, progress.position - self._first.position
        if seconds <= 0 or size <= 0:
            return ""
        left = round(max(0, progress.size - progress.position) * seconds / size)
        documents = (progress.documents - self._first.documents) / seconds
        return f"{documents:,.0f} documents/s, {format_bytes(round(size / seconds))}/s, {left // 60}:{left % 60:02} left"
