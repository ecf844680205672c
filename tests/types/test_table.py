"""The table of column types, beside the server's catalog and the tests' own table of types."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.oracle.fits import DEFAULT_KINDS as DEFAULTS

from assise.types.table import (
    KEY_KINDS,
    KINDS,
    PROPOSED,
    SCALARS,
    TYPES,
    array_parameter,
    default_kind,
    is_array,
    is_kind,
)
from assise.types.wire import Cell, add_length, read_row, write_row

Query = Callable[..., list[tuple[object, ...]]]
OTHERS = {
    "uuid": {"uuid", "uuid_java", "uuid_csharp", "uuid_python"},
    "text": {"objectid", "any"},
    "int4": {"offset"},
    "int8": {"offset"},
    "numeric": {"decimal"},
    "bytea": {f"binary_{n}" for n in range(1, 256)},
}


def test_scalars_and_their_kinds_are_those_of_the_design() -> None:
    assert list(SCALARS) == list(DEFAULTS)
    for name, default in DEFAULTS.items():
        assert default_kind(name) == default
        assert set(KINDS[name]) == {default} | OTHERS.get(name, set())


def test_every_type_is_in_the_catalog_as_the_table_says(query: Query) -> None:
    for name, found in TYPES.items():
        rows = query("SELECT %s::regtype::oid::int, format_type(%s::regtype, NULL)", (name, name))
        assert rows == [(found.oid, found.catalog_name)]
        element = TYPES[name.removesuffix("[]")]
        [(array_oid,)] = query("SELECT typarray::int FROM pg_type WHERE oid = %s", (element.oid,))
        assert found.array_oid == array_oid


def test_what_infer_proposes_is_a_kind_of_its_type() -> None:
    assert PROPOSED["date"] == ("timestamptz", "date")
    assert PROPOSED["binary_5"] == ("bytea", "binary_5")
    assert all(is_kind(name, kind) for name, kind in PROPOSED.values())
    assert all(codec.proposed_for in {*PROPOSED, ""} for codec in TYPES["uuid"].codecs.values())


def test_a_row_gives_back_its_cells_and_a_parameter_its_elements() -> None:
    cells = [Cell(b""), Cell(b"a"), Cell(b"\xff" * 300)]
    assert read_row(write_row(*map(add_length, cells))) == cells
    empty = array_parameter("text", [])
    assert empty == bytes(8) + (25).to_bytes(4, "big")
    assert array_parameter("text", cells)[20:] == b"".join(map(add_length, cells))


def test_arrays_are_those_of_the_first_eight_types() -> None:
    assert set(KINDS) - set(SCALARS) == {f"{name}[]" for name in list(DEFAULTS)[:8]}


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
        ("citext", "string"),
        ("text", ""),
    ],
)
def test_other_pairs_are_no_kinds(name: str, kind: str) -> None:
    assert not is_kind(name, kind)


def test_every_listed_pair_is_a_kind() -> None:
    assert all(is_kind(name, kind) for name, kinds in KINDS.items() for kind in kinds)
