"""Columns whose type reads values of other kinds, where that is certain: moments, integers, ids.

Each choice is exact: it says how many of the values its column reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from assise.documents.kinds import BINARY, KINDS
from assise.infer.joins import name_path
from assise.infer.names import singular, snake_case
from assise.infer.tree import (
    DAY,
    FRACTION,
    HEX,
    ISO,
    ISO_MS,
    NO_TEXT,
    OTHER_HEX,
    OTHER_ISO,
    OTHER_UUID,
    UUID_TEXT,
    VAST,
    WIDE,
    PathProfile,
)
from assise.types.table import find_codec

INTS = frozenset({"int32", "int64"})
NUMBERS = INTS | {"double"}
"""Kinds of the profile."""

LEAST_SHARE = 99
"""Percent of the values that are not null and not the empty text, which must be read."""

LEAST_HELD = 90
"""Percent of all values that are not null, which must stand in the column."""

MANY = 1_000
"""Whole doubles from which on a field that is no id is one of integers."""

FEW = 10
"""Whole doubles up to which they are taken for integers of 64 bits."""

_MEASURES = frozenset(
    "amount average balance budget cost discount distance duration fee height lat latitude length"
    " lng lon longitude mean percent percentage price rate rating ratio revenue salary"
    " score speed sum tax temperature total value volume weight width".split()
)
"""Words in the names of fields that may have fractions tomorrow."""


class ColumnChoice(NamedTuple):
    """Type and kind of a column, and the names of the profile's kinds that it holds.

    values: how many it holds or reads; -1 for all of these kinds.
    said: what the values are, for a comment.
    """

    type: str
    kind: str
    held: frozenset[str]
    values: int = -1
    said: str = ""

    @property
    def reads(self) -> frozenset[str]:
        """The profile's names of the kinds of which the column reads values."""
        kinds = find_codec(self.type, self.kind).read
        return frozenset("uuid" if kind == BINARY else KINDS[kind] for kind in kinds)


def choose_moment(path: PathProfile) -> ColumnChoice | None:
    """The column of texts that are moments or days, some of which may be dates."""
    forms = path.forms
    moments = forms[ISO] + forms[ISO_MS] + forms[OTHER_ISO]
    if forms[DAY] > moments and _is_certain(path, forms[DAY]):
        return ColumnChoice("date", "text", frozenset({"string"}), forms[DAY], "days")
    dates = path.kinds.get("date", 0)
    homes = {"date": dates, "iso": forms[ISO], "iso3": forms[ISO_MS]}
    kind = max(homes, key=lambda name: homes[name])
    if not moments or kind == "date" or 2 * homes[kind] < moments + dates:
        return None
    if not _is_certain(path, moments + dates):
        return None
    held = frozenset({"string", "date"} if dates else {"string"})
    return ColumnChoice("timestamptz", kind, held, moments + dates, "ISO moments")


def _is_certain(path: PathProfile, count: int) -> bool:
    known = path.set_values - path.forms[NO_TEXT]
    return 100 * count >= max(LEAST_SHARE * known, LEAST_HELD * path.set_values)


def choose_whole(path: PathProfile) -> ColumnChoice | None:
    """The column of integers for numbers of which some are doubles, and all are whole.

    Few values say little of how large others are.
    """
    doubles = path.kinds.get("double", 0)
    ints = sum(path.kinds.get(kind, 0) for kind in INTS)
    is_whole = not path.forms[FRACTION] and doubles + ints == path.set_values
    if not doubles or not is_whole:
        return None
    is_wide = path.forms[WIDE] + path.forms[VAST] or path.set_values < FEW
    is_wide = is_wide or "int64" in path.kinds
    home = "double" if doubles >= ints else "int"
    said = "all whole"
    return ColumnChoice("int8" if is_wide else "int4", home, NUMBERS, path.set_values, said)


def choose_uuid(path: PathProfile) -> ColumnChoice | None:
    """The column of ids for texts of ObjectIds or UUIDs, some of which may be such ids."""
    forms, kinds = path.forms, path.kinds
    homes = {
        "hex": forms[HEX],
        "uuid_text": forms[UUID_TEXT],
        "objectid": kinds.get("objectId", 0),
        "uuid": kinds.get("uuid", 0),
    }
    count = sum(homes.values()) + forms[OTHER_HEX] + forms[OTHER_UUID]
    kind = max(homes, key=lambda name: homes[name])
    if kind not in {"hex", "uuid_text"} or not _is_certain(path, count):
        return None
    held = frozenset({"string", "objectId", "uuid"}.intersection(kinds))
    return ColumnChoice("uuid", kind, held, count, "ids")


def list_joins(path: PathProfile, column_type: str) -> dict[str, ColumnChoice]:
    """What a column could be to join another one, by the family of the other one's type."""
    found = {"int": choose_whole(path), "uuid": choose_uuid(path)}
    if column_type == "uuid" and path.kinds.keys() <= {"objectId", "null"}:
        found["text"] = ColumnChoice("text", "objectid", frozenset({"objectId"}), path.set_values)
    return {family: choice for family, choice in found.items() if choice is not None}


FAMILIES: Mapping[str, str] = {"uuid": "uuid", "int4": "int", "int8": "int", "text": "text"}
"""Types of keys -> what joins them."""


def is_whole_by_name(keys: Sequence[str], count: int) -> bool:
    """Whether whole doubles at a path are integers: ids are, and many others by their names.

    >>> [is_whole_by_name([key], 1_000) for key in ("externalId", "visits", "unitPrice")]
    [True, True, False]
    >>> is_whole_by_name(["visits"], 999)
    False
    """
    words = snake_case(name_path(tuple(keys))).split("_")
    if words[-1] in {"id", "ids"}:
        return True
    return count >= MANY and _MEASURES.isdisjoint([*words, *map(singular, words)])
