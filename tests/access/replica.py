"""A replica that streams from the server of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PORT = 5433
SETTINGS = f"-c port={PORT} -c listen_addresses= -c max_standby_streaming_delay=0"


@dataclass
class RunningReplica:
    """A replica: the folder of its data and socket, and of the server's programs."""

    folder: Path
    programs: Path
    main: str

    def url(self, database: str, role: str | None = None) -> str:
        """The connection string of a database; without a role as the superuser."""
        parts = conninfo_to_dict(database)
        user = role or str(parts["user"])
        return make_conninfo(
            host=str(self.folder), port=PORT, dbname=str(parts["dbname"]), user=user
        )

    def copy(self) -> None:
        """Copy the main server, and begin to follow it."""
        parts = conninfo_to_dict(self.main)
        self._run(
            "pg_basebackup",
            *("-h", str(parts["host"]), "-p", str(parts.get("port") or 5432)),
            *("-U", str(parts["user"]), "-X", "stream", "-c", "fast", "-R", "-D", "data"),
        )
        (self.folder / "data").chmod(0o700)
        self.start()

    def start(self) -> None:
        """Start it."""
        options = f"{SETTINGS} -k {self.folder}"
        self._run("pg_ctl", "-w", "-D", "data", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        """Let it die, if it runs."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-D", "data", "-m", "immediate", "stop")

    def ask(self, database: str, query: str) -> object:
        """The value of a query, as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
            return row and row[0]

    def catch_up(self, database: str) -> None:
        """Wait until it has replayed what the main server has written."""
        with psycopg.connect(database, autocommit=True) as connection:
            row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
            # What no commit needs may stay unwritten: a commit behind it takes it along.
            connection.execute("SET synchronous_commit = on")
            connection.execute("SELECT pg_logical_emit_message(true, 'test', '')")
        assert row
        query = f"SELECT pg_last_wal_replay_lsn() >= '{row[0]}'"
        wait_until(lambda: self.ask(self.main, query))

    def _run(self, program: str, *arguments: str) -> None:
        user = "nobody" if os.geteuid() == 0 else None
        command: list[str | Path] = [self.programs / program, *arguments]
        subprocess.run(command, check=True, user=user, cwd=self.folder, stdout=subprocess.DEVNULL)


def make_replica(main: str, folder: Path) -> RunningReplica:
    """Make a replica of a server in a new folder."""
    folder.mkdir()
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody")
    main = make_conninfo(main, dbname="postgres")
    with psycopg.connect(main, autocommit=True) as connection:
        # Else what a replica has not got yet may be gone by the next checkpoint, for good.
        connection.execute("ALTER SYSTEM SET wal_keep_size = '1GB'")
        connection.execute("SELECT pg_reload_conf()")
        query = "SELECT setting FROM pg_config WHERE name = 'BINDIR'"
        row = connection.execute(query).fetchone()
    assert row
    replica = RunningReplica(folder, Path(row[0]), main)
    replica.copy()
    return replica


def wait_until(is_so: Callable[[], object]) -> None:
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
