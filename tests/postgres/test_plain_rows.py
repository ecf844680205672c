"""Rows as dictionaries are those of psycopg's own factory."""

import psycopg
import pytest
from psycopg.rows import dict_row

from assise.postgres.plain_rows import MOST, plain_row

QUERIES = {
    "no column": "SELECT FROM generate_series(1, 2)",
    "no row": "SELECT 1 AS a WHERE false",
    "names": """SELECT 1 AS "a'b", 'x' AS "été {n0}", NULL AS "row[0]", 2 AS "lambda" """,
    "twice": "SELECT 1 AS a, 2 AS b, 3 AS a",
    "most": f"SELECT {', '.join(f'{n} AS c{n}' for n in range(MOST))}",
    "more": f"SELECT {', '.join(f'{n} AS c{n}' for n in range(MOST + 1))}",
}


@pytest.mark.parametrize("name", QUERIES)
def test_rows_are_those_of_the_slower_factory(database: str, name: str) -> None:
    found = []
    with psycopg.connect(database, autocommit=True) as connection:
        for encoding in ("UTF8", "LATIN1"):
            connection.execute(f"SET client_encoding = {encoding}")
            for factory in (plain_row, dict_row):
                with connection.cursor(row_factory=factory) as cursor:
                    rows = cursor.execute(QUERIES[name].encode(encoding)).fetchall()
                found.append([[*row.items()] for row in rows])
    assert all(each == found[0] for each in found)


def test_a_statement_without_rows_and_one_by_one(database: str) -> None:
    with (
        psycopg.connect(database, row_factory=plain_row) as connection,
        connection.cursor(name="some") as cursor,
    ):
        assert connection.execute("CREATE TEMP TABLE t (n int)").description is None
        cursor.execute("SELECT n FROM generate_series(1, 3) AS n")
        assert [*cursor] == [{"n": 1}, {"n": 2}, {"n": 3}]
