"""What is said while a command runs: lines, and between them how far it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from assise.cli.render import format_bytes, wrap
from assise.progress import Progress
from assise.wording import count_of

EVERY_S = 10
"""Seconds between two lines where there is no terminal."""

BAR = 16
"""Columns of the bar."""

WIDE = 80
"""Columns of a terminal that shows documents and bytes a second beside the time that is left."""


class Talker:
    """Says lines on stderr; shows progress as a bar on a terminal, elsewhere as a line every ten seconds."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._bars: Bars | None = None
        self._last = Progress("", "", 0, 0, 0)
        self._seen = self._said = 0.0
        self._documents, self._bytes, self._seconds = 0, 0, 0.0

    def say(self, line: str) -> None:
        """Say a line; a bar ends before it."""
        self.stop()
        if sys.stderr:
            print(wrap(line, Console(stderr=True)), file=sys.stderr, flush=True)

    def progress(self, progress: Progress) -> None:
        """Show how far a step is."""
        if not sys.stderr:
            return
        now = self._clock()
        self._count(progress, now)
        if self._bars is not None or (
            sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal
        ):
            self._show(progress)
        elif now - self._said >= EVERY_S:
            self._said = now
            share = f"{100 * progress.position // max(1, progress.size)} % of {format_bytes(progress.size)}"
            self.say(
                ", ".join(
                    [
                        f"{progress.step} {progress.collection}: {count_of(progress.documents, 'document')}",
                        share,
                        *self._rates(progress),
                    ]
                )
            )

    def stop(self) -> None:
        """Take the bar away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _count(self, progress: Progress, now: float) -> None:
        """Add what was done, and how long it took, since the chunk before; what an earlier run has done is no speed."""
        last, seen = self._last, self._seen
        self._last, self._seen = progress, now
        is_step_new = progress.step != last.step
        if is_step_new or progress.collection != last.collection:
            self.stop()
            self._said, self._documents, self._bytes, self._seconds = now, 0, 0, 0.0
            last = Progress(progress.step, progress.collection, 0, 0, progress.size)
        if not (is_step_new or progress.is_known):
            self._documents += progress.documents - last.documents
            self._bytes += progress.position - last.position
            self._seconds += now - seen

    def _show(self, progress: Progress) -> None:
        console = self._bars.console if self._bars else Console(stderr=True)
        rates = ", ".join(self._rates(progress)[-1 if console.width < WIDE else 0 :])
        name = Text(f"{progress.step} {progress.collection}")
        name.truncate(max(1, console.width - len(rates) - BAR - 3), overflow="ellipsis")
        if self._bars is None:
            bar = BarColumn(
                bar_width=BAR, style="dim", complete_style="green", finished_style="green"
            )
            texts = [
                TextColumn("{task.description}", markup=False),
                bar,
                TextColumn("{task.fields[rates]}", markup=False),
            ]
            self._bars = Bars(*texts, console=console, transient=True)
            self._bars.add_task("", total=progress.size)
        self._bars.update(
            self._bars.task_ids[0], description=name.plain, completed=progress.position, rates=rates
        )
        self._bars.start()

    def _rates(self, progress: Progress) -> list[str]:
        """Documents and bytes of the file a second, as far as they are known, and the time left at this rate.

        When a step began is not known: its first chunk does not count.
        """
        if self._seconds <= 0 or self._bytes <= 0:
            return []
        left = round(max(0, progress.size - progress.position) * self._seconds / self._bytes)
        documents, size = self._documents / self._seconds, round(self._bytes / self._seconds)
        return [
            f"{documents:,.0f} documents/s",
            f"{format_bytes(size)}/s",
            f"{left // 60}:{left % 60:02} left",
        ]
