"""An application with access rules, loaded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.access.bouncer import run_bouncer
from tests.access.shop import load_shop, write_shop
from tests.access.shop import sign_in as open_session
from tests.scenes.databases import Databases, Template

from assise.project import Project


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """The dump of the application."""
    return write_shop(tmp_path)


@pytest.fixture(scope="session")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with load_shop(databases, tmp_path_factory.mktemp("access")) as template:
        yield template


@pytest.fixture
def ruled(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)


@pytest.fixture
def sign_in(database: str) -> Callable[..., Any]:
    """Opens a transaction as a role of the application, with the settings of a session."""
    return partial(open_session, database)


@pytest.fixture
def bouncer(template: Template, database: str, short_folder: Path) -> Iterator[str]:
    """The conninfo of the application's login through PgBouncer."""
    del template
    with run_bouncer(database, short_folder) as conninfo:
        yield conninfo
