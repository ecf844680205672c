"""An application that is loaded once, and served on a copy of its database for each module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.api.scene import Client, load_scene, serve
from tests.scenes.databases import Databases, Template


@pytest.fixture(scope="session")
def scene(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded."""
    with load_scene(databases, tmp_path_factory.mktemp("api")) as template:
        yield template


@pytest.fixture(scope="module")
def conninfo(scene: Template, databases: Databases) -> Iterator[str]:
    """A copy of its database."""
    found = databases.create(scene.database)
    yield found
    databases.drop(found)


@pytest.fixture(scope="module")
def client(scene: Template, conninfo: str, short_folder: Path) -> Iterator[Client]:
    """Sends requests to the application."""
    with serve(scene.folder, conninfo, short_folder / "api.sock") as client:
        yield client


@pytest.fixture
def run(conninfo: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs SQL as the owner in the module's database."""

    def execute(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    return execute
