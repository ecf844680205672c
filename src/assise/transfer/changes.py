"""What has changed in the tables of a load since then."""

from __future__ import annotations

from typing import NamedTuple

from assise.postgres.connection import Connection
from assise.schema.sql import all_layouts, quote
from assise.transfer import ledger
from assise.transfer.ledger import Load, fill_query


class Changes(NamedTuple):
    """Rows of one table that are not as the load and its repairs left them.

    `changed` rows were updated or inserted: their `xmin` is none of these transactions. `deleted` is how many rows fewer the
    table has than were loaded; of a table that is gone all of them.
    """

    changed: int
    deleted: int


def find_changes(connection: Connection, load: Load) -> dict[str, Changes]:
    """For each table of a load what has changed since; reads every row's header.

    An `xmin` survives VACUUM FREEZE, but neither a rewrite of the table by ALTER TABLE nor a restore of a backup: all rows are changed then.
    """
    loaded = ledger.count_loaded(connection, load)
    found = {}
    for layout in all_layouts(load.manifest):
        changed, rows = 0, 0
        if ledger.has_table(connection, load.schema, layout.table):
            statement = fill_query("changes", table=quote(load.schema, layout.table))
            changed, rows = (int(str(number)) for number in connection.execute(statement, [load.id, load.id])[0])
        found[layout.table] = Changes(changed, max(0, loaded[layout.table] - rows))
    return found
