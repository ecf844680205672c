"""History from files: PostHog's exports and what SDKs send, each event once however often it is read."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.scenes.memory import LIMIT_MB
from tests.scenes.memory import run as run_command

from assise.analytics import history
from assise.analytics.event import Event
from assise.analytics.history import OLDEST
from assise.analytics.jobs import forget_old
from assise.analytics.store import insert_sync
from assise.cli.run import run
from assise.errors import SourceError, UsageError
from assise.postgres.connection import Connection
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
Import = Callable[..., Any]
ROWS = "SELECT event, distinct_id, at::text, sent FROM assise.analytics_events ORDER BY number"


@pytest.fixture
def read(shop: Project, database: str, capsys: pytest.CaptureFixture[str]) -> Import:
    """Runs the import of a file; what it prints as JSON."""

    def call(path: Path, *words: str, code: int = 0) -> Any:  # noqa: ANN401
        line = ["analytics", "import", str(path), "--manifest", str(shop.path), "--to", database]
        assert run([*line, "--json", *(words or ["--yes"])]) == code
        return json.loads(capsys.readouterr().out)

    return call


def write(path: Path, lines: Iterable[object]) -> Path:
    """Write lines of JSON, or of text as it is."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
    content = "".join(f"{text}\n" for text in texts).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def export(event: str, person: str, at: str, **properties: object) -> dict[str, object]:
    """A line of PostHog's batch export."""
    return {
        "uuid": str(uuid4()),
        "event": event,
        "distinct_id": person,
        "person_id": "018c0000-0000-7000-8000-000000000000",
        "properties": properties,
        "person_properties": {"email": "a@example.org"},
        "elements_chain": "",
        "timestamp": at,
        "created_at": at,
        "_inserted_at": at,
        "team_id": 2,
    }


EXPORTED = [
    export("$pageview", "anon-1", "2026-01-01 10:00:00.123000+00:00", **{"$lib": "web"}),
    export("signup", "u1", "2026-01-01T10:05:00Z", plan="pro"),
    export("$identify", "u1", "2026-01-01T10:05:01Z", **{"$anon_distinct_id": "anon-1"}),
    export("deployed", "u1", "2026-02-01T23:30:00Z", ms=5),
]


def test_an_export_is_kept_once_with_its_persons_also_packed(
    read: Import, query: Query, tmp_path: Path, shop: Project
) -> None:
    path = write(tmp_path / "events.jsonl.gz", [*EXPORTED, "", EXPORTED[0]])
    tried = read(path, "--dry-run")
    assert (tried["events"], tried["kept"], tried["known"]) == (5, 4, 1)
    assert query(ROWS) == []
    assert read(path) == {
        "lines": 6,
        "events": 5,
        "kept": 4,
        "known": 1,
        "too_old": 0,
        "malformed": 0,
        "bad": [],
        "first": "2026-01-01 10:00:00.123000+00:00",
        "last": "2026-02-01 23:30:00+00:00",
    }
    assert read(path)["kept"] == read(path, "--dry-run")["kept"] == 0
    assert [row[:2] for row in query(ROWS)] == [
        ("$pageview", "anon-1"),
        ("signup", "u1"),
        ("$identify", "u1"),
        ("deployed", "u1"),
    ]
    tables = "SELECT DISTINCT tableoid::regclass::text FROM assise.analytics_events"
    assert set(query(tables)) == {
        ("assise.analytics_events_2026_01",),
        ("assise.analytics_events_2026_02",),
    }
    # Known for ever: uuids of what is captured are forgotten after 30 days.
    with Connection(str(shop.workspace.to)) as connection:
        connection.execute(
            "DELETE FROM assise.analytics_seen WHERE arrived < now() + interval '1 y'"
        )
    assert read(path)["kept"] == 0
    check = shop.analytics.check()
    assert check.is_right
    assert query("SELECT count(DISTINCT person) FROM assise.analytics_identity") == [(1,)]


def test_events_that_were_captured_are_known_to_an_import_for_good(
    read: Import, query: Query, tmp_path: Path, shop: Project
) -> None:
    path = write(tmp_path / "events.jsonl", EXPORTED)
    with Connection(str(shop.workspace.to)) as connection:
        # A SDK sends one of them, with its own uuid, a month before the file is read again.
        event = Event(UUID(str(EXPORTED[1]["uuid"])), "signup", "u1", OLDEST)
        assert insert_sync(connection, [event]).kept == 1
        assert read(path)["kept"] == 3
        connection.execute(
            "UPDATE assise.analytics_seen SET arrived = arrived - interval '31 days'"
        )
        forget_old(connection, lambda: False, keep=None)
    assert read(path)["kept"] == 0
    shop.analytics.erase("anon-1", confirm=lambda _: True)
    again = [{**each, "uuid": str(uuid4())} for each in EXPORTED]
    path = write(tmp_path / "again.jsonl", again)
    assert read(path, "--dry-run")["kept"] == read(path)["kept"] == 0
    assert query(ROWS) == []


def test_events_captured_long_ago_are_known_to_their_first_import(
    read: Import, query: Query, tmp_path: Path, database: str
) -> None:
    now = dt.datetime.now(dt.UTC)
    ages = {"young": 20, "old": 31, "older": 90, "oldest": 400}
    lines = {
        name: export(name, "u1", (now - dt.timedelta(days=age)).isoformat())
        for name, age in ages.items()
    }
    # Another clock than ours has said when it was, half a day off.
    other = dt.timedelta(hours=12)
    with Connection(database) as connection:
        for name in ("young", "old", "oldest"):
            at = dt.datetime.fromisoformat(str(lines[name]["timestamp"]))
            event = Event(UUID(str(lines[name]["uuid"])), name, "u1", at + other)
            assert insert_sync(connection, [event]).kept == 1
        connection.execute(
            "UPDATE assise.analytics_seen SET arrived = now() - interval '31 days' WHERE uuid <> %s",
            [str(lines["young"]["uuid"])],
        )
        forget_old(connection, lambda: False, keep=None)
    assert query("SELECT count(*) FROM assise.analytics_seen") == [(1,)]
    path = write(tmp_path / "events.jsonl", lines.values())
    for words in (["--dry-run"], ["--yes"]):
        found = read(path, *words)
        assert (found["kept"], found["known"]) == (1, 3)
    assert read(path)["known"] == 4
    names = "SELECT event, count(*) FROM assise.analytics_events GROUP BY 1 ORDER BY 1"
    assert query(names) == [("old", 1), ("older", 1), ("oldest", 1), ("young", 1)]


def test_lines_as_sdks_send_them_are_not_moved_by_the_clock(
    read: Import, query: Query, tmp_path: Path
) -> None:
    at = "2026-03-01T12:00:00+00:00"
    batch = {
        "api_key": "phc",
        "sent_at": "2026-03-01T12:00:10Z",
        "batch": [
            {"event": "a", "distinct_id": "u1", "timestamp": at},
            {"event": "b", "distinct_id": "u1", "offset": 4_000},
        ],
    }
    text = {**export("c", "u2", at), "properties": '{"n": 1, "token": "phc"}', "uuid": None}
    numbered = {**text, "id": str(UUID(int=7)), "event": "d", "elements_chain": "button:x"}
    bare = '{"event":"e","distinct_id":"u3","timestamp":1772366400,"properties":{"n":NaN}}'
    path = write(tmp_path / "sent.jsonl", [batch, text, text, numbered, numbered, bare])
    assert read(path)["kept"] == 5
    assert query(ROWS) == [
        ("a", "u1", "2026-03-01 12:00:00+00", at),
        ("b", "u1", "2026-03-01 12:00:06+00", ""),
        ("c", "u2", "2026-03-01 12:00:00+00", at),
        ("d", "u2", "2026-03-01 12:00:00+00", at),
        ("e", "u3", "2026-03-01 12:00:00+00", "1772366400"),
    ]
    found = query("SELECT properties FROM assise.analytics_events ORDER BY number")
    assert [row[0] for row in found][2:] == [
        {"n": 1},
        {"n": 1, "$elements_chain": "button:x"},
        {"n": None},
    ]


def test_a_line_of_json_that_is_no_object_is_told_as_such(read: Import, tmp_path: Path) -> None:
    found = read(write(tmp_path / "odd.jsonl", ["null", '"x"', "5", "nul"]), code=3)
    assert found["malformed"] == len(found["bad"]) == 4
    assert {each["what"] for each in found["bad"]} == {
        "the line holds neither an event nor an array of events"
    }


def test_what_is_no_event_is_told_with_its_line_and_the_rest_is_kept(
    read: Import, query: Query, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_BODY", 4_000)
    good = [export("a", f"u{n}", "2026-03-01T12:00:00Z") for n in range(3)]
    lines = [
        good[0],
        "{",
        {"event": "no_time", "distinct_id": "u1"},
        export("a", "u1", "soon"),
        export("a", "u1", "0001-01-01T00:00:00+14:00"),
        [1, {"event": ""}, good[1]],
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        json.dumps(export("a", "u1", "2026-01-01T00:00:00Z", text="x" * 9_000)),
        {**good[0], "uuid": str(uuid4()), "properties": "[1]"},
        export("far", "u1", "2999-01-01T00:00:00Z"),
        {"type": "track", "event": "a", "userId": "u1", "timestamp": "2026-03-01T12:00:00Z"},
        good[2],
    ]
    found = read(write(tmp_path / "bad.jsonl", lines), code=3)
    assert [each["line"] for each in found["bad"]] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    assert "no JSON" in found["bad"][0]["what"]
    assert "more than 4,000 bytes" in found["bad"][6]["what"]
    assert (found["kept"], found["malformed"], found["lines"]) == (3, 11, 12)
    assert [row[1] for row in query(ROWS)] == ["u0", "u1", "u2"]


def test_an_import_that_ends_early_goes_on(
    read: Import,
    query: Query,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shop: Project,
    database: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(history, "BATCH", 10)
    lines = [export("a", f"u{n}", "2026-03-01T12:00:00Z") for n in range(95)]
    path = write(tmp_path / "events.jsonl.gz", lines)
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert (
        run(["analytics", "import", str(path), "-f", str(shop.path), "--to", database, "--yes"])
        == 1
    )
    assert "cannot be read to its end" in capsys.readouterr().err
    kept = query(ROWS)
    assert 0 < len(kept) < 95
    path.write_bytes(whole)
    found = read(path)
    assert (found["kept"], found["known"]) == (95 - len(kept), len(kept))


def test_events_older_than_they_are_kept_stay_out(
    read: Import, query: Query, tmp_path: Path, shop: Project
) -> None:
    text = shop.path.read_text().replace("events: {own", "events: {keep: 25 months, own")
    shop.path.write_text(text)
    days = ["2019-01-01T00:00:00Z", "2026-06-01T00:00:00Z"]
    found = read(write(tmp_path / "old.jsonl", [export("a", "u1", day) for day in days]))
    assert (found["events"], found["kept"], found["too_old"]) == (2, 1, 1)
    assert len(query(ROWS)) == 1


def test_a_file_that_is_none_and_an_answer_of_no(shop: Project, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(SourceError, match=r"is no file|does not exist"):
            shop.analytics.import_events(path, confirm=lambda _: True)
    path = write(tmp_path / "events.jsonl", EXPORTED)
    with pytest.raises(UsageError, match="nothing was imported"):
        shop.analytics.import_events(path)


@pytest.mark.soak
def test_a_million_lines_are_read_in_bounded_memory(shop: Project, database: str) -> None:
    path = shop.path.parent / "events.jsonl.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for n in range(1_000_000):
            at = f"2026-01-{n % 28 + 1:02}T12:00:00Z"
            file.write(json.dumps(export("deployed", f"u{n % 50_000}", at, n=n)) + "\n")
    words = ("analytics", "import", str(path), "-f", str(shop.path), "--to", database, "--yes")
    code, peak_mb, printed = run_command(shop.path.parent, *words)
    assert (code, peak_mb < LIMIT_MB) == (0, True), peak_mb
    assert "1,000,000 events kept" in printed.read_text()
