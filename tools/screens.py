"""Draw docs/images: the demo's commands on a terminal of 80 columns, as SVG, light and dark.

Only times and rates differ from run to run.
"""

from __future__ import annotations

import codecs
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from itertools import groupby
from pathlib import Path
from shutil import rmtree

from rich.cells import cell_len
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
DEMO = ROOT / "examples" / "devora"
FOLDER = Path("/tmp/devora")  # noqa: S108 - it stands in the pictures
BIN = Path(sys.executable).parent
COLUMNS = 80

LIGHT = TerminalTheme(
    (246, 248, 250),
    (31, 35, 40),
    [
        (36, 41, 47),
        (207, 34, 46),
        (17, 99, 41),
        (77, 45, 0),
        (9, 105, 218),
        (130, 80, 223),
        (27, 124, 131),
        (110, 119, 129),
    ],
)
DARK = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
# Rich's own format asks another host for a font.
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, \
'DejaVu Sans Mono', monospace; font-size: {char_height}px }}
.{unique_id}-title {{ font-size: 18px; font-family: sans-serif }}
{styles}
</style>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

_CONTROL = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n\t])|([^\x00-\x1f\x7f])|.", re.DOTALL)


class Screen:
    """What a terminal of so many columns shows, scrolled lines included.

    It knows what Rich and our commands write, and refuses all else.
    """

    def __init__(self, columns: int = COLUMNS) -> None:
        self.columns = columns
        self.is_cursor_shown = True
        self._rows: list[list[tuple[str, str]]] = [[]]
        self._row = self._column = 0
        self._style = ""

    def feed(self, text: str) -> None:
        """Show more of the output.

        Raises:
            ValueError: a control character that nobody expects here.
        """
        for found in _CONTROL.finditer(text):
            parameters, control, blank, character = found.groups()
            match control or blank:
                case None if character:
                    self._put(character)
                case "m":
                    self._style = f"{self._style}{found[0]}" if parameters not in {"", "0"} else ""
                case "A":
                    self._row = max(0, self._row - int(parameters or 1))
                case "K" if parameters == "2":
                    self._rows[self._row] = []
                case "h" | "l" if parameters == "?25":
                    self.is_cursor_shown = control == "h"
                case "\r":
                    self._column = 0
                case "\n":
                    self._feed_line()
                case "\t":
                    self._column = min(self.columns - 1, self._column // 8 * 8 + 8)
                case _:
                    raise ValueError(f"the screen does not know {found[0]!r}")

    def _put(self, character: str) -> None:
        width = cell_len(character)
        if self._column + width > self.columns:
            self._feed_line()
            self._column = 0
        row = self._rows[self._row]
        row += [(" ", "")] * (self._column - len(row))
        row[self._column : self._column + width] = [
            (character, self._style),
            *[("", self._style)] * (width - 1),
        ]
        self._column += width

    def _feed_line(self) -> None:
        self._row += 1
        if self._row == len(self._rows):
            self._rows.append([])

    @property
    def lines(self) -> list[str]:
        """The lines without their styles, blank ones at the end left out."""
        return (
            "\n".join("".join(character for character, _ in row).rstrip() for row in self._rows)
            .rstrip()
            .splitlines()
        )

    @property
    def styled_lines(self) -> list[str]:
        """The lines with their styles, as a terminal takes them."""
        styled = (
            "".join(
                f"{style}{''.join(c for c, _ in run)}\x1b[0m"
                for style, run in groupby(row, lambda cell: cell[1])
            )
            for row in self._rows
        )
        return [*styled][: len(self.lines)]


def run_on_terminal(
    command: Sequence[str | Path],
    folder: Path,
    *,
    columns: int = COLUMNS,
    environ: Mapping[str, str] | None = None,
    progress: Callable[[str, int], None] = lambda _text, _pid: None,
) -> tuple[str, int]:
    """Return what a command writes on a terminal, and its exit code.

    `progress` gets it as it comes, with the process's id.
    """
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (50, columns))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
    }
    environment = {**inherited, "TERM": "xterm-256color", **(environ or {})}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    decoder, parts = codecs.getincrementaldecoder("utf-8")(), list[str]()
    with suppress(OSError):  # Linux's answer when the other side is closed
        while data := os.read(main, 1 << 16):
            parts.append(decoder.decode(data))
            progress("".join(parts), process.pid)
    os.close(main)
    return "".join(parts), process.wait()


def draw(lines: Sequence[str], theme: TerminalTheme, *, name: str, title: str = "") -> str:
    """The lines of a terminal as SVG that asks no other host for anything."""
    console = Console(
        record=True,
        file=StringIO(),
        width=COLUMNS,
        color_system="truecolor",
        force_terminal=True,
        legacy_windows=False,
    )
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title=title, theme=theme, code_format=SVG, unique_id=name)
    return re.sub(r' clip-path="[^"]*"', "", svg)


def show(line: str, *, until: str | None = None) -> list[str]:
    """What a command in the demo's folder looks like: at its end, or when its bar shows `until`.

    Raises:
        SystemExit: it never did.
    """
    # Chunks that are small enough for the bar to move.
    environ = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "ASSISE_LOAD_CHUNK_BYTES": "100000",
    }
    text, _ = run_on_terminal(["sh", "-c", line], FOLDER, environ=environ)
    screen = Screen()
    if until is None:
        screen.feed(text)
    else:
        for frame in re.split(r"(?=\r\x1b\[2K)", text):
            screen.feed(frame)
            if re.search(until, screen.lines[-1] if screen.lines else ""):
                break
        else:
            sys.exit(f"{line}: no bar showed {until!r} in time; call it again")
    return [f"\x1b[1m$ {line}\x1b[0m", *screen.styled_lines]


@contextmanager
def demo_folder() -> Iterator[None]:
    """The demo's folder with its dump; the server in it is stopped and all removed at the end."""
    if FOLDER.exists():
        sys.exit(f"{FOLDER} is there already: move it away")
    FOLDER.mkdir(mode=0o755)
    try:
        make = (
            "import sys; from pathlib import Path; import demo; demo.make_dump(Path(sys.argv[1]))"
        )
        subprocess.run([sys.executable, "-c", make, FOLDER / "dump"], cwd=DEMO, check=True)
        yield
    finally:
        subprocess.run(
            [BIN / "assise", "pg", "stop", "-f", FOLDER], check=False, stderr=subprocess.DEVNULL
        )
        rmtree(FOLDER)


def draw_all() -> dict[str, list[str]]:
    """The lines of each picture by its name."""
    manifest, dump = FOLDER / "assise.yaml", FOLDER / "dump"
    pictures = {"migrate": show("assise migrate dump/devora")}
    show("""echo "UPDATE users SET locale = 'en' WHERE locale = 'fr'" | assise pg shell""")
    pictures["undo"] = show("assise undo --dry-run")
    text = manifest.read_text()
    manifest.write_text(text.replace("primary_key", "primary_kee", 1))
    wrong_key = show("assise verify")
    manifest.write_text(text)
    with (dump / "devora" / "users.bson").open("ab") as users:
        users.write(b"\0")
    pictures["errors"] = [*wrong_key, "", *show("assise verify")]
    show("assise undo --yes --replace users")
    rmtree(dump)
    subprocess.run(
        [sys.executable, DEMO / "generate.py", dump, "--users", "1500", "--seed", "1"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    pictures["progress"] = show("assise load dump/devora", until=r"load invoices .* left")
    return pictures


def main() -> None:
    """Write the pictures."""
    with demo_folder():
        pictures = draw_all()
    IMAGES.mkdir(exist_ok=True)
    for name, lines in pictures.items():
        for scheme, theme in (("light", LIGHT), ("dark", DARK)):
            path = IMAGES / f"{name}-{scheme}.svg"
            path.write_text(draw(lines, theme, name=f"{name}-{scheme}"))
            print(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
