"""The mirror of auth.users: a sign-up, a change, a failure, and the repair."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.identity.supabase import MANIFEST, Query, make_supabase, sign_up, write_manifest

from assise.errors import TargetError, UsageError
from assise.identity.mirror import Repaired
from assise.project import Project

pytestmark = pytest.mark.contract

OWN = "SELECT id::text FROM users ORDER BY id"


@pytest.fixture
def project(tmp_path: Path, database: str) -> Project:
    """A project whose server auth is the test's database, with what Supabase has."""
    make_supabase(database)
    return write_manifest(tmp_path, main=database, auth=database)


def repair(project: Project, *, dry_run: bool = False) -> Repaired:
    (found,) = project.identity.repair(confirm=confirm, dry_run=dry_run)
    return found


def read_users(query: Query) -> list[tuple[Any, ...]]:
    return query("SELECT email, first_name, plan, verified FROM users ORDER BY id")


def test_users_from_before_and_new_ones_have_a_row(project: Project, query: Query) -> None:
    sign_up(query, 1)
    sign_up(query, 2, meta=None, email_confirmed_at="2025-01-01T00:00:00Z")
    found = repair(project, dry_run=True)
    assert (found.created, query("SELECT to_regclass('public.users')")) == (2, [(None,)])
    assert repair(project).created == 2
    sign_up(query, 3, meta={"first_name": "Ève", "plan": "team"})
    assert read_users(query) == [
        ("user1@example.org", "User 1", "free", False),
        ("user2@example.org", None, "free", True),
        ("user3@example.org", "Ève", "free", False),
    ]
    again = repair(project)
    assert (again.created, again.corrected, again.failed, again.failures) == (0, 0, 0, 0)


def test_what_auth_changes_is_copied_and_what_the_application_changes_stays(
    project: Project, query: Query
) -> None:
    user = sign_up(query, 1)
    repair(project)
    query("UPDATE users SET first_name = 'Anna', plan = 'team'")
    query(
        "UPDATE auth.users SET email = 'new@example.org', email_confirmed_at = now(),"
        """ raw_user_meta_data = '{"first_name": "x", "plan": "pro"}'"""
    )
    assert read_users(query) == [("new@example.org", "Anna", "team", True)]
    written = query("SELECT xmin FROM users")
    query("UPDATE auth.users SET last_sign_in_at = now(), email = email")
    assert query("SELECT xmin FROM users") == written
    query("DELETE FROM auth.users WHERE id = %s", (user,))
    assert query("SELECT FROM users") == []


def test_a_copy_that_fails_is_counted_and_the_sign_up_goes_on(
    project: Project, query: Query
) -> None:
    repair(project)
    query("ALTER TABLE users ADD CONSTRAINT short CHECK (length(first_name) < 9)")
    user = sign_up(query, 1, meta={"first_name": "much too long"})
    sign_up(query, 2)
    assert query("SELECT count(*) FROM auth.users") == [(2,)]
    assert query(OWN) == [("00000000-0000-0000-0000-000000000002",)]
    noted = query("""SELECT "table", user_id, state FROM assise.mirror_failure""")
    assert noted == [("users", user, "23514")]
    command = [sys.executable, "-m", "assise", "identity", "repair", "-f", str(project.path)]
    done = subprocess.run([*command, "--yes"], stdout=-1, text=True, check=False)
    assert done.returncode == 3
    assert done.stdout.splitlines()[:2] == [
        "users: 0 rows created, 0 rows corrected",
        "1 failure at sign-ups and changes since the last repair",
    ]
    assert "1 user still without a row: " in done.stdout
    assert "short" in repair(project).reason
    query("ALTER TABLE users DROP CONSTRAINT short")
    found = repair(project)
    assert (found.created, found.failed, found.failures) == (1, 0, 1)
    assert repair(project).failures == 0


@pytest.mark.parametrize(
    "damage",
    ["DROP TABLE users", "ALTER TABLE users DROP COLUMN email", "DROP SCHEMA assise CASCADE"],
)
def test_a_sign_up_never_fails_whatever_was_dropped(
    project: Project, query: Query, damage: str
) -> None:
    repair(project)
    query("ALTER TABLE users ADD CONSTRAINT no CHECK (false) NOT VALID")
    query(damage)
    sign_up(query, 1)
    query("UPDATE auth.users SET email = 'new'")
    assert query("SELECT email FROM auth.users") == [("new",)]


def test_a_sign_up_does_not_wait_for_a_lock_on_the_mirror(
    project: Project, query: Query, database: str
) -> None:
    repair(project)
    with psycopg.connect(database) as connection:
        connection.execute("LOCK TABLE users")
        user = sign_up(query, 1)
        noted = query("SELECT user_id, state FROM assise.mirror_failure")
        assert noted == [(user, "55P03")]
    assert repair(project).created == 1


def see(conninfo: str, role: str, user: object, query: str = OWN) -> list[tuple[Any, ...]]:
    """What a role sees with the claims of a user's token, as PostgREST sets them; taken back."""
    claims = json.dumps({"sub": str(user), "role": role}) if user else ""
    with psycopg.connect(conninfo) as connection:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
        rows = connection.execute(query.encode()).fetchall()
        connection.rollback()
    return rows


@pytest.mark.parametrize("role", ["authenticated", "twodb_app"])
def test_a_user_sees_the_own_row_and_changes_none(
    project: Project, query: Query, database: str, role: str
) -> None:
    users = [sign_up(query, number) for number in (1, 2)]
    repair(project)
    for user in users:
        assert see(database, role, user) == [(str(user),)]
    assert see(database, role, None) == []
    for statement in ("UPDATE users SET plan = 'team'", "DELETE FROM users"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            see(database, role, users[0], f"{statement} RETURNING id")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        see(database, role, users[0], "SELECT * FROM assise.mirror_failure")


def test_an_admin_sees_and_changes_all_rows_and_nobody_none(
    project: Project, query: Query, database: str
) -> None:
    users = [sign_up(query, number) for number in (1, 2)]
    repair(project)
    change = "UPDATE users SET plan = 'team' RETURNING id"
    assert len(see(database, "twodb_admin", None, change)) == len(users)
    assert see(database, "anon", users[0]) == []


def test_without_a_rule_nobody_sees_a_row(project: Project, query: Query, database: str) -> None:
    user = sign_up(query, 1)
    repair(project)
    text = project.path.read_text().replace("    access: {owner: id}\n", "")
    project.path.write_text(text)
    repair(project)
    for role in ("authenticated", "twodb_app"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            see(database, role, user)


@pytest.fixture
def dashboard(query: Query) -> Iterator[str]:
    """A role with the rights that Supabase's role postgres has, and no more."""
    query("CREATE ROLE dashboard LOGIN CREATEROLE BYPASSRLS")
    ((name,),) = query("SELECT current_database()")
    query(f"GRANT CREATE ON DATABASE {name} TO dashboard")
    query("GRANT ALL ON SCHEMA public TO dashboard WITH GRANT OPTION")
    query("GRANT USAGE ON SCHEMA auth TO dashboard")
    yield "dashboard"
    query("DROP OWNED BY dashboard CASCADE; DROP ROLE dashboard, own_app, own_admin")


def test_rights_as_on_supabase_suffice_and_what_lacks_is_named(
    project: Project, query: Query, database: str, dashboard: str, tmp_path: Path
) -> None:
    sign_up(query, 1)
    auth = make_conninfo(database, user=dashboard)
    text = MANIFEST.replace("prefix: twodb", "prefix: own")
    project = write_manifest(tmp_path, main=database, auth=auth, text=text)
    with pytest.raises(TargetError, match=r"lacks SELECT, TRIGGER, REFERENCES on auth\.users"):
        repair(project)
    query("GRANT SELECT, TRIGGER, REFERENCES ON auth.users TO dashboard")
    assert repair(project).created == 1
    assert repair(project).created == 0
    query("SET ROLE supabase_auth_admin; INSERT INTO auth.users (email) VALUES ('b')")
    assert query("SELECT count(*) FROM users") == [(2,)]


def test_what_others_made_is_not_replaced(project: Project, query: Query) -> None:
    query("CREATE FUNCTION handle_new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'")
    query(
        "CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users"
        " FOR EACH ROW EXECUTE FUNCTION handle_new_user()"
    )
    with pytest.raises(TargetError, match="on_auth_user_created calls handle_new_user") as caught:
        repair(project)
    assert caught.value.remedy.endswith("DROP TRIGGER on_auth_user_created ON auth.users")
    query("DROP TRIGGER on_auth_user_created ON auth.users")
    query("CREATE TABLE users (id uuid, email text, first_name text, old int)")
    query("INSERT INTO users VALUES (%s)", ("00000000-0000-0000-0000-000000000009",))
    with pytest.raises(TargetError, match="users lacks the columns plan, verified"):
        repair(project)
    query("ALTER TABLE users ADD plan text DEFAULT 'free', ADD verified bool")
    with pytest.raises(TargetError, match="id of users is not unique") as caught:
        repair(project)
    query(caught.value.remedy)
    sign_up(query, 1)
    found = repair(project)
    assert (found.created, found.without_user) == (1, 1)
    assert query("SELECT count(*) FROM users") == [(2,)]


def test_two_repairs_at_once_make_one_mirror(project: Project, query: Query) -> None:
    query("INSERT INTO auth.users (email) SELECT n::text FROM generate_series(1, 3000) AS n")
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(repair, [project] * 3))
    assert sum(each.created for each in found) == 3_000
    assert sum(each.failed for each in found) == 0
    assert query("SELECT count(*) FROM users") == [(3_000,)]


def test_the_printed_sql_makes_the_same(project: Project, query: Query) -> None:
    project.path.write_text(project.path.read_text().replace("prefix: twodb", "prefix: printed"))
    query(project.schema_sql(on="auth"))
    printed = [query(each) for each in CATALOG]
    query("DROP TABLE users; DROP FUNCTION users_from_auth CASCADE; DROP SCHEMA assise CASCADE")
    repair(project)
    assert [query(each) for each in CATALOG] == printed
    assert len(printed[0]) == 5
    query("DROP TABLE users; DROP FUNCTION users_from_auth CASCADE")
    query("DROP OWNED BY printed_app, printed_admin; DROP ROLE printed_app, printed_admin")


CATALOG = (
    """SELECT attname, atttypid::regtype, attnotnull FROM pg_attribute
        WHERE attrelid = 'users'::regclass AND attnum > 0 ORDER BY attnum""",
    "SELECT relrowsecurity, relacl::text FROM pg_class WHERE oid = 'users'::regclass",
    """SELECT polname, pg_get_expr(polqual, polrelid), polroles::regrole[]::text FROM pg_policy
        ORDER BY polname""",
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
    "SELECT proname, prosrc, proconfig, proacl::text FROM pg_proc WHERE proname = 'users_from_auth'",
)


def test_a_server_without_users_and_a_no_are_told(project: Project, query: Query) -> None:
    with pytest.raises(UsageError, match="nothing was written to"):
        project.identity.repair()
    assert query("SELECT to_regclass('users'), to_regnamespace('assise')") == [(None, None)]
    query("DROP SCHEMA auth CASCADE")
    with pytest.raises(TargetError, match=r"has no table auth\.users"):
        repair(project)
    head, _, rest = project.path.read_text().partition("  users:")
    project.path.write_text(f"{head}  plans:{rest.partition('  plans:')[2]}")
    with pytest.raises(UsageError, match=r"no table of the manifest mirrors auth\.users"):
        repair(project)
