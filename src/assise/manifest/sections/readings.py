"""What a column reads beside its kind, where the values themselves do not say what they mean."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem
from assise.types.ids import SWAPS
from assise.types.names import read_modifiers
from assise.types.table import element_type
from assise.types.time import NUMBERS as COUNTS
from assise.wording import nearest, show


def _check_numbers(place: Place, numbers: str, tables: Tables) -> Iterator[Problem]:
    yield from _check(place, numbers, tables, of_type="timestamptz", known=COUNTS)


def _check_legacy_uuids(place: Place, order: str, tables: Tables) -> Iterator[Problem]:
    yield from _check(place, order, tables, of_type="uuid", known=tuple(SWAPS))


def _check_every_uuid(place: Place, order: str, tables: Tables) -> Iterator[Problem]:
    del tables
    if order not in SWAPS:
        yield Problem(place, "is not a byte order", show(order), nearest(order, SWAPS))


def _check(
    place: Place, value: str, tables: Tables, *, of_type: str, known: tuple[str, ...]
) -> Iterator[Problem]:
    table, name = tables[place[1]], place[3]
    column = table.columns[name]
    base, _ = read_modifiers(element_type(column.type))
    if value not in known:
        yield Problem(place, "is not known", show(value), nearest(value, known))
    elif base != of_type:
        remedy = f"Remove it, or give the column the type {of_type}."
        yield Problem(place, f"belongs to columns of {of_type} only", show(value), remedy)
    elif name in table.primary_key and table.collection is not None:
        remedy = "Remove it: a key holds values of its kind."
        yield Problem(place, "is not allowed on a key", show(value), remedy)


NUMBERS = Key(
    "numbers",
    "column",
    help="of a timestamptz: what numbers in it count: seconds or milliseconds from 1970, or .NET's"
    " ticks; without it numbers stand in _extra",
    affects="rows",
    check=_check_numbers,
    default="none",
    schema={"enum": [*COUNTS]},
)
LEGACY_UUIDS = Key(
    "legacy_uuids",
    "column",
    help="of a uuid: the driver in whose byte order binaries of subtype 3 are read",
    affects="rows",
    check=_check_legacy_uuids,
    default="that of the manifest",
    schema={"enum": [*SWAPS]},
)
OF_MANIFEST = Key(
    "legacy_uuids",
    "manifest",
    help="the driver in whose byte order columns of uuid read binaries of subtype 3",
    affects="rows",
    check=_check_every_uuid,
    default="none",
    schema={"enum": [*SWAPS]},
)
KEYS = (OF_MANIFEST, NUMBERS, LEGACY_UUIDS)
