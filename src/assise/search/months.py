"""The months of the log of searches: made with the table, and with each change of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from assise.postgres.connection import Connection
from assise.postgres.partitions import is_whole, make_at_once
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
    is_old = is_whole(connection, months)
    if is_old:
        connection.execute(write_statement(rules, "set_aside"))
    yield
    make_at_once(connection, months)
    if is_old:
        connection.execute(write_statement(rules, "take_back"))
