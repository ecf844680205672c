"""`Project.session`: the sessions of an application, without await."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.access.shop import PROJECTS, USERS

from assise.errors import RefusedError, TargetError, UsageError
from assise.project import Project

pytestmark = pytest.mark.contract

OWN = "SELECT count(*) FROM projects"
INSERT = "INSERT INTO projects (id, user_id, name) VALUES (%s, 1, 'new')"
SEEN = PROJECTS // USERS

Query = Callable[..., list[tuple[object, ...]]]


def test_a_session_has_the_rights_of_its_user(ruled: Project) -> None:
    for user in (1, None, 2, "", "' OR true; --"):
        with ruled.session(user_id=user, tenant_id="t0") as db:
            assert db.fetch_value("SELECT current_setting('app.user_id')") == str(user or "")
            if user in {1, 2, None, ""}:
                ids = {row["id"] for row in db.fetch("SELECT id FROM projects")}
                assert ids == {n for n in range(PROJECTS) if n % USERS == user}
            assert db.execute("UPDATE templates SET tenant = %(t)s", {"t": "t0"}) == 1
            assert db.fetch_one("SELECT FROM templates WHERE false") is None
            assert db.fetch("SET LOCAL work_mem = '8MB'") == []
    with ruled.session(role="worker") as db:
        assert db.fetch_value(OWN) == PROJECTS + 1


def test_rows_are_streamed_and_copied(ruled: Project) -> None:
    with ruled.session(user_id=1) as db:
        rows = db.stream("SELECT name FROM projects WHERE id < %s", [1_000], size=2)
        assert len([row["name"] for row in rows]) == SEEN
        with db.copy("COPY (SELECT id FROM projects) TO STDOUT") as copy:
            assert len([*copy.rows()]) == SEEN


def test_the_end_commits_and_an_error_rolls_back(ruled: Project, query: Query) -> None:
    with ruled.session(user_id=1) as db:
        assert db.execute(INSERT, [900]) == 1
    with pytest.raises(ZeroDivisionError):
        fail(ruled)
    with pytest.raises(TargetError, match="violates row-level security"):
        write_for_another(ruled)
    with pytest.raises(UsageError, match="nothing of the session is written"):
        pass_over_an_error(ruled)
    with pytest.raises(UsageError, match="ended the transaction"), ruled.session(user_id=1) as db:
        db.execute("COMMIT")
    with pytest.raises(UsageError, match="ended the transaction"), ruled.session(user_id=1) as db:
        db.execute("ROLLBACK; BEGIN")
    with ruled.session(user_id=1) as db:
        assert db.fetch("SELECT 1 AS n; SAVEPOINT a; ROLLBACK TO a") == [{"n": 1}]
    assert query("SELECT id FROM projects WHERE id >= 900") == [(900,)]


def fail(ruled: Project) -> None:
    with ruled.session(user_id=1) as db:
        db.execute(INSERT, [901])
        raise ZeroDivisionError


def write_for_another(ruled: Project) -> None:
    with ruled.session(user_id=2) as db:
        db.execute(INSERT, [902])


def pass_over_an_error(ruled: Project) -> None:
    with ruled.session(user_id=1) as db:
        db.execute(INSERT, [903])
        with pytest.raises(TargetError):
            db.execute(INSERT, [903])


def test_a_session_has_a_time_limit(ruled: Project) -> None:
    hasty = Project(ruled.path, to=ruled.workspace.to, settings={"app.statement_timeout_ms": "100"})
    with pytest.raises(TargetError, match="statement timeout"), hasty.session(user_id=1) as db:
        db.execute("SELECT pg_sleep(5)")


def test_a_login_that_goes_around_the_rules_is_refused(ruled: Project, query: Query) -> None:
    query("GRANT apptest_owner TO apptest_auth")
    try:
        with pytest.raises(TargetError, match="is a member of the owner"):
            ruled.session(role="auth").__enter__()
    finally:
        query("REVOKE apptest_owner FROM apptest_auth")


def test_a_role_that_there_is_not_is_an_error_that_names_all(ruled: Project) -> None:
    with pytest.raises(UsageError, match="there is no role 'workers'") as caught:
        ruled.session(role="workers")  # type: ignore[arg-type]
    assert caught.value.remedy.startswith("Did you mean worker? Known: app, auth,")


def test_a_value_that_cannot_be_sent_is_no_lost_connection(ruled: Project) -> None:
    for query, parameters in (("SELECT %s", ["a\0b"]), ("SELECT %s, %s", [1])):
        with ruled.session(user_id=1) as db:
            with pytest.raises(RefusedError) as caught:
                db.fetch(query, parameters)
            assert "lost" not in caught.value.remedy
            assert db.fetch_value(OWN) == SEEN


def test_a_user_of_another_type_than_its_column_is_told_what_to_give(ruled: Project) -> None:
    with pytest.raises(RefusedError, match="invalid input syntax") as caught:
        count_as(ruled, "507f1f77bcf86cd799439011")
    assert "user_id" in caught.value.remedy
    assert "objectid_to_uuid" in caught.value.remedy


def count_as(ruled: Project, user: str) -> None:
    with ruled.session(user_id=user) as db:
        db.fetch_value(OWN)
