"""Rules that change in place, and names of all kinds: what is copied stays right, and no edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.access.shop import Session, sign_in
from tests.dumps import confirm, write_dump

from assise.errors import EditedError, TargetError
from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[Any, ...]]]
HEAD = "assise: 1\nname: app\nroles: {prefix: apptest}\ntables:\n"
TABLE = "  {name}:\n    collection: {name}\n    primary_key: id\n    access: {access}\n{more}"
ID = "id: {type: int4, from: _id}"


def write_tables(project: Project, **tables: tuple[str, str, str]) -> None:
    """Write the manifest: for each table its rule, its columns beside the key, and further keys."""
    text = HEAD
    for name, (access, columns, keys) in tables.items():
        more = f"    columns: {{{ID}, {columns}}}\n" + (f"    {keys}\n" if keys else "")
        text += TABLE.format(name=name, access=access, more=more)
    project.path.write_text(text)


def migrate(project: Project, folder: Path, **documents: list[dict[str, Any]]) -> None:
    dump = write_dump(folder / "dump" / "app", documents)
    assert project.migrate(dump, confirm=confirm).exit_code == 0


def ids(session: Session, table: str) -> set[int]:
    return {row[0] for row in session.execute(f"SELECT id FROM {table}".encode()).fetchall()}


def owned(count: int, users: int = 3) -> list[dict[str, Any]]:
    return [{"_id": n, "user_id": n % users} for n in range(count)]


def test_names_that_read_alike_when_joined_are_told_apart(
    project: Project, database: str, tmp_path: Path
) -> None:
    write_tables(
        project,
        team=("{owner: user_id}", "user_id: int4", ""),
        users_team=("{owner: user_id}", "user_id: int4", ""),
        notes_users=("{through: team}", "team_id: {type: int4, references: team}", ""),
        notes=("{through: users_team}", "team_id: {type: int4, references: users_team}", ""),
        team_user=("{owner: id_}", "id_: int4", ""),
        team_=("{owner: user_id_}", "user_id_: int4", ""),
        ids=("{owner: user_id_}", "user_id_: int4", ""),
        ids_user=("{owner: id_}", "id_: int4", ""),
    )
    rows = [{"_id": n, "team_id": n, "id_": n % 3, "user_id_": n % 3} for n in range(6)]
    others = dict.fromkeys(("notes_users", "notes", "team_user", "team_", "ids", "ids_user"), rows)
    migrate(project, tmp_path, team=owned(6), users_team=owned(6), **others)
    with sign_in(database, 1) as session:
        assert [ids(session, name) for name in others] == [{1, 4}] * len(others)


PARENTS = (
    ("[{through: p1}, {through: p2}]", {1, 2, 4, 5}),
    ("[{through: p2}, {through: p1}]", {1, 2, 4, 5}),
    ("{through: p2}", {2, 5}),
    ("{through: p1}", {1, 4}),
    ("{through: p2}", {2, 5}),
)


def test_a_copy_that_comes_from_elsewhere_is_filled_anew_and_is_no_edit(
    project: Project, query: Query, database: str, tmp_path: Path
) -> None:
    columns = "a: {type: int4, references: p1}, b: {type: int4, references: p2}"

    def write(access: str) -> None:
        rule = ("{owner: user_id}", "user_id: int4", "")
        write_tables(project, p1=rule, p2=rule, notes=(access, columns, ""))

    write(PARENTS[0][0])
    notes = [{"_id": n, "a": n, "b": (n + 2) % 6} for n in range(6)]
    migrate(project, tmp_path, p1=owned(6), p2=owned(6), notes=notes)
    for access, expected in PARENTS:
        write(access)
        project.load()
        with sign_in(database, 1) as session:
            assert ids(session, "notes") == expected
        assert [table.edits for table in project.undo(dry_run=True).tables] == [[], [], []]
    query("UPDATE notes SET _extra = NULL WHERE id = 4")
    write(PARENTS[0][0])
    project.load()
    with pytest.raises(EditedError, match=r": notes: 1 row changed\n"):
        project.undo(confirm=confirm)
    assert project.verify().exit_code == 0


NOTES = "project_id: {type: int4, references: projects}, user_id: int4"


@pytest.mark.parametrize("access", ["{through: projects}", "{owner: user_id}"])
def test_what_was_copied_from_a_deleted_parent_is_no_deletion_of_the_row(
    project: Project, database: str, tmp_path: Path, access: str
) -> None:
    """The column `deleted_at` of notes first says when their project was deleted, then when they were."""

    def write(access: str, keys: str) -> None:
        projects = ("{owner: user_id}", "user_id: int4", "soft_delete: true")
        write_tables(project, projects=projects, notes=(access, NOTES, keys))

    write("{through: projects}", "")
    notes = [{"_id": n, "project_id": n, "user_id": n % 3} for n in range(6)]
    migrate(project, tmp_path, projects=owned(6), notes=notes)
    with sign_in(database, 1) as session:
        session.execute("SELECT projects_delete(4)")
        assert ids(session, "notes") == {1}
        session.commit()
    write(access, "soft_delete: true")
    project.load()
    with sign_in(database, 1) as session:
        assert ids(session, "notes") == ({1} if "through" in access else {1, 4})
        session.execute("SELECT projects_restore(4)")
        assert ids(session, "notes") == {1, 4}
        session.execute("SELECT notes_delete(4)")
        session.commit()
    project.load()
    with sign_in(database, 1) as session:
        assert ids(session, "notes") == {1}


def test_names_may_hold_a_percent_sign(
    project: Project, query: Query, database: str, tmp_path: Path
) -> None:
    name, owner, deleted = '"100%s"', '"own%er"', '"gone%d"'
    more = (
        f"    soft_delete: {{column: {deleted}, keep: 1 day}}\n"
        f"    columns:\n      {ID}\n      {owner}: int4\n      slug: {{type: text, unique: true}}\n"
    )
    table = TABLE.format(name="a", access=f"{{owner: {owner}}}", more=more)
    project.path.write_text(HEAD + table.replace("  a:", f"  {name}:", 1))
    migrate(project, tmp_path, a=[{"_id": n, "own%er": 1, "slug": f"s{n}"} for n in range(3)])
    with sign_in(database, 1) as session:
        assert session.execute('SELECT "100%%s_delete"(1)', []).fetchone() == ({"100%s": 1},)
        session.execute(f"INSERT INTO {name} VALUES (9, 1, 's1')".encode())
        session.commit()
        session.execute("SELECT set_config('app.user_id', '1', true)")
        with pytest.raises(psycopg.errors.UniqueViolation, match="taken its 100%s_slug_key"):
            session.execute(b'SELECT "100%s_restore"(1)')
    query(f"UPDATE {name} SET {deleted} = now() - interval '2 days' WHERE id = 1")
    work = project.work(is_once=True)
    assert (work.done, work.failed) == ([("purge 100%s", "1 row deleted for good")], [])


def test_the_loader_changes_rules_and_runs_the_worker(
    project: Project, query: Query, database: str, tmp_path: Path
) -> None:
    columns, keys = "user_id: int4", "soft_delete: {keep: 1 day}"
    write_tables(project, projects=("{owner: user_id}", columns, keys))
    text = project.path.read_text().replace("prefix: apptest", "prefix: loadertest")
    project.path.write_text(text)
    migrate(project, tmp_path, projects=owned(6))
    query("GRANT USAGE, CREATE ON SCHEMA assise TO loadertest_loader")
    query("GRANT ALL ON ALL TABLES IN SCHEMA assise TO loadertest_loader")
    loader = Project(project.path, to=make_conninfo(database, user="loadertest_loader"))
    assert loader.verify().exit_code == 0
    work = loader.work(is_once=True)
    assert (work.done, work.failed) == ([("purge projects", "")], [])
    project.path.write_text(text.replace("{owner: user_id}", "{owner: user_id, public: read}"))
    assert loader.load().was_done
    with psycopg.connect(make_conninfo(database, user="loadertest_app")) as session:
        assert ids(session, "projects") == set(range(6))


def test_an_owner_that_is_too_long_for_an_index_is_told(
    project: Project, query: Query, tmp_path: Path
) -> None:
    write_tables(project, projects=("{owner: user}", "user: text", ""))
    # Letters of which no compression makes a short value.
    user = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(3_000))
    with pytest.raises(TargetError, match="too long for an index: the rules were not") as caught:
        migrate(project, tmp_path, projects=[{"_id": 1, "user": user}])
    assert "the same command makes the rules" in caught.value.remedy
    query("UPDATE projects SET \"user\" = 'u'")
    assert project.load().was_done
    assert query("SELECT count(*) FROM pg_policy") != [(0,)]
