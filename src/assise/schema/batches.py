"""SQL that goes through a table in the order of its primary key, some rows at a time."""

from __future__ import annotations

from collections.abc import Sequence

from assise.schema.sql import quote_text


def follow_key(columns: Sequence[tuple[str, str]], last: Sequence[str]) -> str:
    """The condition of rows behind a key; `columns` are names and types of the primary key's."""
    return f"{_list(columns)} > {_write(columns, last)}" if last else "true"


def reach_key(columns: Sequence[tuple[str, str]], last: Sequence[str]) -> str:
    """The condition of rows up to a key."""
    return f"{_list(columns)} <= {_write(columns, last)}"


def find_last_key(
    table: str, columns: Sequence[tuple[str, str]], after: Sequence[str], *, rows: int
) -> str:
    """The query for the key of the last of the next rows, as texts; no row where there are none."""
    key = ", ".join(name for name, _ in columns)
    texts = ", ".join(f"{name}::text" for name, _ in columns)
    part = (
        f"SELECT {key} FROM {table} WHERE {follow_key(columns, after)} ORDER BY {key} LIMIT {rows}"
    )
    backwards = ", ".join(f"{name} DESC" for name, _ in columns)
    return f"SELECT {texts} FROM ({part}) AS part ORDER BY {backwards} LIMIT 1"


def _list(columns: Sequence[tuple[str, str]]) -> str:
    return f"({', '.join(name for name, _ in columns)})"


def _write(columns: Sequence[tuple[str, str]], values: Sequence[str]) -> str:
    pairs = zip(columns, values, strict=True)
    return f"({', '.join(f'{quote_text(value)}::{kind}' for (_, kind), value in pairs)})"
