"""`assise access check` and `explain`: what goes around the rules, and what a user sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.access.shop import PLAIN, PROJECTS, RULES, USERS, write_manifest

from assise.access.check import CHECKS, FOLDER, UNFILLED, Gap, read_check
from assise.cli.run import run
from assise.errors import TargetError, UsageError
from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[object, ...]]]
NOTHING = ("table_without_rules", "members")
"""The table of memberships has no rule: the finding that the application has anyway."""

GAPS = [
    (
        "CREATE TABLE bare (id int); GRANT SELECT ON bare TO apptest_app",
        "table_without_rules",
        "bare",
    ),
    ("ALTER TABLE docs DISABLE ROW LEVEL SECURITY", "rule_not_applied", "docs"),
    ("DROP POLICY app_read ON docs", "rule_not_applied", "docs"),
    ("DROP POLICY app_update ON docs", "rule_altered", "app_update of docs"),
    ("ALTER POLICY app_read ON docs USING (true)", "rule_altered", "app_read of docs"),
    ("ALTER POLICY app_delete ON docs TO PUBLIC", "rule_altered", "app_delete of docs"),
    ("CREATE POLICY more ON docs FOR SELECT USING (true)", "policy_of_others", "docs"),
    ("CREATE VIEW seen AS SELECT * FROM docs", "view_around_rules", "seen"),
    (
        (
            "CREATE VIEW inner_view WITH (security_invoker = on) AS SELECT * FROM docs;"
            " CREATE VIEW outer_view AS SELECT * FROM inner_view"
        ),
        "view_around_rules",
        "outer_view",
    ),
    (
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM docs; GRANT SELECT ON kept TO apptest_app",
        "view_around_rules",
        "kept",
    ),
    (
        (
            "CREATE FUNCTION all_docs() RETURNS SETOF docs LANGUAGE sql SECURITY DEFINER"
            " AS 'SELECT * FROM docs'"
        ),
        "function_around_rules",
        "all_docs()",
    ),
    ("GRANT TRUNCATE ON docs TO apptest_app", "grant_around_rules", "docs"),
    ("GRANT REFERENCES ON docs TO PUBLIC", "grant_around_rules", "docs"),
    (
        "CREATE TABLE part () INHERITS (docs); GRANT SELECT ON part TO apptest_app",
        "grant_around_rules",
        "part",
    ),
    ("GRANT USAGE ON SCHEMA assise TO apptest_app", "grant_around_rules", "schema assise"),
    ("GRANT apptest_worker TO apptest_app", "membership_around_rules", "apptest_app"),
    ("GRANT apptest_owner TO apptest_readonly", "membership_around_rules", "apptest_readonly"),
    ("ALTER ROLE apptest_auth BYPASSRLS", "membership_around_rules", "apptest_auth"),
    ("GRANT SELECT ON users TO apptest_readonly", "personal_column_shown", "users.name"),
    (
        (
            "SET session_replication_role = replica; UPDATE files SET user_id = NULL;"
            " SET session_replication_role = origin"
        ),
        "copy_not_filled",
        "files",
    ),
]
UNDO = """
REVOKE USAGE ON SCHEMA assise FROM apptest_app; REVOKE apptest_worker FROM apptest_app;
REVOKE apptest_owner FROM apptest_readonly, apptest_app; ALTER ROLE apptest_auth NOBYPASSRLS
"""


@pytest.fixture
def personal(ruled: Project) -> Project:
    """The application, with a column that tells something of people."""
    text = ruled.path.read_text()
    mark = "from: _id}, name: {type: text, personal: name}}"
    ruled.path.write_text(text.replace("from: _id}, name: text}", mark))
    ruled.load()
    return ruled


@pytest.fixture
def tidy(query: Query) -> Iterator[None]:
    """Roles belong to the server: what a test gives them is taken back."""
    yield
    query(UNDO)


def list_found(project: Project) -> list[tuple[str, str]]:
    return [(each.check, each.object) for each in project.access.check()]


@pytest.mark.usefixtures("tidy")
@pytest.mark.parametrize(("statement", "check", "place"), GAPS)
def test_what_goes_around_the_rules_is_found_with_its_remedy(
    personal: Project, query: Query, statement: str, check: str, place: str
) -> None:
    assert list_found(personal) == [NOTHING]
    query(statement)
    found = personal.access.check()
    gap, *_ = [each for each in found if (each.check, each.object) == (check, place)]
    assert gap.says
    assert gap.remedy == gap.remedy.strip()
    if check in {"rule_not_applied", "rule_altered"}:
        assert gap.remedy == "`assise load` makes the rules again."
    else:
        sql = gap.remedy.split("; then")[0].rpartition("see it. ")[2].rpartition("; or ")[2]
        query(sql.strip())
    personal.load()
    left = [each for each in list_found(personal) if each[0] == check]
    assert (check, place) not in left


def test_what_was_altered_by_hand_is_named_and_made_again(ruled: Project, query: Query) -> None:
    """A function, a trigger and an index; rules that are as they were made are left alone."""
    made: dict[object, tuple[object, object]] = {
        kind: (name, table)
        for kind, name, table in query('SELECT kind, name, "table" FROM assise.rule')
    }
    (function, _), (trigger, table), (index, indexed) = (
        made[kind] for kind in ("function", "trigger", "index")
    )
    query(
        f'ALTER FUNCTION "{function}" SECURITY INVOKER; ALTER INDEX "{index}" SET (fillfactor = 50);'
        f' DROP TRIGGER "{trigger}" ON "{table}"; CREATE TRIGGER "{trigger}" BEFORE DELETE'
        f' ON "{table}" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'
    )
    places = {str(function), f"{trigger} of {table}", f"{index} of {indexed}"}
    assert {place for check, place in list_found(ruled) if check == "rule_altered"} == places
    policies = "SELECT max(xmin::text::bigint) FROM pg_policy"
    before = query(policies)
    ruled.load()
    assert list_found(ruled) == [NOTHING]
    after = query(policies)
    assert after != before
    ruled.load()
    assert query(policies) == after


def test_rules_of_an_older_bookkeeping_are_made_again_once(ruled: Project, query: Query) -> None:
    query(
        "ALTER TABLE assise.rule DROP COLUMN definition;"
        " DROP FUNCTION assise.rule_definition(regnamespace);"
        " UPDATE assise.part SET version = 1 WHERE name = 'access'"
    )
    assert list_found(ruled) == [NOTHING]
    ruled.load()
    query("ALTER POLICY app_read ON docs USING (true)")
    assert list_found(ruled) == [NOTHING, ("rule_altered", "app_read of docs")]


def test_every_check_has_a_gap_that_it_finds() -> None:
    assert {check for _, check, _ in GAPS} == {*CHECKS, UNFILLED}
    assert {f"{name}.sql" for name in CHECKS} == {path.name for path in FOLDER.iterdir()}
    for name in CHECKS:
        head, query = read_check(name)
        assert head.endswith(".")
        assert query.startswith(("WITH", "SELECT"))


@pytest.mark.usefixtures("tidy")
def test_what_a_member_of_the_owner_may_do_is_one_finding(ruled: Project, query: Query) -> None:
    before = list_found(ruled)
    query("GRANT apptest_owner TO apptest_app")
    found = [each for each in ruled.access.check() if (each.check, each.object) not in before]
    assert [(each.check, each.object) for each in found] == [
        ("membership_around_rules", "apptest_app")
    ]
    query(found[0].remedy)
    assert list_found(ruled) == before


@pytest.mark.usefixtures("tidy")
def test_what_keeps_to_the_rules_is_no_finding(ruled: Project, query: Query) -> None:
    for statement in (
        "CREATE VIEW fine WITH (security_invoker = true) AS SELECT * FROM docs",
        "CREATE FUNCTION plain() RETURNS SETOF docs LANGUAGE sql AS 'SELECT * FROM docs'",
        "CREATE MATERIALIZED VIEW private AS SELECT * FROM docs",
        "CREATE POLICY fewer ON docs AS RESTRICTIVE USING (true)",
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.t (); GRANT SELECT ON elsewhere.t TO apptest_app",
    ):
        query(statement)
    write_manifest(ruled)
    text = ruled.path.read_text().replace("  members:\n", "  members:\n    access: none\n")
    ruled.path.write_text(text)
    ruled.load()
    assert ruled.access.check() == []
    with ruled.session(user_id=0) as db:
        assert db.fetch_value("SELECT count(*) FROM docs") == 6
    with ruled.session(role="worker") as db:
        assert db.fetch_value("SELECT count(*) FROM members") == 3
    with pytest.raises(TargetError, match="permission denied"), ruled.session(user_id=0) as db:
        db.fetch("SELECT FROM members")


def test_the_command_prints_findings_and_ends_with_3(
    ruled: Project, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    query("CREATE VIEW seen AS SELECT * FROM docs")
    arguments = ["-f", str(ruled.path), "--to", str(ruled.workspace.to)]
    assert run(["access", "check", *arguments]) == 3
    out = capsys.readouterr().out
    assert "seen reads ruled tables as " in out
    assert "\n  ALTER VIEW seen SET (security_invoker = true)\n" in out
    assert run(["access", "check", "--json", *arguments]) == 3
    found = [Gap(**each) for each in json.loads(capsys.readouterr().out)["findings"]]
    assert found == ruled.access.check()
    text = ruled.path.read_text().replace("  members:\n", "  members:\n    access: none\n")
    ruled.path.write_text(text)
    ruled.load()
    query("DROP VIEW seen")
    assert run(["access", "check", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == {"findings": []}
    write_manifest(ruled, roles="", **PLAIN)
    assert run(["access", "check", *arguments]) == 2


def test_a_login_that_sees_no_tables_cannot_check(ruled: Project, database: str) -> None:
    conninfo = psycopg.conninfo.make_conninfo(database, user="apptest_app")
    with pytest.raises((TargetError, UsageError)):
        Project(ruled.path, to=conninfo).access.check()


def test_explain_says_by_which_policies_a_user_sees_what(
    ruled: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    found = ruled.access.explain("projects", user_id=1)
    assert (found.rows, found.of) == (PROJECTS // USERS, PROJECTS + 1)
    assert found.first == ["1", "6", "11", "16", "21"]
    assert [policy.name for policy in found.policies] == [
        "app_read",
        "app_delete",
        "app_insert",
        "app_update",
    ]
    assert "current_setting('app.user_id'" in str(found.policies[0].using)
    assert any("InitPlan" in line for line in found.plan)
    assert ruled.access.explain("projects").rows == 0
    assert ruled.access.explain("templates", tenant_id="t1").rows == 3
    assert ruled.access.explain("lines", user_id=2).first[0] == "2, 0, 0"
    arguments = ["access", "explain", "docs", "--user", "0", "-f", str(ruled.path)]
    arguments += ["--to", str(ruled.workspace.to)]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith("app_read select using (team = ANY (( SELECT _memberships_members")
    assert out.endswith("sees 6 of 12 rows of docs: 0; 1; 4; 5; 8, …\n")
    assert run([*arguments, "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown == json.loads(json.dumps(ruled.access.explain("docs", user_id=0).as_json()))


def test_explain_knows_tables_that_no_user_may_read(ruled: Project) -> None:
    text = ruled.path.read_text()
    ruled.path.write_text(text.replace("access: {tenant: tenant, public: read}", "access: none"))
    ruled.load()
    found = ruled.access.explain("templates", user_id=1)
    assert (found.rows, found.of, found.first) == (0, 3, [])
    assert found.plan == ["The application has no right to read it."]


def test_explain_refuses_what_has_no_rule(ruled: Project) -> None:
    for table in ("members", "nothing"):
        with pytest.raises(UsageError, match=f"table '{table}' has no rule"):
            ruled.access.explain(table)
    with pytest.raises(TargetError, match="invalid input syntax") as caught:
        ruled.access.explain("projects", user_id="x")
    assert "objectid_to_uuid" in caught.value.remedy
    assert "defect" not in caught.value.remedy
    assert set(RULES) >= {"projects"}
