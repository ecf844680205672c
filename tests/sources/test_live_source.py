"""The contract of sources for a running MongoDB: the same tables as from its dump."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from bson.raw_bson import RawBSONDocument
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases
from tests.servers.mongo import MongoServer
from tests.sources.held import Held, make_held

from assise.project import Project

pytestmark = pytest.mark.contract

NOT_KEPT = {0x06, 0x0C, 0x0E, 0x0F}
"""Types that mongo-java-server changes or refuses: undefined, DBPointer, symbol, code with scope."""

TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)


def is_kept(raw: bytes) -> bool:
    """Whether mongo-java-server keeps the value of a document of `held`."""
    kind, subtype = raw[13], raw[20:21]
    return kind not in NOT_KEPT and not (kind == 0x05 and subtype in {b"\5", b"\x80"})


def list_rows(databases: Databases, place: Path | str, folder: Path) -> dict[str, list[str]]:
    """Migrate a source into a database of its own and return all rows of its tables."""
    database = databases.create()
    try:
        project = Project(folder, to=database, settings={"load.chunk_bytes": 1 << 16})
        report = project.migrate(place, confirm=confirm)
        assert report.verified
        assert report.exit_code == 0
        with psycopg.connect(database) as connection:
            names = [name for (name,) in connection.execute(TABLES.encode()).fetchall()]
            return {name: sorted(_rows(connection, name)) for name in names}
    finally:
        databases.drop(database)


def _rows(connection: psycopg.Connection, name: str) -> list[str]:
    return [row for (row,) in connection.execute(f'SELECT t::text FROM "{name}" t'.encode())]


def test_the_tables_are_those_of_the_dump(
    mongo: MongoServer, databases: Databases, tmp_path: Path
) -> None:
    held: dict[str, Any] = dict(make_held(4_000))
    held["values"] = [*filter(is_kept, held["values"])]
    mongo.answer_truly()
    mongo.client.drop_database("app")
    for name, documents in held.items():
        mongo.client.app[name].insert_many([RawBSONDocument(raw) for raw in documents])
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    copy: Held = held
    expected = list_rows(databases, write_dump(tmp_path / "dump" / "app", copy), here)
    assert len(expected) >= 4
    assert sum(len(rows) for rows in expected.values()) > 4_000
    assert list_rows(databases, f"{mongo.url}app", there) == expected
    mongo.client.drop_database("app")
