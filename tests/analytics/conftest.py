"""A small application whose manifest asks for analytics, loaded; each test gets a copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.analytics.selling import load_service
from tests.analytics.shop import MANIFEST, write_shop
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.project import Project


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The shop, loaded with its roles."""
    with databases.create_template(tmp_path_factory.mktemp("analytics")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        assert project.migrate(write_shop(template.folder), confirm=confirm).exit_code == 0
        yield template


@pytest.fixture
def shop(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)


@pytest.fixture(scope="session")
def selling(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A service that sells subscriptions, loaded."""
    with load_service(databases, tmp_path_factory.mktemp("selling")) as template:
        yield template


@pytest.fixture
def service(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it, in a module whose `template` it is."""
    return template.copy(tmp_path, database)
