"""The function that finds the user whose token has a claim: `identity: {match: users.auth_id}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assise.manifest.names import split_table
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.identity import IDENTITY
from assise.schema.guards import make_name, put_beside
from assise.schema.sql import quote, quote_table

if TYPE_CHECKING:
    from assise.schema.access import AccessRules


def name_match(table: str, column: str) -> str:
    """The name of the function."""
    return put_beside(table, make_name("_match", split_table(table)[1], column))


def find_match(rules: AccessRules) -> tuple[str, str, str] | None:
    """Name, head and body of the function; None where the claim itself is the user's key.

    It gives two keys at most: a claim that two users have is nobody's.
    """
    identity = IDENTITY.of(rules.manifest)
    if identity is None or identity.matched is None:
        return None
    table, column = identity.matched
    kind = list_columns(table, rules.manifest.tables)[column]
    (key,) = rules.manifest.tables[table].primary_key
    live = rules.live(table, "m")
    value = "$1" if kind == "text" else f"$1::{kind}"
    body = (
        f"SELECT m.{quote(key)}::text FROM {quote_table(rules.schema, table)} AS m"
        f" WHERE m.{quote(column)} = {value}{live} LIMIT 2"
    )
    language = "plpgsql" if rules.is_forced else "sql"
    if rules.is_forced:
        body = rules.block(f"RETURN QUERY {body};", "")
    head = f"RETURNS SETOF text LANGUAGE {language} STABLE SECURITY DEFINER"
    return name_match(table, column), head, body


def call_match(table: str, column: str) -> str:
    """The query that asks it, in a session whose search path has the tables."""
    return f"SELECT * FROM {quote_table(None, name_match(table, column))}(%s) AS found (key)"
