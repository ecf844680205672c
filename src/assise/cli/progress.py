"""The terminal of a command: lines on stderr, questions, and how far it is."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from time import monotonic

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from assise.cli.tables import format_bytes, wrap
from assise.progress import Progress
from assise.wording import count_of, escape

EVERY_S = 10
"""Seconds between two lines where there is no terminal."""

BAR = 16
"""Columns of the bar."""

WIDE = 80
"""Columns of a terminal that shows documents and bytes a second beside the time that is left."""


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: a bar half drawn cannot be taken away."""
    if current_thread() is not main_thread():
        yield
        return
    waiting = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        signal.raise_signal(signal.SIGINT)


class Terminal:
    """Says lines on stderr; progress is a bar on a terminal, elsewhere a line every ten seconds."""

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
        if self._bars is not None or self._has_cursor():
            self._show(progress)
        elif now - self._said >= EVERY_S:
            self._said = now
            self.say(self._describe(progress))

    def _describe(self, progress: Progress) -> str:
        if progress.noun != "document" and not progress.in_bytes:
            done = count_of(progress.documents, progress.noun)
            so_far = f"{progress.step} {escape(progress.collection)}: {done} of {progress.size:,}"
            return ", ".join([so_far, *self._rates(progress)[-1:]])
        share = 100 * progress.position // max(1, progress.size)
        parts = [
            f"{progress.step} {escape(progress.collection)}: {count_of(progress.documents, progress.noun)}",
            f"{share} % of {format_bytes(progress.size)}",
            *self._rates(progress),
        ]
        return ", ".join(parts)

    def ask(self, question: str, *, yes: bool) -> bool:
        """Ask a question; the answer is `yes` where that was given, no where nobody can answer."""
        if yes:
            self.say(question)
            return True
        text = wrap(f"{question}. Go on?", Console(stderr=True))
        return sys.stdin.isatty() and typer.confirm(text, err=True)

    def suggest(self, manifest: Path, *commands: str) -> None:
        """Say which commands come next, for a manifest that is given as `manifest`."""
        quoted = shlex.quote(str(manifest))
        more = "" if manifest == Path() else f" -f {quoted}"
        for command in commands:
            self.say(f"next: {command}{more}")

    def stop(self) -> None:
        """Take the bar away."""
        # Forgotten first: a Ctrl-C inside `stop` says a line, which stops the bars once more.
        bars, self._bars = self._bars, None
        if bars is not None:
            with _uninterrupted():
                bars.stop()

    @staticmethod
    def _has_cursor() -> bool:
        return sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal

    def _count(self, progress: Progress, now: float) -> None:
        """Add what was done, and how long it took, since the chunk before.

        What an earlier run has done does not count as speed.
        """
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
        known = self._rates(progress)
        rates = ", ".join(known if console.width >= WIDE else known[-1:])
        name = Text(f"{progress.step} {escape(progress.collection)}")
        room = console.width - len(rates) - BAR - 3
        name.truncate(max(1, room), overflow="ellipsis")
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
        with _uninterrupted():
            task = self._bars.task_ids[0]
            self._bars.update(
                task, description=name.plain, completed=progress.position, rates=rates
            )
            self._bars.start()

    def _rates(self, progress: Progress) -> list[str]:
        """Return documents and bytes of the file a second, and the time left at this rate.

        Nothing as long as the rate is not known. When a step began is not known: its first chunk
        does not count.
        """
        if self._seconds <= 0 or self._bytes <= 0:
            return []
        documents, size = self._documents / self._seconds, self._bytes / self._seconds
        left = round(max(0, progress.size - progress.position) / size)
        is_counted = progress.noun != "document" and not progress.in_bytes
        return [
            f"{documents:,.0f} {self._last.noun}s/s",
            *([] if is_counted else [f"{format_bytes(round(size))}/s"]),
            f"{left // 60}:{left % 60:02} left",
        ]
