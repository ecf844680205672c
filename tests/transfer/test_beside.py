"""Indexes, keys and checks are made behind the rows, in sessions beside each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.dumps import confirm, write_dump

from assise.errors import ManifestError, TargetError
from assise.progress import Progress
from assise.project import Project
from assise.transfer.report import Report
from assise.workspace import keep_silent

Query = Callable[..., list[tuple[object, ...]]]

TABLE = """  {name}:
    collection: {name}
    primary_key: id
    columns:
      id: {{type: int4, from: _id}}
      code: {{type: text, unique: true}}
      count: {{type: int4, check: "count >= 0"}}
      other: {{type: int4, references: {other}}}
    indexes: [[code, count]]
"""
TEXT = (
    "assise: 1\nname: pair\ntables:\n"
    + TABLE.format(name="left", other="right")
    + TABLE.format(name="right", other="left")
)
OBJECTS = 12
"""Of each table: an identity, a unique key, a check, two indexes and a foreign key."""

DOCUMENTS = {
    name: [{"_id": n, "code": f"c{n}", "count": n, "other": n} for n in range(20)]
    for name in ("left", "right")
}
MEETING = """
    CREATE SEQUENCE meeting_unique; CREATE SEQUENCE meeting_index;
    CREATE SEQUENCE meeting_check; CREATE SEQUENCE meeting_key;
    CREATE TABLE meetings (kind text, pid int, rows bigint);
    CREATE FUNCTION meet() RETURNS event_trigger LANGUAGE plpgsql AS $$
    DECLARE
        query text := current_query();
        kind text := CASE
            WHEN query ~ 'SAVEPOINT trial' THEN NULL
            WHEN query ~ 'VALIDATE CONSTRAINT' THEN 'key'
            WHEN query ~ '"(left|right)_code_key" UNIQUE' THEN 'unique'
            WHEN query ~ '"(left|right)_count_check" CHECK' THEN 'check'
            WHEN query ~ 'CREATE INDEX "(left|right)_code_count_idx"' THEN 'index' END;
        others int;
    BEGIN
        IF kind IS NULL THEN RETURN; END IF;
        INSERT INTO public.meetings
            SELECT kind, pg_backend_pid(), (SELECT sum(loaded) FROM assise.chunk);
        PERFORM nextval('public.meeting_' || kind);
        FOR try IN 1..400 LOOP
            EXECUTE 'SELECT last_value FROM public.meeting_' || kind INTO others;
            IF others > 1 THEN RETURN; END IF;
            PERFORM pg_sleep(0.05);
        END LOOP;
        RAISE 'nobody else makes a % at the same time', kind;
    END $$;
    CREATE EVENT TRIGGER meeting ON ddl_command_start EXECUTE FUNCTION meet();
"""
"""Each statement that makes an object waits until a second one of its kind is made beside it."""

MADE = """SELECT conname::text FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    AND contype IN ('c', 'f', 'u') AND convalidated
    UNION ALL SELECT indexname FROM pg_indexes WHERE indexname ~ '_idx$' ORDER BY 1"""
ALL = sorted(
    f"{name}_{end}"
    for name in DOCUMENTS
    for end in ("code_key", "count_check", "code_count_idx", "other_fkey", "other_idx")
)


def migrate(database: str, folder: Path, told: Callable[[Progress], None], workers: int) -> Report:
    project = Project(folder, to=database, progress=told, settings={"workers": workers})
    project.path.write_text(TEXT)
    return project.load(write_dump(folder / "pair", DOCUMENTS), confirm=confirm)


def test_each_kind_is_made_in_two_sessions_at_once(
    tmp_path: Path, database: str, query: Query
) -> None:
    query(MEETING)
    told: list[Progress] = []
    assert migrate(database, tmp_path, told.append, 2).findings == []
    met = query("SELECT kind, count(DISTINCT pid), min(rows) FROM meetings GROUP BY 1 ORDER BY 1")
    assert met == [(kind, 2, 40) for kind in ("check", "index", "key", "unique")]
    assert [name for (name,) in query(MADE)] == ALL
    built = [(each.documents, each.size, each.noun) for each in told if each.step == "build"]
    assert built == [(n, OBJECTS, "object") for n in range(1, OBJECTS + 1)]


def test_one_session_makes_one_after_the_other(tmp_path: Path, database: str, query: Query) -> None:
    """The control: with one worker nobody is met, and the error names what was being made."""
    query(MEETING.replace("1..400", "1..2"))
    with pytest.raises(TargetError, match=r"nobody else makes a \w+ at the same time") as error:
        migrate(database, tmp_path, keep_silent, 1)
    assert error.value.message.startswith("tables.left.columns.code.unique: ")
    query("DROP EVENT TRIGGER meeting")
    report = migrate(database, tmp_path, keep_silent, 1)
    assert (report.was_done, report.findings) == (True, [])
    assert [name for (name,) in query(MADE)] == ALL


@pytest.mark.contract
@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_fails_on_a_row_is_named_and_leaves_the_others(
    tmp_path: Path, database: str, query: Query, workers: int
) -> None:
    """An index and a check that divide by 0 are findings; all else is made."""
    text = TEXT.replace('"count >= 0"', '"100 / count < 101"', 1).replace(
        "[[code, count]]", '[[code, count], {expression: "7 / count"}]', 1
    )
    project = Project(tmp_path, to=database, settings={"workers": workers})
    project.path.write_text(text)
    report = project.migrate(write_dump(tmp_path / "pair", DOCUMENTS), confirm=confirm)
    assert report.exit_code == 3
    assert [(each.name, each.kind) for each in report.findings] == [
        ("left.count", "check"),
        ("left.left_expr_idx", "index"),
    ]
    assert {each.made for each in report.findings} == {"it was not made: division by zero"}
    left = [name for name in ALL if name != "left_count_check"]
    assert [name for (name,) in query(MADE)] == left
    query('UPDATE "left" SET count = 1 WHERE count = 0')
    for finding in report.findings:
        query(finding.statement)
    assert {name for (name,) in query(MADE)} == {*ALL, "left_expr_idx"}
    query('ALTER TABLE "left" DROP CONSTRAINT left_count_check; DROP INDEX left_expr_idx')
    assert project.load().findings == []
    assert {name for (name,) in query(MADE)} == {*ALL, "left_expr_idx"}


def test_a_default_that_cannot_be_is_an_error_on_loaded_tables_too(
    tmp_path: Path, database: str, query: Query
) -> None:
    """No row is the cause of it."""
    assert migrate(database, tmp_path, keep_silent, 1).findings == []
    project = Project(tmp_path, to=database)
    project.path.write_text(
        TEXT.replace("type: int4, check", "type: int4, default: some, check", 1)
    )
    for _ in range(2):
        with pytest.raises(ManifestError, match="invalid input syntax for type integer") as error:
            project.load()
        assert error.value.key == "tables.left.columns.count.default"
    project.path.write_text(TEXT)
    assert project.load().findings == []
    assert [name for (name,) in query(MADE)] == ALL
