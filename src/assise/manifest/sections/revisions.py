"""What the manifest says for revisions of the schema."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.names import check_name
from assise.manifest.problems import Place, Problem
from assise.wording import show


def _check_was(place: Place, was: str, tables: Tables) -> Iterator[Problem]:
    yield from check_name(place, was)
    if was in tables[place[1]].columns:
        message = "is the name of a column that is there"
        yield Problem(place, message, show(was), "Give the name that this column had before.")


WAS = Key(
    "was",
    "column",
    help="the name that the column had before: the next revision renames it",
    affects="nothing",
    type=str,
    check=_check_was,
    default="none",
)
KEYS = (WAS,)
