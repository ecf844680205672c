"""An application with two databases, loaded once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.dumps import confirm, write_dump
from tests.identity.supabase import make_supabase, open_app, sign_up, write_manifest
from tests.scenes.databases import Databases

from assise.app import App
from assise.project import Project

USERS = 5
Act = Callable[[App], Coroutine[Any, Any, Any]]


@dataclass(frozen=True)
class Pair:
    """A project whose tables are in two databases."""

    project: Project
    main: str
    auth: str

    def query(self, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Run SQL in the database of the server auth."""
        with psycopg.connect(self.auth, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def act(self, function: Act, **settings: object) -> Any:  # noqa: ANN401
        """Run a coroutine with the application, to the end."""

        async def call() -> object:
            given = {name.replace("__", "."): value for name, value in settings.items()}
            async with open_app(self.project, main=self.main, auth=self.auth, **given) as app:
                return await function(app)

        return asyncio.run(call())


@pytest.fixture(scope="module")
def pair(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Conversations of six users, of whom the first five are in Supabase."""
    folder, main, auth = tmp_path_factory.mktemp("pair"), databases.create(), databases.create()
    make_supabase(auth)
    project = write_manifest(folder, main=main, auth=auth)
    users = [str(UUID(int=number)) for number in range(1, USERS + 2)]
    conversations = [{"_id": n, "userId": users[n % len(users)]} for n in range(60)]
    dump = write_dump(folder / "twodb", {"conversations": conversations})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    found = Pair(project, main, auth)
    for number in range(1, USERS + 1):
        sign_up(found.query, number)
    project.identity.repair(confirm=confirm)
    found.query("CREATE TABLE plans (id int PRIMARY KEY, name text)")
    found.query("INSERT INTO plans SELECT n, 'plan ' || n FROM generate_series(0, 2999) AS n")
    found.query("GRANT SELECT ON plans TO twodb_app, twodb_admin")
    yield found
    for conninfo in (main, auth):
        databases.drop(conninfo)


FALLBACK = {"first_name": "", "plan": "free", "verified": False}


def row_of(number: int) -> dict[str, object]:
    """The row that the server auth has of a user."""
    found = {"id": UUID(int=number), "email": f"user{number}@example.org", **FALLBACK}
    return {**found, "first_name": f"User {number}"}
