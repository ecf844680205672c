"""A shop that was loaded once, with rules and keys; each test gets a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.project import Project

MANIFEST = """assise: 1
name: app
tables:
  users:
    collection: users
    primary_key: id
    comment: who buys
    columns:
      id: {type: uuid, from: _id}
      name: {type: "varchar(20)", comment: how they are called}
      email: {type: text, unique: true}
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      user_id: {type: uuid, from: user, references: users}
      price: {type: "numeric(10,2)", kind: number}
      state: {type: text}
    indexes: [[state, -price]]
  order_lines:
    parent: orders
    from: lines.*
    primary_key: [order_id, position]
    columns: {product: text, amount: int4}
"""


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A project whose database has the rows of the shop."""
    folder = tmp_path_factory.mktemp("revised")
    with databases.create_template(folder) as made:
        ids = [ObjectId(f"507f1f77bcf86cd7994{n:05}") for n in range(300)]
        users = [{"_id": key, "name": f"user {key}"[:20], "email": f"{key}@a.fr"} for key in ids]
        orders = [
            {
                "_id": key,
                "user": key,
                "price": 9.5,
                "state": "new",
                "lines": [{"product": "tea", "amount": 2}],
            }
            for key in ids
        ]
        dump = write_dump(folder / "app", {"users": users, "orders": orders})
        (folder / "assise.yaml").write_text(MANIFEST)
        report = Project(folder, to=made.conninfo).migrate(dump, confirm=confirm)
        assert report.exit_code == 0
        Project(folder, to=made.conninfo).revisions().revise("start")
        yield made


@pytest.fixture
def shop_before(shop: Project, query: Callable[..., object]) -> Project:
    """The shop as it was before there were revisions."""
    shutil.rmtree(shop.path.parent / "revisions")
    query("DELETE FROM assise.revision")
    query("UPDATE assise.load SET is_revised = false")
    return shop


@pytest.fixture
def shop(template: Template, tmp_path: Path, database: str) -> Project:
    """The shop, whose schema revisions own, in a copy of its folder and its database."""
    return template.copy(tmp_path / "shop", database)
