"""Tables of several schemas in all parts: search, cache, audit, partitions, totals and HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.api.scene import IDENTITY, serve, user_id, user_key
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template
from tests.search.meaning.words import WordEmbedder, open_words

from assise.app import App
from assise.project import Project
from assise.search.chat.agent import AgentTools
from assise.search.query import Request

Query = Callable[..., list[tuple[Any, ...]]]
MANIFEST = f"""assise: 1
name: app
roles: {{prefix: apihttp}}
redis: {{cache: "redis://127.0.0.1:1", data: "redis://127.0.0.1:1", prefix: p}}
{IDENTITY.replace("audience: app,", "audience: app, match: core.users.auth_id,")}analytics:
  users: {{table: core.users, created: created_at}}
tables:
  core.users:
    collection: users
    primary_key: id
    access: {{owner: id}}
    audit: true
    api: {{read: all, update: [name]}}
    columns:
      id: {{type: uuid, from: _id}}
      name: text
      auth_id: {{type: text, unique: true}}
      created_at: {{type: timestamptz, default: now()}}
  core.books:
    collection: books
    primary_key: id
    access: {{owner: user_id}}
    soft_delete: true
    audit: true
    cache: {{tags: "books:{{user_id}}", ttl: 5 minutes}}
    search: {{title: title, language: simple}}
    embed: [title]
    api: {{read: all, create: [title], update: [title], delete: true, restore: true}}
    columns:
      id: {{type: uuid, from: _id}}
      number: int4
      user_id: {{type: uuid, from: userId, references: core.users}}
      title: {{type: text, not_null: true}}
  shelf.books:
    parent: core.books
    from: copies.*
    primary_key: [book_id, position]
    access: {{through: core.books}}
    search: {{body: text, language: simple}}
    api: {{read: all}}
    columns: {{text: text}}
  core.moves:
    primary_key: [id, at]
    access: {{owner: user_id}}
    audit: true
    partition: {{by: at, ahead: 3}}
    columns:
      id: int8
      at: {{type: timestamptz, default: now()}}
      user_id: uuid
"""
WORDS = ("red blue", "red green", "blue green", "red sun")


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded, indexed and embedded."""
    users = [{"_id": user_key(n), "name": f"user {n}", "auth_id": user_id(n)} for n in range(2)]
    books = [
        {
            "_id": user_key(n),
            "number": n,
            "userId": user_key(n % 2),
            "title": title,
            "copies": [{"text": f"copy {title}"}],
        }
        for n, title in enumerate(WORDS)
    ]
    with databases.create_template(tmp_path_factory.mktemp("parts")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        dump = write_dump(template.folder / "app", {"users": users, "books": books})
        report = project.migrate(dump, confirm=confirm)
        assert report.exit_code == 0, report.findings
        assert project.search.build() == {"core.books": 4, "shelf.books": 4}
        with open_words(project, WordEmbedder()) as builder:
            assert builder.build()["core.books"].rows == 4
        yield template


@pytest.fixture
def app(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)


@pytest.fixture
def user(database: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session of the first user."""
    with psycopg.connect(make_conninfo(database, user="apihttp_app"), autocommit=True) as session:
        session.execute("SELECT set_config('app.user_id', %s, false)", [user_id(0)])
        yield session


def find(
    session: psycopg.Connection[tuple[Any, ...]], schema: str, key: str, text: str
) -> set[str]:
    """The keys that the function of one table finds."""
    rows = session.execute(f"SELECT {key}::text FROM {schema}.search_books('{text}')".encode())
    return {row[0] for row in rows}


@pytest.mark.usefixtures("app")
def test_a_user_searches_the_tables_of_all_schemas(
    user: psycopg.Connection[tuple[Any, ...]],
) -> None:
    found = user.execute("SELECT \"table\", key ->> 0 FROM search('red')").fetchall()
    assert sorted(found) == [("core.books", user_id(0)), ("shelf.books", user_id(0))]
    assert find(user, "core", "id", "red") == {user_id(0)}
    assert find(user, "shelf", "book_id", "blue") == {user_id(0), user_id(2)}
    assert user.execute("SELECT text FROM search_suggest('bl')").fetchall() == [("blue",)]
    user.execute("UPDATE core.books SET title = 'violet' WHERE number = 0")
    assert find(user, "core", "id", "violet") == {user_id(0)}


def test_rows_are_found_by_meaning_and_noted_when_they_change(
    app: Project, user: psycopg.Connection[tuple[Any, ...]]
) -> None:
    ask = "SELECT key ->> 0 FROM search_similar('core.books', %s) ORDER BY place"
    assert user.execute(ask, [f'["{user_id(0)}"]']).fetchall() == [(user_id(2),)]
    user.execute("UPDATE core.books SET title = 'sea' WHERE number = 2")
    with open_words(app, WordEmbedder()) as builder:
        assert builder.build()["core.books"].rows == 1


def test_drift_of_an_index_is_found_and_the_search_explained(app: Project, query: Query) -> None:
    assert [(each.table, each.count) for each in app.search.check()] == [
        ("core.books", 0),
        ("shelf.books", 0),
    ]
    query(
        "SET session_replication_role = replica; UPDATE core.books SET title = 'x' WHERE number = 1"
    )
    assert {each.table: each.count for each in app.search.check()}["core.books"] == 1


def test_writes_fill_the_outbox_and_the_log(
    app: Project, user: psycopg.Connection[tuple[Any, ...]], query: Query
) -> None:
    user.execute("UPDATE core.books SET title = 'sea' WHERE number = 0")
    user.execute("INSERT INTO core.moves (id, user_id) VALUES (1, %s)", [user_id(0)])
    assert query("SELECT tags FROM _cache_outbox") == [([f"books:{user_id(0)}"],)]
    lines = query('SELECT "table", op::text, new FROM audit_log ORDER BY id')
    assert lines[0] == ("core.books", "u", {"title": "sea"})
    assert [each[:2] for each in lines] == [("core.books", "u"), ("core.moves", "i")]
    shown = app.audit.log("core.books", [user_id(0)])
    assert [line.op for line in shown.lines] == ["u"]
    assert app.audit.check().findings == []
    query("ALTER TABLE core.books DISABLE TRIGGER _audit_update")
    assert [each.what for each in app.audit.check().findings] == [
        "the trigger _audit_update of core.books is missing or off"
    ]


def test_rows_are_counted_and_partitions_kept_up(app: Project, query: Query) -> None:
    assert query("SELECT sum(rows) FROM assise.analytics_total") == [(2,)]
    query("INSERT INTO core.users (id) VALUES (gen_random_uuid())")
    assert query("SELECT sum(rows) FROM assise.analytics_total") == [(3,)]
    parts = "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid"
    assert ("core",) in query(f"{parts} WHERE inhparent = 'core.moves'::regclass")
    noted = ("search_object", "audit_load", "cache_load", "rule")
    made = " UNION ALL ".join(f"SELECT '{each}', xmin::text FROM assise.{each}" for each in noted)
    before = query(made)
    app.load()
    assert sorted(query(made)) == sorted(before)


def test_all_parts_work_without_the_schema_assise(
    app: Project, user: psycopg.Connection[tuple[Any, ...]], query: Query
) -> None:
    """Totals are `assise`'s own; what else triggers and policies call lies beside the tables."""
    app.path.write_text(
        MANIFEST.replace("  users: {table: core.users, created: created_at}", "  timezone: UTC")
    )
    app.load()
    calls = """SELECT DISTINCT pronamespace = relnamespace FROM pg_trigger
        JOIN pg_class AS c ON c.oid = tgrelid JOIN pg_proc AS p ON p.oid = tgfoid
        WHERE NOT tgisinternal"""
    assert query(calls) == [(True,)]
    query("DROP SCHEMA assise CASCADE")
    user.execute("UPDATE core.books SET title = 'violet' WHERE number = 0")
    assert find(user, "core", "id", "violet") == {user_id(0)}
    assert user.execute("SELECT core.books_delete(%s)", [user_id(0)]).fetchone() == (
        {"core.books": 1, "shelf.books": 1},
    )
    assert query("SELECT count(*) FROM audit_log") == [(2,)]
    assert query("SELECT count(*) FROM _cache_outbox") == [(2,)]


def test_undo_takes_all_away(app: Project, query: Query) -> None:
    query("TRUNCATE audit_log")
    planned = app.undo(dry_run=True).schemas
    assert app.undo(confirm=confirm).schemas == planned == ["core", "shelf"]
    left = "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname ~ '^_(audit|cache|search)'"
    assert query(left) == []


def test_resources_of_several_schemas(app: Project, short_folder: Path, database: str) -> None:
    with serve(app.path.parent, database, short_folder / "schemas.sock") as client:
        rows = client.get(0, "/api/core.books").json()["items"]
        assert {row["number"] for row in rows} == {0, 2}
        copies = client.get(0, "/api/shelf.books?include=book").json()["items"]
        assert [row["book"]["title"] for row in copies] == ["red blue", "blue green"]
        made = client.send(
            1,
            "POST",
            "/api/core.books",
            json={"title": "new"},
            headers={"Idempotency-Key": "one"},
        )
        assert made.status_code == 201, made.text
        path = made.headers["location"]
        assert path.startswith("/api/core.books/")
        gone = {"core.books": 1, "shelf.books": 0}
        assert client.send(1, "DELETE", path).json() == gone
        assert client.send(1, "POST", f"{path}/restore").json() == gone
        assert client.get(0, path).status_code == 404
        hits = client.get(0, "/api/search", params={"q": "red", "in": "core.books"}).json()
        assert [each["id"] for each in hits["results"]] == [user_id(0)]
        assert client.get(0, "/openapi.json").status_code == 200


def test_a_search_as_a_user_by_python(app: Project) -> None:
    found = app.search.query(Request("red", ["core.books"]), user_id=user_id(0))
    assert [(hit.type, str(hit.id)) for hit in found.results] == [("core.books", user_id(0))]


def test_an_agent_is_told_of_the_tables_of_every_schema(app: Project, database: str) -> None:
    async def run() -> dict[str, list[str]]:
        urls = {"app": make_conninfo(database, user="apihttp_app")}
        async with App(app.path, urls=urls) as opened:
            found = await AgentTools(opened.chat, user_id(0)).tables()
        return {name: columns for name, columns in found["tables"].items() if "books" in name}

    found = asyncio.run(run())
    assert found.keys() == {"core.books", "shelf.books"}
    assert "title" in found["core.books"]
