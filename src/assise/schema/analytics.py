"""The rights of roles on events, and the totals of the application's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assise.manifest.model import Manifest
from assise.manifest.sections.analytics import ANALYTICS, Analytics, CreatedRows
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.manifest.sections.partitions import PARTITION
from assise.schema.managed import Managed, drop_of
from assise.schema.partitions import Partitioning
from assise.schema.sql import quote, quote_table, quote_text

MONTHS = Partitioning("assise", "analytics_events", "arrived", ahead=12, is_endless=False)
"""How events are cut by their arrival; no older one arrives but by an import, which says when."""

_RIGHTS = {"worker": "SELECT, INSERT, UPDATE, DELETE", "admin": "SELECT"}


def grant_events(role: str, name: str, tables: Sequence[str]) -> str:
    """The statements that let a role keep events; the worker folds them, administrators read them."""
    to = quote(role)
    statements = [
        f"GRANT USAGE ON SCHEMA assise TO {to}",
        f"GRANT EXECUTE ON FUNCTION assise.analytics_track TO {to}",
    ]
    if rights := _RIGHTS.get(name):
        shown = ", ".join(f"assise.{quote(table)}" for table in tables)
        statements.append(f"GRANT {rights} ON {shown} TO {to}")
    if name == "worker":
        statements.append(f"GRANT USAGE ON SEQUENCE assise.analytics_person_number TO {to}")
    return ";\n".join(statements)


@dataclass(frozen=True)
class CountedTable:
    """A table whose rows a dashboard counts: `name` is its key in `analytics`.

    created: the column that says when a row was made; zone: whose days they are, where it is a moment.
    deleted: the column of rows that do not count, where it is not NULL.
    is_cut: whether it has partitions; no trigger sees when one goes, so it has no total.
    """

    name: str
    table: str
    quoted: str
    created: str
    zone: str | None
    deleted: str | None
    is_cut: bool = False

    def write_day(self, row: str = "") -> str:
        """The expression of the day on which a row was made."""
        column = row + quote(self.created)
        zoned = f"({column} AT TIME ZONE {quote_text(self.zone)})" if self.zone else column
        return f"{zoned}::date"

    def write_there(self, row: str = "") -> str:
        """The condition of rows that count."""
        return f"{row}{quote(self.deleted)} IS NULL" if self.deleted else "true"

    def list_triggers(self) -> list[Managed]:
        """What keeps its total, statement by statement; of an UPDATE only rows that count otherwise.

        A trigger that sees all rows of an UPDATE costs every UPDATE their copies, and one of some
        columns cannot see them.
        """
        before, after = (
            f"{self.write_day(row)}, {self.write_there(row)}" for row in ("OLD.", "NEW.")
        )
        old, new = (f"{self.write_day(row)}, {self.write_there(row)}" for row in ("($1).", "($2)."))
        each_row = f"{quote_text(self.write_day())}, {quote_text(self.write_there())}"
        counting, recounting = f"count({each_row})", f"recount({quote_text(f'{old}, {new}')})"
        changed = f"FOR EACH ROW WHEN (({before}) IS DISTINCT FROM ({after}))"
        inserted = "REFERENCING NEW TABLE AS after FOR EACH STATEMENT"
        deleted = "REFERENCING OLD TABLE AS before FOR EACH STATEMENT"
        return [
            self._make_trigger("INSERT", inserted, counting),
            self._make_trigger("UPDATE", changed, recounting),
            self._make_trigger("DELETE", deleted, counting),
            self._make_trigger("TRUNCATE", "FOR EACH STATEMENT", counting),
        ]

    def _make_trigger(self, event: str, when: str, call: str) -> Managed:
        name = f"analytics_count_{event.lower()}"
        create = (
            f"CREATE TRIGGER {name} AFTER {event} ON {self.quoted} {when}"
            f" EXECUTE FUNCTION assise.analytics_{call}"
        )
        return Managed("trigger", self.table, name, create, drop_of("TRIGGER", name, self.quoted))

    def fill(self) -> str:
        """Count its rows once."""
        return (
            "INSERT INTO assise.analytics_total (relation, day, rows)"
            f" SELECT {quote_text(self.quoted)}::regclass, {self.write_day()}, count(*)"
            f" FROM {self.quoted} WHERE {self.write_there()} GROUP BY 2"
        )

    def compare(self) -> str:
        """The days of which another number of rows is kept than there is."""
        return (
            "SELECT day FROM (SELECT day, rows FROM assise.analytics_total"
            f" WHERE relation = {quote_text(self.quoted)}::regclass"
            f" UNION ALL SELECT {self.write_day()}, -count(*) FROM {self.quoted} WHERE {self.write_there()} GROUP BY 1"
            ") AS found GROUP BY day HAVING sum(rows) <> 0"
        )

    def count(self) -> str:
        """Count its rows, and those of the day `today` and later."""
        return (
            f"SELECT count(*) AS rows, count(*) FILTER (WHERE {_escape(self.write_day())} >= %(today)s) AS today"
            f" FROM {self.quoted} WHERE {_escape(self.write_there())}"
        )


COUNTED = ("users", "projects", "conversations", "messages")


def list_counted(manifest: Manifest, schema: str) -> list[CountedTable]:
    """The tables whose rows a dashboard counts."""
    analytics, found = ANALYTICS.of(manifest) or Analytics(), []
    for name in COUNTED:
        rows: CreatedRows | None = getattr(analytics, name)
        if rows is None:
            continue
        kind = list_columns(rows.table, manifest.tables).get(rows.created, "")
        zone = analytics.timezone if kind.startswith("timestamptz") else None
        quoted = quote_table(schema, rows.table)
        deleted, is_cut = _find_deleted(manifest, rows.table), _is_cut(manifest, rows.table)
        found.append(CountedTable(name, rows.table, quoted, rows.created, zone, deleted, is_cut))
    return found


def _find_deleted(manifest: Manifest, table: str) -> str | None:
    deletion = SOFT_DELETE.of(manifest.tables[table])
    return deletion.column if deletion else None


def _is_cut(manifest: Manifest, table: str) -> bool:
    return PARTITION.of(manifest.tables[table]) is not None


def count_deployments(manifest: Manifest, schema: str) -> str:
    """The query of deployments since `month`, and how many of them are ok; empty without any."""
    deployments = (ANALYTICS.of(manifest) or Analytics()).deployments
    if deployments is None:
        return ""
    deleted = _find_deleted(manifest, deployments.table)
    there = f" AND {_escape(quote(deleted))} IS NULL" if deleted else ""
    return (
        f"SELECT count(*) AS deployments, count(*) FILTER (WHERE {_escape(deployments.ok)}) AS deployed"
        f" FROM {quote_table(schema, deployments.table)}"
        f" WHERE {_escape(quote(deployments.at))} >= %(month)s{there}"
    )


def _escape(text: str) -> str:
    return text.replace("%", "%%")
