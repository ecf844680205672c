"""What the server prints of an expression stays the same, however often it reads its own print."""

from __future__ import annotations

import pytest

from assise.postgres.connection import Connection
from assise.postgres.snapshot import read_snapshot
from assise.schema.catalog import CatalogItem, Facts
from assise.schema.settled import settle

pytestmark = pytest.mark.contract
TABLE = """CREATE TABLE t (v varchar, w varchar(10), c char(3), b int8, n numeric(10,2), at timestamptz,
    j jsonb, l varchar[], u uuid, "it's (ARRAY[" varchar, kept bool)"""
EXPRESSIONS = [
    "v IN ('x', 'y z')",
    "w NOT IN ('it''s', ')::text[]')",
    "w IN ('a'::varchar(10), 'b')",
    "v = ANY (ARRAY[v, w]) OR NOT (w IN ('a', lower('B')))",
    "\"it's (ARRAY[\" IN ('a', 'b')",
    "l[1] IN ('x', 'y,z')",
    "ARRAY[ARRAY[v, w], ARRAY['a', 'b']]::text[] <> '{}'",
    "ARRAY[ARRAY[v, w], ARRAY['a', 'b']] <> '{}'",
    "c IN ('a', 'b') AND b IN (1, 2) AND n IN (1, 2.5)",
    "v IN ('(ARRAY[''a''])::text[]', 'b')",
    "CASE v WHEN 'x' THEN b > -1 ELSE n BETWEEN -1 AND 5 END",
    "coalesce(v, 'z') <> '' AND v LIKE 'a%' AND v COLLATE \"C\" > 'a'",
    "at > '2020-01-01 UTC' AND j ->> 'a' IN ('x', 'y')",
]


MAKES = [
    "ALTER TABLE t ADD CONSTRAINT made CHECK ({})",
    "CREATE INDEX made ON t (b) WHERE {}",
    "CREATE INDEX made ON t (({}))",
    "CREATE POLICY made ON t USING ({})",
    "CREATE VIEW made AS SELECT b FROM t WHERE {}",
]
DEFAULT = "ALTER TABLE t ALTER COLUMN kept SET DEFAULT {}"


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_is_read_again_is_the_same(database: str, expression: str) -> None:
    with Connection(database) as connection:
        connection.execute(TABLE)
        for make in MAKES:
            connection.execute(make.replace("{}", expression))
            first = _find(connection, "made")
            connection.execute(f"{first.drop}; {first.create}")
            assert _find(connection, "made") == first
            connection.execute(first.drop)


def test_a_default_that_is_read_again_is_the_same(database: str) -> None:
    with Connection(database) as connection:
        connection.execute(TABLE)
        connection.execute(DEFAULT.replace("{}", "'x' = ANY (ARRAY['a'::varchar, 'b'])"))
        first = Facts.of(_find(connection, "kept"))
        connection.execute(DEFAULT.replace("{}", first.default or ""))
        assert Facts.of(_find(connection, "kept")) == first


def test_what_a_comment_or_a_function_says_is_left_alone(database: str) -> None:
    text = "SELECT (ARRAY['a'::varchar])::text[]"
    with Connection(database) as connection:
        connection.execute(f"{TABLE}; COMMENT ON TABLE t IS $${text}$$")
        connection.execute(f"CREATE FUNCTION f() RETURNS text[] LANGUAGE sql AS $${text}$$")
        found = read_snapshot(connection).values()
    assert [item.kind for item in found if text in item.definition] == ["comment", "function"]


@pytest.mark.parametrize(
    "text", ["(ARRAY[]::character varying[])::text[]", "(ARRAY[a, b])[1]", "'(ARRAY[a])::text[]'"]
)
def test_what_the_server_reads_as_it_prints_it_stays(text: str) -> None:
    assert settle(text) == text


def _find(connection: Connection, name: str) -> CatalogItem:
    found = read_snapshot(connection).values()
    return next(item for item in found if item.name.removeprefix("public.") == name)
