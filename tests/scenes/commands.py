"""A command as users run it: locks of other sessions hold it at known moments.

Its end state is read from the database.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psycopg
from tests.scenes.app import SMALL

import assise

SOURCES = os.pathsep.join(
    [str(Path(assise.__file__).resolve().parents[1]), *filter(None, sys.path)]
)
PATIENCE_S = 60

SESSIONS = """SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'assise'"""

State = dict[str, object]
Reported = dict[str, object]

# What a load leaves behind, but for the moments and the numbers of its transactions.
STATE = {
    "relations": """SELECT oid::regclass::text, relkind FROM pg_class
        WHERE relnamespace IN ('public'::regnamespace, 'assise'::regnamespace) ORDER BY 1""",
    "columns": """SELECT table_name, column_name, data_type, collation_name, is_nullable,
            column_default
        FROM information_schema.columns WHERE table_schema = 'public'
        ORDER BY table_name, ordinal_position""",
    "constraints": """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid),
            convalidated
        FROM pg_constraint
        WHERE connamespace IN ('public'::regnamespace, 'assise'::regnamespace) ORDER BY 1, 2""",
    "indexes": """SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'assise')
        ORDER BY 1""",
    "functions": """SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace IN ('public'::regnamespace, 'assise'::regnamespace) ORDER BY 1""",
    "statistics": """SELECT tablename, count(*) FROM pg_stats WHERE schemaname = 'public'
        GROUP BY 1 ORDER BY 1""",
    "version": "SELECT version FROM assise.version",
    "load": """SELECT name, source, schema, chunk_bytes, finished_at IS NOT NULL,
            regexp_replace(manifest, '(?n)^postgres:.*$', '')
        FROM assise.load""",
    "chunks": """SELECT collection, start_offset, stop_offset, sha256, documents, loaded, rejected,
            rows, typed, jsonb, extra
        FROM assise.chunk ORDER BY 1, 2""",
    "sums": """SELECT collection, sum(documents), sum(loaded), sum(rejected), sum(typed)
        FROM assise.chunk GROUP BY 1 ORDER BY 1""",
    "transactions": "SELECT count(*) = count(DISTINCT xid) FROM assise.chunk",
    "rejects": """SELECT collection, start_offset, size, reason, detail, sha256, md5(raw)
        FROM assise.reject ORDER BY 1, 2""",
}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again, some hundred times a second."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"this was not seen: {what}"
        time.sleep(0.002)


def read_state(conninfo: str) -> State:
    """Everything that a load has left: the tables row by row, the catalog, the ledger."""
    state: State = {}
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for name, statement in STATE.items():
            state[name] = connection.execute(statement.encode()).fetchall()
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            rows_of = f'SELECT t::text FROM public."{table}" AS t ORDER BY t::text COLLATE "C"'
            dump = f"COPY ({rows_of}) TO STDOUT"
            with connection.cursor().copy(dump.encode()) as copy:
                rows = b"".join(bytes(block) for block in copy)
            of_others = f"""SELECT count(*) FROM public."{table}"
                WHERE xmin NOT IN (SELECT xid::xid FROM assise.chunk)"""
            state[f"rows of {table}"] = (
                rows.count(b"\n"),
                sha256(rows).hexdigest(),
                connection.execute(of_others.encode()).fetchall(),
            )
    return state


def read_report(text: str) -> Reported:
    """A report of --json without seconds, target and what verify found."""
    report = json.loads(text)
    collections = [
        {name: value for name, value in each.items() if name not in {"seconds", "verified"}}
        for each in report["collections"]
    ]
    return {
        **{name: report[name] for name in ("source", "documents", "loaded", "rejected")},
        "collections": collections,
    }


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Running:
    """A command that runs, in a session of its own."""

    verb: str
    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def says(self, text: str) -> bool:
        """Whether a text stands on stderr."""
        return text in self.stderr.read_text()

    def end(self, number: int | None = None) -> Done:
        """Wait for the end, after a signal to the whole group if one is given."""
        if number is not None:
            assert self.process.poll() is None, self.stderr.read_text()
            os.killpg(self.process.pid, number)
        code = self.process.wait(PATIENCE_S)
        return Done(code, self.stdout.read_text(), self.stderr.read_text())


@dataclass
class Scene:
    """A project's folder, its dump and its target; the sessions that hold the command."""

    folder: Path
    dump: Path
    conninfo: str
    arguments: list[str] = field(default_factory=list)
    chunk_bytes: int = SMALL.chunk_bytes
    running: list[Running] = field(default_factory=list)
    sessions: list[psycopg.Connection[tuple[object, ...]]] = field(default_factory=list)

    def start(self, verb: str, *more: str, dump: Path | None = None) -> Running:
        """Start a command, on another dump if one is given."""
        number = len(list(self.folder.glob("stdout.*")))
        out, log = self.folder / f"stdout.{number}", self.folder / f"stderr.{number}"
        argv = [
            sys.executable,
            "-m",
            "assise",
            verb,
            str(dump or self.dump),
            "--json",
            *self.arguments,
            *more,
        ]
        environ = {
            **os.environ,
            "PYTHONPATH": SOURCES,
            "ASSISE_LOAD_CHUNK_BYTES": str(self.chunk_bytes),
        }
        with out.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.running.append(Running(verb, process, out, log))
        return self.running[-1]

    @property
    def command(self) -> Running:
        """The command that was started last."""
        return self.running[-1]

    def run(self, verb: str, *more: str) -> Done:
        """Run a command to its end."""
        return self.start(verb, *more).end()

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """The rows of a statement, in a session of its own that commits."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def hold(
        self, statement: str, *, is_queued: bool = False
    ) -> psycopg.Connection[tuple[object, ...]]:
        """Another session that keeps what a statement locks until its rollback.

        A queued one stands in the queue and gets its lock when it can.
        """
        session = psycopg.connect(self.conninfo, options="-c lock_timeout=8s")
        self.sessions.append(session)
        if is_queued:
            session.execute("SELECT 1")
            session.pgconn.send_query(statement.encode())
            self.wait_for(
                f"SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {session.info.backend_pid} AND"
                " NOT granted)"
            )
        else:
            session.execute(statement.encode())
        return session

    def take(self, session: psycopg.Connection[tuple[object, ...]]) -> None:
        """Wait until a queued session has its lock."""
        while session.pgconn.get_result() is not None:
            pass

    def wait_blocked(self, statement: str, *, is_asking: bool = False) -> None:
        """Wait until the command waits for a lock in a statement that begins so, or asks for one."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            query = b"""SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'assise'
                AND (%s OR wait_event_type = 'Lock') AND starts_with(query, %s)"""
            wait_until(
                lambda: (
                    connection.execute(query, [is_asking, statement]).fetchall()
                    or not self._is_alive()
                ),
                statement,
            )

    def wait_for(self, statement: str) -> None:
        """Wait until a statement gives true."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            wait_until(
                lambda: (
                    connection.execute(statement.encode()).fetchall()[0][0] or not self._is_alive()
                ),
                statement,
            )

    def _is_alive(self) -> bool:
        assert self.command.process.poll() is None, self.command.stderr.read_text()
        return True

    def release(self) -> None:
        """End the sessions that hold the command, whatever they wait for."""
        for session in self.sessions:
            session.close()
        self.sessions.clear()

    def close(self) -> None:
        """End what still runs."""
        for each in self.running:
            if each.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(each.process.pid, signal.SIGKILL)
                each.process.wait()
        self.release()


def workers_of(scene: Scene) -> list[int]:
    """The process ids of the command's workers."""
    parent = scene.command.process.pid
    return [
        int(pid)
        for file in Path(f"/proc/{parent}/task").glob("*/children")
        for pid in file.read_text().split()
    ]
