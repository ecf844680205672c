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
from assise.schema.sql import quote, quote_table, quote_text

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
        made = "assise.analytics_partitions, assise.analytics_drop_old"
        statements.append(f"GRANT EXECUTE ON FUNCTION {made} TO {to}")
    return ";\n".join(statements)


@dataclass(frozen=True)
class CountedTable:
    """A table whose rows a dashboard counts: `name` is its key in `analytics`.

    day: the expression of the day on which a row was made. there: the condition of rows that count.
    is_cut: whether it has partitions; no trigger sees when one goes, so it has no total.
    """

    name: str
    table: str
    quoted: str
    day: str
    there: str
    is_cut: bool = False

    def list_triggers(self) -> list[Managed]:
        """What keeps its total, statement by statement."""
        made = []
        references = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
        called = f"assise.analytics_count({quote_text(self.day)}, {quote_text(self.there)})"
        for event in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
            name = f"analytics_count_{event.lower()}"
            given = [f"{each} TABLE AS {_SEEN[each]}" for each in references.get(event, ())]
            seen = f" REFERENCING {' '.join(given)}" if given else ""
            create = (
                f"CREATE TRIGGER {name} AFTER {event} ON {self.quoted}{seen}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {called}"
            )
            drop = drop_of("TRIGGER", name, self.quoted)
            made.append(Managed("trigger", self.table, name, create, drop))
        return made

    def fill(self) -> str:
        """Count its rows once."""
        return (
            "INSERT INTO assise.analytics_total (relation, day, rows)"
            f" SELECT {quote_text(self.quoted)}::regclass, {self.day}, count(*)"
            f" FROM {self.quoted} WHERE {self.there} GROUP BY 2"
        )

    def compare(self) -> str:
        """The days of which another number of rows is kept than there is."""
        return (
            "SELECT day FROM (SELECT day, rows FROM assise.analytics_total"
            f" WHERE relation = {quote_text(self.quoted)}::regclass"
            f" UNION ALL SELECT {self.day}, -count(*) FROM {self.quoted} WHERE {self.there} GROUP BY 1"
            ") AS found GROUP BY day HAVING sum(rows) <> 0"
        )

    def count(self) -> str:
        """Count its rows, and those of the day `today` and later."""
        return (
            f"SELECT count(*) AS rows, count(*) FILTER (WHERE {_escape(self.day)} >= %(today)s) AS today"
            f" FROM {self.quoted} WHERE {_escape(self.there)}"
        )


_SEEN = {"NEW": "after", "OLD": "before"}
COUNTED = ("users", "projects", "conversations", "messages")


def list_counted(manifest: Manifest, schema: str) -> list[CountedTable]:
    """The tables whose rows a dashboard counts."""
    analytics, found = ANALYTICS.of(manifest) or Analytics(), []
    for name in COUNTED:
        rows: CreatedRows | None = getattr(analytics, name)
        if rows is None:
            continue
        column, deletion = quote(rows.created), SOFT_DELETE.of(manifest.tables[rows.table])
        kind = list_columns(rows.table, manifest.tables).get(rows.created, "")
        zoned = f"({column} AT TIME ZONE {quote_text(analytics.timezone)})::date"
        day = zoned if kind.startswith("timestamptz") else f"{column}::date"
        there = f"{quote(deletion.column)} IS NULL" if deletion else "true"
        quoted = quote_table(schema, rows.table)
        is_cut = PARTITION.of(manifest.tables[rows.table]) is not None
        found.append(CountedTable(name, rows.table, quoted, day, there, is_cut))
    return found


def count_deployments(manifest: Manifest, schema: str) -> str:
    """The query of deployments since `month`, and how many of them are ok; empty without any."""
    deployments = (ANALYTICS.of(manifest) or Analytics()).deployments
    if deployments is None:
        return ""
    return (
        f"SELECT count(*) AS deployments, count(*) FILTER (WHERE {_escape(deployments.ok)}) AS deployed"
        f" FROM {quote_table(schema, deployments.table)}"
        f" WHERE {_escape(quote(deployments.at))} >= %(month)s"
    )


def _escape(text: str) -> str:
    return text.replace("%", "%%")
