"""Search by meaning and by both: what is found, and by whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template
from tests.search.meaning.shelf import MANIFEST, USERS, make_documents

from assise.app import App
from assise.errors import RefusedError, UsageError
from assise.project import Project
from assise.search.meaning.local import LocalEmbedder
from assise.search.query import Ranking, Request


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
    """The local model, whose process stays when it is closed."""

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


def test_similarity_is_measured_on_the_models_own_scale(shelf: Project) -> None:
    """Cosines of texts that have nothing in common are above .7 here: a threshold on them is none."""
    request = Request("treats for a puppy", ["books"], 100, method="semantic")
    everything = shelf.search.query(request, user_id=1).results
    assert len(everything) == 8
    assert everything[0].title == "Training a dog"
    assert everything[0].score > 0.5
    assert sum(hit.score < 0.3 for hit in everything) >= 5
    passages = shelf.search.retrieve(request, user_id=1)
    assert all(each.cosine is not None and each.cosine > 0.7 for each in passages)
    near = shelf.search.query(replace(request, threshold=0.4), user_id=1).results
    assert 1 <= len(near) <= 3


def test_passages_are_read_as_they_are_now(shelf: Project) -> None:
    request = Request("comment sécuriser une API ?", limit=3, method="hybrid")
    best, *_ = shelf.search.retrieve(request, user_id=3)
    assert (best.source_type, best.source_id) == ("books", 3)
    assert best.text.startswith("Sécuriser une API\nLes jetons")
    assert (best.first, best.last) == (0, len(best.text))
    assert best.relevance_score == 1
    with psycopg.connect(str(shelf.workspace.to)) as session:
        session.execute("UPDATE books SET text = 'Autre chose', title = 'x' WHERE id = 3")
    found = shelf.search.retrieve(request, user_id=3)
    assert not any("jetons" in each.text and each.source_type == "books" for each in found)


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
