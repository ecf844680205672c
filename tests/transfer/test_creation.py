"""The creation of a load: refused it leaves nothing, at once with others it succeeds, and it takes
no more locks than the server has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bson import ObjectId
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.dumps import confirm, write_dump

from assise.errors import DependentError, TargetError
from assise.postgres import server
from assise.postgres.connection import Connection, execute_all
from assise.postgres.queries import QUERIES
from assise.project import Project
from assise.transfer import ledger

Query = Callable[..., list[tuple[object, ...]]]
CATALOG = """
    SELECT nspname || '.' || relname FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid >= 16384 AND nspname <> 'pg_toast'
    UNION ALL SELECT nspname || '.' || proname || '()' FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = pronamespace WHERE p.oid >= 16384
    UNION ALL SELECT nspname FROM pg_namespace WHERE oid >= 16384
    ORDER BY 1"""
REFUSE = """
    CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
                   WHERE object_identity = 'public.{table}') THEN
            RAISE 'not this one';
        END IF;
    END $$;
    CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE TABLE')
    EXECUTE FUNCTION refuse()"""
NAMES = [f"c{n}" for n in range(7)]
DOCUMENTS: dict[str, list[dict[str, object]]] = {
    name: [{"_id": ObjectId(), "n": n} for n in range(3)] for name in NAMES
}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "app", DOCUMENTS)


@pytest.fixture
def two_at_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server with so few locks that one transaction may create or drop two tables."""
    with Connection(database) as connection:
        locks = int(str(connection.scalar(QUERIES["locks"])))
        monkeypatch.setattr(server, "LOCKS_OF_TABLE", locks // 4)
        assert server.count_tables_at_once(connection) == 2


@pytest.fixture
def roles(database: str, query: Query) -> Iterator[list[str]]:
    """Connection strings of two roles that may create in the database and in schema public."""
    dbname = conninfo_to_dict(database)["dbname"]
    names = [f"{name}_{dbname}" for name in ("one", "two")]
    for name in names:
        query(f"CREATE ROLE {name} LOGIN")
        query(f"GRANT CREATE ON DATABASE {dbname} TO {name}")
        query(f"GRANT CREATE ON SCHEMA public TO {name}")
    yield [make_conninfo(database, user=name) for name in names]
    for name in names:
        query(f"DROP OWNED BY {name} CASCADE")
        query(f"DROP ROLE {name}")


def make_project(folder: Path, name: str, conninfo: str) -> tuple[Project, Path]:
    (folder / name).mkdir()
    documents = {f"of_{name}": [{"_id": ObjectId(), "n": n} for n in range(3)]}
    return Project(folder / name, to=conninfo), write_dump(folder / name / name, documents)


@pytest.mark.contract
@pytest.mark.parametrize(
    "existing",
    [
        "CREATE TABLE public.c6 (n int)",
        "CREATE FUNCTION public._new_objectid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
        REFUSE.format(table="c6"),
    ],
)
def test_a_refused_migration_leaves_nothing(
    project: Project, dump: Path, query: Query, existing: str
) -> None:
    query(existing)
    before = query(CATALOG)
    with pytest.raises(TargetError):
        project.migrate(dump, confirm=confirm)
    assert query(CATALOG) == before


@pytest.mark.contract
def test_first_migrations_into_one_database_at_the_same_time_all_succeed(
    tmp_path: Path, database: str, query: Query
) -> None:
    made = [make_project(tmp_path, f"m{n}", database) for n in range(24)]
    with ThreadPoolExecutor(24) as executor:
        running = [
            executor.submit(project.migrate, dump, confirm=confirm) for project, dump in made
        ]
        assert [future.result().loaded for future in running] == [3] * 24
    assert query("SELECT count(*) FROM assise.load WHERE finished_at IS NOT NULL") == [(24,)]
    with ThreadPoolExecutor(24) as executor:
        undone = [executor.submit(project.undo, confirm=confirm) for project, _ in made]
        assert [future.result().drops_ledger for future in undone].count(True) == 1
    assert query(CATALOG) == []


@pytest.mark.contract
def test_a_second_role_is_told_who_owns_what_and_then_uses_it(
    tmp_path: Path, query: Query, roles: list[str]
) -> None:
    one, two = (str(conninfo_to_dict(role)["user"]) for role in roles)
    (first, first_dump), (second, second_dump) = (
        make_project(tmp_path, name, role) for name, role in zip(("a", "b"), roles, strict=True)
    )
    first.migrate(first_dump, confirm=confirm)
    before = query(CATALOG)
    with pytest.raises(TargetError) as error:
        second.migrate(second_dump, confirm=confirm)
    assert f"schema assise belongs to role '{one}', and role '{two}' lacks" in error.value.message
    assert query(CATALOG) == before
    _, _, grants = error.value.remedy.partition("grant it: ")
    for grant in grants.split("; "):
        query(grant)
    with pytest.raises(TargetError) as error:
        second.migrate(second_dump, confirm=confirm)
    for grant in error.value.remedy.partition("grant it: ")[2].split("; "):
        query(grant)
    assert second.migrate(second_dump, confirm=confirm).exit_code == 0
    owners = query("SELECT proname::text, proowner::regrole::text FROM pg_proc WHERE oid >= 16384")
    assert {owner for _, owner in owners} == {one}
    assert first.undo(confirm=confirm).functions == []
    done = second.undo(confirm=confirm)
    assert (done.functions, done.drops_ledger) == ([], False)
    assert query("SELECT to_regclass('of_a'), to_regclass('of_b')") == [(None, None)]
    assert query("SELECT count(*) FROM assise.load") == [(0,)]


@pytest.mark.usefixtures("two_at_once")
def test_tables_are_created_and_dropped_a_few_at_a_time(
    project: Project, dump: Path, query: Query
) -> None:
    before = query(CATALOG)
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    transactions = query(
        "SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relname ~ '^c[0-6]$'"
    )
    assert transactions == [(4,)]
    done = project.undo(confirm=confirm)
    assert [table.name for table in done.tables] == NAMES
    assert done.drops_ledger
    assert query(CATALOG) == before


@pytest.mark.usefixtures("two_at_once")
def test_a_load_that_is_stopped_while_it_begins_goes_on(
    project: Project, dump: Path, query: Query
) -> None:
    query(REFUSE.format(table="c5"))
    with pytest.raises(TargetError, match="not this one"):
        project.migrate(dump, confirm=confirm)
    assert query("SELECT created, to_regclass('c3')::text, to_regclass('c4') FROM assise.load") == [
        (4, "c3", None)
    ]
    query("DROP EVENT TRIGGER refuse")
    query("CREATE TABLE c6 (mine int)")
    with pytest.raises(TargetError, match="already has c6: existing tables are never overwritten"):
        project.load(dump, confirm=confirm)
    plan = project.undo(dry_run=True)
    assert [table.name for table in plan.tables] == NAMES[:4]
    query("ALTER TABLE c6 RENAME TO mine")
    assert project.load(dump, confirm=confirm).loaded == 21
    assert project.verify().exit_code == 0
    assert query("SELECT created FROM assise.load") == [(None,)]


@pytest.mark.usefixtures("two_at_once")
def test_an_undo_that_is_stopped_goes_on(project: Project, dump: Path, query: Query) -> None:
    project.migrate(dump, confirm=confirm)
    query("CREATE VIEW mine AS SELECT * FROM c2")
    with pytest.raises(DependentError, match="view mine depends on table c2"):
        project.undo(confirm=confirm)
    assert query("SELECT to_regclass('c2')::text, to_regclass('c6')") == [("c2", None)]
    with project.connect(project.manifest) as connection:
        assert ledger.find_load(connection, "app") is not None
    query("DROP VIEW mine")
    assert project.undo(confirm=confirm).is_done
    assert query("SELECT to_regclass('c2'), to_regnamespace('assise')") == [(None, None)]


@pytest.mark.contract
def test_a_role_with_two_sessions_is_told_to_take_fewer_workers(
    tmp_path: Path, dump: Path, query: Query, roles: list[str]
) -> None:
    query(f"ALTER ROLE {conninfo_to_dict(roles[0])['user']} CONNECTION LIMIT 2")
    many = Project(tmp_path, to=roles[0], settings={"workers": 3})
    with pytest.raises(TargetError, match="a worker cannot connect") as error:
        many.migrate(dump, confirm=confirm)
    assert "too many connections" in error.value.message
    assert "`--workers 1`" in error.value.remedy
    one = Project(tmp_path, to=roles[0], settings={"workers": 1})
    assert one.migrate(dump, confirm=confirm).exit_code == 0


@pytest.mark.contract
@pytest.mark.parametrize("sessions", [1, 2, 3])
def test_statements_run_in_the_sessions_that_connect(
    query: Query, roles: list[str], sessions: int
) -> None:
    query(f"ALTER ROLE {conninfo_to_dict(roles[0])['user']} CONNECTION LIMIT {sessions}")
    with Connection(roles[0]) as connection:
        connection.execute("CREATE TABLE mine (n int)")
        execute_all(connection, [f"INSERT INTO mine VALUES ({n})" for n in range(9)], workers=4)
    assert query("SELECT count(DISTINCT n) FROM mine") == [(9,)]
