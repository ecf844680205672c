"""The embedded PostgreSQL of a project: one server, shared by every command.

It listens on a private Unix socket, never on TCP.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from assise.errors import TargetError
from assise.postgres import cluster, postmaster
from assise.postgres.environment import EMBEDDED, undo_variables, without_service
from assise.settings import environment_without

ORPHANS_TIMEOUT_S = 10
STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Status:
    """The state of an embedded server."""

    running: bool
    pid: int | None
    version: str
    socket_folder: Path
    data_folder: Path
    programs: Path
    size_bytes: int


@dataclass(frozen=True)
class Embedded:
    """The PostgreSQL server whose cluster lies in `folder / "postgres"`.

    `folder` is the project's `.assise`.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """The data folder, with symbolic links followed."""
        return (self.folder / "postgres").resolve()

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder.resolve() / "postgres.log"

    def start(self, *, settings: Mapping[str, str] = {}) -> str:
        """Start the server if it does not run, and return its conninfo without a database.

        A cluster is made if there is none. `settings` are further settings of the server; one that
        runs already keeps its own.

        Raises:
            MissingExtraError: the package with the server is not installed.
            TargetError: the server cannot run here; the message says why.
        """
        account = cluster.server_account()
        if not self._is_ready(account):
            binaries = cluster.find_binaries()
            with self._locked():
                cluster.check_reach([self.data, binaries / "postgres"], account)
                if not cluster.check_cluster(self.data, account):
                    cluster.create_cluster(self.data, account, binaries=binaries)
                cluster.check_version(self.data, cluster.binary_version(binaries, account))
                self._start_locked(account, binaries, settings)
        return self.conninfo(None)

    def is_running(self) -> bool:
        """Say whether the server takes connections.

        Raises:
            TargetError: it runs, but nobody can reach it; or the cluster is somebody else's.
        """
        return self._is_ready(cluster.server_account())

    def stop(self, *, immediate: bool = False) -> bool:
        """Stop the server; False when it did not run.

        `immediate` does not end transactions: the next start recovers.

        Raises:
            TargetError: the server is somebody else's, or does not stop in a minute.
        """
        account = cluster.server_account()
        if not cluster.check_cluster(self.data, account):
            return False
        with self._locked():
            found = postmaster.read_postmaster(self.data)
            if found is None:
                return False
            with suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGQUIT if immediate else signal.SIGINT)
            self._wait_for_end(found.pid)
            with suppress(OSError):
                found.socket_folder.rmdir()
        return True

    def status(self) -> Status:
        """Whether it runs, where, and how much it holds.

        Raises:
            MissingExtraError: the package with the server is not installed.
            TargetError: the cluster is somebody else's.
        """
        account = cluster.server_account()
        binaries = cluster.find_binaries()
        found = (
            postmaster.read_postmaster(self.data)
            if cluster.check_cluster(self.data, account)
            else None
        )
        return Status(
            running=found is not None and found.is_ready,
            pid=found.pid if found else None,
            version=cluster.binary_version(binaries, account),
            socket_folder=self._socket_folder(account),
            data_folder=self.data,
            programs=binaries,
            size_bytes=_size_bytes(self.data),
        )

    def url(self, database: str) -> str:
        """The URL of a database, for people and for other programs."""
        host = quote(str(self._socket_folder(cluster.server_account())), safe="")
        query = f"host={host}&port={postmaster.PORT}&user={cluster.SUPERUSER}"
        return f"postgresql:///{quote(database, safe='')}?{query}"

    def conninfo(self, database: str | None) -> str:
        """The conninfo of a database, or of the server.

        No PG variable of the environment leads it elsewhere.
        """
        host = str(self._socket_folder(cluster.server_account()))
        ours = {"host": host, "port": str(postmaster.PORT), "user": cluster.SUPERUSER}
        if database is not None:
            ours["dbname"] = database
        ours |= {"hostaddr": "", "gssencmode": "disable", "client_encoding": "UTF8"}
        ours["fallback_application_name"] = EMBEDDED
        return make_conninfo(**{**undo_variables(), **ours})

    def create_database(self, name: str) -> None:
        """Make a database, in UTF8 and sorted by code point, if it is missing. The server runs.

        Raises:
            TargetError: PostgreSQL refuses the name or cannot be reached.
        """
        if not 0 < len(name.encode()) <= 63 or "\0" in name:
            raise TargetError(
                f"{name!r} cannot be a database's name",
                remedy="Give one of 1 to 63 bytes without NUL.",
            )
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        try:
            conninfo = self.conninfo("postgres")
            with without_service(conninfo):
                connection = psycopg.connect(conninfo, autocommit=True)
            with connection:
                known = connection.execute(
                    "SELECT FROM pg_database WHERE datname = %s", [name]
                ).rowcount
                # Of two that create it at the same moment the slower gets the second error.
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    if not known:
                        connection.execute(statement)
        except psycopg.Error as error:
            raise TargetError(
                f"the database {name!r} cannot be created: {error}",
                remedy=f"The server's log is {self.log}.",
            ) from error

    def shell_command(self, database: str) -> tuple[list[str], dict[str, str]]:
        """The arguments and the environment of a psql in a database, for `os.execvpe`."""
        command = [str(cluster.find_binaries() / "psql"), "--dbname", self.conninfo(database)]
        return command, environment_without("PG")

    def _socket_folder(self, account: cluster.Account) -> Path:
        found = postmaster.read_postmaster(self.data)
        return (
            found.socket_folder
            if found and found.is_ready
            else postmaster.default_socket_folder(self.data, account)
        )

    def _is_ready(self, account: cluster.Account) -> bool:
        """Whether the server takes connections.

        Raises:
            TargetError: it runs, but nobody can reach it.
        """
        found = (
            postmaster.read_postmaster(self.data)
            if cluster.check_cluster(self.data, account)
            else None
        )
        if found is None or not found.is_ready:
            return False
        path = found.socket_folder / f".s.PGSQL.{postmaster.PORT}"
        try:
            postmaster.check_private(found.socket_folder, account)
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
        except OSError as error:
            if postmaster.read_postmaster(self.data) is None:
                return False
            raise TargetError(
                f"the embedded PostgreSQL runs (process {found.pid}),"
                f" but its socket {path} cannot be reached: {error.strerror}",
                remedy="Stop it with `assise pg stop`, then repeat the command.",
            ) from error
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for the other commands that start or stop this server."""
        path = self.folder / "postgres.lock"
        try:
            cluster.make_folder(self.folder, cluster.server_account())
            file = path.open("ab")
        except OSError as error:
            raise TargetError(
                f"{path} cannot be written: {error.strerror}",
                remedy="Run this as the user who owns the folder.",
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _start_locked(
        self, account: cluster.Account, binaries: Path, settings: Mapping[str, str]
    ) -> None:
        began = time.monotonic()
        while not self._is_ready(account):
            with postmaster.claim(self.data) as lock:
                found = postmaster.read_postmaster(self.data)
                if lock is not None and found is None:
                    folder = postmaster.default_socket_folder(self.data, account)
                    postmaster.make_socket_folder(folder, account)
                    postmaster.launch(
                        self.data,
                        account,
                        binaries=binaries,
                        socket_folder=folder,
                        log=self.log,
                        settings=settings,
                        lock=lock,
                    )
                    continue
            if time.monotonic() - began > (
                postmaster.START_TIMEOUT_S if found else ORPHANS_TIMEOUT_S
            ):
                raise TargetError(
                    f"processes of an earlier server still use {self.data},"
                    " or a server in another container does",
                    remedy="End them or wait for them, then repeat the command."
                    f" The log is {self.log}.",
                )
            time.sleep(0.02)

    def _wait_for_end(self, pid: int) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while (found := postmaster.read_postmaster(self.data)) and found.pid == pid:
            if time.monotonic() > deadline:
                raise TargetError(
                    f"the embedded PostgreSQL (process {pid}) has not stopped"
                    f" in {STOP_TIMEOUT_S} s",
                    remedy=f"Its log is {self.log}.",
                )
            time.sleep(0.01)


def _size_bytes(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(path) / name).lstat().st_size
    return total
