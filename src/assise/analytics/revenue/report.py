"""Revenue of a load: its months, and what it is now."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from assise.analytics import tables
from assise.analytics.revenue.movements import MONEY, MonthRow, list_months
from assise.analytics.revenue.rates import KnownRates
from assise.analytics.revenue.ratios import RATIOS, find_ratios
from assise.analytics.revenue.rows import RowReading
from assise.analytics.revenue.states import SubscriptionState, read_states
from assise.analytics.revenue.stripe import StripeObject, read_objects
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.analytics import ANALYTICS, Analytics
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.schema.revenue import RevenueSql
from assise.wording import count_of
from assise.workspace import LoadedTables

QUERIES = Queries("assise.analytics.revenue")


@dataclass(frozen=True)
class RevenueReport:
    """The months of a load's revenue.

    since: where rows say only what is now, the day from which on their changes are known.
    left_out: rows that do not count, in words.
    """

    currency: str
    rows: list[MonthRow]
    since: dt.date | None = None
    left_out: tuple[str, ...] = ()

    def between(self, first: dt.date, last: dt.date) -> RevenueReport:
        """The months of a time alone."""
        begin = first.replace(day=1)
        return replace(self, rows=[row for row in self.rows if begin <= row.month <= last])

    def list_lines(self, *, has_ratios: bool = False) -> list[list[str]]:
        """A head, and a line for each month."""
        head = ["month", *MONEY, *(RATIOS if has_ratios else ())]
        lines = [
            [f"{row.month:%Y-%m}", *(str(getattr(row, name)) for name in MONEY)]
            for row in self.rows
        ]
        if has_ratios:
            for line, row in zip(lines, self.rows, strict=True):
                line += [_show(value) or "" for value in asdict(find_ratios(row)).values()]
        return [[f"{self.currency} {head[0]}", *head[1:]], *lines]

    def as_json(self, *, has_ratios: bool = False) -> dict[str, object]:
        """The report as JSON has it: amounts are decimals in strings."""
        rows: list[dict[str, object]] = [dict(row.as_json()) for row in self.rows]
        if has_ratios:
            for line, row in zip(rows, self.rows, strict=True):
                found = asdict(find_ratios(row)).items()
                line["ratios"] = {name: _show(value) for name, value in found}
                line["customers"] = row.count_customers()
        since = {} if self.since is None else {"since": self.since.isoformat()}
        return {"currency": self.currency, **since, "rows": rows}


def _show(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def make_sql(manifest: Manifest, schema: str) -> tuple[RevenueSql, Analytics]:
    """What reads the tables of the manifest's `analytics.revenue`.

    Raises:
        UsageError: the manifest has none.
    """
    analytics = ANALYTICS.of(manifest)
    if analytics is None or analytics.revenue is None:
        raise UsageError(
            "the manifest does not say where revenue stands",
            remedy="Write analytics: {revenue: {table: subscriptions, customer: user_id, …}}.",
        )
    found = RevenueSql(schema, analytics.revenue, manifest.tables, analytics.timezone)
    return found, analytics


def read_report(
    connection: Connection, loaded: LoadedTables, *, now: dt.datetime | None = None
) -> RevenueReport:
    """The months up to now.

    Raises:
        UsageError: the manifest has no revenue. AmountError: a row or a rate cannot be used.
        TargetError: a table is not there.
    """
    sql, analytics = make_sql(loaded.manifest, loaded.schema)
    reading, since = RowReading(), None
    names, rows_sql = {"load": loaded.name}, sql.select_rows()
    query = QUERIES.fill("plain", rows=rows_sql)
    if sql.revenue.kind == "subscriptions" and bookkeeping.find_version(connection, tables.PART):
        first = connection.scalar(QUERIES["first"], names)
        zone = ZoneInfo(analytics.timezone)
        since = cast("dt.datetime", first).astimezone(zone).date() if first else None
        query = QUERIES.fill("history", rows=rows_sql) if first else query
    states = connection.fetch(SubscriptionState, query, names)
    charges = read_states(states, reading, is_minor=sql.is_minor)
    is_invoices = sql.revenue.kind == "invoices"
    stretches = (reading.read_invoices if is_invoices else reading.read_subscriptions)(charges)
    rates = make_rates(sql, connection.execute)
    zone = ZoneInfo(analytics.timezone)
    rows = list_months(stretches, rates=rates, zone=zone, now=now or dt.datetime.now(dt.UTC))
    return RevenueReport(rates.report, rows, since, tuple(reading.tell()))


def read_objects_report(
    connection: Connection, loaded: LoadedTables, objects: Iterable[StripeObject]
) -> RevenueReport:
    """The months of Stripe's objects, by the time zone, the currency and the rates of the manifest.

    Raises:
        UsageError: the manifest has no revenue. AmountError: an object or a rate cannot be used.
    """
    sql, analytics = make_sql(loaded.manifest, loaded.schema)
    reading = RowReading()
    stretches = reading.read_invoices(read_objects(objects))
    rates = make_rates(sql, connection.execute)
    zone, now = ZoneInfo(analytics.timezone), dt.datetime.now(dt.UTC)
    rows = list_months(stretches, rates=rates, zone=zone, now=now)
    return RevenueReport(rates.report, rows, left_out=tuple(reading.tell()))


def make_rates(sql: RevenueSql, run: Callable[[str], Iterable[tuple[object, ...]]]) -> KnownRates:
    if sql.revenue.rates is None:
        return KnownRates(sql.revenue.report)
    found = cast("Iterable[tuple[dt.date, str, Decimal]]", run(sql.select_rates()))
    return KnownRates(sql.revenue.report, found)


def note_states(connection: Connection, loaded: LoadedTables) -> str:
    """Note the rows of subscriptions that have changed; says how many."""
    sql, _ = make_sql(loaded.manifest, loaded.schema)
    statement = QUERIES.fill("note", rows=sql.select_rows())
    count = int(str(connection.scalar(statement, {"load": loaded.name})))
    return f"{count_of(count, 'subscription')} changed" if count else ""
