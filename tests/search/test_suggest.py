"""Suggestions as people type: only words of rows that they see, and what their tenant asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases

from assise.errors import TargetError, UsageError
from assise.project import Project
from assise.search.query import Request
from assise.search.suggest import Suggestion

Run = Callable[..., list[tuple[Any, ...]]]
MANIFEST = """assise: 1
name: app
roles: {prefix: suggesttest}
search_log: {}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}}
  notes:
    collection: notes
    primary_key: id
    access: {any: [{owner: user_id}, {tenant: team}]}
    search: {title: title, body: [text, code, email], exact: code, language: [fr, en]}
    columns:
      id: {type: int4, from: _id}
      user_id: int4
      team: text
      title: text
      text: text
      code: text
      email: {type: text, personal: email}
  signs:
    collection: signs
    primary_key: id
    access: {public: read}
    search: {body: text, language: fr}
    columns: {id: {type: int4, from: _id}, text: text}
"""


def note(number: int, user: int, team: str, title: str, text: str) -> dict[str, object]:
    own = {"code": f"codeword{user}", "email": f"person{user}@example.org"}
    return {"_id": number, "user_id": user, "team": team, "title": title, "text": text, **own}


NOTES = [
    note(1, 1, "red", "L’authentification à deux facteurs", "Sécuriser les mots de passe"),
    note(2, 1, "red", "Authentication of users", "The sécurité of passwords, in passing"),
    note(3, 2, "red", "Authorship", "Sécateur et passoire"),
    note(4, 3, "blue", "Authoritarian", "secret passage"),
    note(5, 3, "blue", "Les horaires", "Sécurité sociale: les délais"),
]


@pytest.fixture(scope="module")
def notes(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder: Path = tmp_path_factory.mktemp("notes")
    conninfo = databases.create()
    project = Project(folder, to=conninfo)
    project.path.write_text(MANIFEST)
    signs = [{"_id": 1, "text": "Sécurité incendie"}]
    users = [{"_id": n} for n in range(1, 4)]
    dump = write_dump(folder / "app", {"users": users, "notes": NOTES, "signs": signs})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    project.search.build()
    yield project
    databases.drop(conninfo)


@pytest.fixture
def run(notes: Project) -> Iterator[Run]:
    """Runs SQL as the owner; taken back at the end of the test by what it deletes."""

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(str(notes.workspace.to), autocommit=True) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    execute("DELETE FROM search_queries")
    yield execute
    execute("DELETE FROM notes WHERE id > 5; DELETE FROM search_queries")
    notes.search.build()


def words(notes: Project, text: str, **caller: object) -> set[str]:
    found = notes.search.suggest(text, types=["notes"], **caller)  # type: ignore[arg-type]
    return {each.text for each in found if each.type == "word"}


def test_words_are_those_of_rows_that_the_user_or_its_tenant_sees(notes: Project) -> None:
    assert words(notes, "auth", user_id=1) == {"authentification", "authentication"}
    assert words(notes, "auth", user_id=2) == {"authorship"}
    assert words(notes, "auth", user_id=3) == {"authoritarian"}
    red = {"authentification", "authentication", "authorship"}
    assert words(notes, "auth", user_id=2, tenant_id="red") == red
    assert words(notes, "auth") == set()
    assert words(notes, "auth", role="admin") == {*red, "authoritarian"}


def test_the_last_word_is_completed_without_accents_and_stop_words(notes: Project) -> None:
    assert words(notes, "Comment  SECU", user_id=1) == {"Comment sécurité", "Comment sécuriser"}
    assert words(notes, "l’authentif", user_id=1) == {"l'authentification"}
    assert words(notes, "le", user_id=3) == set()
    assert words(notes, "h", user_id=3) == {"horaires"}
    assert words(notes, "", user_id=3) == words(notes, "auth ", user_id=3) == set()
    for typed in ("'", "\\", "%_", "a" * 5_000, "\0", "🎉", "sé*"):
        notes.search.suggest(typed, user_id=1)


def test_personal_columns_and_exact_ones_are_never_suggested(notes: Project) -> None:
    for caller in ({"user_id": 1}, {"role": "admin"}):
        assert words(notes, "person", **caller) == set()
        assert words(notes, "codew", **caller) == set()
    stored = (
        "SELECT count(*) FROM _search_vocabulary_notes, unnest(words) AS w WHERE w LIKE 'person%'"
    )
    with psycopg.connect(str(notes.workspace.to)) as session:
        assert session.execute(stored).fetchall() == [(0,)]
    assert notes.search.query(Request("codeword1"), user_id=1).results[0].metadata["user_id"] == 1


def test_titles_are_those_of_rows_with_the_word(notes: Project) -> None:
    found = notes.search.suggest("authen", user_id=1, types=["notes"])
    assert {each.text for each in found if each.type == "title"} == {
        "L’authentification à deux facteurs",
        "Authentication of users",
    }
    assert len(notes.search.suggest("authen", user_id=1, limit=2)) == 2
    everywhere = notes.search.suggest("secu", user_id=3)
    assert everywhere == [Suggestion("sécurité", "word")]


def test_a_word_is_gone_with_its_rows_at_once(notes: Project, run: Run) -> None:
    run(
        "INSERT INTO notes (id, user_id, text) VALUES (6, 2, 'zebra'), (7, 2, 'zebra'), (8, 2, 'zebu')"
    )
    assert words(notes, "zeb", user_id=2) == set()
    notes.search.build()
    assert words(notes, "zeb", user_id=2) == {"zebra", "zebu"}
    run("DELETE FROM notes WHERE id = 6; UPDATE notes SET user_id = 3 WHERE id = 8")
    assert words(notes, "zeb", user_id=2) == {"zebra"}
    run("UPDATE notes SET text = 'zebroid' WHERE id = 7")
    assert words(notes, "zeb", user_id=2) == words(notes, "zeb", user_id=3) == set()
    notes.search.build()
    assert words(notes, "zeb", user_id=2) == {"zebroid"}


def ask(notes: Project, text: str, user: int, tenant: str | None = None, times: int = 1) -> None:
    for _ in range(times):
        notes.search.query(Request(text, ["notes"]), user_id=user, tenant_id=tenant)


def queries(notes: Project, text: str, user: int, tenant: str | None = None) -> list[str]:
    found = notes.search.suggest(text, types=["notes"], user_id=user, tenant_id=tenant)
    return [each.text for each in found if each.type == "query"]


def test_past_queries_are_those_of_the_tenant_whose_words_the_user_sees(
    notes: Project, run: Run
) -> None:
    assert run("SELECT count(*) FROM search_queries") == [(0,)]
    ask(notes, "Sécurité passwords", 1, times=2)
    ask(notes, "sécurité", 1)
    ask(notes, "sécurité nowhere", 1)
    assert queries(notes, "SÉC", 1) == ["sécurité passwords", "sécurité"]
    assert queries(notes, "sécurité", 1) == ["sécurité passwords"]
    assert queries(notes, "séc", 3) == []
    ask(notes, "passwords of users", 1, "red")
    assert queries(notes, "pass", 2, "red") == []
    ask(notes, "passwords of users", 3, "red")
    assert queries(notes, "pass", 2, "red") == ["passwords of users"]
    assert queries(notes, "pass", 2, "blue") == queries(notes, "pass", 2) == []
    run("DELETE FROM notes WHERE id = 2")
    assert queries(notes, "pass", 2, "red") == []
    run(
        "INSERT INTO notes (id, user_id, team, title, text) VALUES"
        " (2, 1, 'red', 'Authentication of users', 'The sécurité of passwords, in passing')"
    )


def test_a_table_that_is_not_searched_is_refused(notes: Project) -> None:
    with pytest.raises(UsageError, match="'users' is not searched"):
        notes.search.suggest("a", types=["users"])
    with (
        psycopg.connect(str(notes.workspace.to)) as session,
        pytest.raises(psycopg.Error, match="is not searched"),
    ):
        session.execute("SELECT * FROM search_suggest('a', '{users}')")
    with pytest.raises(TargetError, match="permission denied"):
        notes.search.suggest("a", role="readonly")


@pytest.mark.usefixtures("run")
def test_a_corrected_query_is_told_and_marked(notes: Project) -> None:
    found = notes.search.query(Request("Authentificaton pasoire", ["notes"]), user_id=1)
    assert found.did_you_mean == "authentification pasoire"
    found = notes.search.query(Request("les pasoire", ["notes"]), user_id=2)
    assert found.did_you_mean == "les passoire"
    assert found.results[0].snippet == "Sécateur et <b>passoire</b>"
    assert notes.search.query(Request("passoire", ["notes"]), user_id=2).did_you_mean is None
    # Nothing is corrected to words of exact or personal columns.
    assert notes.search.query(Request("codewrod"), user_id=1).did_you_mean is None


@pytest.mark.usefixtures("run")
def test_the_vocabulary_is_made_anew_where_its_columns_change(notes: Project) -> None:
    text = notes.path.read_text()
    rows = notes.search.status()
    notes.path.write_text(text.replace("exact: code", "exact: [code, text]"))
    notes.load(None, confirm=confirm)
    assert notes.search.status() == rows
    assert words(notes, "auth", user_id=2) == set()
    notes.search.build()
    assert words(notes, "auth", user_id=2) == {"authorship"}
    assert words(notes, "pass", user_id=2) == set()
    notes.path.write_text(text)
    notes.load(None, confirm=confirm)
    notes.search.build()
    assert words(notes, "pass", user_id=2) == {"passoire"}
