"""What a search must not tell of rows that its user does not see."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from tests.dumps import confirm
from tests.search.asking import OWNER, Session, ask, sign_in

from assise.errors import AssiseError
from assise.project import Project
from assise.search.query import Request

pytestmark = pytest.mark.usefixtures("library")
OURS, THEIRS = 7, 8


@pytest.fixture
def session(library: Project, database: str) -> Iterator[Session]:
    """A connection that sees and writes all rows."""
    assert library.path.exists()
    with psycopg.connect(database, autocommit=True) as session:
        yield session


def insert(session: Session, number: int, owner: int, text: str) -> None:
    session.execute(
        "INSERT INTO books (id, user_id, text) VALUES (%s, %s, %s)", [number, owner, text]
    )


def find(database: str, query: str, options: object = None) -> list[object]:
    with sign_in(database, OURS) as own:
        return [key[0] for key, _ in ask(own, "books", query, 100, options)]


@pytest.mark.parametrize("table", ["books", "pages"])
def test_a_forged_cursor_says_nothing_of_rows_of_others(database: str, table: str) -> None:
    theirs = next(key for key, owner in OWNER.items() if owner == THEIRS and key % 3 == 2)
    told = []
    for number in (theirs, 100_000):
        key = [number] if table == "books" else [number, 0]
        cursor = json.dumps([table, [key]])
        with sign_in(database, OURS) as own, pytest.raises(psycopg.Error) as caught:
            own.execute(f"SELECT * FROM search_{table}('w0 w1 w2', 10, '{{}}', %s)", [cursor])
        told.append((caught.value.sqlstate, str(caught.value)))
    assert "are gone" in told[0][1]
    assert told[0] == told[1]


def test_words_of_others_neither_stop_nor_guide_a_correction(
    session: Session, library: Project, database: str
) -> None:
    insert(session, 9001, OURS, "kitchen")
    library.search.build()
    assert find(database, "kitchn") == [9001]
    insert(session, 9002, THEIRS, "kitchn")
    assert find(database, "kitchn") == [9001]
    for number in range(9003, 9010):
        insert(session, number, THEIRS, "kitchan")
    library.search.build()
    assert find(database, "kitchn") == [9001]
    assert find(database, "kitchan") == [9001]


def test_words_of_hidden_rows_are_neither_proposed_nor_corrected_to(
    session: Session, library: Project
) -> None:
    insert(session, 9001, OURS, "zebrafish")
    library.search.build()
    for shown in (True, False):
        typed = library.search.query(Request("zebrafihs", ["books"]), user_id=OURS)
        assert typed.did_you_mean == ("zebrafish" if shown else None)
        found = [each.text for each in library.search.suggest("zebraf", user_id=OURS)]
        assert ("zebrafish" in found) is shown
        session.execute("SELECT books_delete(9001)")


def test_words_of_others_push_no_word_out_of_a_prefix(
    session: Session, library: Project, database: str
) -> None:
    insert(session, 9001, OURS, "zebra")
    for number in range(40):
        for twice in range(2):
            insert(session, 9100 + 2 * number + twice, THEIRS, f"ze{number:02}")
    library.search.build()
    assert find(database, "ze", {"as_you_type": True}) == [9001]


def test_a_search_reads_the_columns_that_the_api_reads(library: Project) -> None:
    served = "soft_delete: true\n    api: {read: [title, text]}\n"
    library.path.write_text(library.path.read_text().replace("soft_delete: true\n", served))
    library.load(None, confirm=confirm)
    found = library.search.query(Request("w0 w1", ["books"], 5), user_id=OURS)
    assert {*found.results[0].metadata} <= {"id", "title", "text"}
    hidden = Request("w0", ["books"], 5, filters={"size": 3})
    with pytest.raises(AssiseError, match="size"):
        library.search.query(hidden, user_id=OURS)
