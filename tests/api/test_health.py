"""Health of an application with two databases."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from tests.identity.conftest import Pair, pair

from assise.api import health
from assise.api.health import Health, check_databases
from assise.app import App
from assise.manifest.sections.servers import MAIN

__all__ = ["pair"]


def test_health_names_further_servers_as_the_manifest_does(pair: Pair) -> None:
    async def check(app: App) -> dict[str, object]:
        found = await check_databases(app)
        return {name: each["status"] for name, each in found.items()}

    async def check_down(app: App) -> dict[str, object]:
        app.urls["auth.app"] = "postgresql://x@127.0.0.1:1/x"
        return await check(app)

    assert pair.act(check) == {"postgresql": "healthy", "auth": "healthy"}
    assert pair.act(check_down) == {"postgresql": "healthy", "auth": "unhealthy"}


def test_the_databases_are_asked_once_for_all_who_ask_within_a_second(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(health, "monotonic", lambda: now[0])
    request = Request({"type": "http"})

    async def ask(app: App) -> list[int]:
        asked = list[str]()
        is_up = app.is_up

        async def count(server: str = MAIN) -> bool:
            asked.append(server)
            return await is_up(server)

        monkeypatch.setattr(app, "is_up", count)
        state, counts = Health(app), list[int]()
        for moment in (100.0, 100.9, 101.1):
            now[0] = moment
            await asyncio.gather(*(state.read(request) for _ in range(20)))
            counts.append(len(asked))
        return counts

    assert pair.act(ask) == [2, 2, 4]
