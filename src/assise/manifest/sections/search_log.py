"""Search log: whether searches are kept in a table, how long, and what of whoever searched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show

LOG_TABLE = "search_queries"
_KEEP = re.compile(r"[1-9]\d{0,5} (minute|hour|day|week|month|year)s?")


class SearchLog(Keyed):
    """How long searches are kept, and how their users stand in them.

    users: `hash`, by which searches of one user are told together and nobody is named; `key`, as
    the tables have it; or `none`.
    """

    keep: str = "30 days"
    users: Literal["hash", "key", "none"] = "hash"


def _check(place: Place, log: SearchLog, tables: Tables) -> Iterator[Problem]:
    if not _KEEP.fullmatch(log.keep):
        remedy = "Write a number and minutes, hours, days, weeks, months or years: 30 days."
        yield Problem((*place, "keep"), "is no time to keep searches", show(log.keep), remedy)
    if LOG_TABLE in tables:
        message = f"needs the name {LOG_TABLE}, which is one of the tables"
        yield Problem(place, message, remedy="Call the other table otherwise.")


SEARCH_LOG = Key(
    "search_log",
    "manifest",
    help=f"every search is kept in the table {LOG_TABLE}: keep says how long, users whether with a"
    " hash of the user (hash), its key (key), or without (none)",
    affects="schema",
    type=SearchLog,
    check=_check,
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "keep": {"type": "string"},
            "users": {"enum": ["hash", "key", "none"]},
        },
    },
    default="searches are not kept",
)
KEYS = (SEARCH_LOG,)
