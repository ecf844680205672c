"""Health of an application with two databases."""

from __future__ import annotations

from tests.identity.conftest import Pair, pair

from assise.api.health import check_databases
from assise.app import App

__all__ = ["pair"]


def test_health_names_further_servers_as_the_manifest_does(pair: Pair) -> None:
    async def check(app: App) -> dict[str, object]:
        found = await check_databases(app)
        return {name: each["status"] for name, each in found.items()}

    async def check_down(app: App) -> dict[str, object]:
        app.urls = {**app.urls, "auth.app": "postgresql://x@127.0.0.1:1/x"}
        return await check(app)

    assert pair.act(check) == {"postgresql": "healthy", "auth": "healthy"}
    assert pair.act(check_down) == {"postgresql": "healthy", "auth": "unhealthy"}
