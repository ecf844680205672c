"""The functions of keys, in the schema of the tables.

They are made where they are missing; a function that Assise did not make is never replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from assise.errors import TargetError
from assise.manifest.layout import Layout
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.schema.sql import (
    CONVERSIONS,
    create_function,
    drop_function,
    function_body,
    key_functions,
    move_function,
    signature,
    wrap_function,
)

QUERIES = Queries("assise.transfer")

OLD_SCHEMA = "assise"
"""Where the first release made the functions that users call."""

WRAPPER_BODY = ""
"""What the catalog has as the body of a wrapper, whose SQL it keeps as a parsed expression."""


def find_missing(connection: Connection, names: Iterable[str], schema: str) -> list[str]:
    """The functions that are to be made; others are there as we would make them.

    Raises:
        TargetError: there is another function of this name, which is left as it is.
    """
    missing = []
    for name in names:
        function = signature(name, schema)
        body = _find_body(connection, name, schema)
        if body is None:
            missing.append(name)
        elif body != function_body(name):
            raise _foreign(connection, function)
    return missing


def _foreign(connection: Connection, function: str) -> TargetError:
    return TargetError(
        f"{connection.target} has a function {function} that Assise did not make",
        remedy="Rename it, or move it to another schema; nothing was written.",
    )


def _find_body(connection: Connection, name: str, schema: str) -> object:
    """The body of a function in SQL, empty in another language; None where there is none."""
    return connection.scalar(QUERIES["function_body"], {"signature": signature(name, schema)})


def make_functions(connection: Connection, layout: Layout, schema: str) -> None:
    """Make the functions that a load's tables use, in the transaction that makes the tables."""
    for name in find_missing(connection, key_functions(layout), schema):
        _make_function(connection, name, schema)


def _make_function(connection: Connection, name: str, schema: str) -> None:
    connection.execute(create_function(name, schema))
    note_function(connection, name, schema)


def note_function(connection: Connection, name: str, schema: str) -> None:
    """Note a function as ours: it is dropped when no load needs it any more."""
    connection.execute(QUERIES["insert_function"], {"schema": schema, "name": name})


def list_functions(connection: Connection, load_id: int) -> list[tuple[str, str]]:
    """Schema and name of the functions that only this load may need, of those that are ours."""
    found = connection.execute(QUERIES["load_functions"], {"load_id": load_id})
    return [(str(schema), str(name)) for schema, name in found]


def drop_unused(connection: Connection, schema: str, name: str) -> bool:
    """Drop a function of ours unless something uses it; whether it was dropped."""
    is_unused = _drop(connection, schema, name)
    if is_unused:
        connection.execute(QUERIES["delete_function"], {"schema": schema, "name": name})
    return is_unused


def drop_old_functions(connection: Connection) -> None:
    """Drop the functions that stand in schema assise, unless something uses them."""
    for name in CONVERSIONS:
        _drop(connection, OLD_SCHEMA, name)


def _drop(connection: Connection, schema: str, name: str) -> bool:
    function = signature(name, schema)
    is_unused = bool(connection.scalar(QUERIES["is_unused"], {"signature": function}))
    # One whose body was changed since we made it is the user's by now.
    is_ours = _find_body(connection, name, schema) in {function_body(name), WRAPPER_BODY}
    if is_unused and is_ours:
        connection.execute(drop_function(name, schema))
        return True
    return False


def adopt_functions(connection: Connection, loads: Sequence[tuple[Layout | None, str]]) -> None:
    """Upgrade the functions of the first release, whose loads have these layouts and schemas.

    It made those that users call in schema assise. They move to the schema of the tables, with all
    that depends on them; SQL that calls them by their old names finds functions there that call
    the new ones. The others stand in the schema of the tables already, and are noted as ours.

    Raises:
        TargetError: there is another function of this name.
    """
    # A schema that is gone took the load's tables along: nothing there needs a function.
    loads = [
        each for each in loads if connection.scalar(QUERIES["has_schema"], {"schema": each[1]})
    ]
    schemas = [schema for _, schema in loads]
    needing = []
    for layout, schema in loads:
        names = key_functions(layout) if layout else []
        if CONVERSIONS.keys() & names:
            needing.append(schema)
        for name in names:
            if name not in CONVERSIONS:
                note_function(connection, name, schema)
    _leave_old_schema(connection, next(iter(needing or schemas), None))
    for schema in dict.fromkeys(needing):
        for name in find_missing(connection, CONVERSIONS, schema):
            _make_function(connection, name, schema)


def _leave_old_schema(connection: Connection, schema: str | None) -> None:
    """Move the functions that stand in schema assise; where there is no load they go if unused."""
    if schema is None:
        drop_old_functions(connection)
        return
    for name in _find_old_functions(connection):
        body = _find_body(connection, name, schema)
        if body is not None:
            # The user's own function serves where it is the same, and nothing needs the old one.
            if body != function_body(name) or not _drop(connection, OLD_SCHEMA, name):
                raise _foreign(connection, signature(name, schema))
            continue
        connection.execute(move_function(name, OLD_SCHEMA, schema))
        connection.execute(wrap_function(name, schema, OLD_SCHEMA))
        note_function(connection, name, schema)


def _find_old_functions(connection: Connection) -> list[str]:
    """The functions that still stand in schema assise, as we made them."""
    return [
        name
        for name in CONVERSIONS
        if _find_body(connection, name, OLD_SCHEMA) == function_body(name)
    ]
