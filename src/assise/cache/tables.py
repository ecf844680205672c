"""The outbox and the triggers of cached tables: made after a load, and changed in place."""

from __future__ import annotations

from importlib.resources import files

from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.made import MadeObjects, change, find_missing
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.schema.cached import list_cache_objects
from assise.wording import count_of
from assise.workspace import LoadedTables

QUERIES = Queries("assise.cache")
PART = Bookkeeping("cache", files("assise.cache").joinpath("sql"))
IN_SCRIPT = False
_MADE = MadeObjects(PART, QUERIES)
list_additions, forget = _MADE.list_additions, _MADE.forget


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make what cached tables need, and take away what they need no longer.

    The outbox stays, with what waits in it, while the manifest has a Redis.

    Raises:
        TargetError: the server refuses something, or a function has one of our names.
    """
    wanted = list_cache_objects(tables.manifest, tables.schema)
    made = _MADE.find(connection, tables.name)
    if not wanted and not made:
        return
    bookkeeping.ensure(connection, PART)
    missing = find_missing(connection, [*wanted, *made], tables.schema)
    if wanted == made and not missing.intersection(wanted):
        return
    # Of an outbox that another load of this schema has made, all is there already.
    ours = {each.name for each in made}
    shared = {each for each in wanted if not each.table and each.name not in ours}
    # Triggers are made again, so that the function of a table can be.
    kept = {each for each in ({*made} & {*wanted}) | shared if each.kind != "trigger"} - missing

    def run() -> None:
        for each in reversed(made):
            if each not in kept and each not in missing:
                connection.execute(each.drop)
        for each in wanted:
            if each not in kept:
                connection.execute(each.create)
        _MADE.keep(connection, tables.name, wanted, schema=tables.schema)

    change(connection, run, name=tables.name, what="cache", log=log)
    count = len({each.table for each in wanted if each.table})
    log(f"cache: writes to {count_of(count, 'table')} invalidate tags" if wanted else "cache: gone")
