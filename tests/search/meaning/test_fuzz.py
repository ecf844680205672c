"""Two hundred questions beside random changes: nothing foreign, stale or missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search import library
from tests.search.meaning.fuzz import ACTS, MeaningFuzz
from tests.search.meaning.words import WordEmbedder

from assise.project import Project
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.keep import open_builder
from assise.search.meaning.verbs import Embedders

MANIFEST = library.MANIFEST.replace(
    "    soft_delete: true\n", "    soft_delete: true\n    embed: [title, text]\n"
).replace("    access: {public: read}\n", "    access: {public: read}\n    embed: [name, text]\n")
MUTANTS = {
    "no rule": ("_meaning_near", "_rule || _filter", "'true' || _filter"),
    "stale passages": ("_search_meaning_note_books", "_keys, false)", "ARRAY[]::jsonb[], false)"),
    "owners that stay": (
        "_search_meaning_note_books",
        "SET scope = u.scope",
        "SET scope = p.scope",
    ),
}


@contextmanager
def open_words(project: Project, embedder: WordEmbedder) -> Iterator[PassageBuilder]:
    """What embeds a load by words."""
    with project.search.open_tables() as (connection, tables):
        plain = open_builder(connection, tables, Embedders(project.path.parent))
        yield PassageBuilder(connection, plain.tables, Using(embedder, '"words"'), {})


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The library, its books and signs embedded by words."""
    with databases.create_template(tmp_path_factory.mktemp("meaning")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = library.write_library(template.folder)
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        project.search.build()
        with open_words(project, WordEmbedder()) as builder:
            assert {name: each.rows for name, each in builder.build().items()} == {
                "books": 400,
                "signs": 60,
            }
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


@pytest.mark.contract
def test_two_hundred_questions(database: str, drain: Callable[[], object]) -> None:
    fuzz = MeaningFuzz(database, drain, questions=200, seed=11)
    fuzz.run()
    assert fuzz.done.keys() >= {*ACTS}


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_what_is_wrong_is_seen(
    database: str, drain: Callable[[], object], mutant: tuple[str, str, str]
) -> None:
    name, before, after = mutant
    with psycopg.connect(database) as session:
        statement = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s"
        (text,) = session.execute(statement, [name]).fetchone() or ("",)
        assert before in text
        session.execute(text.replace(before, after).encode())
    with pytest.raises(AssertionError):
        MeaningFuzz(database, drain, questions=200, seed=11).run()


@pytest.mark.soak
def test_two_thousand_questions(
    database: str, drain: Callable[[], object], request: pytest.FixtureRequest
) -> None:
    seed = 0
    with suppress(ValueError):
        seed = int(request.config.getoption("randomly_seed"))
    MeaningFuzz(database, drain, questions=2_000, seed=seed).run()
