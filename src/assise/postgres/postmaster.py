"""The running server: its private socket folder, its process, its start."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assise.errors import TargetError
from assise.files import is_private
from assise.postgres.cluster import Account, last_lines, spawn

PORT = 5432
LOG_LIMIT_BYTES = 10 << 20
START_TIMEOUT_S = 120


@dataclass(frozen=True)
class Postmaster:
    """What `postmaster.pid` says of a server."""

    pid: int
    socket_folder: Path
    is_ready: bool


def default_socket_folder(data: Path, account: Account) -> Path:
    """The private socket folder of a cluster. A socket's path has 107 bytes at most.

    It belongs to the cluster, not to its path: the server of a removed folder takes along only its
    own socket when it ends.
    """
    digest = hashlib.sha256(_identify(data)).hexdigest()[:12]
    return Path("/tmp") / f"assise-{account.uid}-{digest}"  # noqa: S108


def _identify(data: Path) -> bytes:
    """Return what no other cluster has: its system identifier, and its folder's number on disk.

    A copy has the identifier of its original. A removed folder keeps its number while a server
    works in it. Where there is no cluster yet, the path stands for it.
    """
    try:
        with (data / "global" / "pg_control").open("rb") as file:
            identifier = file.read(8)
        return identifier + data.stat().st_ino.to_bytes(8)
    except OSError:
        return os.fsencode(data)


def make_socket_folder(folder: Path, account: Account) -> None:
    """Make the private folder of the socket, or check the one that is there.

    Raises:
        TargetError: it cannot be made, or somebody else made it.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise TargetError(
            f"the socket folder {folder} cannot be created: {error.strerror}",
            remedy="The server needs a writable /tmp.",
        ) from error
    if (
        folder.lstat().st_uid == os.geteuid()
        and account.is_other
        and is_private(folder, os.geteuid())
    ):
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    check_private(folder, account)


def check_private(folder: Path, account: Account) -> None:
    """Refuse a socket folder that somebody else could have planted.

    Raises:
        TargetError: it is a link, or others own it or may enter it.
    """
    if not is_private(folder, account.uid):
        raise TargetError(
            f"the socket folder {folder} is not a private folder of user {account.name}"
            " (mode 0700), so somebody else may have made it",
            remedy=f"Look at it, remove it (`rm -r {folder}`), then repeat the command.",
        )


def read_postmaster(data: Path) -> Postmaster | None:
    """What `postmaster.pid` says, if the process that it names is the server of this folder."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        pid = int(lines[0]) if lines else 0
    except (FileNotFoundError, ValueError):
        return None
    recorded, socket_folder = str(data), ""
    if len(lines) > 4:
        recorded, socket_folder = lines[1], lines[4]
    if not _is_postmaster(pid, data, recorded=Path(recorded)):
        return None
    is_ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Postmaster(pid, Path(socket_folder), is_ready)


def _is_postmaster(pid: int, data: Path, *, recorded: Path) -> bool:
    """Whether process `pid` is the server of `data`, not a zombie or one with its number.

    A server's working directory is its data folder. Root without ptrace rights (in a container)
    reads the command line instead, which names the folder where it was `recorded`. Where there is
    no /proc, it is enough that the process lives.
    """
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/cwd").readlink() == data
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except PermissionError:
        is_here = recorded == data or not recorded.exists()
        return is_here and os.fsencode(recorded) in _command_line(pid)


def _command_line(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


@contextmanager
def claim(data: Path) -> Iterator[int | None]:
    """A descriptor whose lock the server and all its processes inherit.

    None while processes of an earlier server hold it. Process numbers say nothing about a server
    in another container that shares this folder: the lock does.
    """
    with (data / "PG_VERSION").open("rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            yield None
        else:
            yield file.fileno()


def launch(
    data: Path,
    account: Account,
    *,
    binaries: Path,
    socket_folder: Path,
    log: Path,
    settings: Mapping[str, str],
    lock: int,
) -> None:
    """Start the server and wait until it takes connections.

    It has a session of its own: Ctrl-C does not reach it.

    Raises:
        TargetError: it did not start: the end of its log.
    """
    ours = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0700",
    }
    options = [
        word for name, value in {**ours, **settings}.items() for word in ("-c", f"{name}={value}")
    ]
    _disown(data, socket_folder)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    with log.open("ab") as output:
        start = output.tell()
        argv: list[str | Path] = [binaries / "postgres", "-D", data, *options]
        server = spawn(argv, account, output=output, pass_fds=[lock])
    # When the server ends before this process does, nothing is left of it.
    threading.Thread(target=server.wait, daemon=True).start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ((found := read_postmaster(data)) and found.is_ready):
        if server.returncode is not None or time.monotonic() > deadline:
            with log.open("rb") as written:
                written.seek(start)
                raise TargetError(
                    f"the embedded PostgreSQL did not start:\n{last_lines(written.read())}",
                    remedy=f"Its log is {log}.",
                )
        time.sleep(0.01)


def _disown(data: Path, socket_folder: Path) -> None:
    """Make the lock files of a dead server name no living process.

    PostgreSQL takes any process of that number for the old server. The rest of the file stays: by
    it PostgreSQL finds processes that still use the old server's memory.
    """
    (socket_folder / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
    file = data / "postmaster.pid"
    try:
        lines = file.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return
    if lines:
        lines[0] = str(2**31 - 1)
        file.write_text("\n".join(lines) + "\n", errors="surrogateescape")
    else:
        file.unlink()
