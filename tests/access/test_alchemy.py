"""SQLAlchemy's sessions, with the models that `assise schema models` writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, Engine, create_engine, event, exc, func, select, text
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool
from tests.access.shop import PROJECTS, USERS

from assise.app import App
from assise.errors import TargetError, UsageError
from assise.project import Project

pytestmark = pytest.mark.contract

SEEN = PROJECTS // USERS


def make_url(database: str, role: str = "apptest_app") -> URL:
    parts = conninfo_to_dict(database)
    place = {"host": str(parts["host"])}
    return URL.create("postgresql+psycopg", role, database=str(parts["dbname"]), query=place)


@pytest.fixture
def models(ruled: Project, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The classes of the application's tables."""
    folder = ruled.path.parent
    (folder / "shop_models.py").write_text(ruled.schema_models())
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "shop_models", raising=False)
    return import_module("shop_models")


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """An engine with one connection, which all sessions share."""
    engine = create_engine(make_url(database), pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


@pytest.fixture
def make_session(ruled: Project, engine: Engine) -> sessionmaker[Session]:
    """Makes sessions with rights."""
    made = sessionmaker(engine)
    event.listen(made, "after_begin", App(ruled.path).set_rights)
    return made


def count(session: Session, model: type[object]) -> int:
    return session.scalar(select(func.count()).select_from(model)) or 0


def test_a_session_sees_and_writes_the_rows_of_its_user(
    make_session: sessionmaker[Session], models: ModuleType
) -> None:
    project = models.Projects
    for user in (1, 2, None, "' or true --", 1):
        with make_session(info={"user_id": user}) as session:
            if user in {1, 2, None}:
                found = {row.id for row in session.scalars(select(project))}
                assert found == {n for n in range(PROJECTS) if n % USERS == user}
            assert session.scalar(text("SELECT current_setting('app.user_id')")) == str(user or "")
    with make_session(info={"user_id": 1, "tenant_id": "t1"}) as session:
        session.add(project(id=900, user_id=1, name="new"))
        session.add(models.Files(project_id=900, position=0))
        session.commit()
        assert session.scalars(select(models.Files.user_id).filter_by(project_id=900)).all() == [1]
        savepoint = session.begin_nested()
        session.add(project(id=901, user_id=2))
        with pytest.raises(exc.ProgrammingError, match="row-level security"):
            session.flush()
        savepoint.rollback()
        assert count(session, project) == SEEN + 1
        assert session.execute(text("UPDATE templates SET tenant = tenant")).rowcount == 1  # type: ignore[attr-defined]


def test_rights_end_with_their_transaction(
    make_session: sessionmaker[Session], models: ModuleType, engine: Engine
) -> None:
    with make_session(info={"user_id": 1}) as session:
        assert count(session, models.Projects) == SEEN
        session.rollback()
        assert count(session, models.Projects) == SEEN
        session.info["user_id"] = None
        session.commit()
        assert count(session, models.Projects) == 0
    with make_session(info={"user_id": 1}) as session, pytest.raises(exc.DataError):
        session.execute(text("SELECT 1 / 0"))
    with engine.connect() as bare:
        assert bare.scalar(text("SELECT count(*) FROM projects")) == 0


def test_rights_survive_prepared_statements(
    make_session: sessionmaker[Session], models: ModuleType
) -> None:
    """Psycopg prepares a statement at its sixth use; its plan knows nothing of the user."""
    for n in range(24):
        with make_session(info={"user_id": n % USERS}) as session:
            query = select(models.Projects.user_id).distinct()
            assert session.scalars(query).all() == [n % USERS]


def test_a_login_that_goes_around_the_rules_is_refused(
    ruled: Project, database: str, models: ModuleType
) -> None:
    user = str(conninfo_to_dict(database)["user"])
    engine = create_engine(make_url(database, user), poolclass=NullPool)
    made = sessionmaker(engine)
    event.listen(made, "after_begin", App(ruled.path).set_rights)
    for _ in range(2):
        with made(info={"user_id": 1}) as session, pytest.raises(TargetError, match="superuser"):
            count(session, models.Projects)


def test_a_nul_and_a_time_limit(
    ruled: Project, engine: Engine, make_session: sessionmaker[Session]
) -> None:
    with (
        make_session(info={"user_id": "a\0b"}) as session,
        pytest.raises(UsageError, match="holds a NUL"),
    ):
        session.execute(text("SELECT 1"))
    hasty = sessionmaker(engine)
    app = App(ruled.path, settings={"app.statement_timeout_ms": 100})
    event.listen(hasty, "after_begin", app.set_rights)
    with hasty() as session, pytest.raises(exc.OperationalError, match="statement timeout"):
        session.execute(text("SELECT pg_sleep(5)"))
