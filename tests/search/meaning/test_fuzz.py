"""Two hundred questions beside random changes: nothing foreign, stale or missing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest
from tests.search.meaning.fuzz import ACTS, MeaningFuzz

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


@pytest.mark.soak
def test_two_thousand_questions(
    database: str, drain: Callable[[], object], request: pytest.FixtureRequest
) -> None:
    seed = 0
    with suppress(ValueError):
        seed = int(request.config.getoption("randomly_seed"))
    MeaningFuzz(database, drain, questions=2_000, seed=seed).run()
