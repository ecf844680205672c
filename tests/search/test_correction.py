"""Words with a typing error find what was meant; right words stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases

from assise.project import Project
from assise.search.query import Request

MANIFEST = """assise: 1
name: app
tables:
  notes:
    collection: notes
    primary_key: id
    search: {body: text, language: [fr, en]}
    columns: {id: {type: int4, from: _id}, text: text}
"""
TEXTS = [
    "Comment sécuriser une application dans le cloud",
    "La sécurité des données personnelles est dans la loi",
    "How to build an application with the users and the documents",
    "The documents of the house are on the table of the kitchen",
    "chats",
]


@pytest.fixture(scope="module")
def notes(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder: Path = tmp_path_factory.mktemp("notes")
    conninfo = databases.create()
    project = Project(folder, to=conninfo)
    project.path.write_text(MANIFEST)
    documents = [{"_id": n, "text": text} for n, text in enumerate(TEXTS)]
    dump = write_dump(folder / "app", {"notes": documents})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    project.search.build()
    yield project
    databases.drop(conninfo)


def find(notes: Project, text: str, **options: str) -> set[object]:
    request = Request(text, ["notes"], **options)  # type: ignore[arg-type]
    return {hit.id for hit in notes.search.query(request).results}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("aplication", {0, 2}),
        ("documnets", {2, 3}),
        ("données", {1}),
        ("personelles", {1}),
        ("kitchne", {3}),
        ("xocuments", {2, 3}),  # an error in the first letter
        ("papplication", {0, 2}),
        ("pplication", {0, 2}),
        ("uosers", {2}),
        ("chts", set()),  # below five letters
        ("xylophone", set()),
        ("data123", set()),
    ],
)
def test_a_word_that_no_row_has_is_corrected(
    notes: Project, query: str, found: set[object]
) -> None:
    assert find(notes, query) == found


def test_a_known_word_is_never_corrected_and_all_words_may_be_corrected(notes: Project) -> None:
    assert find(notes, "loi") == {1}
    assert find(notes, "aplication documnets", match="all") == {2}
    assert find(notes, "aplication loi", match="all") == set()
