"""A shop whose rows are audited, with roles, as its manifest makes it; each test gets a copy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.project import Project

MANIFEST = """assise: 1
name: app
tables:
  users:
    primary_key: id
    audit: true
    columns:
      id: int8
      name: text
      mail: {type: citext, personal: email}
      score: numeric
      tags: jsonb
  orders:
    primary_key: id
    audit: true
    columns:
      id: int8
      user_id: {type: int8, references: users, on_delete: cascade}
      state: {type: text, default: new}
  notes:
    primary_key: id
    columns: {id: int8, body: text}
"""


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A project whose database has the tables."""
    folder = tmp_path_factory.mktemp("audited")
    with databases.create_template(folder) as made:
        (folder / "assise.yaml").write_text(MANIFEST)
        assert Project(folder, to=made.conninfo).migrate(confirm=confirm).exit_code == 0
        yield made


@pytest.fixture
def app(template: Template, tmp_path_factory: pytest.TempPathFactory, database: str) -> Project:
    """The project, in a copy of its folder and its database."""
    return template.copy(tmp_path_factory.mktemp("app") / "app", database)
