"""An application with access rules, loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.access.shop import sign_in as open_session
from tests.access.shop import write_manifest, write_shop
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.project import Project


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """The dump of the application."""
    return write_shop(tmp_path)


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with databases.create_template(tmp_path_factory.mktemp("access")) as template:
        project = Project(template.folder, to=template.conninfo)
        write_manifest(project)
        assert project.migrate(write_shop(template.folder), confirm=confirm).exit_code == 0
        yield template


@pytest.fixture
def ruled(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)


@pytest.fixture
def sign_in(database: str) -> Callable[..., Any]:
    """Opens a transaction as a role of the application, with the settings of a session."""
    return partial(open_session, database)
