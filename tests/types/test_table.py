"""The table of column types, beside the server's catalog and the tests' own table of types."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.oracle.fits import DEFAULT_KINDS as DEFAULTS

from assise.types.names import normalize_type
from assise.types.table import (
    KEY_KINDS,
    KINDS,
    PROPOSED,
    SCALARS,
    TYPES,
    array_parameter,
    default_kind,
    find_type,
    is_array,
    is_kind,
)
from assise.types.wire import Cell, add_length, read_row, write_row

Query = Callable[..., list[tuple[object, ...]]]
OTHERS = {
    "uuid": {"uuid", "uuid_java", "uuid_csharp", "uuid_python", "hex", "uuid_text"},
    "text": {"objectid", "any"},
    "int2": {"double"},
    "int4": {"double", "offset"},
    "int8": {"double", "offset"},
    "numeric": {"decimal", "text"},
    "timestamptz": {"iso", "iso3"},
    "date": {"text"},
    "bytea": {f"binary_{n}" for n in range(1, 256)},
    "citext": {"objectid"},
}
LIMITED = ["varchar(20)", "numeric(10,2)", "timestamptz(3)"]


def test_scalars_and_their_kinds_are_those_of_the_design() -> None:
    assert set(SCALARS) == set(DEFAULTS) - {"varchar"}
    for name in SCALARS:
        assert default_kind(name) == DEFAULTS[name]
        assert set(KINDS[name]) == {DEFAULTS[name]} | OTHERS.get(name, set())


def test_every_type_is_in_the_catalog_as_the_table_says(query: Query) -> None:
    query("CREATE EXTENSION citext")
    names = [*TYPES, *LIMITED, *(f"{name}[]" for name in LIMITED)]
    columns = ", ".join(f"c{i} {name}" for i, name in enumerate(names))
    query(f"CREATE TABLE every_type ({columns})")
    rows = query(
        "SELECT atttypid::int, format_type(atttypid, atttypmod), typarray::int FROM pg_attribute"
        " JOIN pg_type ON pg_type.oid = atttypid"
        " WHERE attrelid = 'every_type'::regclass AND attnum > 0 ORDER BY attnum"
    )
    for name, (oid, catalog_name, array_oid) in zip(names, rows, strict=True):
        found = find_type(name)
        assert catalog_name == found.catalog_name
        if name != "citext":
            assert (oid, array_oid or oid) == (found.oid, found.array_oid)


def test_what_infer_proposes_is_a_kind_of_its_type() -> None:
    assert PROPOSED["date"] == ("timestamptz", "date")
    assert PROPOSED["string"] == ("text", "string")
    assert PROPOSED["binary_5"] == ("bytea", "binary_5")
    assert all(is_kind(name, kind) for name, kind in PROPOSED.values())
    assert all(codec.proposed_for in {*PROPOSED, ""} for codec in TYPES["uuid"].codecs.values())


def test_a_row_gives_back_its_cells_and_a_parameter_its_elements() -> None:
    cells = [Cell(b""), Cell(b"a"), Cell(b"\xff" * 300)]
    assert read_row(write_row(*map(add_length, cells))) == cells
    empty = array_parameter("text", [])
    assert empty == bytes(8) + (25).to_bytes(4, "big")
    assert array_parameter("text", cells)[20:] == b"".join(map(add_length, cells))


def test_there_are_arrays_of_all_types_but_three() -> None:
    elements = set(SCALARS) - {"bytea", "jsonb", "citext"}
    assert set(KINDS) - set(SCALARS) == {f"{name}[]" for name in elements}


@pytest.mark.parametrize("name", [name for name in KINDS if is_array(name)])
def test_an_array_takes_the_kinds_of_its_element_but_no_key_kind(name: str) -> None:
    element = name.removesuffix("[]")
    assert f"{element}[]" == name
    assert default_kind(name) == default_kind(element)
    assert set(KINDS[name]) == set(KINDS[element]) - KEY_KINDS


def test_a_scalar_is_no_array() -> None:
    assert not is_array("text")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("text", "date"),
        ("text[]", "any"),
        ("int8[]", "offset"),
        ("bytea", "binary_0"),
        ("bytea", "binary_01"),
        ("bytea", "binary_256"),
        ("bytea[]", "binary"),
        ("jsonb[]", "every"),
        ("citext[]", "string"),
        ("text", ""),
        ("bool", "pointer(C)"),
        ("varchar(0)", "string"),
        ("numeric(2,3)", "number"),
        ("timestamptz(7)", "date"),
        ("text[][]", "string"),
    ],
)
def test_other_pairs_are_no_kinds(name: str, kind: str) -> None:
    assert not is_kind(name, kind)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("INTEGER", "int4"),
        ("smallint", "int2"),
        ("bigint []", "int8[]"),
        ("timestamp with time zone", "timestamptz"),
        ("timestamp (3) with time zone", "timestamptz(3)"),
        ("timestamp", "timestamp"),
        ("Character  Varying(20)", "varchar(20)"),
        ("varchar", "text"),
        ("decimal(10, 2)", "numeric(10,2)"),
        ("numeric(5)[]", "numeric(5,0)[]"),
        ("double precision", "float8"),
        ("boolean", "bool"),
        ("tëxt", "tëxt"),
    ],
)
def test_synonyms_of_postgresql_have_one_form(written: str, name: str) -> None:
    assert normalize_type(written) == name
    assert normalize_type(name) == name


def test_every_listed_pair_is_a_kind() -> None:
    assert all(is_kind(name, kind) for name, kinds in KINDS.items() for kind in kinds)
