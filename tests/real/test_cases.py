"""Handed cases of public reports: each manifest as infer proposes it, and the right value in SQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from tests.conftest import DATA
from tests.dumps import confirm

from assise.manifest.write import dump_manifest
from assise.mongo.source import SourceOptions
from assise.project import Project

CASES = DATA.parent / "cases"
Query = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def make_case(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the dump of a case by its name."""

    def make(name: str) -> Path:
        program = CASES / name / "make.py"
        if not program.exists():
            pytest.skip(f"no {program}; set ASSISE_TEST_DATA")
        subprocess.run([sys.executable, program, tmp_path / "dump"], check=True, env={})
        return next((tmp_path / "dump").iterdir())

    return make


def migrate(project: Project, dump: Path, documents: int) -> None:
    """Migrate a dump; all its documents are loaded and equal."""
    report = project.migrate(dump, confirm=confirm)
    assert (report.documents, report.loaded, report.rejected) == (documents, documents, 0)
    assert report.verified is not None
    assert report.verified.is_clean
    assert report.verified.equal == documents


def find_types(query: Query, table: str) -> dict[str, str]:
    """The columns of a table, and their types."""
    found = query(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        (table,),
    )
    return {str(name): str(type_) for name, type_ in found}


def test_case_1_whole_doubles_are_integers_that_join(
    project: Project, query: Query, make_case: Callable[[str], Path]
) -> None:
    migrate(project, make_case("01-whole-doubles"), 160)
    types = find_types(query, "orders")
    assert (types["customer_id"], types["external_id"]) == ("bigint", "bigint")
    assert (types["price"], types["id"]) == ("double precision", "integer")
    assert query("SELECT external_id FROM orders ORDER BY id LIMIT 2") == [
        (591_999_874_540_904_448,),
        (591_999_874_540_904_576,),
    ]
    joined = "SELECT count(*) FROM orders JOIN customers ON customers.id = customer_id"
    assert query(joined) == [(120,)]
    assert query("SELECT count(*) FROM pg_constraint WHERE conname LIKE '%%customer_id%%'") == [
        (1,)
    ]
    assert query("SELECT count(*), count(_extra) FROM orders") == [(120, 0)]


def test_case_2_digits_of_object_ids_join_as_uuids(
    project: Project, query: Query, make_case: Callable[[str], Path]
) -> None:
    migrate(project, make_case("02-string-references"), 84)
    types = find_types(query, "posts")
    assert (types["author"], types["tags"], types["related_value"]) == ("uuid", "uuid[]", "uuid")
    authors = "SELECT count(*) FROM posts JOIN users ON users.id = author"
    assert query(authors) == [(59,)]
    assert query("SELECT count(DISTINCT t.id) FROM posts JOIN tags t ON t.id = ANY (tags)") == [
        (6,)
    ]
    related = "SELECT count(*) FROM posts JOIN pages ON pages.id = related_value"
    assert query(related) == [(40,)]
    assert query("SELECT related_relation_to, count(*) FROM posts GROUP BY 1 ORDER BY 1") == [
        ("pages", 40),
        ("posts", 20),
    ]
    noted = "SELECT count(*), min(_extra::text) FROM posts WHERE _extra IS NOT NULL"
    assert query(noted) == [(1, '{"author": {"$oid": "640062700000000001000007"}}')]


def test_case_4_iso_texts_are_moments(
    project: Project, query: Query, make_case: Callable[[str], Path]
) -> None:
    migrate(project, make_case("04-iso-strings"), 200)
    types = find_types(query, "usage")
    assert types["timestamp"] == types["finished"] == "timestamp with time zone"
    assert types["day"] == "date"
    first = datetime(2026, 3, 1, 10, 53, 15, 751_000, tzinfo=UTC)
    assert query("SELECT min(timestamp), min(day), count(timestamp) FROM usage") == [
        (first, date(2026, 3, 1), 200)
    ]
    assert query("SELECT count(finished), count(*) FILTER (WHERE finished < timestamp) FROM usage")[
        0
    ] == (195, 8)
    unknown = "SELECT count(*) FROM usage WHERE finished IS NULL AND _extra->>'finished' = ''"
    assert query(unknown) == [(5,)]


def test_case_6_buckets_are_measurements(
    project: Project, query: Query, make_case: Callable[[str], Path]
) -> None:
    migrate(project, make_case("06-time-series"), 72)
    assert find_types(query, "readings") == {
        "_offset": "bigint",
        "id": "uuid",
        "ts": "timestamp with time zone",
        "temp": "double precision",
        "station": "text",
        "city": "text",
        "_extra": "jsonb",
    }
    first = datetime(2024, 6, 1, tzinfo=UTC)
    last = datetime(2024, 6, 1, 11, 50, tzinfo=UTC)
    measured = "SELECT count(*), min(ts), max(ts), sum(temp), count(_extra) FROM readings"
    assert query(measured) == [(72, first, last, 1557.0, 0)]
    by_station = "SELECT station, city, count(*) FROM readings GROUP BY 1, 2 ORDER BY 1"
    cities = {"S0": "Lyon", "S1": "Nantes", "S2": "Lille"}
    assert query(by_station) == [(station, city, 24) for station, city in cities.items()]
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert query(tables) == [(1,)]


@pytest.mark.parametrize(
    ("place", "count"),
    [("ts_dump", 1_000), ("ts_dump_with_oplog", 1_294), ("dump.archive", 1_000)],
)
def test_time_series_of_mongo_tools_are_measurements(
    project: Project, query: Query, place: str, count: int
) -> None:
    """Their buckets were written by MongoDB 5; each names its least and greatest measurement."""
    folder = DATA / "mongo/mongo_tools_testdata/mongorestore/testdata/timeseries_tests"
    if not folder.exists():
        pytest.skip(f"no {folder}; set ASSISE_TEST_DATA")
    report = project.migrate(folder / place, SourceOptions(only=("foo_ts",)), confirm=confirm)
    assert report.verified is not None
    assert (report.documents, report.verified.equal) == (count, count)
    bounds = "SELECT min(measurement), max(measurement), count(DISTINCT device) FROM foo_ts"
    assert query(bounds) == [(0, 999, 10)]
    assert query("SELECT count(id), count(ts), count(_extra) FROM foo_ts") == [(count, count, 0)]


@pytest.mark.parametrize("order", ["uuid_java", "uuid_python"])
def test_case_5_keys_and_references_are_uuids_in_the_order_that_is_asked_for(
    project: Project, query: Query, make_case: Callable[[str], Path], order: str
) -> None:
    dump = make_case("05-legacy-uuid-keys")
    proposal = project.infer(dump)
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    assert "which kind is right? uuid_java: " in text
    assert text.count("kind: uuid_python") == 4
    project.path.write_text(text.replace("kind: uuid_python", f"kind: {order}"))
    migrate(project, dump, 48)
    types = find_types(query, "items")
    assert (types["id"], types["maker_id"], types["bundle"]) == ("uuid", "uuid", "uuid[]")
    joined = "SELECT count(*), count(*) FILTER (WHERE makers.id::text = slug) FROM items"
    assert query(f"{joined} JOIN makers ON makers.id = maker_id") == [
        (40, 40 if order == "uuid_java" else 0)
    ]
    bundled = "SELECT count(DISTINCT b.id) FROM items JOIN items b ON b.id = ANY (items.bundle)"
    assert query(bundled) == [(30,)]
