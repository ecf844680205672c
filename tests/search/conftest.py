"""A library with access rules, loaded, indexed and in blocks of 64 rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search.library import MANIFEST, write_library

from assise.project import Project
from assise.schema.search import searched
from assise.search import build


@pytest.fixture(scope="session", autouse=True)
def _small_blocks() -> Iterator[None]:
    """Small tables get blocks too, and small ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searched, "BLOCK", 64)
        patch.setattr(build, "SMALL", 0)
        patch.setattr(build, "UNSEALED", 20)
        yield


@pytest.fixture(scope="session")
def template(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, _small_blocks: None
) -> Iterator[Template]:
    """The library, loaded with its rules and indexed."""
    with databases.create_template(tmp_path_factory.mktemp("search")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        assert project.migrate(write_library(template.folder), confirm=confirm).exit_code == 0
        assert project.search.build() == {"books": 400, "pages": 399, "signs": 60}
        yield template


@pytest.fixture
def library(template: Template, tmp_path: object, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)  # type: ignore[arg-type]
