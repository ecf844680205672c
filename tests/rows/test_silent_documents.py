"""Documents that are there without a cell or a note: the key `documents`."""

from __future__ import annotations

import json

import bson
import pytest
from tests.oracle.equality import differences
from tests.rows.rebuild import PATHS, read_row, rows_of

from assise.errors import CellError
from assise.manifest.layout import read_layout
from assise.manifest.read import parse_manifest
from assise.native import find_native
from assise.rows.assemble import Assembler
from assise.rows.model import Row
from assise.rows.shred import Shredder
from assise.types.wire import Cell

LAYOUT = parse_manifest(
    """
assise: 1
name: app
tables:
  t:
    collection: t
    primary_key: id
    documents: [user.entities, user.entities.about]
    columns:
      id: {type: int4, from: _id}
      name: {type: text, from: user.name}
      city: {type: text, from: user.entities.about.city, absent: null}
  urls:
    parent: t
    from: user.entities.urls.*
    primary_key: [t_id, position]
    absent: []
    columns: {url: text}
""",
    "app.yaml",
).layout

NOTHING = {"about": {"city": None}, "urls": []}
"""What is in `user.entities` without a note."""


def make_user(**entities: object) -> dict[str, object]:
    """A user with what is in their entities besides, or instead of, nothing."""
    return {"name": "a", "entities": NOTHING | entities}


EMPTY_ABOUT = {"user": {"entities": {"about": {"$missing": ["city"]}}}}


@pytest.mark.parametrize("is_native", PATHS)
@pytest.mark.parametrize(
    ("user", "note"),
    [
        (make_user(), None),
        (make_user(urls=[{"url": "u"}]), None),
        (make_user(about={"city": "x"}), None),
        ({"name": "a"}, {"user": {"$missing": ["entities"]}}),
        ({"name": "a", "entities": None}, {"user": {"entities": None}}),
        ({"name": "a", "entities": {}}, {"user": {"entities": {"$missing": ["urls", "about"]}}}),
        (make_user(about={}), EMPTY_ABOUT),
        ({"entities": NOTHING}, {"user": {}}),
        ({}, {"user": {"$missing": ["entities"]}}),
        (None, {"user": None}),
        ("x", {"user": "x"}),
        (..., None),
    ],
)
def test_only_what_is_missing_is_noted(user: object, note: object, is_native: bool) -> None:
    raw = bson.encode({"_id": 1} if user is ... else {"_id": 1, "user": user})
    row, back = _rebuild(raw, is_native)
    assert (row[-1] and json.loads(row[-1][1:])) == note
    assert differences(raw, back) == []


@pytest.mark.skipif(find_native() is None, reason="assise-native is not installed")
def test_the_crate_shreds_silent_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    raws = [bson.encode({"_id": n, "user": make_user()}) for n in range(50)]
    shredder = Shredder(LAYOUT, "t", is_native=True)
    monkeypatch.setattr(shredder, "_visitor", None)
    batch = shredder.shred(list(enumerate(raws)))
    assert len(batch.rows[0]) == 50
    assert batch.values.extra == 0
    assert batch.values.typed == 4 * 50


def test_a_document_stays_when_sql_empties_its_last_cell_and_comes_with_one() -> None:
    there = {"_id": 1, "user": make_user(about={"city": "x"})}
    row, _ = _rebuild(bson.encode(there), False)
    emptied = [*row[:2], None, row[3]]
    assert _assemble(emptied) == {"_id": 1, "user": make_user()}
    missing, _ = _rebuild(bson.encode({"_id": 1, "user": {"name": "a"}}), False)
    filled = [*missing[:2], Cell(b"x"), missing[3]]
    assert _assemble(filled) == there


def test_verify_refuses_a_note_that_no_load_writes() -> None:
    row, _ = _rebuild(bson.encode({"_id": 1, "user": make_user()}), False)
    noted = [*row[:3], Cell(b'\1{"user": {"entities": {}}}')]
    assert _assemble(noted) == {"_id": 1, "user": make_user()}
    with pytest.raises(CellError, match="entities is in its cells and in _extra"):
        Assembler(LAYOUT, "t", is_strict=True).assemble(noted, [{}, {}])


def _rebuild(raw: bytes, is_native: bool) -> tuple[Row, bytes]:
    shredder = Shredder(LAYOUT, "t", is_native=is_native)
    batch = shredder.shred([(0, raw)])
    row, child_rows = rows_of(batch, shredder, 0)
    assert row == read_row(next(iter(batch.rows[0])))
    return row, Assembler(LAYOUT, "t", is_strict=True).assemble(row, child_rows)


def _assemble(row: Row) -> object:
    return bson.decode(Assembler(LAYOUT, "t", is_strict=False).assemble(row, [{}, {}]))


def test_a_layout_of_before_has_no_such_documents() -> None:
    stored = LAYOUT.as_json()
    for table in stored["tables"]:
        del table["documents"]
    assert read_layout(stored, name="app").tables["t"].documents == ()
