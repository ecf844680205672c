"""Notes of several users, found by words, and a model that answers from them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template
from tests.search.chat.answering import AnsweringServer, serve_answers
from tests.search.chat.notes import MANIFEST, make_documents

from assise.project import Project


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The notes, loaded with their rules and indexed."""
    with databases.create_template(tmp_path_factory.mktemp("chat")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = write_dump(template.folder / "app", make_documents())
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        project.search.build()
        yield template


@pytest.fixture
def model() -> Iterator[AnsweringServer]:
    """A server with a model that answers from sources."""
    with serve_answers() as answers:
        yield answers


@pytest.fixture
def notes(template: Template, tmp_path: object, database: str) -> Project:
    """A copy of the notes, without a model."""
    return template.copy(tmp_path, database)  # type: ignore[arg-type]


@pytest.fixture
def chatty(notes: Project, model: AnsweringServer) -> Project:
    """A copy of the notes, and the server."""
    chat = f"chat: {{model: {{base_url: '{model.url}', model: m}}}}\n"
    notes.path.write_text(MANIFEST + chat)
    return notes
