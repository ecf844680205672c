"""Progress: a bar on a terminal that leaves nothing behind, elsewhere a line every ten seconds.

Rates are those of this run alone.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from bson import ObjectId
from tests.dumps import write_dump
from tools.screens import Screen, run_on_terminal

import assise
from assise.cli.progress import Terminal
from assise.progress import Progress

SOURCES = str(Path(assise.__file__).resolve().parents[1])
ASSISE = [sys.executable, "-m", "assise"]
MB = 1_000_000
LONG = "a_collection_whose_name_is_longer_than_the_narrow_terminal_is_wide"
DOCUMENTS = [
    {
        "_id": ObjectId(f"65b9f0a0000000000000{n:04x}"),
        "name": f"user {n}",
        "text": "x" * 400,
    }
    for n in range(3000)
]


@dataclass
class Clock:
    """Stands still until the test sets it."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Watched:
    """A terminal that says its lines to no terminal, and a load of a hundred megabytes."""

    clock: Clock
    terminal: Terminal
    read: Callable[[], str]

    def at(
        self,
        now: float,
        position: int,
        documents: int,
        *,
        is_known: bool = False,
        step: str = "load",
    ) -> list[str]:
        """What it says at a moment."""
        self.clock.now = now
        self.terminal.progress(Progress(step, "users", documents, position, 100 * MB, is_known))
        return self.read().splitlines()


@pytest.fixture
def watched(capsys: pytest.CaptureFixture[str]) -> Watched:
    clock = Clock()
    return Watched(clock, Terminal(clock=clock), lambda: capsys.readouterr().err)


def test_without_a_terminal_a_line_comes_every_ten_seconds(watched: Watched) -> None:
    assert watched.at(100.0, 4 * MB, 1_000) == []
    assert watched.at(109.9, 8 * MB, 2_000) == []
    said = watched.at(110.0, 14 * MB, 3_500)
    assert said == [
        "load users: 3,500 documents, 14 % of 100.0 MB, 250 documents/s, 1.0 MB/s, 1:26 left"
    ]
    assert watched.at(119.0, 20 * MB, 5_000) == []
    said = watched.at(130.0, 64 * MB, 16_000)
    assert said == [
        "load users: 16,000 documents, 64 % of 100.0 MB, 500 documents/s, 2.0 MB/s, 0:18 left"
    ]


def test_a_step_begins_its_ten_seconds_and_its_rates_anew(watched: Watched) -> None:
    watched.at(0.0, 10 * MB, 1_000)
    assert watched.at(60.0, 100 * MB, 10_000)
    assert watched.at(65.0, 5 * MB, 500, step="verify") == []
    said = watched.at(75.0, 25 * MB, 2_500, step="verify")
    assert said == [
        "verify users: 2,500 documents, 25 % of 100.0 MB, 200 documents/s, 2.0 MB/s, 0:38 left"
    ]


def test_the_first_chunk_of_a_collection_took_the_time_since_the_one_before(
    watched: Watched,
) -> None:
    watched.terminal.progress(Progress("load", "projects", 1_000, 50 * MB, 50 * MB))
    assert watched.at(8.0, 80 * MB, 8_000) == []
    said = watched.at(18.0, 90 * MB, 9_000)
    assert said == [
        "load users: 9,000 documents, 90 % of 100.0 MB, 500 documents/s, 5.0 MB/s, 0:02 left"
    ]


def test_rates_of_a_resumed_load_count_only_what_this_run_has_done(watched: Watched) -> None:
    assert watched.at(0.0, 10 * MB, 1_000, is_known=True) == []
    said = watched.at(10.0, 50 * MB, 5_000, is_known=True)
    assert said == ["load users: 5,000 documents, 50 % of 100.0 MB"]
    assert watched.at(14.0, 54 * MB, 5_400) == []
    said = watched.at(20.0, 60 * MB, 6_000, is_known=True)
    assert said == [
        "load users: 6,000 documents, 60 % of 100.0 MB, 100 documents/s, 1.0 MB/s, 0:40 left"
    ]
    said = watched.at(30.0, 70 * MB, 7_000)
    assert said == [
        "load users: 7,000 documents, 70 % of 100.0 MB, 100 documents/s, 1.0 MB/s, 0:30 left"
    ]


def test_an_empty_file_and_a_clock_that_stands_still_divide_by_nothing(watched: Watched) -> None:
    watched.terminal.progress(Progress("load", "none", 0, 0, 0))
    watched.clock.now = 10.0
    watched.terminal.progress(Progress("load", "none", 0, 0, 0))
    assert watched.read() == "load none: 0 documents, 0 % of 0 B\n"
    watched.at(20.0, MB, 1)
    assert watched.at(20.0, 2 * MB, 2) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dump(tmp_path / "app", {LONG: DOCUMENTS, "users": DOCUMENTS})
    return tmp_path


@dataclass
class Seen:
    """What a command has shown on a terminal: every bar, and what is left in the end."""

    bars: list[str]
    screen: Screen
    code: int


def look(
    folder: Path, words: list[str], *, columns: int = 80, stop_at: str = "", **environ: str
) -> Seen:
    """Run a command on a terminal; stop it with Ctrl-C at a text."""

    def progress(text: str, pid: int) -> None:
        if stop_at and stop_at in text and not stopped:
            stopped.append(pid)
            os.kill(pid, signal.SIGINT)

    stopped: list[int] = []
    environ = {"PYTHONPATH": SOURCES, "ASSISE_LOAD_CHUNK_BYTES": "65536", **environ}
    text, code = run_on_terminal(
        [*ASSISE, *words], folder, columns=columns, environ=environ, progress=progress
    )
    screen, bars = Screen(columns), list[str]()
    for frame in re.split(r"(?=\r\x1b\[2K)", text):
        screen.feed(frame)
        if screen.lines and re.search("[━╸╺]", screen.lines[-1]):
            bars.append(screen.lines[-1])
    return Seen(bars, screen, code)


@pytest.mark.parametrize("columns", [40, 80])
def test_on_a_terminal_a_bar_comes_and_goes_and_the_report_is_whole(
    folder: Path, database: str, columns: int
) -> None:
    seen = look(folder, ["migrate", "app", "--yes", "--to", database], columns=columns)
    lines = seen.screen.lines
    assert seen.code == 0, lines
    assert {bar.split()[0] for bar in seen.bars} == {"infer", "load", "verify"}
    rates = (
        "[0-9]+:[0-9]{2} left"
        if columns == 40
        else "[0-9,]+ documents/s, [0-9.]+ [kM]?B/s, [0-9]+:[0-9]{2} left"
    )
    assert any(
        re.fullmatch(f"(infer|load|verify) [^ ]+ [━╸╺ ]+ {rates}", bar) for bar in seen.bars
    ), seen.bars
    assert all(len(bar) <= columns for bar in seen.bars)
    assert any("…" in bar for bar in seen.bars)
    assert not re.search("[━╸╺]", "\n".join(lines))
    assert seen.screen.is_cursor_shown
    assert sum(line.startswith("users: 3,000 documents") for line in lines) == 2
    assert [line.split()[-2:] for line in lines if "✓" in line and "equal" in line] == [
        ["3,000", "equal"]
    ] * 2 + [["6,000", "equal"]]
    assert lines[-1] == "next: assise verify --to …"


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_ctrl_c_takes_the_bar_away(folder: Path, columns: int) -> None:
    users = folder / "app" / "users.bson"
    users.write_bytes(users.read_bytes() * 60)  # Ctrl-C comes before its end
    seen = look(
        folder, ["infer", "app", "-o", "-", "--workers", "1"], columns=columns, stop_at="left"
    )
    assert (seen.code, bool(seen.bars)) == (130, True), "\n".join(seen.screen.lines)
    assert seen.screen.is_cursor_shown
    words = re.sub(r"\s", "", "".join(seen.screen.lines))
    assert words.removeprefix(f"{LONG}:1,357,890bytesread") == "stopped"


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_no_bar(folder: Path, term: str) -> None:
    seen = look(folder, ["infer", "app", "--dry-run"], TERM=term)
    assert (seen.code, seen.bars) == (0, [])
    assert "users: 1,357,890 bytes read" in seen.screen.lines


def test_on_a_terminal_that_cannot_move_its_cursor_a_line_comes_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    main, other = os.openpty()
    clock = Clock()
    terminal = Terminal(clock=clock)
    with open(other, "w") as stream, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stderr", stream)
        for clock.now in (0.0, 9.0, 20.0, 29.0, 30.0):
            terminal.progress(
                Progress(
                    "load",
                    "users",
                    round(clock.now),
                    round((10 + clock.now) * MB),
                    40 * MB,
                )
            )
        written = ""
        while written.count("\n") < 2:
            written += os.read(main, 1 << 16).decode()
    os.close(main)
    words = "1 documents/s, 1.0 MB/s"
    assert written.splitlines() == [
        f"load users: 20 documents, 75 % of 40.0 MB, {words}, 0:10 left",
        f"load users: 30 documents, 100 % of 40.0 MB, {words}, 0:00 left",
    ]


@pytest.mark.parametrize(
    "name", [LONG, "用户" * 30, "[red]x", "users"], ids=["long", "wide", "markup", "short"]
)
def test_a_name_of_any_width_leaves_room_for_the_bar(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    main, other = os.openpty()
    clock, screen = Clock(), Screen(40)
    terminal = Terminal(clock=clock)
    with open(other, "w") as stream, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setattr(sys, "stderr", stream)
        for clock.now in (0.0, 1.0):
            terminal.progress(
                Progress(
                    "load",
                    name,
                    round(clock.now),
                    round((1 + clock.now) * MB),
                    4 * MB,
                )
            )
        written = ""
        while "left" not in written:
            written += os.read(main, 1 << 16).decode()
        screen.feed(written)
        (bar,) = screen.lines
        terminal.stop()
        screen.feed(os.read(main, 1 << 16).decode())
    os.close(main)
    assert re.fullmatch(r"load .+ [━╸╺ ]{16} 0:02 left", bar)
    assert name[:2] in bar
    assert (screen.lines, screen.is_cursor_shown) == ([], True)


def test_what_is_counted_has_a_time_left_and_no_bytes(watched: Watched) -> None:
    for now, rows in ((0.0, 10), (30.0, 40), (60.0, 70)):
        watched.clock.now = now
        watched.terminal.progress(Progress("embedded", "books", rows, rows, 100, noun="row"))
    *_, last = watched.read().splitlines()
    assert last == "embedded books: 70 rows of 100, 0:30 left"
