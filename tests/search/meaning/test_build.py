"""Embedding: nothing twice, nothing lost, nothing stale, whoever changes what when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.search.asking import sign_in
from tests.search.meaning.endpoint import Endpoint, serve_endpoint
from tests.search.meaning.words import DIMENSIONS, WordEmbedder, open_words

from assise.app import App
from assise.errors import EmbedderError, UsageError
from assise.project import Project
from assise.search.jobs import list_jobs
from assise.search.meaning.embedder import (
    EmbeddingModel,
    Purpose,
    Vector,
    normalize,
    write_vector,
)
from assise.search.meaning.keep import embed_changed
from assise.search.meaning.passages import count_tokens
from assise.search.query import Request
from assise.search.tables import QUERIES
from assise.workspace import LoadedTables

Session = psycopg.Connection[tuple[Any, ...]]
ASK = "SELECT key ->> 0 FROM search_by_meaning('', %s, '{books}', %s, '{}', NULL, '{\"method\": \"semantic\"}')"


@pytest.fixture
def session(embedded: Project, database: str) -> Iterator[Session]:
    """A connection that sees and writes all rows."""
    del embedded
    with psycopg.connect(database, autocommit=True) as session:
        yield session


def find(session: Session, question: str, limit: int = 10) -> list[int]:
    (vector,) = WordEmbedder().embed([question], "query")
    return [int(key) for (key,) in session.execute(ASK, [write_vector(vector), limit])]


def count_sent(endpoint: Endpoint) -> int:
    """The tokens of all passages that a server was sent, without those that measure its scale."""
    return sum(count_tokens(text) for each in endpoint.asked[2:] for text in each["input"])


def count(session: Session, condition: str = "true") -> int:
    (place,) = session.execute("SELECT place FROM _meaning_models WHERE is_active").fetchone() or ()
    found = session.execute(f"SELECT count(*) FROM {place} WHERE {condition}").fetchone()
    return int((found or (0,))[0])


def test_nothing_is_embedded_twice(embedded: Project, session: Session) -> None:
    embedder = WordEmbedder()
    with open_words(embedded, embedder) as builder:
        builder.build()
        assert embedder.texts == []
        session.execute(
            "INSERT INTO books (id, user_id, title) SELECT n, 1, 'same words' FROM generate_series(900, 949) AS n"
        )
        session.execute("UPDATE signs SET name = 'same words', text = NULL")
        spent = builder.build()
    assert embedder.texts == ["same words"]
    assert (spent["books"].rows, spent["books"].texts) == (50, 1)
    assert (spent["signs"].rows, spent["signs"].texts) == (60, 0)


def test_how_many_rows_wait_is_told(embedded: Project, session: Session) -> None:
    def read() -> list[tuple[int, int]]:
        states = embedded.search.embedding_status()
        assert [each.table for each in states] == ["books", "signs"]
        assert all((each.since is None) == (each.waiting in {0, 60, 400}) for each in states)
        return [(each.stale, each.waiting) for each in states]

    assert read() == [(0, 0), (0, 0)]
    session.execute("UPDATE books SET text = 'another' WHERE id < 3")
    assert read() == [(3, 3), (0, 0)]
    whole = embedded.path.read_text()
    embedded.path.write_text(whole.replace("embed: [name, text]", "embed: [text]"))
    embedded.load(None, confirm=confirm)
    assert read() == [(3, 3), (0, 60)]
    session.execute("DELETE FROM _meaning_changed; DELETE FROM _meaning_models")
    assert read() == [(0, 400), (0, 60)]


def test_a_change_embeds_the_passage_that_changed_alone(
    embedded: Project, session: Session
) -> None:
    parts = [f"# Part {n}\n\n" + f"w{n} " * 100 for n in range(6)]
    embedder = WordEmbedder()
    with open_words(embedded, embedder) as builder:
        session.execute("UPDATE books SET title = '', text = %s WHERE id = 1", ["\n".join(parts)])
        builder.build()
        assert len(embedder.texts) == 6
        parts[3] = parts[3].replace("w3", "changed")
        session.execute("UPDATE books SET text = %s WHERE id = 1", ["\n".join(parts)])
        builder.build()
    assert len(embedder.texts) == 7
    assert "changed" in embedder.texts[-1]
    assert count(session, "source = 'books' AND key = '[1]'") == 6


def test_what_fails_in_the_middle_goes_on_where_it_was(embedded: Project, session: Session) -> None:
    session.execute("UPDATE books SET text = 'new ' || id")
    long = "\n".join(f"# Part {n}\n\nlong {n} text" for n in range(40))
    session.execute("UPDATE books SET text = %s WHERE id = 0", [long])
    embedder = WordEmbedder()
    with open_words(embedded, embedder) as builder:
        for most in (20, 100, 10**9):
            embedder.fails_after = most
            if most < 10**9:
                with pytest.raises(ConnectionError):
                    builder.build()
                assert count(session, "scope IS NOT NULL AND source = 'books'") < 400
            else:
                builder.build()
    assert len(embedder.texts) == len({*embedder.texts}) == 440
    assert count(session, "scope IS NULL") == count(session, "source = ''") == 0


def test_a_row_that_changes_while_it_is_embedded_is_embedded_again(
    embedded: Project, session: Session
) -> None:
    class Meddler(WordEmbedder):
        def embed(self, texts: Any, purpose: Any) -> Any:  # noqa: ANN401
            if "first" in texts:
                session.execute("UPDATE books SET text = 'second' WHERE id = 7")
            return super().embed(texts, purpose)

    session.execute("UPDATE books SET title = '', text = 'first' WHERE id = 7")
    assert 7 not in find(session, "first", 100)
    with open_words(embedded, Meddler()) as builder:
        builder.build()
        assert 7 not in find(session, "first second", 100)
        builder.build()
    assert find(session, "second", 1) == [7]


def test_texts_are_embedded_and_asked_for_in_nfc(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = WordEmbedder()
    with open_words(embedded, embedder) as builder:
        for key, text in enumerate(["zébu été", "ze\u0301bu e\u0301te\u0301"], 1):
            statement = "UPDATE books SET title = '', text = %s WHERE id = %s"
            session.execute(statement, [text, key])
            builder.build()
    assert embedder.texts == ["zébu été"]
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: WordEmbedder())
    for text in ("ze\u0301bu e\u0301te\u0301", "zébu\0été\0"):
        request = Request(text, ["books"], 2, method="semantic")
        found = embedded.search.query(request, role="admin").results
        assert {each.id for each in found} == {1, 2}


def test_deleted_rows_are_gone_at_once(embedded: Project, session: Session) -> None:
    """ragflow#6462, #7130, meilisearch#1809"""
    before = find(session, "w0 w1", 100)
    session.execute("DELETE FROM books WHERE id < 200")
    left = [key for key in before if key >= 200]
    assert find(session, "w0 w1", 100)[: len(left)] == left
    assert count(session, "source = 'books' AND (key ->> 0)::int4 < 200") == 0
    session.execute("TRUNCATE books CASCADE")
    assert find(session, "w0 w1") == []
    with open_words(embedded, WordEmbedder()) as builder:
        assert [each.passages for each in map(builder.read_state, builder.tables)] == [0, 60]


def test_models_stand_side_by_side_until_the_new_one_is_complete(
    embedded: Project, session: Session
) -> None:
    old, new = WordEmbedder(), WordEmbedder("2")
    active = "SELECT name FROM _meaning_models WHERE is_active"
    everything = find(session, "w0 w1", 100)
    new.fails_after = 100
    with open_words(embedded, new, {old.model.full_name: old}) as builder:
        with pytest.raises(ConnectionError):
            builder.build()
        assert session.execute(active).fetchall() == [("words@1",)]
        assert find(session, "w0 w1", 100) == everything
        session.execute("UPDATE books SET title = '', text = 'fresh' WHERE id = 0")
        new.fails_after = 10**9
        builder.build()
    assert session.execute(active).fetchall() == [("words@2",)]
    assert session.execute("SELECT count(*) FROM _meaning_models").fetchall() == [(1,)]
    assert find(session, "fresh", 1) == [0]
    assert old.texts == ["fresh"]


def test_neighbours_that_were_deleted_hide_no_others(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index of neighbours gives 0 rows when the nearest are dead, until they are vacuumed."""
    monkeypatch.setattr("assise.search.meaning.build.GRAPH", 100)
    session.execute("DELETE FROM books")
    session.execute(
        "INSERT INTO books (id, user_id, title) SELECT n, 1,"
        " CASE WHEN n < 300 THEN 'near near near n' ELSE 'far m' END || n FROM generate_series(0, 1999) AS n"
    )
    session.execute("SET search.exact_rows = 10")
    plan = "SELECT current_setting('search.plan')"
    with open_words(embedded, WordEmbedder()) as builder:
        builder.build()
        with session.transaction():
            assert all(key < 300 for key in find(session, "near"))
            assert session.execute(plan).fetchone() == ("graph",)
        session.execute("DELETE FROM books WHERE id < 300")
        with session.transaction():
            found = find(session, "near")
        assert len(found) == 10
        assert all(key >= 300 for key in found)
        builder.build()
        with session.transaction():
            assert len(find(session, "near")) == 10
            assert session.execute(plan).fetchone() == ("graph",)


def test_the_vectors_of_a_user_are_read_from_an_index_alone(
    embedded: Project, session: Session
) -> None:
    del embedded
    place, dimensions = (
        session.execute("SELECT place, dimensions FROM _meaning_models").fetchone() or ()
    )
    assert dimensions == DIMENSIONS
    session.execute(f"VACUUM ANALYZE {place}")
    session.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    (vector,) = WordEmbedder().embed(["w1"], "query")
    distance = f"v <#> '{write_vector(vector)}'::halfvec({dimensions})"
    query = f"EXPLAIN SELECT id, {distance} FROM {place} WHERE scope = ANY (ARRAY['\"books\"7']) ORDER BY ({distance}) + 0.0, id LIMIT 100"
    lines = [str(line) for (line,) in session.execute(query)]
    assert any("Index Only Scan" in line and "scope" in line for line in lines), lines


def test_without_pgvector_words_are_searched_and_the_rest_is_told(
    embedded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUERIES._queries, "vector", "SELECT NULL LIMIT 0")  # noqa: SLF001
    with pytest.raises(UsageError, match=r"has no pgvector 0\.7 or later"):
        embedded.search.embed()
    with psycopg.connect(str(embedded.workspace.to)) as session:
        session.execute("DROP FUNCTION search_model")
    lines = list[str]()
    project = Project(embedded.path, to=embedded.workspace.to, log=lines.append)
    found = project.search.query(Request("w0", ["books"], method="hybrid"), role="admin")
    assert found.results
    assert lines == [
        "searched by words alone: the server has no pgvector, or nothing is embedded yet"
    ]
    with pytest.raises(UsageError, match="cannot be searched by meaning"):
        project.search.query(Request("w0", ["books"], method="semantic"), role="admin")


@pytest.mark.parametrize("condition", ["kind = 'user'", "name =", "name", "1 / 0 = name"])
def test_a_condition_that_the_server_cannot_read_is_told(
    embedded: Project, session: Session, condition: str
) -> None:
    whole, fields = embedded.path.read_text(), "embed: [name, text]"
    assert fields in whole
    made = 'embed: {{field: [name, text], where: "{}"}}'.format
    embedded.path.write_text(whole.replace(fields, made(condition)))
    with pytest.raises(
        UsageError, match=r"signs\.embed\.where cannot be used: (.|\n)*such as role"
    ):
        embedded.load(None, confirm=confirm)
    session.execute("UPDATE signs SET text = 'users write on'")
    embedded.path.write_text(whole.replace(fields, made("name = 'x'")))
    embedded.load(None, confirm=confirm)


def test_a_graph_that_was_left_in_the_middle_is_made_again(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No query reads one that is not whole, and it stays when its making is stopped."""
    monkeypatch.setattr("assise.search.meaning.build.GRAPH", 100)
    is_whole = "SELECT indisvalid FROM pg_index WHERE indexrelid::regclass::text ~ '_near'"
    with open_words(embedded, WordEmbedder()) as builder:
        builder.tidy(is_changed=True)
        assert session.execute(is_whole).fetchall() == [(True,)]
        session.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text ~ '_near'"
        )
        builder.tidy(is_changed=True)
    assert session.execute(is_whole).fetchall() == [(True,)]


@pytest.mark.parametrize(("cache", "is_told"), [("4GB", False), ("1MB", True)])
def test_a_graph_is_built_in_memory_as_far_as_the_server_has_it(
    embedded: Project,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    *,
    cache: str,
    is_told: bool,
) -> None:
    """PostgreSQL allows 64 MB by itself, and pgvector tells what does not fit."""
    monkeypatch.setattr("assise.search.meaning.build.GRAPH", 100)
    session.execute(
        "INSERT INTO books (id, user_id, title) SELECT n, 1, 'w' || n FROM generate_series(900, 2899) AS n"
    )
    told = list[str]()
    with open_words(embedded, WordEmbedder()) as builder:
        own = builder.connection._connection  # noqa: SLF001
        own.add_notice_handler(lambda each: told.append(str(each.message_primary)))
        own.execute("SET maintenance_work_mem = '1MB'")
        own.execute(f"SET effective_cache_size = '{cache}'".encode())
        builder.build()
    assert any("no longer fits into maintenance_work_mem" in each for each in told) == is_told


def test_a_graph_is_built_where_processes_cannot_share_memory(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of several processes is taken at once, of a file system that may be small."""
    monkeypatch.setattr("assise.search.meaning.build.GRAPH", 100)
    monkeypatch.setattr("assise.search.meaning.build.NEIGHBOUR_BYTES", 10**12)
    (place,) = session.execute("SELECT place FROM _meaning_models").fetchone() or ("",)
    session.execute(f"ALTER TABLE {place} SET (parallel_workers = 2)")
    with open_words(embedded, WordEmbedder()) as builder:
        builder.connection.execute("SET effective_cache_size = '4096GB'")
        builder.tidy(is_changed=True)
        assert builder.connection.execute("SHOW max_parallel_maintenance_workers") != [("0",)]
    is_whole = "SELECT indisvalid FROM pg_index WHERE indexrelid::regclass::text ~ '_near'"
    assert session.execute(is_whole).fetchall() == [(True,)]


class WideEmbedder(WordEmbedder):
    """The same with 1,536 dimensions, of which most are 0."""

    def __init__(self) -> None:
        super().__init__("wide")
        self.model = EmbeddingModel("words", "wide", 1_536, 512)

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vectors of texts."""
        zeros = [0.0] * (1_536 - DIMENSIONS)
        return [normalize([*each, *zeros]) for each in super().embed(texts, purpose)]


def test_vectors_that_fit_no_entry_of_an_index_are_read_from_the_table(
    embedded: Project, session: Session
) -> None:
    before = find(session, "w0 w1 w2")
    with open_words(embedded, WideEmbedder()) as builder:
        builder.build()
    statement = (
        "SELECT indexdef FROM pg_indexes WHERE tablename ~ '^_meaning_' AND indexname ~ '_scope'"
    )
    ((definition,),) = session.execute(statement).fetchall()
    assert "INCLUDE (id)" in definition
    (vector,) = WideEmbedder().embed(["w0 w1 w2"], "query")
    found = session.execute(ASK, [write_vector(vector), 10]).fetchall()
    assert [int(key) for (key,) in found] == before


def test_no_more_tokens_are_sent_in_a_day_than_may_be(embedded: Project, session: Session) -> None:
    with serve_endpoint() as endpoint:
        served = f"{{base_url: '{endpoint.url}', model: words, dimensions: {DIMENSIONS}, tokens_a_day: 900}}"
        text = embedded.path.read_text()
        head = f"search: {{embedder: {{openai: {served}}}}}\ntables:"
        embedded.path.write_text(text.replace("tables:", head, 1))
        embedded.load(None, confirm=confirm)
        for _ in range(2):
            with pytest.raises(EmbedderError, match=r"the 900 tokens (.|\n)* goes on tomorrow"):
                embedded.search.embed()
        sent = count_sent(endpoint)
        assert 300 < sent <= 900
        assert find(session, "w0 w1", 1), "the model of before is read meanwhile"
        session.execute("UPDATE _meaning_spent SET day = day - 1")
        with pytest.raises(EmbedderError, match="tokens_a_day"):
            embedded.search.embed()
        assert 300 < count_sent(endpoint) - sent <= 900
        embedded.path.write_text(embedded.path.read_text().replace("900", "90000000"))
        assert embedded.search.embed()["books"].rows
        everything = [text for each in endpoint.asked[2:] for text in each["input"]]
        assert len(everything) == len({*everything})


def test_queries_count_among_the_tokens_of_a_day(embedded: Project, session: Session) -> None:
    with serve_endpoint() as endpoint:
        served = f"{{base_url: '{endpoint.url}', model: words, dimensions: {DIMENSIONS}, tokens_a_day: 90000}}"
        head = f"search: {{embedder: {{openai: {served}}}}}\ntables:"
        embedded.path.write_text(embedded.path.read_text().replace("tables:", head, 1))
        embedded.load(None, confirm=confirm)
        embedded.search.embed()
        search, query, words = embedded.search, Request("w0 w1", ["books"]), count_tokens("w0 w1")
        semantic, hybrid = replace(query, method="semantic"), replace(query, method="hybrid")

        def spend(tokens: int) -> None:
            session.execute("UPDATE _meaning_spent SET tokens = %s", [tokens])

        def read_spent() -> int:
            return int((session.execute("SELECT tokens FROM _meaning_spent").fetchone() or (0,))[0])

        spend(81_000)
        session.execute("UPDATE books SET text = 'fresh words' WHERE id = 0")
        with pytest.raises(EmbedderError, match=r"are spent, but for those that queries keep"):
            search.embed()
        assert search.query(semantic, role="admin").results
        assert read_spent() == 81_000 + words
        spend(90_000 - 2 * words)
        asyncio.run(search.compare([("w0 w1", "w0 w1")]))
        endpoint.asked.clear()
        assert search.retrieve(semantic, role="admin").passages
        assert (read_spent(), len(endpoint.asked)) == (90_000, 1)
        with pytest.raises(EmbedderError, match=r"the 90,000 tokens that words@.* are spent"):
            search.query(semantic, role="admin")
        found = search.query(hybrid, role="admin")
        assert found.results
        assert found.warning is not None
        assert "are spent" in found.warning
        with pytest.raises(EmbedderError, match="are spent"):
            asyncio.run(search.compare([("w0 w1", "w0 w1")]))
        assert (read_spent(), len(endpoint.asked)) == (90_000, 1)


def test_an_application_spends_the_tokens_of_a_day_as_well(
    embedded: Project, session: Session, database: str
) -> None:
    with serve_endpoint() as endpoint:
        served = f"{{base_url: '{endpoint.url}', model: words, dimensions: {DIMENSIONS}, tokens_a_day: 90000}}"
        head = f"search: {{embedder: {{openai: {served}}}}}\ntables:"
        embedded.path.write_text(embedded.path.read_text().replace("tables:", head, 1))
        embedded.load(None, confirm=confirm)
        embedded.search.embed()
        session.execute("UPDATE _meaning_spent SET tokens = %s", [90_000 - 3 * count_tokens("w0")])
        endpoint.asked.clear()

        async def run() -> None:
            async with App(
                embedded.path, urls={"app": make_conninfo(database, user="apptest_app")}
            ) as app:
                assert (await app.search("w0", method="hybrid")).warning is None
                assert len(await app.search.embed(["w0"])) == 1
                assert await app.search.compare([("w0", "w0")]) == [pytest.approx(1, abs=0.01)]
                assert "are spent" in str((await app.search("w0", method="hybrid")).warning)
                with pytest.raises(EmbedderError, match="are spent"):
                    await app.search.embed(["w0"])

        asyncio.run(run())
        assert len(endpoint.asked) == 3
        roles = "SELECT search_spend('words@' || %s, -90000, 90000)"
        session.execute(roles, [f"{endpoint.url.split('/')[2]}/{DIMENSIONS}"])
        assert session.execute("SELECT tokens FROM _meaning_spent").fetchall() == [(90_000,)]
        session.execute("SELECT search_spend('other', 1, 90000)")
        assert session.execute("SELECT count(*) FROM _meaning_spent").fetchall() == [(1,)]


def test_texts_go_to_another_machine_when_that_was_agreed_to(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.execute("UPDATE books SET text = 'one two three' WHERE id < 5")
    monkeypatch.setattr("assise.search.meaning.choose.LOCAL_HOSTS", frozenset[str]())
    with serve_endpoint() as endpoint:
        served = f"{{base_url: '{endpoint.url}', model: words, dimensions: {DIMENSIONS}}}"
        text = embedded.path.read_text()
        head = f"search: {{embedder: {{openai: {served}}}}}\ntables:"
        embedded.path.write_text(text.replace("tables:", head, 1))
        embedded.load(None, confirm=confirm)
        with pytest.raises(UsageError, match=r"not confirmed: \d+ texts of about .* go to 127"):
            embedded.search.embed()
        asked = sum(len(each["input"]) for each in endpoint.asked)
        assert asked == 0
        questions = list[str]()

        def agree(question: str) -> bool:
            questions.append(question)
            return True

        embedded.search.embed(agree)
        sent = [text for each in endpoint.asked[2:] for text in each["input"]]
    assert len(sent) == len({*sent}) == int(questions[0].split()[0])
    assert find(session, "one two three", 1)[0] < 5
    assert session.execute("SELECT count(*) FROM _meaning_models").fetchall() == [(1,)]


def test_the_worker_sends_no_table_away_that_nobody_agreed_to(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.search.meaning.choose.LOCAL_HOSTS", frozenset[str]())
    with serve_endpoint() as endpoint:
        served = f"{{base_url: '{endpoint.url}', model: words, dimensions: {DIMENSIONS}}}"
        head = f"search: {{embedder: {{openai: {served}}}}}\ntables:"
        embedded.path.write_text(embedded.path.read_text().replace("tables:", head, 1))
        embedded.load(None, confirm=confirm)
        session.execute("UPDATE books SET text = 'one' WHERE id = 3")
        with embedded.search.open_tables() as (connection, tables):
            assert embed_changed(connection, bool, tables=tables) == ""
            assert endpoint.asked == []
            embedded.search.embed(lambda _question: True)
            endpoint.asked.clear()
            session.execute("UPDATE books SET title = '', text = 'two' WHERE id = 3")
            assert embed_changed(connection, bool, tables=tables) == "1 row embedded"
        assert [each["input"] for each in endpoint.asked] == [["two"]]


def test_the_worker_vacuums_after_deletes(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: WordEmbedder())
    (place,) = session.execute("SELECT place FROM _meaning_models").fetchone() or ("",)
    dead = f"SELECT n_dead_tup > 0 FROM pg_stat_all_tables WHERE relid = '{place}'::regclass"
    session.execute(f"VACUUM ANALYZE {place}")
    session.execute("DELETE FROM books WHERE id < 300")
    session.execute("SELECT pg_stat_force_next_flush()")
    assert session.execute(dead).fetchone() == (True,)
    with embedded.search.open_tables() as (connection, tables):
        assert embed_changed(connection, bool, tables=tables) == ""
    assert session.execute(dead).fetchone() == (False,)


def test_rows_that_change_while_the_model_does_are_found_by_the_old_one(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = WordEmbedder("2")
    opened = [new, WordEmbedder("1")]
    monkeypatch.setattr("assise.search.meaning.verbs.open_embedder", lambda *_: opened.pop(0))
    session.execute('UPDATE _meaning_models SET embedder = \'{"embedder": {"onnx": "old"}}\'')
    session.execute("UPDATE books SET title = '', text = 'fresh' WHERE id = 0")
    new.fails_after = 16 * 4
    with pytest.raises(ConnectionError):
        embedded.search.embed()
    assert session.execute("SELECT name FROM _meaning_models WHERE is_active").fetchall() == [
        ("words@1",)
    ]
    assert find(session, "fresh", 1) == [0]


def test_a_model_of_before_that_fails_holds_nothing_up(embedded: Project, session: Session) -> None:
    class Gone(WordEmbedder):
        def embed(self, texts: Any, purpose: Any) -> Any:  # noqa: ANN401
            del texts, purpose
            raise EmbedderError("gone", remedy="None.")

    session.execute("UPDATE books SET title = '', text = 'fresh' WHERE id = 0")
    with open_words(embedded, WordEmbedder("2"), {"words@1": Gone()}) as builder:
        builder.build()
    assert find(session, "fresh", 1) == [0]


def test_a_delete_of_no_row_forgets_none(embedded: Project, session: Session) -> None:
    del embedded
    before = count(session)
    session.execute("DELETE FROM books WHERE id < 0")
    session.execute(
        "MERGE INTO books AS b USING (SELECT -1 AS id) AS o ON o.id = b.id WHEN MATCHED THEN DELETE"
    )
    assert count(session) == before > 400


def test_rows_that_somebody_is_changing_are_not_waited_for(
    embedded: Project, session: Session, database: str
) -> None:
    """Or two that wait for each other would end the transaction of a user."""
    session.execute("UPDATE books SET title = '', text = 'first' WHERE id IN (1, 2)")
    with open_words(embedded, WordEmbedder()) as builder, psycopg.connect(database) as user:
        user.execute("UPDATE books SET text = 'second' WHERE id = 1")
        builder.connection.execute("SET lock_timeout = '3s'")
        builder.build()
        assert find(session, "first", 1) == [2]
        user.commit()
        assert 1 not in find(session, "first", 100)
        builder.build()
    assert find(session, "second", 1) == [1]


def test_another_rule_is_followed_without_a_new_vector(embedded: Project, session: Session) -> None:
    embedded.path.write_text(
        embedded.path.read_text().replace("access: {owner: user_id}", "access: {owner: size}")
    )
    embedded.load(None, confirm=confirm)
    embedder = WordEmbedder()
    with open_words(embedded, embedder) as builder:
        builder.build()
    assert embedder.texts == []
    rows = session.execute("SELECT id FROM books WHERE size = 1 AND title || text <> ''")
    own = {key for (key,) in rows}
    with sign_in(str(embedded.workspace.to), 1) as asker:
        assert {*find(asker, "w0 w1", 100)} == own != set()


def test_rows_are_read_in_parts_of_so_much_text(
    embedded: Project, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.search.meaning.build.READ_BYTES", 5_000)
    session.execute("UPDATE books SET title = '', text = repeat('word ', 800) || id WHERE id < 6")
    with open_words(embedded, WordEmbedder()) as builder:
        keys = [f"[{n}]" for n in range(6)]
        assert [len(each) for each in builder._read(builder.tables[0], keys)] == [1] * 6  # noqa: SLF001
        builder.build()
    assert {*find(session, "word", 6)} == {*range(6)}


def test_roles_of_the_application_read_no_passages(embedded: Project, session: Session) -> None:
    places = session.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE '\\_meaning\\_%' AND relkind = 'r'"
    ).fetchall()
    assert len(places) == 5
    functions = session.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE '%\\_meaning\\_%'"
    ).fetchall()
    assert len(functions) >= 4
    for role in ("app", "admin"):
        for (place,) in places:
            rights = (
                "SELECT has_table_privilege(%s, %s, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')"
            )
            values = [f"apptest_{role}", place]
            assert session.execute(rights, values).fetchone() == (False,), place
        for (name,) in functions:
            rights = "SELECT has_function_privilege(%s, %s, 'EXECUTE')"
            assert session.execute(rights, [f"apptest_{role}", name]).fetchone() == (False,), name
    del embedded


def test_the_worker_embeds_what_has_changed(embedded: Project, session: Session) -> None:
    with open_words(embedded, WordEmbedder()) as builder:
        connection, rules = builder.connection, builder.tables[0].rules
        given = ("app", rules.schema, rules.manifest, "", bool, bool, (), Path())
        tables = LoadedTables(*given)  # type: ignore[arg-type]
        assert embed_changed(connection, lambda: False, tables=tables) == ""
        assert "embed" in {job.name for job in list_jobs(tables)}
    session.execute("UPDATE books SET text = 'x' WHERE id = 3")
    with open_words(embedded, WordEmbedder()) as builder:
        state = {each.table: each for each in map(builder.read_state, builder.tables)}
        assert (state["books"].waiting, state["books"].stale) == (1, 1)
        assert state["books"].since is not None
