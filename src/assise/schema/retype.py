"""Changes of a column's type: which are free, and the recipe for the others."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MODIFIED = re.compile(r"([a-z .\"]+?)(?:\((\d+)(?:,(\d+))?\))?( with(?:out)? time zone)?")


def is_free(before: str, after: str) -> bool:
    """Whether the server changes the type without reading or writing a row.

    Types are those of `format_type`. The rules are those of ATColumnChangeRequiresRewrite, and of
    the length functions of varchar, numeric and timestamps in PostgreSQL's source.

    >>> is_free("character varying(10)", "text"), is_free("numeric(10,2)", "numeric(12,2)")
    (True, True)
    >>> is_free("integer", "bigint"), is_free("text", "character varying(10)")
    (False, False)
    """
    if before == after:
        return True
    one, other = _MODIFIED.fullmatch(before), _MODIFIED.fullmatch(after)
    if one is None or other is None:
        return False
    name, length, scale, zone = one.groups()
    new_name, new_length, new_scale, new_zone = other.groups()
    if name == "character varying" and new_name == "text":
        return True
    if (name, zone) != (new_name, new_zone):
        return False
    if name == "numeric":
        is_wider = new_length is None or (length is not None and int(length) <= int(new_length))
        return is_wider and (new_length is None or (scale or "0") == (new_scale or "0"))
    if name in {"character varying", "timestamp", "time"}:
        return new_length is None or (length is not None and int(length) <= int(new_length))
    return False


def write_recipe(table: str, column: str, new_type: str) -> str:
    """The way to another type beside running code, as SQL to paste into revisions."""
    spare = f"{column.strip(chr(34))}_new"
    function = f"fill_{spare}"
    return f"""\
Paste it into a revision, and deploy code that reads {spare} before the last two statements:
ALTER TABLE {table} ADD COLUMN {spare} {new_type};
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.{spare} := NEW.{column}::{new_type}; RETURN NEW; END $$;
CREATE TRIGGER {function} BEFORE INSERT OR UPDATE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {function}();
-- assise: batch {table} 10000
UPDATE {table} SET {spare} = {column}::{new_type} WHERE {spare} IS DISTINCT FROM {column}::{new_type};
DROP TRIGGER {function} ON {table};
DROP FUNCTION {function}();
ALTER TABLE {table} DROP COLUMN {column};
ALTER TABLE {table} RENAME COLUMN {spare} TO {column};
"""


def write_formula(column: str, statements: Iterable[str]) -> str:
    """The way to another formula, which writes all rows, as SQL to paste into a revision."""
    steps = ";\n-- assise: and\n".join(statements)
    return f"""\
Paste it into a revision; it writes all rows, which nobody reads or writes meanwhile. Indexes and
constraints on {column} go with it: the next `assise schema revise` writes them anew.
{steps};
"""
