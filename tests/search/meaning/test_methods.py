"""Search by meaning and by both: what is found, and by whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template
from tests.search.chat.answering import serve_answers
from tests.search.meaning.shelf import MANIFEST, PLACES, USERS, make_documents

from assise.app import App
from assise.errors import EmbedderError, RefusedError, UsageError
from assise.postgres.pool import Record
from assise.postgres.sync import SyncSession
from assise.project import Project
from assise.search.chat.agent import AgentTools
from assise.search.chat.ask import ChatAnswer
from assise.search.meaning.embedder import Purpose, Vector
from assise.search.meaning.local import LocalEmbedder
from assise.search.query import EMBED_IT, Ranking, Request


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A shelf of books about a few subjects, embedded by the local model."""
    with databases.create_template(tmp_path_factory.mktemp("shelf")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = write_dump(template.folder / "app", make_documents())
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        project.search.build()
        spent = project.search.embed()
        assert (spent["books"].rows, spent["notes"].rows) == (40, 8)
        assert spent["notes"].passages == 4
        yield template


class KeptEmbedder(LocalEmbedder):
    """The local model, whose process stays when it is closed, and which can be down."""

    is_down = False
    asked = 0

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vectors of texts.

        Raises:
            EmbedderError: it is down.
        """
        self.asked += 1
        if self.is_down:
            raise EmbedderError("the embedder is down", remedy="Wait.")
        return super().embed(texts, purpose)

    def close(self) -> None:
        """End nothing."""


@pytest.fixture(scope="module")
def kept() -> Iterator[KeptEmbedder]:
    """One process for all questions."""
    kept = KeptEmbedder()
    yield kept
    LocalEmbedder.close(kept)


@pytest.fixture(autouse=True)
def one_process(kept: KeptEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are embedded by it."""
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: kept)


@pytest.fixture
def shelf(template: Template, tmp_path: object, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["semantic", "hybrid"])
def test_a_question_finds_what_it_means(shelf: Project, method: Ranking) -> None:
    asked = {
        "how do I protect my web service": "Sécuriser une API",
        "mon chien n'obéit pas": "Training a dog",
        "mettre mon site en ligne": "Déployer sur Vercel",
        "recette de pain": "Baking bread",
    }
    for question, title in asked.items():
        found = shelf.search.query(Request(question, ["books"], 3, method=method), user_id=2)
        assert found.results[0].title == title, question
        assert {int(str(hit.id)) % USERS for hit in found.results} == {2}
        assert found.results[0].score == 1 or method == "semantic"


def test_what_cannot_be_asked_is_refused(shelf: Project) -> None:
    with pytest.raises(UsageError, match="table 'users' is not searched"):
        shelf.search.query(Request("a", ["users"], method="hybrid"), user_id=1)
    with pytest.raises(RefusedError, match="cursor is none of this search"):
        shelf.search.query(Request("a", ["books"], method="hybrid", cursor="[]"), user_id=1)


def test_a_table_that_is_not_embedded_says_how_it_could_be(shelf: Project) -> None:
    notes = "    embed: {field: text, chunk: 40 tokens, where: \"kind = 'user'\"}"
    assert notes in MANIFEST
    shelf.path.write_text(MANIFEST.replace(notes, "    search: {body: text, language: [fr, en]}"))
    shelf.load(None, confirm=confirm)
    shelf.search.build()
    with pytest.raises(UsageError, match="'notes' is not searched by meaning") as caught:
        shelf.search.query(Request("a", ["books", "notes"], method="semantic"), user_id=1)
    assert caught.value.remedy == EMBED_IT
    request = Request("mon chien n'obéit pas", limit=100, method="semantic")
    assert {hit.type for hit in shelf.search.query(request, user_id=1).results} == {"books"}
    request = replace(request, text="telescope", method="hybrid")
    assert {hit.type for hit in shelf.search.query(request, user_id=1).results} == {
        "books",
        "notes",
    }


def test_a_table_that_is_embedded_alone_is_shown_and_reached_by_agents(shelf: Project) -> None:
    """It has no `search:`, and its hits show what is embedded."""
    found = shelf.search.query(Request("a puppy", ["notes"], 1, method="semantic"), user_id=2)
    assert (found.results[0].title, found.results[0].metadata) == ("", {"kind": "user"})
    assert "Reward the <b>puppy</b>" in found.results[0].snippet

    async def run() -> None:
        async with App(shelf.path, urls={"app": sign_in(shelf)}) as app:
            tools = AgentTools(app.chat, 2)
            assert [*(await tools.tables())["tables"]] == ["books", "notes"]
            (best,) = (await tools.search("a puppy", ["notes"], 1))["results"]
            assert "puppy" in best["snippet"]
            alike = await tools.similar("notes", best["id"])
            assert [hit["type"] for hit in alike["results"]] == ["notes"] * 3
            assert best["id"] not in {hit["id"] for hit in alike["results"]}

    asyncio.run(run())
    whole = shelf.path.read_text().replace(
        "    search: {title: title, body: text, language: [fr, en]}\n", ""
    )
    shelf.path.write_text(whole)
    shelf.load(None, confirm=confirm)
    found = shelf.search.query(Request("a puppy", ["books"], 1, method="semantic"), user_id=2)
    assert found.results[0].title == "Training a dog"
    assert "Reward the <b>puppy</b>" in found.results[0].snippet


@pytest.mark.parametrize("method", ["semantic", "hybrid"])
def test_a_blank_text_has_no_meaning(shelf: Project, method: Ranking) -> None:
    for types in (None, ["notes"], ["books", "notes"]):
        request = Request(" \n", types, method=method)
        found = shelf.search.query(request, user_id=2)
        assert (found.results, found.total) == ([], 0)
        assert shelf.search.retrieve(request, user_id=2).passages == []
    with pytest.raises(UsageError, match="'users' is not searched"):
        shelf.search.query(Request("", ["users"], method=method), user_id=2)


def test_similarity_is_measured_on_the_models_own_scale(shelf: Project) -> None:
    """Cosines of texts that have nothing in common are above .7 here: a threshold on them is none."""
    request = Request("treats for a puppy", ["books"], 100, method="semantic")
    everything = shelf.search.query(request, user_id=1).results
    assert len(everything) == 8
    assert everything[0].title == "Training a dog"
    assert everything[0].score > 0.5
    assert sum(hit.score < 0.3 for hit in everything) >= 5
    passages = shelf.search.retrieve(request, user_id=1).passages
    assert all(each.cosine is not None and each.cosine > 0.7 for each in passages)
    near = shelf.search.query(replace(request, threshold=0.4), user_id=1).results
    assert 1 <= len(near) <= 3


def test_passages_are_read_as_they_are_now(shelf: Project) -> None:
    """ragflow#6462, #7130, meilisearch#1809"""
    request = Request("comment sécuriser une API ?", limit=3, method="hybrid")
    best, *_ = shelf.search.retrieve(request, user_id=3).passages
    assert (best.source_type, best.source_id) == ("books", 3)
    assert best.text.startswith("Sécuriser une API\nLes jetons")
    assert (best.first, best.last) == (0, len(best.text))
    assert best.relevance_score == 1
    with psycopg.connect(str(shelf.workspace.to)) as session:
        session.execute("UPDATE books SET text = 'Autre chose', title = 'x' WHERE id = 3")
    found = shelf.search.retrieve(request, user_id=3).passages
    assert not any("jetons" in each.text and each.source_type == "books" for each in found)


def test_a_row_that_changes_between_hits_and_texts_gives_no_passage(
    shelf: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, changed = SyncSession.fetch, list[object]()

    def fetch_and_change(asker: SyncSession, *asked: Any) -> Sequence[Record]:  # noqa: ANN401
        rows = fetch(asker, *asked)
        if rows and "passages" in rows[0]:
            with psycopg.connect(str(shelf.workspace.to)) as session:
                session.execute("UPDATE books SET title = 'Autre chose, et plus' WHERE id = 3")
            changed.extend(row["key"] for row in rows)
        return rows

    monkeypatch.setattr(SyncSession, "fetch", fetch_and_change)
    request = Request("comment sécuriser une API ?", ["books"], 3, method="hybrid")
    found = shelf.search.retrieve(request, user_id=3).passages
    assert [3] in changed
    assert 3 not in {each.source_id for each in found}


def test_what_is_like_a_row_is_found_among_ones_own(shelf: Project) -> None:
    async def ask() -> None:
        async with App(shelf.path, urls={"app": sign_in(shelf)}) as app:
            found = await app.search.similar("books", 2, user_id=2, entity_types=["books", "notes"])
            assert found[0].source_type == "books"
            assert {
                int(str(each.source_id)) % USERS for each in found if each.source_type == "books"
            } == {2}
            assert ("books", 2) not in {(each.source_type, each.source_id) for each in found}
            assert all(each.similarity is not None and 0 <= each.similarity <= 1 for each in found)
            assert await app.search.similar("books", 2, user_id=3) == []
            near = await app.search.semantic_search(
                "réparer ma bicyclette", ["books"], similarity_threshold=0.3, user_id=2
            )
            assert near[0].title == "Réparer un vélo"
            assert len(near) < len(await app.search.semantic_search("vélo", ["books"], user_id=2))
            hybrid = await app.search("bicyclette", user_id=2, method="hybrid", types=["books"])
            assert hybrid.results[0].title == "Réparer un vélo"

    asyncio.run(ask())


def sign_in(project: Project) -> str:
    return make_conninfo(str(project.workspace.to), user="apptest_app")


def test_answers_come_from_what_a_question_means(shelf: Project) -> None:
    """No word of the question is in the row: it is found by meaning, and so is what supports it."""

    async def run(user: int) -> None:
        async with App(shelf.path, urls={"app": sign_in(shelf)}) as app:
            pieces = [each async for each in app.chat.ask("my puppy never obeys", user)]
            found = pieces[-1]
            assert isinstance(found, ChatAnswer)
            assert (found.is_answered, found.warning) == (True, None)
            assert found.sources[0].title == "Training a dog"
            own = {int(str(each.id)) % USERS for each in found.sources if each.type == "books"}
            assert own == {user}
            assert [each.is_right for each in found.citations] == [True, False]
            contexts = await app.chat.retrieve_context("my puppy never obeys", user)
            assert contexts.contexts[0].relevance_score == 1
            assert f"({PLACES[user]})" in contexts.contexts[0].text
            with psycopg.connect(str(shelf.workspace.to)) as session:
                statement = "UPDATE books SET text = 'Rien du tout.', title = 'x' WHERE id = %s"
                session.execute(statement, [contexts.contexts[0].source_id])
            later = await app.chat.retrieve_context("my puppy never obeys", user)
            assert not any(
                f"({PLACES[user]})" in each.text and "Reward" in each.text
                for each in later.contexts
            )

    with serve_answers() as model:
        chat = f"chat: {{model: {{base_url: '{model.url}', model: m}}}}\n"
        shelf.path.write_text(MANIFEST + chat)
        model.response = (
            "Give your pup a treat when it sits down at once [1]. Il pleut à Brest [1]."
        )
        asyncio.run(run(2))


def test_without_the_embedder_words_are_searched_and_it_is_said(
    shelf: Project, kept: KeptEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "is_down", True)
    monkeypatch.setattr("assise.search.meaning.verbs.DOWN_S", 1e9)

    async def run() -> None:
        async with App(shelf.path, urls={"app": sign_in(shelf)}) as app:
            found = await app.search("telescope", user_id=2, method="hybrid")
            assert found.results[0].title == "Stars and planets"
            assert found.warning == "searched by words alone: the embedder is down"
            asked = kept.asked
            contexts = await app.chat.retrieve_context("telescope", 2)
            assert contexts.contexts[0].title == "Stars and planets"
            assert contexts.warning == found.warning
            assert kept.asked == asked, "what has failed is not asked again at once"
            with pytest.raises(EmbedderError, match="is down"):
                await app.search.semantic_search("telescope", user_id=2)

    asyncio.run(run())
    found = shelf.search.query(Request("telescope", ["books"], method="hybrid"), user_id=2)
    assert found.results[0].title == "Stars and planets"
    assert "the embedder is down" in str(found.warning)
    both = shelf.search.query(Request("telescope", ["books", "notes"], method="hybrid"), user_id=2)
    assert [hit.id for hit in both.results] == [hit.id for hit in found.results]
    with pytest.raises(EmbedderError, match="is down"):
        shelf.search.query(Request("telescope", ["notes"], method="hybrid"), user_id=2)
    with pytest.raises(UsageError, match="'users' is not searched"):
        shelf.search.query(Request("telescope", ["users", "books"], method="hybrid"), user_id=2)


def test_who_reads_no_personal_columns_learns_nothing_of_vectors(shelf: Project) -> None:
    conninfo = make_conninfo(str(shelf.workspace.to), user="apptest_readonly")
    with psycopg.connect(conninfo, autocommit=True) as session:
        for statement in (
            "SELECT * FROM search_by_meaning('a', '[1]')",
            "SELECT * FROM search_similar('books', '[2]')",
            "SELECT * FROM _meaning_models",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(statement)
