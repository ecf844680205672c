"""The months of events, by their arrival: made ahead, for what is imported, and retired."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import replace

from assise.analytics.tables import QUERIES
from assise.postgres.connection import Connection
from assise.postgres.partitions import find_end, list_partitions, run_partitions
from assise.schema.analytics import MONTHS
from assise.workspace import keep_silent


def make_months(connection: Connection, past: Collection[dt.datetime] = ()) -> None:
    """Make the months that are missing, with those around moments of the past.

    Raises:
        BusyError: a lock could not be had.
    """
    run_partitions(connection, replace(MONTHS, past=tuple(past)), log=keep_silent)


def retire_months(connection: Connection, keep: str | None) -> str:
    """Make the months that are missing, and drop those that ended so long ago; says which.

    How far events are gone is noted first: a fold begins no day anew whose events are.

    Raises:
        BusyError: a lock could not be had; the next run goes on.
    """
    of = replace(MONTHS, keep=keep)
    end = find_end(connection, of)
    old = of.list_old(list_partitions(connection, of), end) if end else []
    if old:
        connection.execute(QUERIES["note_dropped"], {"before": old[-1].upper})
    return str(run_partitions(connection, of, log=keep_silent))
