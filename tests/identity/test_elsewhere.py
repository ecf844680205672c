"""What the other commands do with tables on another server: nothing."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm, write_dump
from tests.identity.conftest import USERS, Pair
from tests.identity.supabase import Query, make_supabase, write_manifest
from tests.scenes.databases import Databases

from assise.errors import UsageError
from assise.manifest.read import load_manifest
from assise.postgres.conninfo import describe
from assise.project import Project

pytestmark = pytest.mark.contract

RELATIONS = """SELECT nspname, relname, relacl::text, relrowsecurity, c.xmin::text
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE nspname IN ('public', 'auth', 'assise') ORDER BY 1, 2"""


def test_load_verify_undo_and_access_leave_them_alone(
    databases: Databases, database: str, query: Query, tmp_path: Path
) -> None:
    auth = databases.create()
    make_supabase(auth)
    project = write_manifest(tmp_path, main=database, auth=auth)
    documents = [{"_id": n, "userId": str(UUID(int=n))} for n in range(20)]
    dump = write_dump(tmp_path / "twodb", {"conversations": documents})

    def ask(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(auth) as connection:
            return connection.execute(statement.encode()).fetchall()

    before = ask(RELATIONS)
    assert project.plan(dump).tables == ["conversations"]
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    assert ask(RELATIONS) == before
    project.identity.repair(confirm=confirm)
    before = ask(RELATIONS)

    changed = project.path.read_text().replace("plan: free, ", "").replace("name: text", "no: text")
    project.path.write_text(changed)
    assert project.load(dump, confirm=confirm).loaded == 20
    assert project.verify(dump).exit_code == 0
    assert project.repair(dump, confirm=confirm).tables == []
    assert {gap.object for gap in project.access.check()} == set()
    with pytest.raises(UsageError, match="table 'users' has no rule"):
        project.access.explain("users")
    for text in (project.schema_sql(), project.schema_diagram(), project.schema_models()):
        assert "conversations" in text
        assert "email" not in text
    assert project.undo(confirm=confirm).is_done
    assert query("SELECT to_regclass('conversations')") == [(None,)]
    assert ask(RELATIONS) == before
    databases.drop(auth)


def test_the_manifest_of_a_server_has_its_tables_alone(tmp_path: Path) -> None:
    project = write_manifest(tmp_path, main="dbname=a", auth="dbname=b")
    whole = load_manifest(project.path)
    assert [*whole.tables] == ["conversations", "users", "plans"]
    assert [*whole.layout.tables] == ["conversations"]
    assert [*whole.on("auth").tables] == ["users", "plans"]
    assert [*project.manifest.tables] == ["conversations"]
    with pytest.raises(UsageError, match="there is no server 'aut'"):
        project.schema_sql(on="aut")


def test_a_session_without_await_is_on_another_server_too(pair: Pair, tmp_path: Path) -> None:
    logins = [describe(make_conninfo(pair.auth, user=f"twodb_{role}")) for role in ("app", "admin")]
    text = pair.project.path.read_text()
    auth = f'{{url: "{describe(pair.auth)}"'
    text = text.replace(auth, f'{auth}, app: "{logins[0]}", admin: "{logins[1]}"')
    (tmp_path / "assise.yaml").write_text(text)
    project, count = Project(tmp_path), "SELECT count(*) FROM users"
    with project.session(on="auth", user_id=UUID(int=1)) as db:
        assert db.fetch_value(count) == 1
    with project.session(on="auth") as db:
        assert db.fetch_value(count) == 0
    with project.session(on="auth", role="admin") as db:
        assert db.fetch_value(count) == USERS
    with pytest.raises(
        UsageError, match="no role 'worker' on the server auth, which knows app and"
    ):
        project.session(on="auth", role="worker")
    with pytest.raises(UsageError, match="there is no server 'aut'"):
        project.session(on="aut")
