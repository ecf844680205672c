"""A table of payments that refers to users, as a manifest makes it; each test gets a copy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.postgres.connection import Connection
from assise.project import Project

MANIFEST = """assise: 1
name: app
tables:
  users:
    primary_key: id
    columns: {id: int8, name: text}
  payments:
    primary_key: [id, created_at]
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      user_id: {type: int8, references: users}
      amount: {type: "numeric(18,2)", check: amount > 0}
      created_at: {type: timestamptz, default: now()}
    indexes: [user_id]
    partition: {by: created_at, ahead: 3, keep: 2 months}
  visits:
    primary_key: [id, seen_on]
    columns:
      id: int8
      seen_on: {type: date, default: current_date}
    partition: {by: seen_on, every: day, ahead: 4, keep: 3 days, then: detach}
"""


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A project whose database has the tables, and one user."""
    folder = tmp_path_factory.mktemp("partitioned")
    with databases.create_template(folder) as made:
        (folder / "assise.yaml").write_text(MANIFEST)
        assert Project(folder, to=made.conninfo).migrate(confirm=confirm).exit_code == 0
        with Connection(made.conninfo) as connection:
            connection.execute("INSERT INTO users (name) VALUES ('Ann')")
        yield made


@pytest.fixture
def app(template: Template, tmp_path_factory: pytest.TempPathFactory, database: str) -> Project:
    """The project, in a copy of its folder and its database."""
    return template.copy(tmp_path_factory.mktemp("app") / "app", database)


@pytest.fixture
def connection(app: Project, database: str) -> Iterator[Connection]:
    """A session of the operator."""
    del app
    with Connection(database) as made:
        yield made
