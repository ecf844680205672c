"""Random sessions of fifty users: exact rows, whatever they share, and whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.access.fuzz import EVENTS, QUERIES, Fuzz
from tests.access.office import FUNCTIONS, MANIFEST, write_office
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.postgres.pool import RolePool
from assise.postgres.rights import Rights
from assise.project import Project

Record = Callable[[str, object], None]
SETTING = "(select nullif(current_setting('app.user_id', true), '')::int4)"
MUTANTS = {
    "a policy is gone": "DROP POLICY app_read ON projects",
    "a policy is turned round": f"ALTER POLICY app_read ON notes USING (user_id <> {SETTING})",
    "a policy shows all": "ALTER POLICY app_read ON boards USING (true)",
    "deleted rows are seen": f"ALTER POLICY app_read ON projects USING (user_id = {SETTING})",
    "no rules": "ALTER TABLE docs DISABLE ROW LEVEL SECURITY",
    "a view with its owner's rights": "ALTER VIEW live_projects SET (security_invoker = false)",
}


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The office, loaded with its rules."""
    with databases.create_template(tmp_path_factory.mktemp("office")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = write_office(template.folder)
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        with psycopg.connect(template.conninfo) as session:
            session.execute(FUNCTIONS.encode())
        yield template


@pytest.fixture
def login(template: Template, database: str) -> str:
    """The application's login."""
    del template
    return make_conninfo(database, user="apptest_app")


def run(conninfo: str, *, queries: int, seed: int = 7, pools: int = 1) -> Fuzz:
    """Run sessions on pools of one connection each."""

    async def start() -> Fuzz:
        found = [RolePool(conninfo, "test", size=1, timeout_ms=60_000) for _ in range(pools)]
        fuzz = Fuzz(found, queries=queries, seed=seed)
        await fuzz.run()
        return fuzz

    return asyncio.run(start())


def test_two_hundred_queries_on_one_connection(login: str) -> None:
    fuzz = run(login, queries=200)
    assert fuzz.count >= 200
    assert fuzz.done.keys() == {*(act.__name__ for act in QUERIES), *EVENTS}


@pytest.mark.parametrize("statement", MUTANTS.values(), ids=MUTANTS)
def test_a_rule_that_is_wrong_is_seen(
    login: str, query: Callable[..., object], statement: str
) -> None:
    query(statement)
    with pytest.raises(AssertionError):
        run(login, queries=200)


def test_rights_that_outlive_their_transaction_are_seen(
    login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Rights.begin

    def begin_for_good(*arguments: object) -> list[bytes]:
        texts = begin(*arguments)  # type: ignore[arg-type]
        texts = [text.replace(b", true)", b", false)") for text in texts]
        return [text.replace(b"SET LOCAL", b"SET SESSION") for text in texts]

    monkeypatch.setattr(Rights, "begin", begin_for_good)
    with pytest.raises(AssertionError):
        run(login, queries=200)


@pytest.mark.contract
def test_two_thousand_queries_over_pgbouncer(bouncer: str) -> None:
    fuzz = run(bouncer, queries=2_000, pools=4)
    assert fuzz.count >= 2_000
    assert fuzz.done.keys() == {*(act.__name__ for act in QUERIES), *EVENTS}


@pytest.mark.soak
def test_a_hundred_thousand_queries_over_pgbouncer(
    bouncer: str, request: pytest.FixtureRequest, record_property: Record
) -> None:
    seed = 0
    with suppress(ValueError):
        seed = int(request.config.getoption("randomly_seed"))
    record_property("queries", run(bouncer, queries=100_000, seed=seed, pools=4).count)
