"""Names of tables and columns, as PostgreSQL takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from assise.manifest.problems import Place, Problem
from assise.wording import show

MAX_NAME_BYTES = 63
RESERVED = frozenset(
    (
        "all analyse analyze and any array as asc asymmetric authorization binary both case "
        "cast check collate collation column concurrently constraint create cross "
        "current_catalog current_date current_role current_schema current_time "
        "current_timestamp current_user default deferrable desc distinct do else end except "
        "false fetch for foreign freeze from full grant group having ilike in initially inner "
        "intersect into is isnull join lateral leading left like limit localtime "
        "localtimestamp natural not notnull null offset on only or order outer overlaps "
        "placing primary references returning right select session_user similar some "
        "symmetric system_user table tablesample then to trailing true union unique user "
        "using variadic verbose when where window with "
    ).split()
)
"""The words of SQL that name a table or a column only in quotes (`pg_get_keywords()`, R and T)."""

_NOT_OURS = frozenset({"assise", "information_schema"})

SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def check_name(place: Place, name: str) -> Iterator[Problem]:
    """Check the name of a table or a column."""
    size = len(name.encode())
    if not name:
        yield Problem(place, "is an empty name", remedy="Give it a name.")
    elif "\0" in name:
        message = "is a name with a NUL, which PostgreSQL cannot hold"
        yield Problem(place, message, show(name), "Choose another name.")
    elif size > MAX_NAME_BYTES:
        remedy = f"PostgreSQL takes {MAX_NAME_BYTES}: choose a shorter one."
        yield Problem(place, f"is a name of {size} bytes", show(name), remedy)


def split_table(name: str) -> tuple[str | None, str]:
    """The schema that the name of a table gives, if it gives one, and the name in it.

    >>> split_table("auth.users"), split_table("users")
    (('auth', 'users'), (None, 'users'))
    """
    schema, dot, table = name.partition(".")
    return (schema, table) if dot else (None, name)


def list_schemas(tables: Iterable[str]) -> list[str]:
    """The schemas that names of tables give, each once."""
    schemas = [split_table(name)[0] for name in tables]
    return list(dict.fromkeys(schema for schema in schemas if schema is not None))


def check_table_name(place: Place, name: str) -> Iterator[Problem]:
    """Check the name of a table, in a schema that is not one of the server or of Assise."""
    schema, table = split_table(name)
    if schema is None:
        yield from check_name(place, name)
    elif not schema or not table or "." in table:
        remedy = "Write a name, or a schema and a name, such as auth.users."
        yield Problem(place, "is neither a name nor a schema and a name", show(name), remedy)
    elif schema in _NOT_OURS or schema.startswith("pg_"):
        remedy = "Choose another schema."
        yield Problem(place, f"is in schema {schema}, which is not for tables", show(name), remedy)
    else:
        yield from check_name(place, schema)
        yield from check_name(place, table)


def check_column_name(place: Place, name: str) -> Iterator[Problem]:
    """Check the name of a column."""
    yield from check_name(place, name)
    if name in SYSTEM_COLUMNS:
        message = "is the name of a system column of PostgreSQL"
        yield Problem(place, message, name, f"Choose another name, such as {name}_.")


def shorten(name: str, size: int = MAX_NAME_BYTES) -> str:
    """Return `name` in at most `size` bytes of UTF-8; a cut one ends in 8 digits of its hash."""
    if len(name.encode()) <= size:
        return name
    digest = sha256(name.encode()).hexdigest()
    return f"{cut_name(name, size - 9)}_{digest[:8]}"


def cut_name(name: str, size: int) -> str:
    """The first `size` bytes of a name, without a cut character."""
    return name.encode()[:size].decode(errors="ignore")
