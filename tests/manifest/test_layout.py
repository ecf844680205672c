"""The layout: what rows depend on, to JSON and back, and from a manifest of the first release."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from assise.errors import ManifestError
from assise.manifest.derive import read_first_manifest
from assise.manifest.layout import RULES, layouts, read_layout
from assise.manifest.read import parse_manifest
from assise.manifest.sections import KEYS

SHOP = r"""
assise: 1
name: shop
tables:
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: text, from: _id, kind: any}
      "a.b": text
      zip: {type: "text[]", from: 'address.zip\.code'}
      _extra: jsonb
  lines:
    parent: orders
    from: report.lines.*
    primary_key: [order_id, _position]
    columns: {price: {type: numeric, kind: decimal}}
  events:
    collection: events
    primary_key: n
    columns: {n: {type: int8, kind: offset}}
"""


def test_a_layout_comes_back_from_json() -> None:
    layout = parse_manifest(SHOP).layout
    again = read_layout(json.loads(json.dumps(layout.as_json())), name="shop")
    assert again == layout
    assert [*again.tables] == ["orders", "lines", "events"]
    for root in layout.roots:
        for one, other in zip(layouts(layout, root), layouts(again, root), strict=True):
            assert (one.names, one.types, one.key) == (other.names, other.types, other.key)
    assert again.tables["lines"].names == ("order_id", "_position", "price", "_extra")
    assert again.tables["lines"].types == ("text", "int4", "numeric", "jsonb")
    assert again.tables["orders"].names[-1] == "_extra_2"


def test_the_order_of_tables_and_columns_makes_no_other_layout() -> None:
    plain = json.loads(json.dumps(parse_manifest(SHOP).layout.as_json()))
    plain["tables"].reverse()
    for table in plain["tables"]:
        table["columns"].reverse()
    assert read_layout(plain, name="shop") == parse_manifest(SHOP).layout


def test_a_manifest_of_the_first_release_gives_the_same_layout() -> None:
    assert read_first_manifest(SHOP) == replace(parse_manifest(SHOP).layout, rules=1)


def test_keys_that_the_first_release_did_not_have_are_passed_over() -> None:
    later = SHOP.replace("    primary_key", "    later: x\n    primary_key")
    later = later.replace("{type: numeric,", "{type: numeric, later: [x],")
    assert read_first_manifest(f"{later}later: {{a: b}}\n") == replace(
        parse_manifest(SHOP).layout, rules=1
    )


@pytest.mark.parametrize(
    "text", ["", "a", "- a", "tables: a", "tables: {a: b}", "assise: [", "tables: {a: {}}"]
)
def test_a_text_that_is_no_manifest_is_an_error(text: str) -> None:
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        read_first_manifest(text)


def edit(plain: dict[str, Any], where: str, value: object) -> None:
    """Set a key of a layout: of its own, of a table, or of a column."""
    table = plain["tables"][0]
    places = {"": plain, "table": table, "column": table["columns"][1]}
    place, _, key = where.rpartition(".")
    places[place][key] = value


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("rules", RULES + 1, f"rules: {RULES + 1}: "),
        ("later", 1, "later: "),
        ("table.later", None, "later: "),
        ("column.later", [], "later: "),
        ("column.type", "vector", "a.b: vector of kind string: "),
        ("column.kind", "later", "a.b: text of kind later: "),
    ],
)
def test_what_a_later_program_wrote_is_refused(where: str, value: object, said: str) -> None:
    plain = parse_manifest(SHOP).layout.as_json()
    edit(plain, where, value)
    with pytest.raises(ManifestError) as error:
        read_layout(plain, name="shop")
    assert error.value.message == (
        f"the layout of the load of 'shop': {said}this program does not know it"
    )
    assert "newer Assise" in error.value.remedy


def test_every_key_that_affects_rows_stands_in_the_layout() -> None:
    plain = parse_manifest(SHOP).layout.as_json()
    table = plain["tables"][0]
    renamed = {"child_path": "from", "path": "from", "extra": "", "table": "", "name": ""}
    renamed["is_element"] = "from"
    found = {
        "table": {renamed.get(key, key) for key in table},
        "column": {renamed.get(key, key) for key in table["columns"][0]},
    }
    assert "reads" in found["column"]
    found["column"] = (found["column"] - {"reads"}) | {"numbers", "legacy_uuids"}
    for on, names in found.items():
        assert names - {""} == {key.name for key in KEYS if key.on == on and key.affects == "rows"}


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("rules", 0),
        ("rules", "1"),
        ("rules", None),
        ("rules", True),
        ("tables", {}),
        ("tables", None),
        ("table.parent", "orders"),
        ("table.parent", "nowhere"),
        ("table.primary_key", []),
        ("table.columns", None),
    ],
)
def test_a_layout_that_was_changed_by_hand_is_an_error(where: str, value: object) -> None:
    plain = parse_manifest(SHOP).layout.as_json()
    edit(plain, where, value)
    with pytest.raises(ManifestError) as error:
        read_layout(plain, name="shop")
    assert "the layout of the load of 'shop'" in error.value.message
