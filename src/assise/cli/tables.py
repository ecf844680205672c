"""What all commands print with: tables, sizes, times, and lines as wide as the terminal."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Collection, Sequence
from io import TextIOWrapper
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, JustifyMethod, OverflowMethod
from rich.containers import Lines
from rich.table import Table
from rich.text import Text

from assise.wording import escape, show_controls

TICK = "✓"
BAD = "bold red"
NARROW = 80
UNLIMITED = 100_000
_UNITS = ("B", "kB", "MB", "GB", "TB")
_TIMES = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
_FEW_S = 5


def format_bytes(size: int) -> str:
    """A size with one decimal place from a kilobyte on.

    >>> format_bytes(999), format_bytes(1536)
    ('999 B', '1.5 kB')
    """
    number, unit = float(size), 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    if not unit:
        return f"{size} B"
    return f"{number:,.1f} {_UNITS[unit]}"


def wrap(line: str, console: Console) -> str:
    """Break a line between words where it goes to a terminal, indented from its second row on.

    What somebody may copy stays whole: a command in backquotes, a line that begins with `next:`, a
    word however long.
    """
    line = show_controls(line)
    if not console.is_terminal or line.startswith("next: "):
        return line
    glued = re.sub("`[^`]*`", lambda command: command[0].replace(" ", "\0"), line)
    rows: list[str] = []
    for part in glued.split("\n"):
        rows += _wrap_line(part, console.width) or [""]
    return "\n".join(rows).replace("\0", " ")


def _wrap_line(line: str, width: int) -> list[str]:
    return textwrap.wrap(
        line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def format_about(count: int) -> str:
    """A count with two digits that mean something.

    >>> format_about(7), format_about(299_926)
    ('7', '300,000')
    """
    digits = len(str(count))
    return f"{round(count, min(0, 2 - digits)):,}"


def format_seconds(seconds: float) -> str:
    """A time that is only known within a factor of two.

    >>> format_seconds(3.2), format_seconds(47.1), format_seconds(200), format_seconds(9_000)
    ('a few seconds', 'about 47 seconds', 'about 3 minutes', 'about 2 hours')
    """
    if seconds < _FEW_S:
        return "a few seconds"
    size, unit = next(each for each in _TIMES if seconds >= 2 * each[0])
    return f"about {format_about(round(seconds / size))} {unit}"


def print_words(console: Console, *lines: str) -> None:
    """Print lines, broken between words."""
    for line in lines:
        console.print(wrap(line, console), highlight=False, markup=False, soft_wrap=True)


def make_table(headings: Sequence[str], *, texts: Collection[str]) -> Table:
    """Make a table without rows; columns of numbers are aligned on the right, `texts` are not."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        is_text = heading in texts
        side: Literal["left", "right"] = "left" if is_text else "right"
        table.add_column(heading, justify=side, no_wrap=not is_text, overflow="fold")
    return table


class BrokenName(Text):
    """A name in a table. Where it is longer than its column it is broken between its words."""

    def __init__(self, name: str, style: str = "") -> None:
        super().__init__(escape(name), style=style)

    def wrap(
        self,
        console: Console,
        width: int,
        *,
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        tab_size: int = 8,
        no_wrap: bool | None = None,
    ) -> Lines:
        """Break it behind `_`, `-`, `.` and the like; a word that does not fit is folded."""
        text = Text(_break_name(self.plain, width), style=self.style)
        return text.wrap(
            console,
            width,
            justify=justify,
            overflow=overflow,
            tab_size=tab_size,
            no_wrap=no_wrap,
        )


def _break_name(name: str, width: int) -> str:
    rows = [""]
    for word in re.findall(r"\w*?(?:_+|[^\w]+|$)", name):
        if rows[-1] and cell_len(rows[-1] + word) > width:
            rows.append("")
        rows[-1] += word
    return "\n".join(rows)


def open_console() -> Console:
    """Open stdout: a terminal, or elsewhere one so wide that no line is broken.

    What the locale cannot write, such as a tick, is escaped.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console()
    return console if console.is_terminal else Console(width=UNLIMITED)
