"""SQL that reads the tables of `analytics.revenue`: subscriptions or invoices, and rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assise.manifest.sections.analytics import Rates, Revenue
from assise.manifest.sections.columns import list_columns
from assise.manifest.table import Table
from assise.schema.sql import quote, quote_table, quote_text

_WHOLE = frozenset({"int2", "int4", "int8"})


@dataclass(frozen=True)
class RevenueSql:
    """The queries of a manifest's revenue; `schema` is that of the tables, `zone` the time zone."""

    schema: str
    revenue: Revenue
    tables: Mapping[str, Table]
    zone: str

    @property
    def is_minor(self) -> bool:
        """Whether amounts are in the smallest unit of their currency, as whole numbers are."""
        unit = self.revenue.unit
        own = self._types(self.revenue.table).get(self.revenue.amount, "")
        return own in _WHOLE if unit is None else unit == "minor"

    def select_rows(self) -> str:
        """Each row: key, customer, amount, currency, interval, quantity, started, ended, status."""
        revenue = self.revenue
        key = [quote(name) for name in self.tables[revenue.table].primary_key]
        whole = key[0] if len(key) == 1 else f"concat_ws('/', {', '.join(key)})"
        columns = {
            "key": f"{whole}::text",
            "customer": f"{quote(revenue.customer)}::text",
            "amount": f"{quote(revenue.amount)}::numeric",
            "currency": self._text(revenue.currency),
            "interval": self._text(revenue.interval),
            "quantity": self._cast(revenue.quantity, "numeric", "1"),
            "started": self._time(revenue.table, revenue.started),
            "ended": self._time(revenue.table, revenue.ended),
            "status": self._cast(revenue.status, "text", "'active'"),
        }
        listed = ", ".join(f"{text} AS {quote(name)}" for name, text in columns.items())
        return f"SELECT {listed} FROM {quote_table(self.schema, revenue.table)}"

    def select_rates(self) -> str:
        """Each rate: day, currency, rate."""
        rates = self.revenue.rates or Rates(table="", day="", currency="", rate="")
        day, currency, rate = (quote(each) for each in (rates.day, rates.currency, rates.rate))
        if self._types(rates.table).get(rates.day, "").startswith("timestamptz"):
            day = f"({day} AT TIME ZONE {quote_text(self.zone)})"
        return (
            f"SELECT {day}::date AS day, {currency}::text AS currency, {rate}::numeric AS rate"
            f" FROM {quote_table(self.schema, rates.table)}"
            f" WHERE {day} IS NOT NULL AND {currency} IS NOT NULL AND {rate} IS NOT NULL"
        )

    def _types(self, table: str) -> dict[str, str]:
        return list_columns(table, self.tables)

    def _text(self, given: str) -> str:
        """A column, or where there is none of this name the word itself."""
        is_column = given in self._types(self.revenue.table)
        return f"{quote(given)}::text" if is_column else f"{quote_text(given)}::text"

    def _cast(self, column: str | None, kind: str, default: str) -> str:
        if column is None:
            return f"{default}::{kind}"
        return f"coalesce({quote(column)}::{kind}, {default}::{kind})"

    def _time(self, table: str, column: str | None) -> str:
        """A time; a date is the midnight of the time zone."""
        if column is None:
            return "NULL::timestamptz"
        if self._types(table).get(column) == "date":
            return f"({quote(column)}::timestamp AT TIME ZONE {quote_text(self.zone)})"
        return f"{quote(column)}::timestamptz"
