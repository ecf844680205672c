"""What is printed, on terminals of every width and where there is none."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from tools.screens import DARK, Screen, draw

from assise.cli import tables
from assise.cli.loaded import print_rejects, print_undo
from assise.cli.migrate import print_plan, print_report
from assise.cli.tables import wrap
from assise.rows.model import Reason
from assise.transfer.kept_rejects import Reject
from assise.transfer.report import CollectionReport, Plan, Report, Verified
from assise.transfer.undo import Changes, Loaded, Undo

LONG = "n" * 63
WIDTHS = [20, 40, 60, 80, 200]
DIFFERENCE = (
    "users: document at offset 6,447 (key 651f3ee4010080008000000007000000): "
    "email: string 'x', was string 'y', and " + "so on " * 50
)
REPORT = Report(
    "dump/app",
    "postgresql:///app",
    12.5,
    [
        CollectionReport(
            "users",
            151,
            150,
            1,
            139_449,
            0.25,
            {"users": 150},
            verified=Verified(148, 2),
            differences=[DIFFERENCE],
        ),
        CollectionReport(
            LONG,
            1_000_000,
            1_000_000,
            0,
            10**10,
            3600.0,
            {LONG: 1_000_000, "parts": 0},
            verified=Verified(1_000_000),
        ),
    ],
)
REJECTS = [
    Reject(
        "users",
        138_569,
        880,
        Reason.DUPLICATE_ID,
        "a document with the same _id is loaded already",
        "0",
    ),
    Reject(
        LONG,
        10**10,
        10**7,
        Reason.NOT_BSON,
        "10,000,000 bytes that cannot be framed as documents",
        "0",
    ),
]
UNDO = Undo(
    "",
    "app",
    [
        Loaded(
            "users",
            150,
            Changes(79, 2),
            ("column nickname",),
        ),
        Loaded(LONG, 0, Changes(0, 0)),
    ],
    ["_new_objectid"],
    drops_ledger=True,
)
PLAN = Plan(
    "/data/dump/app",
    "the embedded server in /data/.assise/postgres, database app",
    ["users", LONG, "parts"],
    {"users": 139_449, LONG: 10**10},
    {"users": 150, LONG: 20_123_456},
    1_000,
    2_000,
)
SCREENS = {
    "report": lambda: print_report(REPORT, as_json=False),
    "rejects": lambda: print_rejects(REJECTS, as_json=False),
    "undo": lambda: print_undo(UNDO, as_json=False),
    "plan": lambda: print_plan(PLAN),
}
WORDS = {
    "report": {
        "users",
        "151",
        "150",
        "1",
        "different",
        LONG,
        "1,000,000",
        "so",
        "651f3ee4010080008000000007000000):",
    },
    "rejects": {"138569", "880", "10000000000", "duplicate", "document", "framed"},
    "undo": {"users", "150", "79", "nickname", LONG, "assise"},
    "plan": {"users", "139.4", LONG, "parts", "/data/dump/app", "20,000,000", "17", "33"},
}


class Terminal(io.StringIO):
    """A text stream that is a terminal."""

    def isatty(self) -> bool:
        """So it says."""
        return True


def show(monkeypatch: pytest.MonkeyPatch, name: str, stream: io.StringIO, **environ: str) -> str:
    """What a screen writes to a stream."""
    for variable in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {"TERM": "xterm-256color", **environ}.items():
        monkeypatch.setenv(variable, value)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        SCREENS[name]()
    return stream.getvalue()


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_of_any_width_breaks_no_word_that_fits(
    monkeypatch: pytest.MonkeyPatch, name: str, columns: int
) -> None:
    text = show(monkeypatch, name, Terminal(), COLUMNS=str(columns))
    screen = Screen(columns)
    screen.feed(text.replace("\n", "\r\n"))
    for word in WORDS[name]:
        if len(word) <= columns // 4:
            assert re.search(rf"(?<!\w){re.escape(word)}(?!\w)", "\n".join(screen.lines)), (
                word,
                screen.lines,
            )


def test_what_fits_no_table_on_a_narrow_terminal_gets_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report, rejects = (
        show(monkeypatch, name, Terminal(), COLUMNS="79", NO_COLOR="1", TERM="xterm")
        for name in ("report", "rejects")
    )
    assert "  rejected  1\n" in re.sub(r"\x1b\[[\d;]*m", "", report)
    assert "  users: 150 rows" in report
    assert (
        rejects.splitlines()[0]
        == "users 138569, 880 B: duplicate id, a document with the same _id is loaded"
    )


@pytest.mark.parametrize("name", SCREENS)
def test_without_a_terminal_no_line_is_broken_however_long(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = show(monkeypatch, name, io.StringIO(), COLUMNS="20")
    assert "\x1b" not in text
    assert all(word in text.split() for word in WORDS[name])
    count = {
        "report": 1 + 2 + 3 + 1 + 1,
        "rejects": 4,
        "undo": 4,
        "plan": 7,
    }[name]
    assert len(text.splitlines()) == count


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "unknown"}])
def test_what_it_means_is_said_without_colours_too(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for name in SCREENS:
        plain = show(monkeypatch, name, Terminal(), COLUMNS="80", **environ)
        assert not re.search(r"\x1b\[[\d;]*3\d", plain)
        if "TERM" in environ:
            assert "\x1b" not in plain
        screens = []
        for text in (plain, show(monkeypatch, name, Terminal(), COLUMNS="80")):
            screen = Screen(80)
            screen.feed(text.replace("\n", "\r\n"))
            screens.append(screen.lines)
        assert screens[0] == screens[1]


def test_the_only_colours_are_those_of_the_terminals_own_palette(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    styles = {
        style
        for name in SCREENS
        for style in re.findall(
            r"\x1b\[([\d;]*)m", show(monkeypatch, name, Terminal(), COLUMNS="200")
        )
    }
    assert styles <= {"0", "1", "2", "1;31"}
    assert "1;31" in styles


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("short", "short"),
        ("error: one two three four five", "error: one two three\n  four five"),
        ("error: one two\nthe remedy is quite long", "error: one two\nthe remedy is quite\n  long"),
        ("\nstopped; it goes on where it was", "\nstopped; it goes on\n  where it was"),
        ("next: assise load a/rather/long/folder", "next: assise load a/rather/long/folder"),
        ("then `assise load SOURCE` loads", "then\n  `assise load SOURCE`\n  loads"),
        (
            "wrote /a/path/that/is/longer/than/a/line of it",
            "wrote\n  /a/path/that/is/longer/than/a/line\n  of it",
        ),
        ("use --chunk-bytes of load", "use --chunk-bytes of\n  load"),
    ],
)
def test_a_line_is_broken_between_words_and_what_may_be_copied_is_not(
    line: str, shown: str
) -> None:
    assert wrap(line, Console(file=Terminal(), width=20, force_terminal=True)) == shown
    assert wrap(line, Console(file=io.StringIO(), width=20, force_terminal=False)) == line


def test_a_drawing_has_the_lines_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(80)
    screen.feed(show(monkeypatch, "undo", Terminal(), COLUMNS="80").replace("\n", "\r\n"))
    svg = draw(screen.styled_lines, DARK, name="undo-dark")
    assert "column&#160;nickname" in svg
    assert svg.count("http") == 1
    assert "url(" not in svg
    assert str(Path(tables.__file__).parent) not in svg


def test_a_long_name_is_broken_between_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["restaurant", "inspections", "violations", "remarks", "translations", "archive"]
    name = "_".join(words)
    collection = CollectionReport(name, 10**6, 10**6, 0, 10**9, 90.0, {name: 10**6})
    collection.verified = Verified(10**6)
    undo_of = Undo("", "app", [Loaded(name, 10**6, Changes(79, 2), ("column nickname",))])
    rejects = [Reject(name, 10**9, 880, Reason.NOT_BSON, "bytes that are no document", "0")]
    plan = Plan("dump", "target", [], {name: 10**10}, {name: 10**8}, 1, 1)
    monkeypatch.setenv("COLUMNS", "80")
    screens: list[Callable[[], None]] = [
        lambda: print_report(Report("dump", "", 1.0, [collection]), as_json=False),
        lambda: print_undo(undo_of, as_json=False),
        lambda: print_rejects(rejects, as_json=False),
        lambda: print_plan(plan),
    ]
    for show_it in screens:
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        show_it()
        pieces = [
            piece
            for line in terminal.getvalue().splitlines()
            for piece in re.findall(r"[a-z_]+", re.sub(r"\x1b\[[0-9;]*m", "", line))
        ]
        assert {*words} <= {word for piece in pieces for word in piece.split("_")}
