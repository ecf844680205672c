"""Ids that mongo-java-server does not order or keep come from FerretDB: UUIDs and all binaries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import bson
import pytest
from bson import Binary, ObjectId
from tests.dumps import confirm
from tests.servers.ferret import run_ferret
from tests.servers.mongo import MongoServer

from assise.project import Project

pytestmark = pytest.mark.soak

COUNT = 400
SUBTYPES = (0, 2, 3, 4, 5, 6, 128)
SETTINGS = {"load.chunk_bytes": 2048}
Query = Callable[..., list[tuple[object, ...]]]
AnyId = Binary | ObjectId | str


@pytest.fixture(scope="module")
def ferret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    with run_ferret(tmp_path_factory.mktemp("ferret")) as server:
        yield server


def make_uuid(n: int) -> UUID:
    return UUID(int=n * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128))


def list_uuids() -> list[AnyId]:
    return [Binary.from_uuid(make_uuid(n)) for n in range(COUNT)]


def list_binaries() -> list[AnyId]:
    subtypes = [SUBTYPES[n % len(SUBTYPES)] for n in range(COUNT)]
    return [
        Binary(make_uuid(n).bytes[: 1 + n % 16] + bytes([n % 256, n // 256]), s)
        for n, s in enumerate(subtypes)
    ]


def list_mixed() -> list[AnyId]:
    """No numbers: FerretDB refuses the filter on NaN, which MongoDB's order makes necessary."""
    kinds: list[Callable[[int], AnyId]] = [
        lambda n: Binary.from_uuid(make_uuid(n)),
        lambda n: Binary(n.to_bytes(3, "big"), 5),
        lambda n: ObjectId(f"{n:024x}"),
        lambda n: f"text {n}",
    ]
    return [kinds[n % len(kinds)](n) for n in range(COUNT)]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("make", [list_uuids, list_binaries, list_mixed])
def test_every_document_is_loaded_once_whatever_its_id(
    make: Callable[[], list[AnyId]],
    workers: int,
    ferret: MongoServer,
    database: str,
    tmp_path: Path,
    query: Query,
) -> None:
    ferret.client.drop_database("ids")
    documents = [{"_id": each, "n": n, "text": "x" * 50} for n, each in enumerate(make())]
    ferret.client.ids.things.insert_many(documents)
    project = Project(tmp_path, to=database, settings={**SETTINGS, "workers": workers})
    report = project.migrate(f"{ferret.url.rstrip('/')}/ids", confirm=confirm)
    assert (report.documents, report.loaded, report.exit_code) == (COUNT, COUNT, 0)
    assert report.verified is not None
    assert report.verified.equal == COUNT
    assert query("SELECT count(*) > 4 FROM assise.chunk") == [(True,)]
    [done] = project.export_folder(tmp_path / "out")
    assert done.documents == COUNT
    exported = bson.decode_all((tmp_path / "out" / "ids" / "things.bson").read_bytes())
    assert sorted(map(bson.encode, exported)) == sorted(map(bson.encode, documents))
    ferret.client.drop_database("ids")
