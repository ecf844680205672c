"""Sessions through PgBouncer in transaction mode: nothing of one is left for the next.

What they see is in `test_fuzz`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from tests.access.shop import PROJECTS, USERS

from assise.app import App
from assise.postgres.rights import Rights
from assise.project import Project

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("ruled")]


def look_without_a_session(project: Project, bouncer: str) -> None:
    """Nothing of a session is left on the connection that it had."""

    async def use() -> None:
        async with App(project.path, urls={"app": bouncer}) as app, app.session(user_id=1) as db:
            assert await db.fetch_value("SELECT count(*) FROM projects") == PROJECTS // USERS

    asyncio.run(use())
    with psycopg.connect(bouncer, prepare_threshold=None) as connection:
        assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)


def test_nothing_of_a_session_is_left_on_its_connection(ruled: Project, bouncer: str) -> None:
    look_without_a_session(ruled, bouncer)


def test_rights_that_outlive_their_transaction_are_seen(
    ruled: Project, bouncer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Rights.begin

    def begin_for_good(
        rights: Rights, context: psycopg.AsyncConnection[Any], position: str | None
    ) -> list[bytes]:
        texts = begin(rights, context, position)
        texts = [text.replace(b", true)", b", false)") for text in texts]
        return [text.replace(b"SET LOCAL", b"SET SESSION") for text in texts]

    monkeypatch.setattr(Rights, "begin", begin_for_good)
    with pytest.raises(AssertionError):
        look_without_a_session(ruled, bouncer)
