"""Collections that stay on FerretDB, which does less than MongoDB: what works, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.ferret import run_ferret
from tests.servers.mongo import MongoServer

from assise.errors import CollectionError, UsageError
from assise.project import Project

pytestmark = pytest.mark.soak


@pytest.fixture
def ferret(tmp_path: Path) -> Iterator[MongoServer]:
    with run_ferret(tmp_path) as server:
        yield server


def test_plain_indexes_are_built_and_what_it_cannot_do_is_told(
    ferret: MongoServer, tmp_path: Path
) -> None:
    ferret.client.shop.users.insert_many([{"email": "a"}, {"email": "b"}])
    head = "assise: 1\nname: shop\ntables: {}\n"
    address = f'mongo: {{url: "{ferret.url}", database: shop}}\n'
    kept = "collections:\n  users: {indexes: [[email, -at], city]}\n  other: {indexes: [a]}\n"
    (tmp_path / "assise.yaml").write_text(head + address + kept)
    mongo = Project(tmp_path).mongo
    done = mongo.ensure(confirm=lambda _question: True)
    assert {each.state for each in done} == {"done"}
    assert mongo.diff() == []
    assert "email_1_at_-1" in ferret.client.shop.users.index_information()
    with pytest.raises(UsageError, match="there is no winning plan"):
        mongo.explain("users", {"email": "a"})
    report = mongo.indexes()
    assert [*report.silent] == ["the server"]
    assert not any("unused" in said for each in report.indexes for said in each.says)
    (tmp_path / "assise.yaml").write_text(
        f"{head}{address}collections:\n  users: {{indexes: [{{columns: email, unique: true}}]}}\n"
    )
    with pytest.raises(CollectionError, match="is not implemented"):
        mongo.diff()
