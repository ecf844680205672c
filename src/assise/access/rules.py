"""The access rules of a manifest in the database: made after a load, and changed in place."""

from __future__ import annotations

from importlib.resources import files

from assise.access.roles import make_roles
from assise.errors import BusyError, LimitError, RefusedError, TargetError
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.made import MadeObjects, find_missing
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.rows.model import WovenColumns
from assise.schema.access import AccessRules
from assise.schema.computed import list_formulas
from assise.schema.copies import list_clears, list_linked
from assise.schema.deletion import name_deleted_index
from assise.schema.managed import Managed
from assise.schema.sql import quote, quote_table
from assise.wording import count_of
from assise.workspace import LoadedTables

QUERIES = Queries("assise.access")
PART = Bookkeeping("access", files("assise.access").joinpath("sql"))

IN_SCRIPT = True
_MADE = MadeObjects(PART, QUERIES)
list_additions, forget = _MADE.list_additions, _MADE.forget
DEFINED = 2
"""The version of the bookkeeping from which on it has definitions."""

_STAYING = frozenset({"column", "index", "owner", "table"})
"""Kinds that stay as they are while others are made again."""


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make what the rules of a manifest need, and take away what they need no longer.

    Where something was changed, policies, triggers and grants are made again, in one transaction.

    Raises:
        TargetError: roles cannot be made, or the server refuses something; nothing was changed.
    """
    rules = AccessRules(tables.manifest, tables.schema)
    wanted = rules.list_objects()
    made = _MADE.find(connection, tables.name)
    if not wanted and not made:
        return
    if wanted == made and not _find_broken(connection, wanted, tables):
        return
    bookkeeping.ensure(connection, PART)
    if wanted and rules.has_roles:
        make_roles(connection, rules)
    _check_deleted(connection, wanted, made, tables.schema)
    try:
        _show_all_rows(connection, made)
        made = _add_columns(connection, rules, tables, made)
        _fill_columns(connection, rules, tables)
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '10s'")
            _change(connection, rules, tables, wanted=wanted, made=made)
    except BusyError as error:
        raise TargetError(
            f"another session uses the tables of {tables.name!r}: the rules were not changed",
            remedy="End it, or wait; the same command makes the rules.",
        ) from error
    except LimitError as error:
        raise TargetError(
            f"a value that a rule of {tables.name!r} compares is too long for an index:"
            f" the rules were not changed ({error.message})",
            remedy="A user, tenant or group, and a key of a parent, has 2,600 bytes at most."
            " Shorten the value, or give the rule another column; the same command makes the rules.",
        ) from error
    connection.see_all_rows()
    log(f"access rules: {count_of(len(rules.guards), 'table')} with rules, {_name_app(rules)}")
    for table, column, count in _count_nulls(connection, rules):
        log(f"{table}: {count_of(count, 'row')} without {column}, which no user owns")


def add_woven(connection: Connection, tables: LoadedTables) -> WovenColumns:
    """Make the columns of children that COPY writes with their rows; which they are.

    Raises:
        TargetError: a table has a column of this name that is not ours.
    """
    rules = AccessRules(tables.manifest, tables.schema)
    woven = rules.woven
    if woven:
        bookkeeping.ensure(connection, PART)
        ours = rules.list_own_columns()
        columns = [each for each in ours if each.name in woven.get(each.table, ())]
        _make_columns(connection, tables, _MADE.find(connection, tables.name), columns=columns)
    return woven


def note_revised(connection: Connection, tables: LoadedTables, *, is_changed: bool) -> None:
    """Note what revisions have made of the rules, and with `is_changed` what the catalog says of it."""
    rules = AccessRules(tables.manifest, tables.schema)
    wanted, made = rules.list_objects(), _MADE.find(connection, tables.name)
    if not wanted and not made:
        return
    missing = find_missing(connection, wanted, tables.schema)
    found = [each for each in wanted if each not in missing]
    if found == made and not is_changed:
        return
    bookkeeping.ensure(connection, PART)
    with connection.transaction():
        _note(connection, tables, found)


def _note(connection: Connection, tables: LoadedTables, made: list[Managed]) -> None:
    _MADE.keep(connection, tables.name, made, schema=tables.schema)
    connection.execute(QUERIES["define"], {"schema": tables.schema, "load": tables.name})


def _show_all_rows(connection: Connection, made: list[Managed]) -> None:
    """Make the policies again by which the owner of forced tables sees the rows that it fills."""
    lost = [each for each in made if (each.kind, each.name) == ("policy", "owner")]
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for each in lost:
            connection.execute(f"{each.drop};\n{each.create}")
    connection.see_all_rows()


def _name_app(rules: AccessRules) -> str:
    if rules.is_forced:
        return "which bind their owner too"
    return f"for role {rules.prefix}_app" if rules.prefix else "no roles"


def _check_deleted(
    connection: Connection, wanted: list[Managed], made: list[Managed], schema: str
) -> None:
    """Check that no column is dropped that alone says which rows are deleted."""
    gone = [each for each in made if each not in wanted]
    indexes = {each.table: each for each in gone if each.name == name_deleted_index(each.table)}
    for each in made:
        column = quote(each.name)
        index = indexes.get(each.table) if each.kind == "column" else None
        if index is None or f"({column})" not in index.create:
            continue
        rows = f"FROM {quote_table(schema, each.table)} WHERE {column} IS NOT NULL"
        count = int(str(connection.scalar(f"SELECT count(*) {rows}")))
        if count:
            raise TargetError(
                f"{each.table} has {count_of(count, 'deleted row')}, which would be seen again:"
                f" the manifest asks no longer for the column {each.name} that tells them",
                remedy=f"Restore what is wanted; then, as an administrator: DELETE {rows}",
            )


def _find_broken(
    connection: Connection, objects: list[Managed], tables: LoadedTables
) -> list[Managed]:
    """What is not in the catalog, or not as it was made; before version 2 nobody noted how."""
    if bookkeeping.find_version(connection, PART) < DEFINED:
        return objects
    names = {"schema": tables.schema, "load": tables.name}
    altered = {tuple(map(str, row)) for row in connection.execute(QUERIES["altered"], names)}
    missing = find_missing(connection, objects, tables.schema)
    return [
        each for each in objects if each in missing or (each.kind, each.table, each.name) in altered
    ]


def _add_columns(
    connection: Connection, rules: AccessRules, tables: LoadedTables, made: list[Managed]
) -> list[Managed]:
    """Add the columns that children copy and those of formulas; returns what is made by now."""
    made = _change_formulas(connection, rules, tables, made)
    return _make_columns(connection, tables, made, columns=[*rules.list_own_columns()])


def _make_columns(
    connection: Connection, tables: LoadedTables, made: list[Managed], *, columns: list[Managed]
) -> list[Managed]:
    """Make those of some columns that are missing; returns what is made by now."""
    absent = find_missing(connection, columns, tables.schema)
    missing = [each for each in columns if each in absent]
    for each in columns:
        if each not in missing and each not in made:
            raise TargetError(
                f"table {each.table} has a column {each.name!r} that Assise did not make,"
                " and that its access rule would fill",
                remedy="Rename it, or name it in the manifest.",
            )
    if not missing:
        return made
    found = [*(each for each in made if each not in missing), *missing]
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '10s'")
        for column in missing:
            _add_column(connection, tables, column)
        _MADE.keep(connection, tables.name, found, schema=tables.schema)
    return found


def _add_column(connection: Connection, tables: LoadedTables, column: Managed) -> None:
    try:
        if " GENERATED " in column.create:
            _rewrite(connection, tables, column.table, statement=column.create)
        else:
            connection.execute(column.create)
    except RefusedError as error:
        raise TargetError(
            f"{column.table}.{column.name}: {error.message.partition(': ')[2] or error.message}",
            remedy="Correct its generated: in the manifest, such as by nullif(amount, 0); the same"
            " command goes on.",
        ) from error


def _rewrite(connection: Connection, tables: LoadedTables, table: str, *, statement: str) -> None:
    """Run a statement for which the server writes all rows of a table anew, in an open transaction.

    They stay the load's. Where others have edited some of them nobody could tell which, so then it
    is a subtransaction, which is not recorded: all are edited rows.
    """
    place = quote_table(tables.schema, table)
    connection.execute(f"LOCK TABLE {place} IN ACCESS EXCLUSIVE MODE")
    edited = f"SELECT FROM {place} AS c WHERE c.xmin NOT IN ({tables.transactions})"
    if connection.scalar(f"SELECT EXISTS ({edited})"):
        connection.execute(f"SAVEPOINT edited;\n{statement};\nRELEASE edited")
    else:
        tables.record()
        connection.execute(statement)


def _change_formulas(
    connection: Connection, rules: AccessRules, tables: LoadedTables, made: list[Managed]
) -> list[Managed]:
    """Give columns the formulas that the manifest has now; returns what is made by now.

    Raises:
        TargetError: the server, before version 17, cannot change a formula in place.
    """
    wanted = {(each.table, each.name): each for each in list_formulas(rules.manifest, rules.schema)}
    found = list[Managed]()
    for each in made:
        new = wanted.get((each.table, each.name)) if each.kind == "column" else None
        if new is None or new.create == each.create:
            found.append(each)
            continue
        old_sql, new_sql = (text.partition(";\n")[0] for text in (each.create, new.create))
        has_type = old_sql.partition(" GENERATED ")[0] == new_sql.partition(" GENERATED ")[0]
        if old_sql != new_sql and (connection.server_version < 170_000 or not has_type):
            raise TargetError(
                f"{each.table}.{each.name} has another formula or type, which this server cannot"
                " give it in place",
                remedy="Take the column and its indexes out of the manifest, repeat the command, and"
                " put them back: all rows are then written anew.",
            )
        with connection.transaction():
            if old_sql != new_sql:
                _rewrite(connection, tables, new.table, statement=new.instead)
            connection.execute(new.after)
        found.append(each._replace(create=new.create, drop=new.drop))
    if found != made:
        _MADE.keep(connection, tables.name, found, schema=tables.schema)
    return found


def _fill_columns(connection: Connection, rules: AccessRules, tables: LoadedTables) -> None:
    """Fill the columns that children copy, table by table, parents before their children.

    The triggers of changed rules are still there, and may take it back: `_change` fills again.
    """
    for statement in rules.list_fills():
        with connection.transaction():
            _fill(connection, tables, statement)


def _fill(connection: Connection, tables: LoadedTables, statement: str) -> None:
    """Run an UPDATE of columns of ours, in an open transaction.

    What it changes in a row of the load is recorded as the load's. A row that others have written
    since is changed in a subtransaction, which is not: it stays an edited row.
    """
    tables.record()
    connection.execute(f"{statement} AND c.xmin IN ({tables.transactions})")
    connection.execute("SAVEPOINT edited")
    connection.execute(f"{statement} AND c.xmin NOT IN ({tables.transactions})")
    connection.execute("RELEASE edited")


def _change(
    connection: Connection,
    rules: AccessRules,
    tables: LoadedTables,
    *,
    wanted: list[Managed],
    made: list[Managed],
) -> None:
    broken = _find_broken(connection, wanted, tables)
    kept = {each for each in made if each.kind in _STAYING and each in wanted}
    kept |= {each for each in wanted if each.kind == "column"}
    kept = kept.difference(broken)
    for each in reversed(made):
        if each not in kept and each.drop:
            connection.execute(each.drop)
    for table in list_linked(rules):
        connection.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
    for statement in (*list_clears(rules, made), *rules.list_fills()):
        _fill(connection, tables, statement)
    for each in wanted:
        if each not in kept:
            connection.execute(each.create)
    _note(connection, tables, wanted)


def _count_nulls(connection: Connection, rules: AccessRules) -> list[tuple[str, str, int]]:
    """Owner and tenant columns that are NULL in some rows, with their number."""
    found = []
    for guard in rules.guards.values():
        for column in dict.fromkeys(each.column for each in guard.write):
            table = quote_table(rules.schema, guard.table)
            query = f"SELECT count(*) FROM {table} WHERE {quote(column)} IS NULL"  # noqa: S608
            count = int(str(connection.scalar(query)))
            if count:
                found.append((guard.table, column, count))
    return found
