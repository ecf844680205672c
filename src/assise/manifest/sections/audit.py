"""Audit: the tables of which a log says who changed which row, and when."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.personal import PERSONAL

LOG_NAME, SEAL_NAME = "audit_log", "audit_seal"


def _check(place: Place, value: bool, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    for name in table.primary_key if value else ():
        if name in table.columns and PERSONAL.of(table.columns[name]):
            message = f"would keep {name} in each line: it is of the key, and personal"
            remedy = "Give the table a key that tells nothing of a person, such as an id."
            yield Problem(place, message, remedy=remedy)
    for name in (LOG_NAME, SEAL_NAME) if value else ():
        if name in tables:
            remedy = "Call the other table otherwise."
            yield Problem(
                place, f"needs the name {name}, which is one of the tables", remedy=remedy
            )


AUDIT = Key(
    "audit",
    "table",
    help=f"true: every change of a row is a line of {LOG_NAME}, with who made it and why; of columns"
    " that are personal, and of _extra, only that they changed",
    affects="schema",
    type=bool,
    check=_check,
    default="false",
)
KEYS = (AUDIT,)
