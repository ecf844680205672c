"""The verbs of `assise audit`, and the worker's job."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from assise.audit.seal import (
    AuditFinding,
    AuditHead,
    check_log,
    describe_waiting,
    read_head,
    retire_log,
    seal_lines,
)
from assise.audit.tables import QUERIES
from assise.errors import RefusedError, UsageError
from assise.manifest.sections.audit import LOG_NAME
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.personal import PERSONAL
from assise.postgres.connection import Connection
from assise.postgres.made import find_missing
from assise.schema.audit import list_audit_objects, list_audited, partition_kept_log
from assise.schema.partitions import Partitioning
from assise.schema.sql import equate, qualify, quote, quote_table
from assise.wording import count_of, nearest
from assise.workspace import Job, LoadedTables, OpenTables

CRON, HOURLY = "* * * * *", "41 * * * *"


@dataclass(frozen=True)
class AuditLine:
    """A change of a row: what it was (`i`, `u`, `d`, or `t` of all rows), and who made it why.

    `old` and `new` are the columns that changed; of those in `hidden` the values are not kept.
    """

    id: int
    at: datetime
    op: str
    old: dict[str, object] | None
    new: dict[str, object] | None
    hidden: list[str] | None
    actor: str | None
    request: str | None
    reason: str | None
    login: str


@dataclass(frozen=True)
class AuditHistory:
    """The changes of a row, newest first, and the row as it was at the end of them.

    row: its columns without those that are personal; None where there was no row.
    since: when the oldest line of the log was written; what changed before is not known.
    """

    table: str
    key: dict[str, str]
    lines: list[AuditLine]
    row: dict[str, object] | None
    since: datetime | None


@dataclass(frozen=True)
class AuditReport:
    """What a check of the log has found; `waiting` is what is not sealed yet, and why."""

    findings: list[AuditFinding]
    head: AuditHead | None
    waiting: str

    @property
    def exit_code(self) -> int:
        """3 where something was found."""
        return 3 if self.findings else 0


@dataclass(frozen=True)
class AuditVerbs:
    """The log of a project's audited tables."""

    open_tables: OpenTables

    def log(self, table: str, key: Sequence[str], *, at: datetime | None = None) -> AuditHistory:
        """The changes of one row up to now, and the row; with `at` those since, and the row then.

        Raises:
            UsageError: the table is not audited, or the key is none of it.
        """
        with self.open_tables() as (connection, tables):
            named = _name_key(tables, table, key)
            try:
                with connection.transaction(isolation="REPEATABLE READ"):
                    lines, row = _read_history(connection, tables, table, named)
                    query = QUERIES.fill("since", log=quote(tables.schema, LOG_NAME))
                    since = connection.scalar(query)
            except RefusedError as error:
                raise UsageError(
                    f"{'/'.join(key)!r} is no key of {table}",
                    remedy=f"Give {', '.join(named)} as SQL writes it.",
                ) from error
        passed = [line for line in lines if at is None or line.at > at]
        if at and any(line.op == "t" for line in passed):
            then = _walk_on([line for line in lines if line.at <= at])
        else:
            then = _walk_back(row, passed if at else [])
        begun = since if isinstance(since, datetime) else None
        return AuditHistory(table, named, passed, then, begun)

    def check(self, head: str | None = None) -> AuditReport:
        """Compare the log with its seals; with a `head` that was kept elsewhere its end as well.

        Raises:
            UsageError: no table is audited.
        """
        with self.open_tables() as (connection, tables):
            _check_audited(tables)
            seal_lines(connection, tables.schema)
            findings = _find_silent(connection, tables)
            findings += check_log(connection, tables.schema, head)
            waiting = describe_waiting(connection, tables.schema)
            return AuditReport(findings, read_head(connection, tables.schema), waiting)

    def head(self) -> AuditHead | None:
        """The end of the chain behind everything that can be sealed now, to keep elsewhere.

        Raises:
            UsageError: no table is audited.
        """
        with self.open_tables() as (connection, tables):
            _check_audited(tables)
            seal_lines(connection, tables.schema)
            return read_head(connection, tables.schema)


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """Each minute new lines are sealed, and each hour old months go where they are not kept."""
    if not list_audited(tables.manifest):
        return []
    jobs = [Job("seal the audit log", CRON, partial(_seal, schema=tables.schema), as_owner=True)]
    if of := partition_kept_log(tables.manifest, tables.schema):
        jobs.append(Job("retire the audit log", HOURLY, partial(_retire, of=of), as_owner=True))
    return jobs


def _retire(connection: Connection, _should_stop: Callable[[], bool], *, of: Partitioning) -> str:
    return retire_log(connection, of)


def _seal(connection: Connection, should_stop: Callable[[], bool], *, schema: str) -> str:
    lines = seal_lines(connection, schema, should_stop=should_stop)
    return f"{count_of(lines, 'line')} sealed" if lines else ""


def _check_audited(tables: LoadedTables) -> None:
    if not list_audited(tables.manifest):
        raise UsageError(
            f"no table of {tables.name!r} is audited",
            remedy="Write audit: true there, then assise migrate.",
        )


def _find_silent(connection: Connection, tables: LoadedTables) -> list[AuditFinding]:
    """The triggers that are missing, or that someone has switched off."""
    wanted = list_audit_objects(tables.manifest, tables.schema)
    missing = find_missing(connection, wanted, tables.schema)
    return [
        AuditFinding(f"the trigger {each.name} of {each.table} is missing or off")
        for each in wanted
        if each in missing and each.table
    ]


def _name_key(tables: LoadedTables, table: str, key: Sequence[str]) -> dict[str, str]:
    _check_audited(tables)
    known = list_audited(tables.manifest)
    if table not in known:
        raise UsageError(f"{table!r} is not audited", remedy=nearest(table, known))
    columns = tables.manifest.tables[table].primary_key
    if len(key) != len(columns):
        raise UsageError(
            f"the key of {table} has {count_of(len(columns), 'column')}: {', '.join(columns)}",
            remedy="Give a value for each of them.",
        )
    return dict(zip(columns, key, strict=True))


def _read_history(
    connection: Connection, tables: LoadedTables, table: str, key: Mapping[str, str]
) -> tuple[list[AuditLine], dict[str, object] | None]:
    entry = tables.manifest.tables[table]
    hidden = [name for name, column in entry.columns.items() if PERSONAL.of(column)]
    extra = tables.manifest.extra_of(table)
    types = list_columns(table, tables.manifest.tables)
    named = _write_key(connection, key, types)
    query = QUERIES.fill(
        "row",
        place=quote_table(tables.schema, table),
        types=", ".join(f"{quote(name)} {types[name]}" for name in key),
        same=" AND ".join(equate(qualify("t", key), qualify("r", key))),
    )
    rows = connection.execute(query, {"hidden": [*hidden, extra], "key": named})
    row = rows[0][0] if rows and isinstance(rows[0][0], dict) else None
    log = quote(tables.schema, LOG_NAME)
    facts = {
        "table": table,
        "key": named,
        "has_numeric": any(types[name].startswith("numeric") for name in key),
    }
    lines = connection.fetch(AuditLine, QUERIES.fill("history", log=log), facts)
    return lines, row


def _write_key(connection: Connection, key: Mapping[str, str], types: Mapping[str, str]) -> str:
    """The key as the log has it: numbers are numbers."""
    values = {}
    for name, value in key.items():
        kind = types.get(name, "text")
        values[name] = connection.scalar(QUERIES.fill("as_json", kind=kind), {"value": value})
    return json.dumps(values, default=str)


def _walk_on(lines: Sequence[AuditLine]) -> dict[str, object] | None:
    """The row as changes have left it that are given newest first: TRUNCATE has kept no row."""
    found: dict[str, object] | None = None
    for line in reversed(lines):
        match line.op:
            case "i":
                found = dict(line.new or {})
            case "u":
                found = {**(found or {}), **(line.new or {})}
            case _:
                found = None
    return found


def _walk_back(
    row: Mapping[str, object] | None, lines: Sequence[AuditLine]
) -> dict[str, object] | None:
    """The row before changes that are given newest first."""
    found = dict(row) if row is not None else None
    for line in lines:
        match line.op:
            case "i":
                found = None
            case "d":
                found = dict(line.old or {})
            case "u":
                found = {**(found or {}), **(line.old or {})}
            case _:
                found = None
    return found
