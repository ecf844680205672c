"""The library of search, its books and signs embedded by the words that they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search import library
from tests.search.meaning.words import WordEmbedder, open_words

from assise.project import Project

MANIFEST = library.MANIFEST.replace(
    "    soft_delete: true\n", "    soft_delete: true\n    embed: [title, text]\n"
).replace("    access: {public: read}\n", "    access: {public: read}\n    embed: [name, text]\n")


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The library, loaded with its rules, indexed and embedded."""
    with databases.create_template(tmp_path_factory.mktemp("meaning")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = library.write_library(template.folder)
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        project.search.build()
        with open_words(project, WordEmbedder()) as builder:
            spent = {name: each.rows for name, each in builder.build().items()}
        assert spent == {"books": 400, "signs": 60}
        yield template


@pytest.fixture
def embedded(template: Template, tmp_path: object, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)  # type: ignore[arg-type]


@pytest.fixture
def drain(embedded: Project) -> Iterator[Callable[[], object]]:
    """Embeds what has changed."""
    with open_words(embedded, WordEmbedder()) as builder:
        yield builder.build
