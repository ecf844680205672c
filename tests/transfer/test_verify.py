"""Verify: whatever is changed in any table after a load is found, and nothing else is reported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.scenes.databases import Databases, Template
from tests.scenes.things import (
    IDS,
    THINGS,
    Figures,
    Loaded,
    load_things,
    open_loaded,
    write_thing,
)

from assise.project import Project


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Two documents with everything, and two with nothing but their `_id`."""
    things: list[dict[str, object]] = [
        write_thing(0),
        write_thing(1),
        {"_id": IDS[2]},
        {"_id": IDS[3]},
    ]
    with databases.create_template(tmp_path_factory.mktemp("things")) as template:
        project = Project(template.folder, to=template.conninfo)
        load_things(project, template.folder, template.conninfo, THINGS, {"things": things})
        yield template


@pytest.fixture
def things(template: Template, tmp_path: Path, database: str) -> Loaded:
    """A copy of them."""
    return open_loaded(template.copy(tmp_path, database), database)


CHANGES = {
    "uuid": [
        "(left({c}::text, 35) || CASE right({c}::text, 1) WHEN '0' THEN '1' ELSE '0' END)::uuid",
        "(CASE left({c}::text, 1) WHEN '0' THEN '1' ELSE '0' END || substr({c}::text, 2))::uuid",
    ],
    "text": [
        "{c} || ' '",
        "left({c}, -1)",
        "overlay({c} placing '~' from 1 for 1)",
        "upper({c}) || ''",
        "''",
    ],
    "boolean": ["NOT {c}"],
    "integer": ["{c} + 1", "-{c} - 1"],
    "bigint": ["{c} + 1", "-{c}"],
    "double precision": ["{c} + 2e-16", "-{c}", "'NaN'", "'-Infinity'"],
    "numeric": [
        "{c} + 0.0 * 0.00",
        "{c} + 0.1",
        "'NaN'",
        "'Infinity'",
        "12345678901234567890123456789012345678901234567890",
    ],
    "timestamp with time zone": [
        "{c} + interval '1 us'",
        "{c} - interval '1 us'",
        "{c} + interval '1 ms'",
        "{c} + interval '1 h'",
        "'infinity'",
    ],
    "bytea": [
        "set_byte({c}, 0, get_byte({c}, 0) # 1)",
        r"{c} || '\x00'",
        "substr({c}, 2)",
        r"'\x'",
    ],
    "jsonb": [
        "{c} || '{{\"new\": null}}'",
        "{c} || '{{\"new\": 1}}'",
        "jsonb_build_object()",
        "'[]'",
        "'7'",
        "'null'",
        "jsonb_build_array({c})",
    ],
}
ARRAY_CHANGES = [
    "{c}[2:]", "{c}[:1]", "ARRAY[{c}[2], {c}[1]]",
    "array_append({c}, NULL)", "array_append({c}, {c}[1])",
    "array_prepend(NULL, {c})",
    "array_replace({c}, {c}[1], NULL)", "ARRAY[{c}]", "'{{}}'", "('[0:1]=' || {c}::text)::{t}",
    "('[2:3]=' || {c}::text)::{t}",
]  # fmt: skip


def changes_of(column: str, column_type: str) -> list[str]:
    """Expressions that give another value than a column of this type has."""
    found = ARRAY_CHANGES if column_type.endswith("[]") else CHANGES[column_type]
    return [text.format(c=f'"{column}"', t=column_type) for text in found]


def is_changed(loaded: Loaded, table: str, column: str, value: str) -> bool:
    """An expression gives another text than the first row has; `upper` of digits does not."""
    row = f'ctid = (SELECT min(ctid) FROM "{table}" WHERE "{column}" IS NOT NULL)'
    return loaded.query(
        f'SELECT "{column}"::text IS DISTINCT FROM ({value})::text FROM "{table}" WHERE {row}'
    ) == [(True,)]


@pytest.mark.parametrize(
    ("table", "first", "last"),
    [("things", n, n + 7) for n in (0, 7, 14, 21)]
    + [("thing_items", 0, 5), ("thing_parts", 0, 3), ("thing_notes", 0, 2)],
)
def test_every_change_of_every_column_is_found(
    things: Loaded, table: str, first: int, last: int
) -> None:
    keys = {"id", "thing_id", "position", "position_2"}
    columns = [(name, kind) for name, kind in things.columns(table) if name not in keys]
    assert (
        len(columns) == {"things": 28, "thing_items": 5, "thing_parts": 3, "thing_notes": 2}[table]
    )
    columns = columns[first:last]
    for column, kind in columns:
        first_row = f'(SELECT min(ctid) FROM "{table}" WHERE "{column}" IS %s NULL)'
        set_one = f'UPDATE "{table}" SET "{column}" = %s WHERE ctid = {first_row}'
        for value in ["NULL", *changes_of(column, kind)]:
            if is_changed(things, table, column, value):
                lines = things.finds(set_one % (value, "NOT"), (3, 1, 0, 0))
                assert all(
                    re.match(r"things: document at offset [0-9,]+ \(key [0-9a-f-]{36}\): ", line)
                    for line in lines
                )
                assert column == "_extra" or any(
                    re.search(rf"\b{column}\b", line) for line in lines
                ), (column, value, lines)
        if things.query(f'SELECT FROM "{table}" WHERE "{column}" IS NULL'):
            filled = f'(SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL LIMIT 1)'
            things.finds(set_one % (filled, ""), (3, 1, 0, 0), "things: document at offset ")


@pytest.mark.parametrize(
    ("column", "before", "after"),
    [
        ("price", "9.5", "9.50"),
        ("price", "10", "10.0"),
        ("price", "10", "10.000"),
        ("total", "10.50", "10.5"),
        ("total", "10.50", "10.500"),
        ("ratio", "1.5", "1.5000000000000002"),
        ("prices", "{10,10.5}", "{10.0,10.5}"),
        ("prices", "{10,10.5}", "{10,10.50}"),
        ("at", "2024-01-31 10:00:00+00", "2024-01-31 10:00:00.000001+00"),
        (
            "ats",
            "{%2024-02-01 10:00:00+00%}",
            "{2024-01-31 10:00:00+00,2024-02-01 10:00:00.000999+00}",
        ),
        ("word", "word 1", "word\u00a01"),
    ],
)
def test_the_smallest_change_of_a_value_is_found(
    things: Loaded, column: str, before: str, after: str
) -> None:
    row = f"ctid = (SELECT min(ctid) FROM things WHERE {column}::text LIKE '{before}')"
    things.finds(
        f"UPDATE things SET {column} = '{after}' WHERE {row}", (3, 1, 0, 0), f"): {column}"
    )


EQUAL_SPELLINGS = [
    ("doc", "{a}", "1.50"),
    ("doc", "{a}", '{"$numberDouble": "1.5"}'),
    ("doc", "{n}", "10.0"),
    ("doc", "{n}", '{"$numberInt": "10"}'),
    ("doc", "{n}", '{"$numberLong": "10"}'),
    ("doc", "{n}", "99999999999999999999"),
    ("doc", "{n}", "1e400"),
    ("doc", "{n}", "1" * 5000),
    ("doc", "{n}", "[" * 5000 + "]" * 5000),
    ("doc", "{in,0,deep}", '"Leaf"'),
    ("doc", "{in,0,at}", '{"$date": "2024-01-31T10:00:00.000Z"}'),
    ("doc", "{in,0,at}", '{"$date": "2024-01-31T11:00:00+01:00"}'),
    ("doc", "{in,0,at}", '{"$date": {"$numberLong": "1706695200000"}}'),
    ("doc", "{in,0,at}", '{"$date": "yesterday"}'),
    ("doc", "{in,0,id}", '{"$oid": "5F7F1F77BCF86CD799439010"}'),
    ("doc", "{in,0,id}", '{"$oid": "5f7f1f77bcf86cd799439011"}'),
    ("doc", "{in,0,id}", '{"$oid": "5f"}'),
    ("doc", "{in,1}", "{}"),
    ("doc", "{in,2}", "{}"),
    ("doc", "{in,2}", "null"),
    ("doc", "{none}", "[]"),
    ("doc", "{none}", "null"),
    ("doc", "{code,$scope,x}", "2"),
    ("doc", "{code,$scope,x}", "1.0"),
    ("_extra", "{rest,deep,deeper,1,leaf}", "1"),
    ("_extra", "{rest,deep,deeper,1,leaf}", "0.0"),
    ("_extra", "{rest,deep,deeper,1}", "{}"),
    ("_extra", "{address,zip}", '"69002"'),
]


@pytest.mark.parametrize(
    ("column", "path", "value"),
    EQUAL_SPELLINGS,
    ids=[f"{path}={value[:40]}" for _, path, value in EQUAL_SPELLINGS],
)
def test_a_changed_leaf_of_jsonb_is_found(
    things: Loaded, column: str, path: str, value: str
) -> None:
    things.finds(
        f"UPDATE things SET {column} = jsonb_set({column}, '{path}', '{value}', false) WHERE word"
        " = 'word 0'",
        (3, 1, 0, 0),
    )


@pytest.mark.parametrize(
    "change",
    [
        "{}",
        '{"word": "word 0"}',
        '{"word": "another"}',
        '{"word": 7}',
        '{"word": null}',
        '{"price": 9.5}',
        '{"doc": {}}',
        '{"never": null}',
        '{"items": []}',
        '{"items": 7}',
        '{"address": {}}',
        '{"address": {"zip": "69001", "city": "Lyon"}}',
        '{"address": {"zip": "69001", "city": null}}',
        '{"address": {"zip": "69001", "notes": []}}',
        '{"_id": {"$oid": "65b9f0a00000000000000000"}}',
        '{"_id": 7}',
        '{"$element": 7}',
        '{"$bson": "BQAAAAA="}',
        '{"$bson": 7}',
        '{"$bson": "DAAAABBhAAcAAAAA"}',
        '{"$oid": "65b9f0a00000000000000000"}',
    ],
)
def test_a_redundant_entry_in_extra_is_found(things: Loaded, change: str) -> None:
    if change == "{}":
        things.finds(
            f"UPDATE things SET _extra = '{change}' WHERE id = {BARE}",
            (3, 1, 0, 0),
            "_extra is {} instead of NULL",
        )
    else:
        things.finds(
            f"UPDATE things SET _extra = _extra || '{change}' WHERE word = 'word 0'", (3, 1, 0, 0)
        )


@pytest.mark.parametrize("key", ["rest", "address", "odd"])
def test_a_removed_entry_of_extra_is_found(things: Loaded, key: str) -> None:
    table, where = (
        ("thing_items", "label = 'item 0' AND position = 0")
        if key == "odd"
        else ("things", "word = 'word 0'")
    )
    things.finds(
        f"UPDATE {table} SET _extra = _extra - '{key}' WHERE {where}",
        (3, 1, 0, 0),
        key if key != "address" else "zip",
        "missing, was",
    )


@pytest.mark.parametrize(
    "extra",
    [
        '{"$element": "no Document"}', '{"$element": "no document", "x": 1}',
        '{"$element": "no document", "label": "item"}',
        '{"$element": null}', '{"$element": {}}', '{"$$element": "no document"}',
        "{}", '"no document"',
    ],
)  # fmt: skip
def test_a_changed_element_that_is_no_document_is_found(things: Loaded, extra: str) -> None:
    row = "position = 2 AND thing_id = (SELECT id FROM things WHERE word = 'word 0')"
    things.finds(f"UPDATE thing_items SET _extra = '{extra}' WHERE {row}", (3, 1, 0, 0), "items")
    things.finds(f"UPDATE thing_items SET label = 'a document' WHERE {row}", (3, 1, 0, 0), "items")


def test_a_note_of_an_element_beside_its_cells_is_found(things: Loaded) -> None:
    things.finds(
        """UPDATE thing_notes SET _extra = '{"$element": 5}' WHERE body = 'note 1'""",
        (3, 1, 0, 0),
        "notes",
    )


FIRST = "thing_id = '65b9f0a0-0000-8000-8000-000000000000'"
SECOND = "(SELECT id FROM things WHERE word = 'word 1')"
BARE = "(SELECT id FROM things WHERE word IS NULL ORDER BY id LIMIT 1)"
NEW = "65b9f0a0-0000-8000-8000-000000009000"
COLUMNS = "_id, label, n, size, _extra"


@pytest.mark.parametrize(
    ("statement", "figures", "words"),
    [
        (
            f"UPDATE thing_items SET position = 5 WHERE {FIRST} AND position = 3",
            (3, 1, 0, 0),
            ["not numbered from 0 without a gap"],
        ),
        (
            f"UPDATE thing_items SET position = 5 WHERE {FIRST} AND position = 0",
            (3, 1, 0, 0),
            ["thing_items are not numbered"],
        ),
        (
            f"UPDATE thing_items SET position = -1 WHERE {FIRST} AND position = 0",
            (3, 1, 0, 0),
            ["thing_items are not numbered"],
        ),
        (
            (
                f"UPDATE thing_parts SET position_2 = 5 WHERE {FIRST} AND position = 0 AND"
                " position_2 = 0"
            ),
            (3, 1, 0, 0),
            ["thing_parts are not"],
        ),
        (
            f"UPDATE thing_parts SET position = 1 WHERE {FIRST} AND position = 0",
            (3, 1, 0, 0),
            ["items: parts: parts is in its cells and in _extra"],
        ),
        (
            f"DELETE FROM thing_items WHERE {FIRST} AND position = 3",
            (3, 1, 0, 0),
            ["3 rows of thing_parts without a parent", "items.3: missing"],
        ),
        (
            f"DELETE FROM thing_items WHERE {FIRST} AND position = 1",
            (3, 1, 0, 0),
            ["thing_items are not numbered"],
        ),
        (
            f"DELETE FROM thing_items WHERE {FIRST}",
            (3, 1, 0, 0),
            ["items: missing", "6 rows of thing_parts without a parent"],
        ),
        (f"DELETE FROM thing_parts WHERE {FIRST}", (3, 1, 0, 0), ["items.0.parts: missing"]),
        (
            f"DELETE FROM thing_parts WHERE {FIRST} AND position_2 = 2",
            (3, 1, 0, 0),
            ["items.0.parts.2: missing"],
        ),
        (
            (
                f"INSERT INTO thing_items SELECT thing_id, 4, {COLUMNS} FROM thing_items WHERE"
                f" {FIRST} AND position = 1"
            ),
            (3, 1, 0, 0),
            ["items.4"],
        ),
        (
            (
                f"INSERT INTO thing_items SELECT {BARE}, 0, {COLUMNS} FROM thing_items"
                f" WHERE {FIRST}"
                " AND position = 1"
            ),
            (3, 1, 0, 0),
            ["items: array"],
        ),
        (
            f"INSERT INTO thing_items (thing_id, position) VALUES ({BARE}, 0)",
            (3, 1, 0, 0),
            ["items: array"],
        ),
        (
            f"INSERT INTO thing_items (thing_id, position) VALUES ({BARE}, 1)",
            (3, 1, 0, 0),
            ["thing_items are not numbered"],
        ),
        (
            f"INSERT INTO thing_parts (thing_id, position, position_2) VALUES ({BARE}, 0, 0)",
            (3, 1, 0, 0),
            ["1 row of thing_parts without"],
        ),
        (
            f"UPDATE thing_items SET position = position + 1 WHERE {FIRST} AND position = 3",
            (3, 1, 0, 0),
            ["thing_items are not numbered"],
        ),
        (f"UPDATE thing_notes SET thing_id = {BARE} WHERE {FIRST}", (2, 2, 0, 0), ["address"]),
        (
            (
                f"UPDATE thing_notes SET thing_id = {BARE}, position = 0 WHERE {FIRST}"
                " AND position"
                " = 1"
            ),
            (2, 2, 0, 0),
            ["address", "notes.1: missing"],
        ),
        (
            (
                f"UPDATE thing_notes SET thing_id = {SECOND}, position = 2 WHERE {FIRST} AND"
                " position = 1"
            ),
            (2, 2, 0, 0),
            ["notes.2", "notes.1: missing"],
        ),
        (
            f"UPDATE thing_notes SET thing_id = gen_random_uuid() WHERE {FIRST}",
            (3, 1, 0, 2),
            ["rows of 2 documents in thing_notes have no row in things"],
        ),
        (
            (
                "INSERT INTO thing_parts (thing_id, position, position_2) VALUES"
                " (gen_random_uuid(), 0, 0)"
            ),
            (4, 0, 0, 1),
            ["1 document in thing_parts"],
        ),
        (f"DELETE FROM things WHERE id = {BARE}", (3, 0, 1, 0), ["is missing"]),
        (
            "DELETE FROM things WHERE word = 'word 0'",
            (3, 0, 1, 3),
            ["is missing", "thing_items", "thing_parts", "thing_notes"],
        ),
        ("DELETE FROM things", (0, 0, 4, 6), ["is missing"]),
        (
            f"INSERT INTO things (id, word) VALUES ('{NEW}', 'new')",
            (4, 0, 0, 1),
            [f"row {NEW} of things comes from no document"],
        ),
        (
            "INSERT INTO things (word) SELECT 'new' FROM generate_series(1, 1000)",
            (4, 0, 0, 1000),
            ["comes from no document"],
        ),
        (
            f"UPDATE things SET id = gen_random_uuid() WHERE id = {BARE}",
            (3, 0, 1, 1),
            ["is missing", "comes from no document"],
        ),
        (
            "UPDATE things SET id = gen_random_uuid() WHERE word = 'word 0'",
            (3, 0, 1, 4),
            ["is missing", "thing_notes"],
        ),
    ],
)
def test_moved_lost_and_added_rows_are_found(
    things: Loaded, statement: str, figures: Figures, words: list[str]
) -> None:
    things.finds(statement, figures, *words)


def test_two_rows_that_changed_places_are_found(things: Loaded) -> None:
    swap = "UPDATE {0} SET {1} = 7 - {1} WHERE {2} AND {1} IN (3, 4)"
    swap_notes = """UPDATE thing_notes AS a SET body = b.body, _extra = b._extra
        FROM thing_notes AS b WHERE a.thing_id = b.thing_id AND a.position <> b.position"""
    things.finds(swap_notes, (2, 2, 0, 0), "notes.0", "notes.1")
    things.query("ALTER TABLE thing_items DROP CONSTRAINT thing_items_pkey")
    things.finds(
        swap.replace("7 -", "1 -")
        .replace("(3, 4)", "(0, 1)")
        .format("thing_items", "position", FIRST),
        (3, 1, 0, 0),
        "items: parts: ",
    )
    things.finds(
        f"INSERT INTO thing_items SELECT * FROM thing_items WHERE {FIRST} AND position = 3",
        (3, 1, 0, 0),
        "not numbered from 0",
    )


def test_a_duplicated_root_row_is_extra_with_and_without_its_children(things: Loaded) -> None:
    columns = ", ".join(f'"{name}"' for name, _ in things.columns("things")[1:])
    row = f"SELECT '{NEW}', {columns} FROM things WHERE word = 'word 0'"
    copy = f"INSERT INTO things (id, {columns}) {row}"
    things.finds(copy, (4, 0, 0, 1), "comes from no document")
    things.finds(
        f"{copy}; INSERT INTO thing_notes SELECT '{NEW}', position, body, _extra FROM"
        f" thing_notes WHERE {FIRST}",
        (4, 0, 0, 1),
    )
