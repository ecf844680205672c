"""What statements leave in the log."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from tests.dumps import confirm

from assise.cli.run import run
from assise.errors import ManifestError, UsageError
from assise.manifest.read import parse_manifest
from assise.postgres.rights import REQUEST_ID, Rights
from assise.postgres.sync import open_session
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
LINES = 'SELECT "table", op, key, old, new, hidden FROM audit_log ORDER BY id'


def test_each_kind_of_statement_says_what_changed(app: Project, query: Query) -> None:
    del app
    query("INSERT INTO users (name, mail, score) VALUES ('Ann', 'a@b.fr', 1)")
    query("UPDATE users SET name = 'Anna', score = 1.0, tags = '{\"a\": null}'")
    query("UPDATE users SET name = 'Anna'")
    query("UPDATE users SET mail = 'A@b.fr'")
    query("DELETE FROM users")
    query("TRUNCATE orders")
    query("INSERT INTO notes (body) VALUES ('not audited')")
    key = {"id": 1}
    whole = {"id": 1, "name": "Anna", "score": 1.0, "tags": {"a": None}}
    assert query(LINES) == [
        ("users", "i", key, None, {"id": 1, "name": "Ann", "score": 1, "tags": None}, ["mail"]),
        (
            "users",
            "u",
            key,
            {"name": "Ann", "score": 1, "tags": None},
            {"name": "Anna", "score": 1.0, "tags": {"a": None}},
            None,
        ),
        ("users", "u", key, {}, {}, ["mail"]),
        ("users", "d", key, whole, None, ["mail"]),
        ("orders", "t", None, None, None, None),
    ]
    assert query("SELECT count(*) FROM audit_log WHERE audit_log::text LIKE '%@b.fr%'") == [(0,)]


def test_what_a_session_sets_does_not_reach_into_its_functions(app: Project, query: Query) -> None:
    """A search path could put other functions in their place; on 15, jit makes each later row slow."""
    functions = query(
        "SELECT DISTINCT p.oid, prosecdef, proconfig::text[] FROM pg_trigger"
        " JOIN pg_proc AS p ON p.oid = tgfoid WHERE tgname LIKE '%%audit%%'"
    )
    assert len(functions) >= 2
    assert app.audit.check().findings == []
    for _, is_definer, settings in functions:
        assert isinstance(settings, list)
        assert is_definer
        assert {"search_path=pg_catalog, pg_temp", "jit=off"} <= {*settings}


def test_a_changed_key_is_gone_and_come_in_one_statement(app: Project, query: Query) -> None:
    query("INSERT INTO users (id, name) VALUES (1, 'Ann'), (2, 'Bob')")
    query("UPDATE users SET id = id + 1 WHERE id = 2")
    lines = query("SELECT op, key, statement FROM audit_log WHERE id > 2 ORDER BY id")
    ops = [(op, key) for op, key, _ in lines]
    assert ops[-2:] == [("d", {"id": 2}), ("i", {"id": 3})]
    assert lines[-1][2] == lines[-2][2]
    assert [line.op for line in app.audit.log("users", ["2"]).lines] == ["d", "i"]


HOSTILE = """assise: 1
name: hostile
tables:
  "it's \\"q\\" $$ {hidden}":
    primary_key: ["a$$b", "o'n"]
    audit: true
    columns:
      "a$$b": int8
      "o'n": int8
      "{log}": text
      "{name}": {type: text, personal: email}
  visits:
    primary_key: [id, at]
    audit: true
    columns:
      id: int8
      at: {type: timestamptz, default: now()}
      note: text
    partition: {by: at}
"""


@pytest.fixture
def hostile(tmp_path: Path, database: str) -> Project:
    """A project with a table of hostile names, and one that is cut."""
    (tmp_path / "assise.yaml").write_text(HOSTILE)
    made = Project(tmp_path, to=database)
    made.migrate(confirm=confirm)
    return made


def test_hostile_names_are_logged_and_cannot_end_the_function(
    hostile: Project, query: Query
) -> None:
    name = 'it\'s "q" $$ {hidden}'
    place = '"it\'s ""q"" $$ {hidden}"'
    query(f"""INSERT INTO {place} VALUES (1, 2, 'x', 'secret')""")
    query(f"""UPDATE {place} SET "{{log}}" = 'y', "{{name}}" = 'other'""")
    changed, made = hostile.audit.log(name, ["1", "2"]).lines
    assert (changed.old, changed.new, changed.hidden) == (
        {"{log}": "x"},
        {"{log}": "y"},
        ["{name}"],
    )
    assert made.new == {"a$$b": 1, "o'n": 2, "{log}": "x"}


TYPES = {
    r'a \ " % b': ("text", "'x'", r"""E'"q" \\ \n\t {é}'"""),
    "plain": ("text", "'x'", "NULL"),
    "mail": ("citext", "'a@b.fr'", "'A@b.fr'"),
    "amount": ("numeric", "1", "1.00"),
    "nan": ("numeric", "1", "'NaN'"),
    "ratio": ("float8", "0.1", "'-Infinity'"),
    "is_on": ("bool", "true", "false"),
    "at": ("timestamptz", "'2020-01-01Z'", "'2020-01-01 12:00:00.000001+09'"),
    "day": ("date", "'2020-01-01'", "'infinity'"),
    "raw": ("bytea", "'x'", r"'\xff00'"),
    "names": ("text[]", "'{a}'", """ARRAY['a"b', NULL]"""),
    "doc": ("jsonb", "'null'", r"""'{"b": [1.10, "\u00e9"], "a": null}'"""),
}


def test_what_a_statement_changed_is_written_as_the_row_has_it(
    tmp_path: Path, database: str, query: Query
) -> None:
    """Of all types, the same text that `to_jsonb` of the whole row gives."""
    columns = "\n".join(f"      {json.dumps(name)}: {kind}" for name, (kind, _, _) in TYPES.items())
    manifest = "assise: 1\nname: kinds\ntables:\n  kinds:\n    primary_key: key\n    audit: true"
    text = f"{manifest}\n    columns:\n      key: numeric\n{columns}\n"
    (tmp_path / "assise.yaml").write_text(text)
    project = Project(tmp_path, to=database)
    project.migrate(confirm=confirm)
    values = ", ".join(first for _, first, _ in TYPES.values())
    query(f"INSERT INTO kinds VALUES (1.0, {values})")
    row = "SELECT (to_jsonb(k) - 'key')::text FROM kinds AS k"
    before = query(row)
    quoted = {name: '"' + name.replace('"', '""') + '"' for name in TYPES}
    changes = ", ".join(f"{quoted[name]} = {last}" for name, (_, _, last) in TYPES.items())
    query(f"UPDATE kinds SET {changes}")
    after = query(row)
    assert before != after
    assert query("SELECT old::text, new::text FROM audit_log WHERE op = 'u'") == [
        (before[0][0], after[0][0])
    ]
    assert [line.op for line in project.audit.log("kinds", ["1"]).lines] == ["u", "i"]
    query("UPDATE kinds SET is_on = true")
    assert query("SELECT old, new FROM audit_log ORDER BY id DESC LIMIT 1") == [
        ({"is_on": False}, {"is_on": True})
    ]


def test_a_row_of_a_cut_table_is_found_whatever_zone_its_writer_has(
    hostile: Project, database: str, query: Query
) -> None:
    with psycopg.connect(database, options="-c timezone=Asia/Tokyo") as writer:
        writer.execute("INSERT INTO visits (id, at) VALUES (1, '2026-11-30T12:00Z')")
    assert len(hostile.audit.log("visits", ["1", "2026-11-30T12:00Z"]).lines) == 1
    query("UPDATE visits SET at = '2020-01-01Z', note = 'moved to another partition'")
    found = query("SELECT op, key ->> 'at' FROM audit_log ORDER BY id")
    assert found[1:] == [("d", "2026-11-30T12:00:00+00:00"), ("i", "2020-01-01T00:00:00+00:00")]


def test_default_privileges_give_nobody_the_log(
    tmp_path: Path, database: str, query: Query
) -> None:
    role = f"app{zlib.crc32(str(tmp_path).encode())}"
    query(f"CREATE ROLE {role}; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}")
    try:
        (tmp_path / "assise.yaml").write_text(HOSTILE)
        Project(tmp_path, to=database).migrate(confirm=confirm)
        readable = "has_table_privilege(%s, oid, 'SELECT, INSERT, DELETE')"
        named = "relname ~ '^(audit|visits)_' AND relnamespace = 'public'::regnamespace"
        found = f"SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND {named}"
        assert query(f"{found} AND {readable}", (role,)) == []
    finally:
        query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_key_that_is_personal_is_refused() -> None:
    text = HOSTILE.replace("id: int8", "id: {type: int8, personal: number}")
    with pytest.raises(ManifestError, match="would keep id in each line"):
        parse_manifest(text, "assise.yaml")


def test_a_session_says_who_and_why(app: Project, database: str, query: Query) -> None:
    del app
    rights = Rights(user_id="u7", reason="support asked", request_id="r-1")
    answered = REQUEST_ID.set("of the request that is being answered")
    with open_session(database, "the test", rights, is_bound=False) as session:
        session.execute("INSERT INTO users (name) VALUES ('Ann')")
    REQUEST_ID.reset(answered)
    query("UPDATE users SET name = 'Bea'")
    found = query("SELECT actor, reason, request, login = session_user FROM audit_log ORDER BY id")
    assert found == [("u7", "support asked", "r-1", True), (None, None, None, True)]


def test_cascades_are_logged_with_their_cause(app: Project, query: Query) -> None:
    del app
    query("INSERT INTO users (name) VALUES ('Ann')")
    query("INSERT INTO orders (user_id) VALUES (1), (1)")
    query("DELETE FROM users")
    found = query("SELECT \"table\", count(*) FROM audit_log WHERE op = 'd' GROUP BY 1 ORDER BY 1")
    assert found == [("orders", 2), ("users", 1)]
    assert query("SELECT count(DISTINCT xid) FROM audit_log WHERE op = 'd'") == [(1,)]


def test_the_log_walks_back_from_the_row_as_it_is(app: Project, query: Query) -> None:
    moments = []
    for statement in (
        "INSERT INTO users (name, mail) VALUES ('Ann', 'a@b.fr')",
        "UPDATE users SET name = 'Bea', tags = '[1]'",
        "UPDATE users SET tags = '[2]'",
        "DELETE FROM users",
        "INSERT INTO users (id, name) VALUES (1, 'Cleo')",
    ):
        query(statement)
        moments.append(query("SELECT clock_timestamp()")[0][0])
    then = [app.audit.log("users", ["1"], at=at).row for at in moments]  # type: ignore[arg-type]
    names = [None if row is None else (row["name"], row["tags"]) for row in then]
    assert names == [("Ann", None), ("Bea", [1]), ("Bea", [2]), None, ("Cleo", None)]
    assert app.audit.log("users", ["1"], at=datetime(2000, 1, 1, tzinfo=UTC)).row is None
    assert "mail" not in (then[0] or {})
    with pytest.raises(UsageError, match="'notes' is not audited"):
        app.audit.log("notes", ["1"])
    with pytest.raises(UsageError, match="the key of users has 1 column: id"):
        app.audit.log("users", ["1", "2"])
    with pytest.raises(UsageError, match="'one' is no key of users"):
        app.audit.log("users", ["one"])


def test_a_moment_before_the_log_began_is_told(
    app: Project, query: Query, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = "2000-01-01T00:00Z"
    words = ["audit", "log", "users", "1", "-f", str(app.path.parent), "--to", database, "--at"]
    assert run([*words, at]) == 0
    assert "the log has no line yet: what was changed before is not" in capsys.readouterr().err
    query("INSERT INTO users (name) VALUES ('Ann')")
    ((begun,),) = query("SELECT at FROM audit_log")
    assert isinstance(begun, datetime)
    assert app.audit.log("users", ["7"]).since == begun
    assert run([*words, at]) == 0
    said = capsys.readouterr()
    assert said.out.endswith("there was no such row\n")
    assert f"the log begins at {begun.astimezone(UTC).isoformat()}: what was" in said.err
    assert run([*words, begun.isoformat()]) == 0
    assert "the log begins" not in capsys.readouterr().err
    assert run([*words, at, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["since"] == begun.astimezone(UTC).isoformat()


def test_a_row_that_truncate_took_is_told_from_the_lines_before(app: Project, query: Query) -> None:
    query("INSERT INTO users (name) VALUES ('Ann')")
    query("UPDATE users SET tags = '[1]'")
    (at,) = query("SELECT clock_timestamp()")[0]
    query("TRUNCATE users CASCADE")
    query("INSERT INTO users (id, name) VALUES (1, 'Cleo')")
    history = app.audit.log("users", ["1"], at=at)  # type: ignore[arg-type]
    assert [line.op for line in history.lines] == ["i", "t"]
    assert history.row is not None
    assert (history.row["name"], history.row["tags"]) == ("Ann", [1])


def test_many_writers_of_the_same_rows_meet_no_deadlock(app: Project, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO users (name) VALUES ('Ann')")
    failed: list[Exception] = []

    def write() -> None:
        try:
            with psycopg.connect(database) as connection:
                for _ in range(3):
                    connection.execute("UPDATE users SET score = coalesce(score, 0) + 1")
                    connection.execute("INSERT INTO orders (user_id) VALUES (1)")
                    connection.commit()
        except psycopg.Error as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    history = app.audit.log("users", ["1"])
    assert (len(history.lines), history.row and history.row["score"]) == (151, 150)
    assert app.audit.check().findings == []


def test_audit_goes_and_comes_in_place_and_undo_keeps_the_log(app: Project, query: Query) -> None:
    query("INSERT INTO users (name) VALUES ('Ann')")
    text = app.path.read_text()
    app.path.write_text(text.replace("    audit: true\n", "").replace(", personal: email", ""))
    app.migrate(confirm=confirm)
    query("INSERT INTO users (name) VALUES ('Bob')")
    app.path.write_text(text)
    app.migrate(confirm=confirm)
    ids = query("SELECT oid FROM pg_trigger WHERE tgname LIKE '\\_audit%' ORDER BY 1")
    app.migrate(confirm=confirm)
    assert query("SELECT oid FROM pg_trigger WHERE tgname LIKE '\\_audit%' ORDER BY 1") == ids
    query("INSERT INTO users (name) VALUES ('Cleo')")
    assert query("SELECT new ->> 'name' FROM audit_log ORDER BY id") == [("Ann",), ("Cleo",)]
    app.undo(confirm=confirm, replace=["users"])
    assert query("SELECT count(*) FROM audit_log") == [(2,)]
    assert query("SELECT count(*) FROM pg_proc WHERE proname LIKE '\\_audit%'") == [(0,)]


def test_what_the_log_needs_is_ours_and_a_trigger_that_is_off_is_a_finding(
    app: Project, query: Query
) -> None:
    assert app.revisions().diff().others == []
    query("ALTER TABLE users DISABLE TRIGGER _audit_update")
    report = app.audit.check()
    assert [str(each) for each in report.findings] == [
        "the log: the trigger _audit_update of users is missing or off"
    ]
    assert report.exit_code == 3


def test_revisions_alone_make_an_audited_database(hostile: Project, query: Query) -> None:
    assert hostile.revisions().diff().others == []
    hostile.revisions().revise("start")
    query("DROP SCHEMA public CASCADE; DROP SCHEMA assise CASCADE; CREATE SCHEMA public")
    text = hostile.path.read_text()
    plain = text.replace("    audit: true\n", "").replace(", personal: email", "")
    hostile.path.write_text(plain)
    hostile.revisions().apply()
    assert query("SELECT to_regclass('audit_log')") == [(None,)]
    hostile.path.write_text(text)
    assert not hostile.revisions().apply().steps
    assert query("SELECT to_regclass('audit_log') IS NOT NULL") == [(True,)]
    assert hostile.audit.check().findings == []
    assert hostile.revisions().status().exit_code == 0
    assert hostile.migrate(confirm=confirm).was_done


def test_the_tables_go_on_without_assise(app: Project, query: Query) -> None:
    del app
    query("DROP SCHEMA assise CASCADE")
    query("INSERT INTO users (name) VALUES ('Ann')")
    assert query("SELECT count(*) FROM audit_log") == [(1,)]


def test_the_loader_is_not_logged_and_no_application_reads_the_log(
    app: Project, database: str, query: Query, tmp_path: Path
) -> None:
    prefix = f"audit{zlib.crc32(str(tmp_path).encode())}"
    text = app.path.read_text().replace("name: app\n", f"name: app\nroles: {{prefix: {prefix}}}\n")
    app.path.write_text(text)
    try:
        app.migrate(confirm=confirm)
        assert app.revisions().diff().others == []
        with psycopg.connect(database) as session:
            session.execute(f"SET SESSION AUTHORIZATION {prefix}_loader".encode())
            session.execute("INSERT INTO users (name) VALUES ('loaded')")
        with psycopg.connect(database) as session:
            session.execute(f"SET SESSION AUTHORIZATION {prefix}_worker".encode())
            session.execute("INSERT INTO users (name) VALUES ('written')")
            session.commit()
            for statement in (
                "SELECT FROM audit_log",
                "DELETE FROM audit_log",
                "SELECT FROM audit_seal",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    session.execute(statement.encode())
                session.rollback()
        found = query("SELECT new ->> 'name', login FROM audit_log")
        assert found == [("written", f"{prefix}_worker")]
    finally:
        for (name,) in query("SELECT rolname FROM pg_roles WHERE rolname ^@ %s", (f"{prefix}_",)):
            query(
                f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}"
            )
