"""Ismail: wallets while Redis is killed, and notifications by three queues."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.app import App
from assise.manifest.sections.redis import RedisUse
from assise.postgres.conninfo import sign_in_as
from assise.project import Project
from assise.redis.embedded import EmbeddedRedis

FOLDER = Path(__file__).parents[2] / "examples" / "ismail"
WRITERS = 50
USES: tuple[RedisUse, ...] = ("cache", "data")
Query = Callable[..., list[tuple[Any, ...]]]


def load_module(name: str) -> ModuleType:
    """A module of the example."""
    spec = spec_from_file_location(f"ismail_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """Ismail's manifest with five wallets."""
    with databases.create_template(tmp_path_factory.mktemp("ismail")) as template:
        wallets = [{"_id": n, "userId": n, "balance": 100.5, "currency": "eur"} for n in range(5)]
        dump = write_dump(
            template.folder / "ismail", {"wallets": wallets, "entries": [], "notifications": []}
        )
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text((FOLDER / "assise.yaml").read_text())
        assert project.migrate(dump, confirm=confirm).exit_code == 0
        yield template


@pytest.fixture
def app(template: Template, tmp_path: Path, database: str) -> Iterator[App]:
    """The application on a copy, with servers of its own."""
    project = template.copy(tmp_path, database)
    app = App(project.path, urls={"app": sign_in_as(database, "ismail_app")})
    yield app
    for use in USES:
        EmbeddedRedis(tmp_path / ".assise", use).stop()


@pytest.mark.parametrize(
    ("kills", "payments"), [(3, 3), pytest.param(100, 60, marks=pytest.mark.soak)]
)
def test_no_payment_is_lost_or_doubled_while_redis_is_killed(
    kills: int, payments: int, app: App, query: Query
) -> None:
    wallet = load_module("wallet").Wallet(app)
    server = app.workspace.redis("cache")

    async def write(number: int) -> None:
        user = number % 5
        for turn in range(payments):
            amount = Decimal(number - 20) / 4
            for _ in range(2):
                assert await wallet.pay(user, amount, payment=f"{number}:{turn}") in {True, False}
            await wallet.balance(user)

    async def kill() -> None:
        for _ in range(kills):
            await asyncio.sleep(random.uniform(0, 0.1))
            os.kill(int((server.data / "redis.pid").read_text()), signal.SIGKILL)
            while server.is_running():
                await asyncio.sleep(0.001)
            server.start()

    async def work() -> None:
        async with app:
            await wallet.balance(0)
            await asyncio.gather(kill(), *(write(number) for number in range(WRITERS)))
            while app.cache.store.breaker.is_open:
                await asyncio.sleep(0.01)
            rows = query("SELECT user_id, balance FROM wallets")
            truth = {row[0]: row[1] for row in rows}
            assert {user: await wallet.balance(user) for user in truth} == truth

    asyncio.run(work())
    sums = query(
        "SELECT user_id, 100.5 + sum(amount), (SELECT balance FROM wallets AS w"
        " WHERE w.user_id = e.user_id) FROM entries AS e GROUP BY 1"
    )
    assert len(sums) == 5
    assert [row[1] for row in sums] == [row[2] for row in sums]


def test_notifications_go_where_users_want_them_and_each_status_comes_once(
    app: App, query: Query
) -> None:
    module, handed = load_module("notifications"), []

    async def deliver(notification: str, message: str) -> None:
        handed.append((notification, message))

    async def move(*steps: str, channel: str = "PUSH", user: int = 1) -> list[bool]:
        return [await module.move(app, user, f"b7:{channel}", each) for each in steps]

    async def work() -> None:
        async with app:
            texts = {"PUSH": "Booked: {what}", "EMAIL": "You booked {what}.", "SMS": "{what}"}
            await app.redis.value("templates").set(texts, type="booking")
            await app.redis.value("preferences").set({"EMAIL": True, "SMS": False}, user_id=1)
            for _ in range(2):
                sent = await module.notify(app, 1, "booking", event="b7", what="a room")
                assert sent == ["PUSH", "EMAIL"]
            for channel, count in {"PUSH": 1, "EMAIL": 1, "SMS": 0}.items():
                queue = app.redis.queue(module.QUEUES[channel])
                assert (await queue.state()).ready == count
            assert await move("READ", "DELIVERED") == [False, False]
            for channel in ("PUSH", "EMAIL"):
                assert await module.send(app, channel, deliver, jobs=1) == 1
            assert await move("SENT", "DELIVERED", user=2) == [False, False]
            assert await move("SENT", "DELIVERED", "DELIVERED") == [False, True, False]
            assert await move("READ", "READ", "DELIVERED") == [True, False, False]
            assert await move("READ", "DELIVERED", channel="EMAIL") == [True, False]
            assert await module.refill(app, 1) == 0

    asyncio.run(work())
    assert handed == [("b7:PUSH", "Booked: a room"), ("b7:EMAIL", "You booked a room.")]
    rows = query("SELECT id, status FROM notifications ORDER BY id")
    assert rows == [("b7:EMAIL", "READ"), ("b7:PUSH", "READ")]


def test_a_queue_that_is_lost_is_filled_again(app: App, query: Query) -> None:
    module, handed = load_module("notifications"), []

    async def deliver(notification: str, _message: str) -> None:
        handed.append(notification)
        if len(handed) == 1:
            raise ConnectionError

    async def work() -> None:
        async with app:
            await app.redis.value("templates").set({"PUSH": "{n}"}, type="note")
            for n in range(3):
                await module.notify(app, 1, "note", event=f"e{n}", n=n)
            assert await module.send(app, "PUSH", deliver, jobs=1) == 1
            await app.redis.client("data", 2).ask("FLUSHDB")
            assert (await module.refill(app, 1), await module.refill(app, 1)) == (3, 3)
            assert await module.send(app, "PUSH", deliver, jobs=3) == 3

    asyncio.run(work())
    assert handed == ["e0:PUSH", "e0:PUSH", "e1:PUSH", "e2:PUSH"]
    rows = query("SELECT status FROM notifications")
    assert rows == [("SENT",)] * 3
