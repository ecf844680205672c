"""A shelf of books about a few subjects, with access rules, embedded once by the local model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template
from tests.search.meaning.shelf import MANIFEST, make_documents

from assise.project import Project


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The shelf, loaded with its rules, indexed and embedded."""
    with databases.create_template(tmp_path_factory.mktemp("meaning")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = write_dump(template.folder / "app", make_documents())
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        project.search.build()
        spent = project.search.embed()
        assert spent["books"].rows == len(make_documents()["books"])
        yield template


@pytest.fixture
def shelf(template: Template, tmp_path: object, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)  # type: ignore[arg-type]
