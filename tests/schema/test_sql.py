"""SQL of a layout: its text, hostile names, functions, foreign keys; run on a real PostgreSQL."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import psycopg
import pytest
from tests.rows.rebuild import read_manifest

from assise.schema.script import script
from assise.schema.sql import (
    add_foreign_keys,
    create_function,
    create_tables,
    drop_tables,
    key_functions,
    quote,
    quote_text,
)

Query = Callable[..., list[tuple[object, ...]]]

SMALL = {
    "assise": 1,
    "name": "shop",
    "tables": {
        "users": {
            "collection": "users",
            "primary_key": "id",
            "columns": {
                "id": {"type": "uuid", "from": "_id"},
                "full_name": {"type": "text", "from": "fullName"},
                "tags": "text[]",
            },
        },
        "user_items": {
            "parent": "users",
            "from": "items.*",
            "primary_key": ["user_id", "_position"],
            "columns": {"price": "numeric"},
        },
        "item_parts": {
            "parent": "user_items",
            "from": "parts.*",
            "primary_key": ["user_id", "_position", "_position_2"],
        },
    },
}
TEXT = """CREATE TABLE "public"."users" (
    "id" uuid DEFAULT "public"."_new_objectid"(),
    "full_name" text,
    "tags" text[],
    "_extra" jsonb,
    PRIMARY KEY ("id")
);

CREATE TABLE "public"."user_items" (
    "user_id" uuid,
    "_position" int4,
    "price" numeric,
    "_extra" jsonb,
    PRIMARY KEY ("user_id", "_position")
);

CREATE TABLE "public"."item_parts" (
    "user_id" uuid,
    "_position" int4,
    "_position_2" int4,
    "_extra" jsonb,
    PRIMARY KEY ("user_id", "_position", "_position_2")
);

ALTER TABLE "public"."user_items" ADD FOREIGN KEY ("user_id") \
REFERENCES "public"."users" ("id") ON DELETE CASCADE;

ALTER TABLE "public"."item_parts" ADD FOREIGN KEY ("user_id", "_position") \
REFERENCES "public"."user_items" ("user_id", "_position") ON DELETE CASCADE;
"""
HOSTILE = [
    'a"b',
    "a'b",
    "a\\b",
    "a;--b",
    "select",
    "User",
    "user",
    "é",
    "a b",
    "a.b",
    "%s",
    "%(x)s",
    "$1",
    "{0}",
    "x" * 63,
    "\n",
]


def keyed(type_: str, kind: str) -> object:
    return {
        "assise": 1,
        "name": "k",
        "tables": {
            "t": {"collection": "t", "primary_key": "id", "columns": {"id": column(type_, kind)}}
        },
    }


def column(type_: str, kind: str) -> dict[str, str]:
    return {"type": type_, "kind": kind} | ({} if kind == "offset" else {"from": "_id"})


def test_the_text_of_a_small_manifest() -> None:
    *functions, rest = script(read_manifest(SMALL), "public").split("\n$$;\n\n")
    assert rest == TEXT
    assert [re.findall("^CREATE.*", text, re.MULTILINE) for text in functions] == [
        ['CREATE FUNCTION "public"."_new_objectid"() RETURNS uuid'],
        ['CREATE FUNCTION "public"."objectid_to_uuid"(objectid text) RETURNS uuid'],
        ['CREATE FUNCTION "public"."uuid_to_objectid"(id uuid) RETURNS text'],
    ]


@pytest.mark.contract
def test_the_script_runs_on_an_empty_database_and_can_be_taken_away(
    query: Query, database: str
) -> None:
    manifest = read_manifest(SMALL)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(script(manifest, "public").encode())
    rows = query(
        "SELECT relname::text FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    assert rows == [("item_parts",), ("user_items",), ("users",)]
    query(drop_tables(["users", "user_items", "item_parts"], "public"))
    assert query(
        "SELECT count(*) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    ) == [(0,)]


def test_grandchildren_go_with_their_parents(query: Query, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(script(read_manifest(SMALL), "public").encode())
    query("INSERT INTO users (full_name) VALUES ('a'), ('b')")
    query(
        "INSERT INTO user_items (user_id, _position)"
        " SELECT id, n FROM users, generate_series(0, 1) AS n"
    )
    query(
        "INSERT INTO item_parts (user_id, _position, _position_2)"
        " SELECT user_id, _position, n FROM user_items, generate_series(0, 2) AS n"
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query("INSERT INTO item_parts (user_id, _position, _position_2) SELECT id, 7, 0 FROM users")
    query("DELETE FROM user_items WHERE _position = 1")
    assert query("SELECT count(*) FROM item_parts") == [(6,)]
    query("DELETE FROM users WHERE full_name = 'a'")
    assert query("SELECT (SELECT count(*) FROM user_items), (SELECT count(*) FROM item_parts)") == [
        (1, 3)
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_names(query: Query, database: str, name: str) -> None:
    table = name.replace(".", "_")  # a dot stands between a schema and a table
    plain = {
        "assise": 1,
        "name": "hostile",
        "tables": {
            table: {
                "collection": "c",
                "primary_key": name,
                "columns": {
                    name: {"type": "uuid", "from": "_id"},
                    name[:60] + "_2": {"type": "text[]", "from": "x"},
                },
            },
            table[:60] + "_c": {"parent": table, "from": "y.*", "primary_key": [name, "_position"]},
        },
    }
    manifest = read_manifest(plain)
    query(f"CREATE SCHEMA {quote(name)}")
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(script(manifest, name).encode())
        for function in key_functions(manifest.layout):
            connection.execute(create_function(function, "public").encode())
        for statement in create_tables(manifest.layout, "public"):
            connection.execute(statement.encode())
    found = query(
        "SELECT relname::text FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = %s::regnamespace",
        (quote(name),),
    )
    assert sorted(str(each) for (each,) in found) == sorted([table, table[:60] + "_c"])
    query(f"INSERT INTO {quote(name, table)} DEFAULT VALUES")
    columns = query(
        "SELECT attname::text FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        (quote(name, table),),
    )
    assert columns == [(name,), (name[:60] + "_2",), ("_extra",)]
    assert query(f"SELECT {quote_text(name)}") == [(name,)]
    assert len(add_foreign_keys(manifest.layout, name)) == 1


@pytest.mark.parametrize("strings", ["on", "off"])
@pytest.mark.parametrize("text", [*HOSTILE, "", "'", "\\", "\\'", "\\\\", "''"])
def test_texts_are_texts_whatever_the_server_says_of_backslashes(
    text: str, strings: str, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET escape_string_warning = off")
        connection.execute(f"SET standard_conforming_strings = {strings}".encode())
        assert connection.execute(f"SELECT {quote_text(text)}".encode()).fetchone() == (text,)


@pytest.mark.contract
@pytest.mark.parametrize(
    ("type_", "pattern"),
    [
        ("uuid", "^[0-9a-f-]{13}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{6}000000$"),
        ("text", "^[0-9a-f]{24}$"),
    ],
)
def test_the_default_of_a_key_of_objectids_is_one_of_this_second(
    query: Query, database: str, type_: str, pattern: str
) -> None:
    before = int(time.time())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(script(read_manifest(keyed(type_, "objectid")), "public").encode())
    query("INSERT INTO t SELECT FROM generate_series(1, 1000)")
    [(count, fitting)] = query(
        "SELECT count(DISTINCT id), count(*) FILTER (WHERE id::text ~ %s) FROM t", (pattern,)
    )
    assert (count, fitting) == (1000, 1000)
    seconds = {
        int(str(first), 16) for (first,) in query("SELECT DISTINCT left(id::text, 8) FROM t")
    }
    assert min(seconds) >= before
    assert max(seconds) <= int(time.time())


@pytest.mark.parametrize(
    ("type_", "kind", "expected"),
    [
        ("uuid", "uuid", '"id" uuid,'),
        ("text", "string", '"id" text,'),
        ("text", "any", '"id" text COLLATE "C",'),
        ("int8", "int64", '"id" int8,'),
        ("int8", "offset", '"id" int8,'),
        ("numeric", "number", '"id" numeric,'),
        ("bytea", "binary_5", '"id" bytea,'),
        ("text", "objectid", '"id" text DEFAULT "public"."_new_objectid_text"(),'),
    ],
)
def test_a_key_of_another_kind_has_no_default_and_one_of_kind_any_sorts_by_bytes(
    type_: str, kind: str, expected: str
) -> None:
    text = script(read_manifest(keyed(type_, kind)), "public")
    assert expected in text
    assert ("FUNCTION" in text) == (kind == "objectid")
