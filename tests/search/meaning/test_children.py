"""Rows that are embedded with those that belong to them: a conversation as one thing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template
from tests.search.meaning.words import WordEmbedder, open_words

from assise.app import App
from assise.errors import ManifestError
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest
from assise.project import Project

MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
tables:
  users:
    primary_key: id
    access: {owner: id}
    columns: {id: int4}
  talks:
    collection: talks
    primary_key: id
    access: {owner: user_id}
    search: {title: title}
    embed: {field: title, children: {turns: content, remarks: [text]}}
    columns: {id: {type: int4, from: _id}, user_id: int4, title: text}
  turns:
    parent: talks
    from: turns.*
    primary_key: [talk_id, position]
    access: {through: talks}
    columns: {content: text}
  remarks:
    primary_key: id
    access: {through: talks}
    columns: {id: int4, talk_id: {type: int4, references: talks, on_delete: cascade}, text: text}
"""
TALKS = [["zebra", "quagga"], ["okapi"], []]


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Talks of two users, embedded with their turns."""
    with databases.create_template(tmp_path_factory.mktemp("talks")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        talks = [
            {
                "_id": n,
                "user_id": n % 2,
                "title": f"talk {n}",
                "turns": [{"content": x} for x in each],
            }
            for n, each in enumerate(TALKS)
        ]
        dump = write_dump(template.folder / "app", {"talks": talks})
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        yield template


@pytest.fixture
def talks(template: Template, tmp_path: object, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)  # type: ignore[arg-type]


@pytest.fixture
def drain(talks: Project) -> Callable[[], list[str]]:
    """Embeds what has changed, and says which texts were."""
    embedder = WordEmbedder()

    def run() -> list[str]:
        embedder.texts.clear()
        with open_words(talks, embedder) as builder:
            if not builder.is_made():
                builder.build()
                return sorted(embedder.texts[32:])
            builder.build()
            return sorted(embedder.texts)

    return run


def test_a_talk_is_embedded_whole_and_anew_when_a_turn_changes(
    talks: Project, drain: Callable[[], list[str]], database: str
) -> None:
    assert drain() == ["talk 0\nzebra\nquagga", "talk 1\nokapi", "talk 2"]
    statements = {
        "UPDATE turns SET content = 'gnu' WHERE content = 'quagga'": ["talk 0\nzebra\ngnu"],
        "INSERT INTO turns (talk_id, position, content) VALUES (2, 0, 'ibex')": ["talk 2\nibex"],
        "INSERT INTO remarks VALUES (1, 1, 'b'), (2, 1, 'c')": ["talk 1\nokapi\nb\nc"],
        "UPDATE remarks SET talk_id = 2 WHERE id = 1": ["talk 1\nokapi\nc", "talk 2\nibex\nb"],
        "DELETE FROM turns WHERE talk_id = 0": ["talk 0"],
        "DELETE FROM talks WHERE id = 2": [],
        "TRUNCATE remarks": ["talk 1\nokapi"],
        "UPDATE turns SET content = content WHERE false": [],
    }
    for statement, texts in statements.items():
        with psycopg.connect(database) as session:
            session.execute(statement.encode())
        assert drain() == texts, statement
    with psycopg.connect(database) as session:
        (place,) = session.execute("SELECT place FROM _meaning_models").fetchone() or ("",)
        found = session.execute(f"SELECT count(*), count(scope) FROM {place}").fetchone()
        assert found == (2, 2)
        assert session.execute("SELECT count(*) FROM _meaning_changed").fetchone() == (0,)
    assert talks.path.exists()


def test_a_talk_is_found_by_what_was_said_and_by_its_user_alone(
    talks: Project,
    drain: Callable[[], list[str]],
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drain()
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: WordEmbedder())

    async def run() -> None:
        urls = {"app": make_conninfo(database, user="apptest_app")}
        async with App(talks.path, urls=urls) as app:
            best, *_ = await app.search.semantic_search("zebra quagga", user_id=0)
            assert (best.source_id, best.text) == (0, "talk 0\nzebra\nquagga")
            (found,) = await app.search.semantic_search("zebra quagga", user_id=1)
            assert (found.source_id, found.text) == (1, "talk 1\nokapi")
            with psycopg.connect(database) as session:
                session.execute("UPDATE turns SET content = 'gnu' WHERE content = 'zebra'")
            later = await app.search.semantic_search("zebra quagga", user_id=0)
            assert [each.source_id for each in later] == [2]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("turns: content", "none: content", "is none of the tables"),
        ("turns: content", "turns: other", "is not a column of"),
        ("turns: content", "users: id", "holds no text"),
        ("{through: talks}", "{public: read}", "may have rows that a user does not see"),
        ("{type: int4, references: talks, on_delete: cascade}", "int4", "has no row that its rows"),
        (
            "on_delete: cascade}, text: text}",
            "on_delete: cascade}, text: text}\n    soft_delete: true",
            "hides deleted rows",
        ),
        (
            "text: text}",
            "text: {type: text, personal: name}}\n    api: {read: all}",
            "is not read over api",
        ),
    ],
)
def test_what_cannot_be_embedded_with_a_row(before: str, after: str, message: str) -> None:
    assert before in MANIFEST
    with pytest.raises(ManifestError, match=message):
        parse_manifest(MANIFEST.replace(before, after))


def test_children_are_written_and_read() -> None:
    manifest = parse_manifest(MANIFEST)
    assert parse_manifest(dump_manifest(manifest)) == manifest
