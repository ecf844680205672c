"""Verify: changed keys of every kind are found, and notes of what a key holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from bson import Binary, Int64
from tests.scenes.things import IDS, NOW, load_things

from assise.project import Project

KEYS: dict[str, tuple[str, list[object], str]] = {
    "objectid": ("{type: uuid, from: _id}", [IDS[0], IDS[1]], "(left({k}::text, 35) || '7')::uuid"),
    "objectid_text": (
        "{type: text, from: _id, kind: objectid}",
        [IDS[0], IDS[1]],
        "upper({k}) || '0'",
    ),
    "uuid": (
        "{type: uuid, from: _id, kind: uuid}",
        [Binary(bytes(range(16)), 4), Binary(bytes(16), 4)],
        "(left({k}::text, 35) || '7')::uuid",
    ),
    "string": ("{type: text, from: _id}", ["a", "", "é"], "{k} || ' '"),
    "bool": ("{type: bool, from: _id}", [True], "NOT {k}"),
    "int4": ("{type: int4, from: _id}", [1, 2, -3], "{k} + 10"),
    "int8": ("{type: int8, from: _id}", [1, Int64(2**40)], "{k} + 10"),
    "float8": ("{type: float8, from: _id}", [0.0, 1.5, float("inf")], "{k} + 2e-16"),
    "numeric": ("{type: numeric, from: _id}", [10, 10.5, -7], "{k} + 0.00"),
    "date": ("{type: timestamptz, from: _id}", [NOW, NOW + timedelta(1)], "{k} + interval '1 us'"),
    "bytea": ("{type: bytea, from: _id}", [b"a", b"\0"], r"{k} || '\x00'"),
    "any": (
        "{type: text, from: _id, kind: any}",
        [7, "7", None, {"b": 1, "a": 2}, [1], "x" * 2000],
        "{k} || ' '",
    ),
    "offset": ("{type: int8, kind: offset}", [1, 1, 1], "{k} + 1"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_changed_keys_of_every_kind_are_found(
    project: Project, tmp_path: Path, database: str, kind: str
) -> None:
    entry, ids, change = KEYS[kind]
    tables = f"""
  docs: {{collection: docs, primary_key: key, columns: {{key: {entry}, n: int4}}}}
  doc_items: {{parent: docs, from: items.*, primary_key: [key, place], columns: {{a: int4}}}}
"""
    documents = [{"_id": key, "n": n, "items": [{"a": 1}, {"a": n}]} for n, key in enumerate(ids)]
    loaded, size = load_things(project, tmp_path, database, tables, {"docs": documents}), len(ids)
    for n in range(size):
        changed = change.format(k="key")
        one = f"key = (SELECT key FROM docs WHERE n = {n})"
        if loaded.query(f"SELECT key::text = ({changed})::text FROM docs WHERE n = {n}") == [
            (True,)
        ]:
            continue
        orphaned = loaded.query(f"SELECT ({changed}) <> key FROM docs WHERE n = {n}") == [(True,)]
        stray = "doc_items" if orphaned else "child rows"
        loaded.finds(
            f"UPDATE docs SET key = {changed} WHERE n = {n}",
            (size - 1, 0, 1, 2 if orphaned else 1),
            "is missing",
            "comes from no document",
        )
        loaded.finds(
            f"UPDATE doc_items SET key = {changed} WHERE {one}",
            (size - 1, 1, 0, 1),
            "items: missing",
            stray,
        )
        loaded.finds(
            f"UPDATE doc_items SET key = {changed} WHERE {one} AND place = 1",
            (size - 1, 1, 0, 1),
            "items.1: missing",
        )
        loaded.finds(
            f"INSERT INTO doc_items SELECT {changed}, 9, 9 FROM docs WHERE n = {n}", (size, 0, 0, 1)
        )
        loaded.finds(
            f"DELETE FROM docs WHERE n = {n}", (size - 1, 0, 1, 1), "is missing", "doc_items"
        )
        loaded.finds(
            f"UPDATE docs SET n = -n - 1 WHERE n = {n}",
            (size - 1, 1, 0, 0),
            f": n: int32 {-n - 1}, was int32 {n}",
        )


def test_a_note_of_the_id_is_found_where_the_key_holds_it(
    project: Project, tmp_path: Path, database: str
) -> None:
    columns = "{key: {type: text, from: _id, kind: any}, n: int4}"
    tables = f"  docs: {{collection: docs, primary_key: key, columns: {columns}}}\n"
    loaded = load_things(
        project,
        tmp_path,
        database,
        tables,
        {"docs": [{"_id": "short", "n": 0}, {"_id": "x" * 2000, "n": 1}]},
    )
    assert loaded.query(
        "SELECT n, _extra->>'_id' = repeat('x', 2000), left(key, 7) FROM docs WHERE _extra IS"
        " NOT NULL"
    ) == [(1, True, "sha256:")]
    loaded.finds(
        """UPDATE docs SET _extra = '{"_id": "short"}' WHERE n = 0""",
        (1, 1, 0, 0),
        "_id is in its cells and in _extra",
    )
    loaded.finds("UPDATE docs SET _extra = NULL WHERE n = 1", (1, 1, 0, 0), "_id")
    loaded.finds(
        "UPDATE docs SET _extra = jsonb_set(_extra, '{_id}', '\"y\"') WHERE n = 1",
        (1, 1, 0, 0),
        "_id",
    )


def test_a_shorter_spelling_of_a_large_double_is_found(
    project: Project, tmp_path: Path, database: str
) -> None:
    columns = "{key: {type: int4, from: _id}, j: jsonb}"
    tables = f"  docs: {{collection: docs, primary_key: key, columns: {columns}}}\n"
    loaded = load_things(
        project, tmp_path, database, tables, {"docs": [{"_id": 1, "j": 1e20, "e": 1e20}]}
    )
    assert loaded.query("SELECT j::text, _extra::text FROM docs") == [
        ("100000000000000000000.0", '{"e": 100000000000000000000.0}')
    ]
    loaded.finds("UPDATE docs SET j = '1e20'", (0, 1, 0, 0), "j: 100000000000000000000 in jsonb")
    loaded.finds("""UPDATE docs SET _extra = '{"e": 1e20}'""", (0, 1, 0, 0))
