"""Audit: the tables of which a log says who changed which row, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.personal import PERSONAL
from assise.wording import show

LOG_NAME, SEAL_NAME = "audit_log", "audit_seal"

_KEEP = re.compile(r"[1-9]\d{0,3} (month|year)s?")


class AuditLog(Keyed):
    """How long months of the log are kept, and what becomes of them then."""

    keep: str
    then: Literal["drop", "detach"] = "drop"


def _check_log(place: Place, log: AuditLog, _tables: Tables) -> Iterator[Problem]:
    if not _KEEP.fullmatch(log.keep):
        remedy = "Write a number and months or years: 24 months. The log has a partition a month."
        yield Problem((*place, "keep"), "is no time to keep lines", show(log.keep), remedy)


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
AUDIT_LOG = Key(
    "audit_log",
    "manifest",
    help=f"{{keep: 24 months, then: drop}}: the worker drops (or detaches) months of {LOG_NAME} that"
    " ended so long ago and whose lines are sealed",
    affects="nothing",
    type=AuditLog,
    check=_check_log,
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {"keep": {"type": "string"}, "then": {"enum": ["drop", "detach"]}},
        "required": ["keep"],
    },
    default="all lines are kept",
)
KEYS = (AUDIT, AUDIT_LOG)
