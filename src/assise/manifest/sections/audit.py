"""Audit: the tables of which a log says who changed which row, and when."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem

LOG_NAME, SEAL_NAME = "audit_log", "audit_seal"


def _check(place: Place, value: bool, tables: Tables) -> Iterator[Problem]:
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
