"""Preflight: a target that is not fit is refused before anything is written.

No password is ever shown or kept.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.dumps import confirm, write_dump

from assise.errors import AssiseError, TargetError, UsageError
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.postgres.queries import QUERIES
from assise.project import Project
from assise.transfer import ledger

Query = Callable[..., list[tuple[object, ...]]]
SECRET = "s3cr3t-p4ssw0rd"
DOCS: dict[str, list[dict[str, object]]] = {
    "docs": [{"_id": n, "items": [{"n": n}]} for n in range(5)]
}
WRITTEN = """SELECT relnamespace::regnamespace::text || '.' || relname FROM pg_class
    WHERE oid >= 16384 AND relkind = 'r' ORDER BY 1"""


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "app", DOCS)


@pytest.fixture
def role(database: str, query: Query) -> Iterator[str]:
    """A role without privileges, which must give a password; its name is of no other test."""
    name = f"poor_{conninfo_to_dict(database)['dbname']}"
    ((file,),) = query("SHOW hba_file")
    rules = Path(str(file))
    before = rules.read_text()
    query(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
    rules.write_text(f"local all {name} scram-sha-256\n{before}")
    query("SELECT pg_reload_conf()")
    yield name
    rules.write_text(before)
    query(f"DROP OWNED BY {name} CASCADE")
    query(f"DROP ROLE {name}")


def refuse(project: Project, dump: Path, words: str) -> TargetError:
    """Migrate is refused with these words and a remedy, and writes no table."""
    with pytest.raises(TargetError) as error:
        project.migrate(dump, confirm=confirm)
    assert words in error.value.message
    assert error.value.exit_code == 1
    assert error.value.remedy
    assert SECRET not in str(error.value)
    return error.value


def write_target(project: Project, postgres: str) -> None:
    """Put another target into the manifest."""
    text, count = re.subn(
        r"(?m)^postgres: .*$", lambda _: f'postgres: "{postgres}"', project.path.read_text()
    )
    assert count == 1
    project.path.write_text(text)


def as_role(database: str, role: str, password: str = SECRET) -> str:
    return make_conninfo(database, user=role, password=password)


@pytest.mark.contract
def test_a_database_that_is_not_utf8_is_refused(
    tmp_path: Path, dump: Path, server: str, database: str, query: Query
) -> None:
    name = f"{conninfo_to_dict(database)['dbname']}_ascii"
    query(
        f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE"
        " template0"
    )
    try:
        refuse(
            Project(tmp_path, to=make_conninfo(server, dbname=name)),
            dump,
            "has the encoding SQL_ASCII",
        )
        with psycopg.connect(server, dbname=name) as connection:
            assert connection.execute(WRITTEN).fetchall() == []
    finally:
        query(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("version", [90_624, 149_999])
def test_a_server_that_is_too_old_is_refused(
    project: Project, dump: Path, query: Query, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(Connection, "server_version", version)
    refuse(project, dump, f"is PostgreSQL {version // 10_000}")
    assert query(WRITTEN) == []


@pytest.mark.contract
def test_a_read_only_database_is_refused(
    project: Project, dump: Path, database: str, query: Query
) -> None:
    query(
        f"ALTER DATABASE {conninfo_to_dict(database)['dbname']} SET default_transaction_read_only"
        " = on"
    )
    refuse(project, dump, "is read-only")
    assert query(WRITTEN) == []


@pytest.mark.contract
@pytest.mark.parametrize("path", ["", "nowhere", "assise"])
def test_a_search_path_without_a_schema_is_refused(
    project: Project, dump: Path, database: str, query: Query, path: str
) -> None:
    query("CREATE SCHEMA assise")
    query(f"ALTER DATABASE {conninfo_to_dict(database)['dbname']} SET search_path = '{path}'")
    refuse(project, dump, "has no schema on its search_path")
    assert query(WRITTEN) == []


@pytest.mark.contract
def test_tables_are_created_in_the_first_schema_of_the_search_path(
    project: Project, dump: Path, database: str, query: Query
) -> None:
    query('CREATE SCHEMA "My ""App"""')
    name = conninfo_to_dict(database)["dbname"]
    query(f"""ALTER DATABASE {name} SET search_path = 'My "App"', public""")
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    assert query('SELECT count(*) FROM "My ""App""".docs') == [(5,)]
    assert query("SELECT to_regclass('public.docs'), schema FROM assise.load") == [
        (None, 'My "App"')
    ]


@pytest.mark.contract
def test_a_user_without_create_on_the_schema_is_refused(
    tmp_path: Path, dump: Path, database: str, query: Query, role: str
) -> None:
    query(f"GRANT CREATE ON DATABASE {conninfo_to_dict(database)['dbname']} TO {role}")
    error = refuse(
        Project(tmp_path, to=as_role(database, role)),
        dump,
        "the user may not CREATE on schema public",
    )
    assert "GRANT CREATE ON schema public" in error.remedy
    assert query(WRITTEN) == []


@pytest.mark.contract
def test_a_user_without_create_on_the_database_is_refused(
    tmp_path: Path, dump: Path, database: str, query: Query, role: str
) -> None:
    query(f"GRANT CREATE ON SCHEMA public TO {role}")
    error = refuse(
        Project(tmp_path, to=as_role(database, role)),
        dump,
        "the user may not CREATE on the database",
    )
    assert "GRANT CREATE ON the database" in error.remedy
    assert query(WRITTEN) == []


@pytest.mark.contract
def test_a_user_who_may_create_needs_to_be_no_superuser(
    tmp_path: Path, dump: Path, database: str, query: Query, role: str
) -> None:
    query(f"GRANT CREATE ON DATABASE {conninfo_to_dict(database)['dbname']} TO {role}")
    query(f"GRANT CREATE ON SCHEMA public TO {role}")
    project = Project(tmp_path, to=as_role(database, role))
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    assert project.verify().exit_code == 0


@pytest.mark.contract
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "/nowhere"}, "/nowhere"),
        ({"host": "127.0.0.1", "port": "1"}, "127.0.0.1"),
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"dbname": "no_such_database"}, "no_such_database"),
        ({"user": "no_such_user"}, "no_such_user"),
    ],
)
def test_a_wrong_address_is_named_without_the_password(
    tmp_path: Path, dump: Path, database: str, change: dict[str, str], words: str
) -> None:
    conninfo = make_conninfo(database, **{"password": SECRET, "connect_timeout": "5", **change})
    refuse(Project(tmp_path, to=conninfo), dump, words)


@pytest.mark.contract
def test_a_wrong_password_is_refused_and_not_shown(
    tmp_path: Path, dump: Path, database: str, role: str
) -> None:
    error = refuse(
        Project(tmp_path, to=as_role(database, role, "wr0ng-one")),
        dump,
        "password authentication failed",
    )
    assert "wr0ng-one" not in str(error)


@pytest.mark.contract
@pytest.mark.parametrize(
    "existing",
    ["CREATE TABLE doc_items (x int)", "CREATE VIEW docs AS SELECT 1", "CREATE SEQUENCE docs"],
)
def test_existing_relations_are_named_and_left_alone(
    project: Project, dump: Path, query: Query, existing: str
) -> None:
    query(existing)
    name = existing.split()[2]
    refuse(project, dump, f"already has {name}: existing tables are never overwritten")
    assert query(WRITTEN) == ([(f"public.{name}",)] if "TABLE" in existing else [])
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


NEWEST = max(ledger.LEDGER.files)


@pytest.mark.parametrize("version", ["99", str(NEWEST + 1)])
def test_a_ledger_of_a_newer_program_is_refused(
    project: Project, dump: Path, query: Query, version: str
) -> None:
    project.migrate(dump, confirm=confirm)
    query(f"UPDATE assise.part SET version = {version}")
    for verb in (project.load, project.verify, project.rejects):
        with pytest.raises(
            TargetError, match=f"has version {version}, this program knows version {NEWEST}"
        ) as error:
            verb()
        assert error.value.remedy == "Use a newer Assise."


def test_an_empty_version_is_refused(project: Project, dump: Path, query: Query) -> None:
    project.migrate(dump, confirm=confirm)
    query("DELETE FROM assise.part")
    with pytest.raises(TargetError, match=r"some are gone: assise\.part"):
        project.load(dump)


@pytest.mark.contract
@pytest.mark.parametrize("table", ["load", "chunk", "reject"])
def test_a_missing_table_of_the_ledger_is_named(
    project: Project, dump: Path, query: Query, table: str
) -> None:
    project.migrate(dump, confirm=confirm)
    query(f"DROP TABLE assise.{table} CASCADE")
    with pytest.raises(TargetError, match=rf"some are gone: assise\.{table}\n"):
        project.verify()


@pytest.mark.contract
def test_another_schema_assise_is_not_taken_for_a_ledger(
    project: Project, dump: Path, query: Query
) -> None:
    query("CREATE SCHEMA assise")
    query("CREATE TABLE assise.load (theirs int)")
    with pytest.raises(TargetError, match='relation "load" already exists'):
        project.migrate(dump, confirm=confirm)
    assert query(WRITTEN) == [("assise.load",)]


@pytest.mark.contract
def test_a_load_waits_for_another_process_and_then_says_so(
    tmp_path: Path, project: Project, dump: Path, database: str, query: Query
) -> None:
    project.write_manifest(project.infer(dump))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with Connection(database) as connection:
            ledger.lock(connection, "app", log=print)
            held.set()
            done.wait(9)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(5)
    said: list[str] = []

    def log(line: str) -> None:
        said.append(line)
        if line.endswith(": waiting"):
            done.set()

    with Connection(database) as connection:
        connection.execute("SELECT set_config('lock_timeout', '1s', false)")
        with pytest.raises(TargetError, match="canceling statement due to lock timeout"):
            connection.execute(QUERIES["lock"], {"key": "assise app"})
        ledger.lock(connection, "another manifest", log=print)
    assert Project(tmp_path, to=database, log=log).load(dump, confirm=confirm).loaded == 5
    other.join()
    assert [
        line for line in said if line.startswith("another process is at work on 'app' in ")
    ] == [said[0]]
    assert query("SELECT count(*) FROM docs") == [(5,)]


def test_an_unset_variable_without_default_is_a_usage_error_that_names_it(
    tmp_path: Path, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_URL", raising=False)
    project = Project(tmp_path, to="postgresql://nobody@nowhere.invalid/x")
    project.write_manifest(project.infer(dump))
    write_target(project, "${NO_SUCH_URL}")
    with pytest.raises(UsageError, match="NO_SUCH_URL is not set") as error:
        Project(tmp_path).load(dump, confirm=confirm)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("way", ["--to", "variable", "part of a URL"])
def test_a_password_is_nowhere(
    tmp_path: Path,
    dump: Path,
    database: str,
    query: Query,
    role: str,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    query(f"GRANT CREATE ON DATABASE {conninfo_to_dict(database)['dbname']} TO {role}")
    query(f"GRANT CREATE ON SCHEMA public TO {role}")
    parts = conninfo_to_dict(database)
    place = f"host={parts['host']}&port={parts.get('port', 5432)}"
    url = f"postgresql://{role}:{SECRET}@/{parts['dbname']}?{place}"
    log: list[str] = []
    project = Project(tmp_path, to=url, log=log.append)
    project.write_manifest(project.infer(dump))
    assert SECRET not in project.path.read_text()
    if way != "--to":
        monkeypatch.setenv("MY_URL", url)
        monkeypatch.setenv("MY_PASSWORD", SECRET)
        value = "${MY_URL}" if way == "variable" else url.replace(SECRET, "${MY_PASSWORD}")
        write_target(project, value)
        project = Project(tmp_path, log=log.append)
    shown = [str(vars(project.plan(dump)))]

    def note(question: str) -> bool:
        shown.append(question)
        return True

    with pytest.raises(AssiseError) as error:
        project.migrate(dump)
    shown.append(str(error.value))
    report = project.migrate(dump, confirm=note)
    shown += [str(report.as_json()), repr(report), repr(project), repr(project.manifest), *log]
    query("ALTER TABLE docs DROP COLUMN _extra")
    with pytest.raises(AssiseError) as error:
        project.verify()
    shown.append(str(error.value))
    shown += [str(query(f"SELECT t FROM {table} AS t")) for (table,) in query(WRITTEN)]
    shown += [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert role in "".join(shown)
    assert not [text for text in shown if SECRET in text]


@pytest.mark.parametrize(
    ("conninfo", "shown"),
    [
        (f"postgresql://u:{SECRET}@h:5433/db", "postgresql://u@h:5433/db"),
        (f"postgresql://u@h/db?password={SECRET}", "postgresql://u@h/db"),
        (
            f"postgresql://u@h/db?sslpassword={SECRET}&sslmode=require",
            "postgresql://u@h/db?sslmode=require",
        ),
        (f"host=h user=u password='{SECRET}' dbname=db", "postgresql://u@h/db"),
        (f"postgresql://u:{SECRET}@h1,h2:5433/db", "postgresql://u@:,5433/db?host=h1%2Ch2"),
        (f"postgresql://u:{SECRET}%40x@h/db", "postgresql://u@h/db"),
    ],
)
def test_a_connection_string_is_described_without_its_password(conninfo: str, shown: str) -> None:
    assert describe(conninfo) == shown


@pytest.mark.parametrize(
    "conninfo",
    [
        f"postgresql://u:{SECRET}@h/db?nonsense=1", f"postgresql//u:{SECRET}@h/db",
        f"nonsense {SECRET}",
        f"postgresql://u:x@{SECRET}@h/db",
        f"postgresql://u:{SECRET}/x@h/db", f"postgresql://u@h:{SECRET}/db",
    ],
)  # fmt: skip
def test_a_connection_string_that_cannot_be_used_is_not_repeated(
    tmp_path: Path, dump: Path, conninfo: str
) -> None:
    with pytest.raises(UsageError) as error:
        Project(tmp_path, to=conninfo).migrate(dump, confirm=confirm)
    assert error.value.exit_code == 2
    assert error.value.remedy
    assert SECRET not in str(error.value)
    assert not (tmp_path / "assise.yaml").exists()
