"""The session of a worker process that loads or verifies."""

from __future__ import annotations

from contextlib import ExitStack

from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.transfer import ledger
from assise.transfer.ledger import Load
from assise.transfer.workers.task import Result


def connect_worker(description: Result, session: ExitStack) -> tuple[Connection, Load]:
    """Connect to the target that the description of a work names, until the session is closed.

    Raises:
        TargetError: there is no connection left.
    """
    try:
        connection = Connection(description["conninfo"], shown=description["target"])
    except TargetError as error:
        raise TargetError(
            f"a worker cannot connect: {error.message}",
            remedy="The command has a session, and each worker one more. With fewer it needs"
            " fewer: `--workers 1` needs one in all.",
        ) from error
    session.enter_context(connection)
    return connection, ledger.rebuild_load(description["load"])
