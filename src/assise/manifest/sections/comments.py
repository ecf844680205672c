"""Comments on tables and columns, for people who look at the database."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show

MAX_COMMENT = 10_000


def check_comment(place: Place, comment: str, tables: Tables) -> Iterator[Problem]:
    """Check the text of a comment."""
    del tables
    if not comment.strip():
        yield Problem(place, "is an empty comment", remedy="Write one, or remove the key.")
    if "\0" in comment:
        message = "holds a NUL, which PostgreSQL cannot hold"
        yield Problem(place, message, show(comment), "Remove the NUL.")
    if len(comment) > MAX_COMMENT:
        message = f"has {len(comment):,} characters"
        yield Problem(place, message, show(comment), f"Write at most {MAX_COMMENT:,}.")


ON_TABLE = Key(
    "comment",
    "table",
    help="the comment of the table in PostgreSQL",
    affects="schema",
    check=check_comment,
    default="none",
)
ON_COLUMN = Key(
    "comment",
    "column",
    help="the comment of the column in PostgreSQL",
    affects="schema",
    check=check_comment,
    default="none",
)
KEYS = (ON_TABLE, ON_COLUMN)
