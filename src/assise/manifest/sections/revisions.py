"""What the manifest says for revisions of the schema."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.names import check_name, check_table_name, split_table
from assise.manifest.problems import Place, Problem
from assise.wording import show


def _check_was(place: Place, was: str, tables: Tables) -> Iterator[Problem]:
    yield from check_name(place, was)
    if was in tables[place[1]].columns:
        message = "is the name of a column that is there"
        yield Problem(place, message, show(was), "Give the name that this column had before.")


def _check_was_table(place: Place, was: str, tables: Tables) -> Iterator[Problem]:
    yield from check_table_name(place, was)
    if was in tables:
        message = "is the name of a table that is there"
        yield Problem(place, message, show(was), "Give the name that this table had before.")
    elif split_table(was)[0] != split_table(place[1])[0]:
        remedy = "Move it by ALTER TABLE … SET SCHEMA in a revision written by hand."
        yield Problem(place, "is in another schema", show(was), remedy)
    elif [table for table in tables.values() if WAS_TABLE.of(table) == was][1:]:
        yield Problem(place, "is what two tables were", show(was), "Keep one of them.")


WAS_TABLE = Key(
    "was",
    "table",
    help="the name that the table had before: the next revision renames it",
    affects="nothing",
    type=str,
    check=_check_was_table,
    default="none",
)
WAS = Key(
    "was",
    "column",
    help="the name that the column had before: the next revision renames it",
    affects="nothing",
    type=str,
    check=_check_was,
    default="none",
)


def check_file(place: Place, name: str) -> Iterator[Problem]:
    """Check the path of a file of SQL, from the manifest's folder on."""
    is_outside = name.startswith("/") or ".." in name.split("/")
    if not name.endswith(".sql") or is_outside or "\0" in name:
        remedy = "Give a path below the manifest's folder, such as sql/views.sql."
        yield Problem(place, "is not a file of SQL", show(name), remedy)


def _check_sql(place: Place, names: tuple[str, ...], tables: Tables) -> Iterator[Problem]:
    del tables
    for i, name in enumerate(names):
        yield from check_file((*place, str(i)), name)
        if name in names[:i]:
            yield Problem((*place, str(i)), "stands there twice", show(name), "Remove it.")


SQL = Key(
    "sql",
    "manifest",
    help="files of SQL for what no key says, such as functions and views; run in this order behind"
    " the tables of an empty database",
    affects="nothing",
    type=tuple[str, ...],
    check=_check_sql,
    default="none",
)
KEYS = (SQL, WAS_TABLE, WAS)
