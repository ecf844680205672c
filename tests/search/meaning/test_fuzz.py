"""Two hundred questions beside random changes: nothing foreign, stale or missing."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.search.library import USERS, draw_text
from tests.search.meaning.fuzz import ACTS, MeaningFuzz
from tests.search.meaning.words import WordEmbedder

from assise.app import App
from assise.project import Project

MUTANTS = {
    "no rule": ("_meaning_near", "_rule || _filter", "'true' || _filter"),
    "stale passages": ("_search_meaning_note_books", "_keys, false)", "ARRAY[]::jsonb[], false)"),
    "owners that stay": (
        "_search_meaning_note_books",
        "SET scope = u.scope",
        "SET scope = p.scope",
    ),
}


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


def test_two_hundred_prompts(
    embedded: Project,
    database: str,
    drain: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: WordEmbedder())
    asyncio.run(fuzz_prompts(embedded, database, drain, count=200, seed=5))


def test_a_prompt_with_rows_of_others_is_seen(
    embedded: Project,
    database: str,
    drain: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either of two rules suffices: only without both there is something to see."""
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: WordEmbedder())
    with psycopg.connect(database) as session:
        session.execute("ALTER TABLE books DISABLE ROW LEVEL SECURITY")
        statement = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = '_meaning_near'"
        (text,) = session.execute(statement).fetchone() or ("",)
        for before, after in (
            ("_rule || _filter", "'true' || _filter"),
            ("'p.scope = ANY ($5)'", "'p.scope >= $3 AND p.scope < $4'"),
        ):
            assert before in text
            text = text.replace(before, after)
        session.execute(text.encode())
    with pytest.raises(AssertionError, match="of others"):
        asyncio.run(fuzz_prompts(embedded, database, drain, count=40, seed=5))


async def fuzz_prompts(
    project: Project, database: str, drain: Callable[[], object], *, count: int, seed: int
) -> None:
    """Ask as fifty users, while rows are given to others; each row says in its title whose it is.

    Raises:
        AssertionError: a prompt has rows of others, or none has any.
    """
    chance, told = random.Random(seed), 0
    urls = {"app": make_conninfo(database, user="apptest_app")}
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("UPDATE books SET title = title || ' owned' || user_id")
        drain()
        async with App(project.path, urls=urls) as app:
            for number in range(count):
                user = chance.randrange(USERS)
                if chance.random() < 0.3:
                    other = chance.randrange(USERS)
                    session.execute(
                        "UPDATE books SET user_id = %s, title = regexp_replace(title, 'owned.*', %s)"
                        " WHERE id = (SELECT min(id) FROM books WHERE user_id = %s)",
                        [other, f"owned{other}", user],
                    )
                if number % 50 == 49:
                    drain()
                question = f"{draw_text(chance, 1, 5)} owned{chance.randrange(USERS)}"
                types = ["books"] if number % 4 else None
                prompt, contexts = await app.chat.augment_query(question, user, types=types)
                sources = prompt.text.partition("<question>")[0]
                owners = {*re.findall(r"owned(\d+)", sources)}
                assert owners <= {str(user)}, f"{question!r} of {user} has rows of others"
                assert contexts.warning is None
                told += bool(owners)
    assert told > count / 2


@pytest.mark.soak
def test_two_thousand_prompts(
    embedded: Project,
    database: str,
    drain: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    seed = 0
    with suppress(ValueError):
        seed = int(request.config.getoption("randomly_seed"))
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: WordEmbedder())
    asyncio.run(fuzz_prompts(embedded, database, drain, count=2_000, seed=seed))


@pytest.mark.soak
def test_two_thousand_questions(
    database: str, drain: Callable[[], object], request: pytest.FixtureRequest
) -> None:
    seed = 0
    with suppress(ValueError):
        seed = int(request.config.getoption("randomly_seed"))
    MeaningFuzz(database, drain, questions=2_000, seed=seed).run()
