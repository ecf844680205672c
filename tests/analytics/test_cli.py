"""The commands: what they print, and what they refuse."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from assise.analytics.event import Event
from assise.analytics.store import insert_sync
from assise.cli.run import run
from assise.postgres.connection import Connection
from assise.project import Project

Ask = Callable[..., Any]


def at(day: int, hour: int = 12) -> dt.datetime:
    """An hour of January."""
    return dt.datetime(2026, 1, day, hour, tzinfo=dt.UTC)


EVENTS = [
    *(Event(uuid4(), "signup", f"u{n}", at(1), "", '{"plan": "pro"}') for n in range(3)),
    *(Event(uuid4(), "project_created", f"u{n}", at(2)) for n in range(2)),
    Event(uuid4(), "deployed", "u0", at(3, 23), "", '{"ms": 5, "plan": "pro"}'),
    Event(uuid4(), "deployed", "u1", at(20), "", '{"ms": 7}'),
    Event(uuid4(), "odd_event", "null", at(3)),
]


@pytest.fixture
def ask(shop: Project, database: str, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Runs a command on the events above; what it prints as JSON."""
    with Connection(database) as connection:
        insert_sync(connection, EVENTS)

    def call(*words: str, code: int = 0) -> Any:  # noqa: ANN401
        line = ["analytics", *words, "--manifest", str(shop.path), "--to", database]
        assert run([*line, "--json"] if "--csv" not in line else line) == code
        printed = capsys.readouterr().out
        return json.loads(printed) if "--csv" not in line else printed

    return call


def test_the_commands_print_what_their_documentation_says(ask: Ask) -> None:
    days = ["--from", "2026-01-01", "--to", "2026-01-04"]
    # In Paris the deployment at 23:00 UTC is one of the next day.
    assert ask("active", *days) == {
        "days": [
            {"day": "2026-01-01", "dau": 3, "wau": 3, "mau": 3, "complete": True},
            {"day": "2026-01-02", "dau": 2, "wau": 3, "mau": 3, "complete": True},
            {"day": "2026-01-03", "dau": 0, "wau": 3, "mau": 3, "complete": True},
            {"day": "2026-01-04", "dau": 1, "wau": 3, "mau": 3, "complete": True},
        ]
    }
    one = ["--from", "2026-01-01", "--to", "2026-01-01"]
    table = ask("retention", "--start", "signup", "--return", "any", "--periods", "4", *one)
    assert table == {
        "mode": "first",
        "by": "day",
        "rows": [
            {"start": "2026-01-01", "size": 3, "counts": [3, 2, 0, 1], "complete": [True] * 4}
        ],
    }
    assert (
        ask("retention", "--periods", "4", "--csv", *one).splitlines()[1] == "2026-01-01,3,3,2,0,1"
    )
    (cycle, *_) = ask("lifecycle", "--by", "month", *one)["rows"]
    assert cycle == {
        "start": "2026-01-01",
        "new": 3,
        "returning": 0,
        "resurrecting": 0,
        "dormant": 0,
        "complete": True,
    }


def test_funnels_and_trends(ask: Ask) -> None:
    days = ["--from", "2026-01-01", "--to", "2026-01-31"]
    found = ask("funnel", "signup", "project_created", "deployed", *days)["funnels"]
    assert [step["count"] for step in found[0]["steps"]] == [3, 2, 1]
    assert found[0]["steps"][2]["median_s"] == 59 * 3600
    assert found[0]["steps"][2] | {"median_s": 0} == {
        "event": "deployed",
        "count": 1,
        "overall": 1 / 3,
        "step": 0.5,
        "median_s": 0,
        "mean_s": 59 * 3600.0,
    }
    longer = ask("funnel", "signup", "deployed", "--within", "30 days", *days)["funnels"]
    assert [step["count"] for step in longer[0]["steps"]] == [3, 2]
    by_plan = ask("funnel", "signup", "deployed", "--breakdown", "plan", *days)["funnels"]
    assert [(each["breakdown"], each["steps"][0]["count"]) for each in by_plan] == [("pro", 3)]
    month = ["--by", "month", *days]
    assert ask("trend", "deployed", *month)["rows"] == [
        {"start": "2026-01-01", "breakdown": None, "value": 2, "complete": True}
    ]
    summed = ask("trend", "deployed", "--measure", "sum", "--sum", "ms", *month)["rows"]
    assert float(summed[0]["value"]) == 12
    (whole,) = ask("trend", "any", "--measure", "persons", *month)["rows"]
    assert whole["value"] == 3
    rows = ask("trend", "deployed", "--breakdown", "plan", *month)["rows"]
    assert [(row["breakdown"], row["value"]) for row in rows] == [(None, 1), ("pro", 1)]
    (row,) = ask("trend", "deployed", "--where", "plan=pro", *month)["rows"]
    assert row["value"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ["trend", "deploid"],
        ["funnel", "signup", "deploid"],
        ["cohorts", "--return", "deploid"],
        ["retention", "--did", "deploid"],
        ["retention", "--start", "deploid"],
    ],
)
def test_an_event_that_has_never_been_is_told_with_the_one_that_was_meant(
    words: list[str], shop: Project, database: str, capsys: pytest.CaptureFixture[str], ask: Ask
) -> None:
    line = ["analytics", *words, "--manifest", str(shop.path), "--to", database]
    assert run(line) == 2
    said = capsys.readouterr().err
    assert "there is no event 'deploid'" in said
    assert "Did you mean deployed?" in said
    # What is declared, or has been, is an event.
    for event in ("error_occurred", "odd_event", "template_forked", "any"):
        assert ask("trend", event, "--by", "month")["rows"]


def test_columns_are_as_wide_as_their_widest_value(
    ask: Ask, shop: Project, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del ask
    days = ["--from", "2026-01-01", "--to", "2026-01-02", "--periods", "3"]
    line = ["analytics", "retention", *days, "--manifest", str(shop.path), "--to", database]
    assert run(line) == 0
    assert capsys.readouterr().out.splitlines() == [
        "start       size  counts",
        "2026-01-01  3     3       2  0",
        "2026-01-02  0     0       0  0",
    ]


def test_the_check_says_what_is_not_declared_and_finds_what_is_wrong(
    ask: Ask, database: str
) -> None:
    found = ask("check")
    assert (found["differing"], found["days"], found["shared"]) == ([], [], 1)
    assert found["undeclared"] == {"odd_event": 1}
    assert found["misfits"] == {"deployed": {"ms is not declared": 2, "plan is not declared": 1}}
    assert found["traffic"] == {"person": 7, "anonymous": 1}
    with Connection(database) as connection:
        connection.execute("UPDATE assise.analytics_bitmap SET events = 9 WHERE event = 'signup'")
        connection.execute("UPDATE assise.analytics_daily SET mau = 9 WHERE day = '2026-01-02'")
    wrong = ask("check", code=3)
    assert wrong["differing"] == [["signup", "2026-01-01"]]
    assert wrong["days"] == ["2026-01-02"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["active", "--from", "yesterday"], "'yesterday' is no day"),
        (["active", "--from", "2026-02-01", "--to", "2026-01-01"], "lies behind"),
        (["active", "--from", "0001-01-01"], "is no day of 1900 to 2200"),
        (["active", "--from", "1990-01-01"], "over ten years"),
        (["funnel", *["signup"] * 21], "one to twenty steps"),
        (["funnel", "signup", "--within", "soon"], "is no time"),
        (["trend", "deployed", "--sum", "ms"], "a sum is of a property"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_remedy(
    words: list[str], said: str, template: object, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["analytics", *words, "--manifest", str(template.folder), "--to", template.conninfo]  # type: ignore[attr-defined]
    assert run(line) == 2
    assert said in capsys.readouterr().err


def test_an_argument_that_is_no_text_is_refused(
    shop: Project, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # As a shell gives the byte FF.
    line = ["analytics", "trend", "a\udcff", "--manifest", str(shop.path), "--to", database]
    assert run(line) == 2
    assert "'a\\udcff' is not text in UTF-8" in capsys.readouterr().err


def test_properties_that_are_not_as_declared_are_kept_and_listed(
    shop: Project, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = [
        '{"tokens_used": 1.5, "model": 7, "project_id": "x", "language": null, "$lib": 1}',
        '{"tokens_used": 2.0, "model": "m", "project_id": "4cd160f7-5b7e-4ffe-acb9-02d66e3a903c"}',
        '{"model": [], "\\u001b[31m": true}',
    ]
    events = [Event(uuid4(), "code_generated", "u1", at(1), "", each) for each in odd]
    own = Event(uuid4(), "template_forked", "u1", at(1), "", '{"template_id": 5, "ip": "::1"}')
    with Connection(database) as connection:
        insert_sync(connection, [*events, own])
    assert run(["analytics", "check", "-f", str(shop.path), "--to", database]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    lines = [line for line in said.splitlines() if line.startswith(("code_", "template_"))]
    assert sorted(lines) == [
        "code_generated: \\x1b[31m is not declared: 1 event",
        "code_generated: model is no text: 2 events",
        "code_generated: project_id is no uuid: 1 event",
        "code_generated: tokens_used is no int: 1 event",
        "template_forked: template_id is no uuid: 1 event",
    ]
    with Connection(database) as connection:
        assert connection.scalar("SELECT count(*) FROM assise.analytics_events") == 4
