"""The worker: what it purges, with others beside it, killed, without its server, and by cron."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.access.recycled import load_application, write_manifest
from tests.scenes.commands import wait_until
from tests.scenes.databases import Databases, Template

from assise.access import purge
from assise.errors import TargetError, UsageError
from assise.postgres.queue import ShouldStop, TimedTask, open_queue
from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[Any, ...]]]
LEFT = "SELECT count(*), count(deleted_at) FROM projects"
MANY = 3_000


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with load_application(databases, tmp_path_factory.mktemp("recycled")) as template:
        yield template


@pytest.fixture
def recycled(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it, of which project 2 was deleted a moment ago."""
    project = template.copy(tmp_path, database)
    with psycopg.connect(database) as session:
        session.execute("SELECT projects_delete(2)")
    return project


def delete_many(query: Query) -> None:
    """Rows that were deleted long ago, each with a child."""
    rows = f"FROM generate_series(1000, {999 + MANY}) AS n"
    query(f"INSERT INTO projects (id, user_id, deleted_at) SELECT n, 0, '2024-05-05' {rows}")
    query(f"INSERT INTO files (project_id, position) SELECT n, 0 {rows}")


def test_rows_are_purged_with_their_children_after_their_time(
    recycled: Project, query: Query
) -> None:
    work = recycled.work(is_once=True)
    assert work.done == [("purge projects", "2 rows deleted for good")]
    assert work.exit_code == 0
    assert query(LEFT) == [(8, 1)]
    for table in ("files", "lines", "notes"):
        assert query(f"SELECT max(project_id), count(DISTINCT project_id) FROM {table}") == [(7, 8)]
    assert recycled.work(is_once=True).done == [("purge projects", "")]
    assert query("SELECT count(*) FROM assise.procrastinate_jobs") == [(0,)]


def test_once_no_job_is_made_by_the_clock(recycled: Project, database: str) -> None:
    """One that waited and runs would be made, and run, a second time."""
    recycled.work(is_once=True)
    ran: list[str] = []

    def slow(_should_stop: ShouldStop) -> None:
        time.sleep(1)
        ran.append("slow")

    def by_clock(_should_stop: ShouldStop) -> None:
        ran.append("by the clock")

    async def run() -> None:
        tasks = [TimedTask("slow", "* * * * *", slow)]
        async with open_queue(database, "here", name="app", tasks=tasks) as queue:
            await queue.put_all()
            queue.add(TimedTask("by the clock", "* * * * *", by_clock))
            await queue.work(is_once=True)

    asyncio.run(run())
    assert ran == ["slow"]


def test_rows_are_purged_batch_by_batch(
    recycled: Project, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 700)
    delete_many(query)
    work = recycled.work(is_once=True)
    assert work.done == [("purge projects", f"{MANY + 2:,} rows deleted for good")]
    written = "SELECT count(*) FROM files WHERE project_id >= 1000"
    assert query(LEFT) == [(8, 1)]
    assert query(written) == [(0,)]


def test_a_row_that_others_refer_to_is_kept_and_told(recycled: Project, query: Query) -> None:
    query("CREATE TABLE awards (project_id int REFERENCES projects)")
    query("INSERT INTO awards VALUES (8)")
    work = recycled.work(is_once=True)
    kept = "1 row kept, as rows of other tables refer to them"
    assert work.done == [("purge projects", f"1 row deleted for good, {kept}")]
    assert query(LEFT) == [(9, 2)]


def test_a_worker_acts_as_its_role(recycled: Project, query: Query) -> None:
    query("REVOKE DELETE ON projects FROM apptest_worker")
    work = recycled.work(is_once=True)
    ((name, error),) = work.failed
    assert name == "purge projects"
    assert "permission denied for table projects" in error.message
    assert work.exit_code == 1
    assert query(LEFT) == [(10, 3)]
    query("GRANT DELETE ON projects TO apptest_worker")
    query("DROP POLICY worker ON projects")
    assert recycled.work(is_once=True).done == [("purge projects", "")]
    assert query(LEFT) == [(10, 3)]


def test_jobs_sign_in_with_the_worker_s_own_url(
    recycled: Project, query: Query, database: str
) -> None:
    """Where the manifest has one; the tables of jobs are the operator's."""
    query(
        "CREATE TABLE witness (who text); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql"
        " SECURITY DEFINER AS 'BEGIN INSERT INTO witness VALUES (session_user); RETURN OLD; END';"
        " CREATE TRIGGER note BEFORE DELETE ON projects FOR EACH ROW EXECUTE FUNCTION note()"
    )
    parts = psycopg.conninfo.conninfo_to_dict(database)
    url = f"postgresql:///{parts['dbname']}?host={parts['host']}&user="
    urls = f"{{main: {{url: '{url}postgres', worker: '{url}apptest_worker'}}}}"
    recycled.path.write_text(f"{recycled.path.read_text()}postgres: {urls}\n")
    work = Project(recycled.path).work(is_once=True)
    assert work.done == [("purge projects", "2 rows deleted for good")]
    assert query("SELECT DISTINCT who FROM witness") == [("apptest_worker",)]


def start(project: Project, *options: str) -> subprocess.Popen[bytes]:
    """Start a worker as a command."""
    command = [sys.executable, "-m", "assise", "worker", "-f", str(project.path), *options]
    return subprocess.Popen(
        [*command, "--to", str(project.workspace.to)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_workers_share_the_rows(recycled: Project, query: Query) -> None:
    delete_many(query)
    workers = [start(recycled, "--once", "--json") for _ in range(2)]
    found = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], found
    results = [each["result"] for out, _ in found for each in json.loads(out)["done"]]
    rows = [int(result.split()[0].replace(",", "")) for result in results if result]
    assert sum(rows) == MANY + 2
    assert query(LEFT) == [(8, 1)]


def test_a_worker_that_is_killed_leaves_whole_batches(
    recycled: Project, query: Query, database: str
) -> None:
    delete_many(query)
    locked = 999 + MANY
    with ExitStack() as stack, psycopg.connect(database) as other:
        other.execute("SELECT FROM files WHERE project_id = %s FOR UPDATE", [locked])
        worker = stack.enter_context(start(recycled))
        stack.callback(worker.kill)
        waits = """SELECT pid FROM pg_stat_activity
            WHERE application_name = 'assise' AND wait_event_type = 'Lock'"""
        wait_until(lambda: query(waits), "the worker at the last batch")
        worker.kill()
        worker.communicate()
    assert worker.returncode == -signal.SIGKILL
    wait_until(lambda: not query(waits), "its statement ends")
    ((left, children),) = query(
        "SELECT count(*), (SELECT count(*) FROM files WHERE project_id >= 1000)"
        " FROM projects WHERE id >= 1000"
    )
    assert 0 < left < MANY
    assert left == children
    query("UPDATE assise.procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    assert recycled.work(is_once=True).exit_code == 0
    assert query(LEFT) == [(8, 1)]
    assert query("SELECT count(*) FROM assise.procrastinate_jobs") == [(0,)]


def test_a_worker_waits_for_a_server_that_is_gone(
    recycled: Project, query: Query, databases: Databases, tmp_path: Path
) -> None:
    ((name,),) = query("SELECT current_database()")
    said = tmp_path / "said"
    command = [sys.executable, "-m", "assise", "worker", "-f", str(recycled.path)]
    with ExitStack() as stack, said.open("wb") as file:
        to = str(recycled.workspace.to)
        worker = stack.enter_context(subprocess.Popen([*command, "--to", to], stderr=file))
        stack.callback(worker.kill)
        wait_until(lambda: "2 rows deleted for good" in said.read_text(), "it works")
        with psycopg.connect(databases.server, dbname="postgres", autocommit=True) as server:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            server.execute(end, [name])
            wait_until(lambda: "waits for the server" in said.read_text(), "it waits")
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        wait_until(lambda: " is back" in said.read_text(), "it is back")
        here = "SELECT id FROM assise.procrastinate_workers"
        wait_until(lambda: len(query(here)) >= 1, "it works again")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0, said.read_text()
    assert "Traceback" not in said.read_text()
    assert "secret" not in said.read_text()


def test_a_server_that_is_down_from_the_start_is_an_error(recycled: Project) -> None:
    away = Project(recycled.path, to="postgresql://worker:secret@127.0.0.1:1/app")
    with pytest.raises(TargetError) as caught:
        away.work(is_once=True)
    assert "secret" not in str(caught.value)


def test_a_worker_needs_a_load_and_jobs(recycled: Project) -> None:
    write_manifest(recycled, "soft_delete: {from: deletedAt}")
    with pytest.raises(UsageError, match="asks for no jobs"):
        recycled.work(is_once=True)
    recycled.undo(replace=[*recycled.manifest.tables], confirm=lambda _: True)
    write_manifest(recycled)
    with pytest.raises(UsageError, match="nothing of 'app' is loaded"):
        recycled.work(is_once=True)


def test_undo_leaves_nothing_of_a_worker(recycled: Project, query: Query) -> None:
    recycled.work(is_once=True)
    tables = [*recycled.manifest.tables]
    assert recycled.undo(replace=tables, confirm=lambda _: True).is_done
    assert query("SELECT to_regnamespace('assise')::text") == [(None,)]
    left = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'procrastinate%'"
    assert query(left) == [(0,)]


def test_tables_of_another_version_are_made_again(recycled: Project, query: Query) -> None:
    recycled.work(is_once=True)
    query("UPDATE assise.queue SET procrastinate = '0.1'")
    query("ALTER TABLE assise.procrastinate_jobs DROP COLUMN priority CASCADE")
    assert recycled.work(is_once=True).exit_code == 0
    assert query("SELECT procrastinate <> '0.1' FROM assise.queue") == [(True,)]
