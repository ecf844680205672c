"""Personal data: which columns tell something of a person."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show


def _check_personal(place: Place, word: str, tables: Tables) -> Iterator[Problem]:
    del tables
    if not re.fullmatch("[a-z][a-z0-9_]{0,62}", word):
        remedy = "Write one word that says what it is, such as email, name, phone or address."
        yield Problem(place, "is no word", show(word), remedy)


PERSONAL = Key(
    "personal",
    "column",
    help="what it tells of a person, in a word such as email: the role NAME_readonly does not see"
    " it, nor the table's _extra",
    affects="schema",
    type=str,
    check=_check_personal,
    default="nothing",
)
KEYS = (PERSONAL,)
