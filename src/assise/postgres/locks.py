"""Advisory locks: a session's own, by a name, until it gives them back or ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from assise.errors import BusyError, TargetError
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES

PAUSE_S = 0.05
"""Between two attempts."""


def wait(connection: Connection, key: str, *, patience_s: int) -> bool:
    """Take a lock, in the order of those who wait for it; whether it was free in time."""
    connection.execute(f"SET lock_timeout = '{patience_s}s'")
    is_free = True
    try:
        connection.execute(QUERIES["lock"], {"key": key})
    except BusyError:
        is_free = False
    connection.execute("SET lock_timeout = 0")
    return is_free


def ask(connection: Connection, key: str, *, patience_s: float) -> bool:
    """Take a lock; whether it was free in time.

    It is asked for again and again: a statement that waited for it would hold a snapshot, which
    CREATE INDEX CONCURRENTLY of the lock's holder waits for in turn.
    """
    deadline = monotonic() + patience_s
    while not connection.scalar(QUERIES["try_lock"], {"key": key}):
        if monotonic() > deadline:
            return False
        sleep(PAUSE_S)
    return True


def share(connection: Connection, key: str) -> None:
    """Take a lock together with others that share it."""
    connection.execute(QUERIES["lock_shared"], {"key": key})


def release(connection: Connection, key: str) -> None:
    """Give a lock back."""
    connection.execute(QUERIES["unlock"], {"key": key})


def is_held_by(connection: Connection, pid: int, key: str) -> bool:
    """Whether the session `pid` holds a lock of this database."""
    return bool(connection.scalar(QUERIES["is_held_by"], {"pid": pid, "key": key}))


@contextmanager
def hold(connection: Connection, key: str, *, patience_s: float) -> Iterator[None]:
    """Hold a lock for a while.

    Raises:
        BusyError: another session had it all the time.
    """
    if not ask(connection, key, patience_s=patience_s):
        raise BusyError(f"{connection.target}: another session holds the lock {key!r}")
    try:
        yield
    finally:
        with suppress(TargetError):  # a lost connection has given it back
            release(connection, key)
