"""Seals: a chain of sha256 over the lines of the log, in the order in which transactions ended up.

A line is sealed when no open transaction can still write one before it: its transaction is below the
oldest that is open (`pg_snapshot_xmin`). By number alone a line of a transaction that commits late
would come behind a seal, and never get one. In a restored database the transactions of old lines are
above all of the server: they are sealed first, and a new era begins behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from assise.audit.tables import QUERIES
from assise.manifest.sections.audit import LOG_NAME, SEAL_NAME
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.postgres.partitions import find_end, list_partitions, run_partitions
from assise.schema.audit import partition_log
from assise.schema.partitions import Partitioning
from assise.schema.sql import quote
from assise.wording import count_of
from assise.workspace import keep_silent

BATCH = 10_000
PATIENCE_S = 10


class _Last(NamedTuple):
    number: int = 0
    era: int = 0
    xid: str = "0"
    id: int = 0
    chain: bytes = b""


class AuditFinding(NamedTuple):
    """What is wrong with the log: a sealed line, by its number, or a seal, or the whole chain."""

    what: str
    seal: int | None = None
    line: int | None = None

    def __str__(self) -> str:
        """The finding in words."""
        place = "" if self.line is None else f"line {self.line}"
        seal = "" if self.seal is None else f"seal {self.seal}"
        return f"{', '.join(filter(None, (place, seal))) or 'the log'}: {self.what}"


class AuditHead(NamedTuple):
    """The end of the chain, to be kept elsewhere: 64 hex digits, the seal's number, its lines."""

    chain: str
    seal: int
    lines: int


def seal_lines(
    connection: Connection,
    schema: str,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    size: int = BATCH,
) -> int:
    """Seal what can be sealed; returns how many lines.

    Raises:
        BusyError: another session seals.
    """
    sealed = 0
    with locks.hold(connection, f"assise audit {schema}", patience_s=PATIENCE_S):
        while not should_stop() and (lines := _seal_some(connection, schema, size)):
            sealed += lines
    return sealed


def _seal_some(connection: Connection, schema: str, size: int) -> int:
    last = _read_last(connection, schema)
    with connection.transaction(isolation="REPEATABLE READ"):
        connection.execute(QUERIES["in_order"])
        restored = connection.scalar(QUERIES.fill("restored", **_name(schema)), {"era": last.era})
        facts = {**last._asdict(), "restored": restored, "size": size, "number": last.number + 1}
        found = connection.scalar(QUERIES.fill("seal_next", **_name(schema)), facts)
        if found is None and restored is None:
            era = connection.scalar(
                QUERIES.fill("next_era", **_name(schema)), {"era": last.era, "xid": last.xid}
            )
            if era is not None:
                facts |= {"era": era, "xid": "0", "id": 0}
                found = connection.scalar(QUERIES.fill("seal_next", **_name(schema)), facts)
        elif found is None:
            found = _begin_era(connection, schema, facts)
    return int(str(found or 0))


def _begin_era(connection: Connection, schema: str, facts: dict[str, object]) -> object:
    """Seal the first lines of this server, behind those that came with a restore."""
    facts |= {"era": facts["restored"], "restored": None, "xid": "0", "id": 0}
    return connection.scalar(QUERIES.fill("seal_next", **_name(schema)), facts)


def _read_last(connection: Connection, schema: str) -> _Last:
    rows = connection.execute(QUERIES.fill("last_seal", **_name(schema)))
    for number, era, xid, line, chain in rows:
        known = chain if isinstance(chain, bytes) else b""
        return _Last(int(str(number)), int(str(era)), str(xid), int(str(line)), known)
    return _Last()


def check_log(connection: Connection, schema: str, head: str | None = None) -> list[AuditFinding]:
    """What was changed, removed or inserted among the sealed lines, and whether the tail was cut.

    head: a chain that `read_head` gave at some time, and that was kept elsewhere.
    """
    found = []
    with connection.transaction(isolation="REPEATABLE READ"):
        for (number,) in connection.execute(QUERIES.fill("chain", **_name(schema))):
            found.append(AuditFinding("the chain is broken", int(str(number))))
        oldest = _find_oldest(connection, schema)
        for number, line, what in connection.execute(
            QUERIES.fill("altered", **_name(schema)), {"oldest": oldest}
        ):
            found.append(AuditFinding(str(what), int(str(number)), int(str(line))))
        for (line,) in connection.execute(QUERIES.fill("inserted", **_name(schema))):
            found.append(AuditFinding("inserted", line=int(str(line))))
        if head is not None and not connection.scalar(
            QUERIES.fill("has_head", **_name(schema)), {"head": head}
        ):
            found.append(AuditFinding(f"no seal has the head {head}: seals were cut off the end"))
    return found


def _find_oldest(connection: Connection, schema: str) -> object:
    """The beginning of the oldest partition: of lines before it seals alone are left."""
    found = list_partitions(connection, partition_log(schema))
    return (
        min((each.lower for each in found if each.lower), default=None)
        if (found and all(each.lower for each in found))
        else None
    )


def retire_log(connection: Connection, of: Partitioning, *, now: datetime | None = None) -> str:
    """Retire the months of the log that are old enough; says which, or why they stay.

    Lines that wait for a seal would leave without a proof: while old ones do, all months stay. Those
    of today always wait where people write, and hinder nothing.

    Raises:
        BusyError: another session seals, or is at work on the partitions.
    """
    seal_lines(connection, of.schema)
    waiting = describe_waiting(connection, of.schema, before=find_end(connection, of, now=now))
    if waiting:
        return waiting
    return str(run_partitions(connection, of, log=keep_silent, now=now))


def read_head(connection: Connection, schema: str) -> AuditHead | None:
    """The end of the chain; None where nothing is sealed."""
    for chain, number, lines in connection.execute(QUERIES.fill("head", **_name(schema))):
        return AuditHead(str(chain), int(str(number)), int(str(lines)))
    return None


def describe_waiting(connection: Connection, schema: str, *, before: datetime | None = None) -> str:
    """How many lines wait for a seal, and whose open transactions they wait for.

    before: counts those alone that were written before that moment.
    """
    last = _read_last(connection, schema)
    facts = {"era": last.era, "xid": last.xid, "id": last.id, "before": before}
    waiting = int(str(connection.scalar(QUERIES.fill("waiting", **_name(schema)), facts)))
    if not waiting:
        return ""
    rows = connection.execute(QUERIES["holders"], {"waiting": waiting})
    holders = "; ".join(str(name) for (name,) in rows)
    return f"{count_of(waiting, 'line')} not sealed yet" + (f": {holders}" if holders else "")


def _name(schema: str) -> dict[str, str]:
    """The log and its seals, as SQL names them."""
    return {"log": quote(schema, LOG_NAME), "seal": quote(schema, SEAL_NAME)}
