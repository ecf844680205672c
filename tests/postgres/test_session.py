"""Sessions do not depend on the settings of the server, the database, the role or libpq."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.dumps import confirm, write_dump

from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.postgres.session import LEFT, SETTINGS
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
CHANGES_RESULTS = """SELECT name::text FROM pg_settings WHERE context IN ('user', 'superuser')
    AND (category LIKE 'Client Connection Defaults / %' OR category LIKE 'Version and Platform%'
        OR category LIKE 'Connections and Authentication / Connection Settings'
        OR category = 'Lock Management' OR name ~ 'timeout') AND name !~ '\\.'"""
OFF_BY_DEFAULT = "vacuum_|wal_(receiver|sender)_timeout"
HOSTILE = {
    "transaction_timeout": "'200ms'",
    "lock_timeout": "'1ms'",
    "quote_all_identifiers": "on",
    "search_path": "pg_catalog, public",
    "DateStyle": "'German, DMY'",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "default_transaction_isolation": "serializable",
    "IntervalStyle": "iso_8601",
}


@pytest.mark.contract
def test_every_setting_that_changes_results_or_ends_statements_is_set_or_left(query: Query) -> None:
    names = {str(name) for (name,) in query(f"{CHANGES_RESULTS} AND name !~ '^({OFF_BY_DEFAULT})'")}
    assert len(names) > 40
    assert names - SETTINGS.keys() - LEFT.keys() == set()
    assert not SETTINGS.keys() & LEFT.keys()


@pytest.mark.contract
@pytest.mark.parametrize("name", HOSTILE)
def test_a_migration_does_not_depend_on_a_setting_of_the_database(
    tmp_path: Path, project: Project, database: str, query: Query, name: str
) -> None:
    if not query("SELECT name FROM pg_settings WHERE name = %s", (name,)):
        pytest.skip(f"this server has no {name}")
    dbname = conninfo_to_dict(database)["dbname"]
    query(f"ALTER DATABASE {dbname} SET {name} = {HOSTILE[name]}")
    document = {"_id": 1, "text": "a\\b'c", "raw": b"\xff", "tags": ["x", None], "n": 0.1}
    dump = write_dump(tmp_path / "app", {"docs": [document, {"_id": 2, "items": [{"n": 1}]}]})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    assert project.verify().exit_code == 0
    assert query("SELECT count(*) FROM public.docs") == [(2,)]
    assert project.undo(confirm=confirm).is_done


def test_a_session_has_the_settings_that_it_depends_on(database: str, query: Query) -> None:
    dbname = conninfo_to_dict(database)["dbname"]
    known = {name for (name,) in query("SELECT name::text FROM pg_settings")}
    for name in HOSTILE.keys() & known:
        query(f"ALTER DATABASE {dbname} SET {name} = {HOSTILE[name]}")
    with Connection(database) as connection:
        for name in SETTINGS.keys() & known:
            value = SETTINGS[name]
            assert connection.scalar("SELECT current_setting(%s)", [name]) == value
        assert connection.scalar("SELECT current_setting('search_path')") == "public"


def test_a_service_of_the_environment_is_used_as_psql_does(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(database)
    lines = "\n".join(f"{name}={value}" for name, value in parts.items())
    (tmp_path / "services").write_text(f"[mine]\n{lines}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "mine")
    with Connection("postgresql://") as connection:
        assert connection.scalar("SELECT current_database()") == parts["dbname"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PGREQUIREAUTH", "scram-sha-256"), ("PGSERVICE", "gone"), ("PGSSLNEGOTIATION", "direct")],
)
def test_a_variable_that_keeps_a_connection_from_being_made_is_named(
    database: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    parts = conninfo_to_dict(database)
    parts.pop("fallback_application_name", None)  # no embedded server: its own name hides PGSERVICE
    with pytest.raises(TargetError) as error:
        Connection(make_conninfo("", **parts))
    assert f"The environment sets {variable}. Try it with them unset." in error.value.remedy
