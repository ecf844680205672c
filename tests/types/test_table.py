from __future__ import annotations

import pytest

from assise.types.table import (
    KEY_KINDS,
    KINDS,
    SCALARS,
    default_kind,
    element_type,
    is_array,
    is_kind,
)

DEFAULTS = {
    "uuid": "objectid",
    "text": "string",
    "bool": "bool",
    "int4": "int32",
    "int8": "int64",
    "float8": "double",
    "numeric": "number",
    "timestamptz": "date",
    "bytea": "binary",
    "jsonb": "every",
}
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


def test_arrays_are_those_of_the_first_eight_types() -> None:
    assert set(KINDS) - set(SCALARS) == {f"{name}[]" for name in list(DEFAULTS)[:8]}


@pytest.mark.parametrize("name", [name for name in KINDS if is_array(name)])
def test_an_array_takes_the_kinds_of_its_element_but_no_key_kind(name: str) -> None:
    element = element_type(name)
    assert f"{element}[]" == name
    assert default_kind(name) == default_kind(element)
    assert set(KINDS[name]) == set(KINDS[element]) - KEY_KINDS


def test_a_scalar_is_its_own_element() -> None:
    assert element_type("text") == "text"
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
