"""The names of types: PostgreSQL's synonyms are read, and written in one form."""

from __future__ import annotations

import re

MAX_LENGTH = 10_485_760
MAX_PRECISION = 1_000
MAX_PLACES = 6
LIMITS = {
    "varchar": f"Write varchar(n): 1 to {MAX_LENGTH:,} characters.",
    "numeric": f"Write numeric(p,s): 1 to {MAX_PRECISION:,} digits, of them 0 to p decimal places.",
    "timestamptz": f"Write timestamptz(n): 0 to {MAX_PLACES} decimal places of a second.",
}
"""The types that take modifiers, and which."""

_SYNONYMS = {
    "smallint": "int2",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "boolean": "bool",
    "double precision": "float8",
    "float": "float8",
    "decimal": "numeric",
    "character varying": "varchar",
    "timestamp with time zone": "timestamptz",
}
_NAME = re.compile(
    r"([a-z0-9 ]+?) ?(?:\( ?([0-9]{1,8}) ?(?:, ?([0-9]{1,8}) ?)?\))?( with time zone)?"
)


PATTERN = (
    r"^(varchar ?\([0-9]+\)|numeric ?\([0-9]+(, ?[0-9]+)?\)|timestamptz ?\([0-6]\)|"
    + "|".join(_SYNONYMS)
    + r")( ?\[\])?$"
)
"""Names beside those without a modifier, for editors."""


def normalize_type(text: str) -> str:
    """The one form of a type's name; a text that is no name of a type stays as it is.

    >>> normalize_type("CHARACTER VARYING (20)"), normalize_type("bigint[]")
    ('varchar(20)', 'int8[]')
    """
    words = " ".join(text.casefold().split())
    is_array = words.endswith("[]")
    match = _NAME.fullmatch(words.removesuffix("[]").rstrip())
    if match is None or not words.isascii():
        return text
    base, *modifiers, zone = match.groups("")
    name = _SYNONYMS.get(base + zone, base + zone)
    given = [int(number) for number in modifiers if number]
    if name == "numeric" and len(given) == 1:
        given.append(0)
    if name == "varchar" and not given:
        name = "text"
    modifier = f"({','.join(map(str, given))})" if given else ""
    return f"{name}{modifier}{'[]' * is_array}"


def read_modifiers(name: str) -> tuple[str, tuple[int, ...]]:
    """The parts of a type's name in its one form: `numeric(10,2)` is numeric, 10 and 2."""
    match = re.fullmatch(r"([a-z0-9]+)\(([0-9]{1,8})(?:,([0-9]{1,8}))?\)", name)
    if match is None:
        return name, ()
    base, *numbers = match.groups()
    return base, tuple(int(number) for number in numbers if number is not None)
