"""The months of the log of searches: made with the table, and with each change of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from assise.postgres.connection import Connection
from assise.postgres.partitions import list_partitions
from assise.postgres.queries import QUERIES
from assise.schema.access import AccessRules
from assise.schema.search.log import find_log_months, write_statement


@contextmanager
def keeping_searches(connection: Connection, rules: AccessRules) -> Iterator[None]:
    """Change the log of searches in the open transaction: afterwards it has its months.

    A table without months, as it was once made, is emptied into the new one.
    """
    months = find_log_months(rules)
    if months is None:
        yield
        return
    cut = connection.scalar(QUERIES["partitioned_by"], {"table": months.place})
    is_plain = cut == ""
    if is_plain:
        connection.execute(write_statement(rules, "set_aside"))
    yield
    found = list_partitions(connection, months)
    for month in months.list_missing(found, datetime.now(UTC)):
        for statement in months.create(month):
            connection.execute(statement)
    for (tidying,) in connection.execute(QUERIES["partition_tidy"], {"table": months.place}):
        connection.execute(str(tidying))
    if is_plain:
        connection.execute(write_statement(rules, "take_back"))
