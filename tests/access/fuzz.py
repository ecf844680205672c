"""Random sessions of many users on shared connections; each query gives exactly what it should."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from tests.access.office import TABLES, USERS, Rows, find_visible, tenant_of

from assise.errors import TargetError, UsageError
from assise.postgres.pool import RolePool, Session
from assise.postgres.rights import Rights

Visible = dict[str, Rows]
Act = Callable[[Session, Visible, random.Random], Awaitable[None]]
VISIBLE = {user: find_visible(user) for user in [None, *range(USERS)]}


async def check(db: Session, query: str, expected: Sequence[Sequence[object]]) -> None:
    """Check that a query gives exactly these rows."""
    rows = [tuple(row.values()) for row in await db.fetch(query)]
    assert rows == [tuple(row) for row in expected], query


def draw(visible: Visible, chance: random.Random) -> tuple[str, str, list[int]]:
    """A table, a condition on its key, and the keys that a session sees of it."""
    table, divisor = chance.choice(TABLES), chance.randint(1, 5)
    rest = chance.randrange(divisor)
    keys = sorted(each["_id"] for each in visible[table] if each["_id"] % divisor == rest)
    return table, f"mod(id, {divisor}) = {rest}", keys


async def plain(db: Session, visible: Visible, chance: random.Random) -> None:
    table, where, keys = draw(visible, chance)
    await check(db, f"SELECT id FROM {table} WHERE {where} ORDER BY 1", [(key,) for key in keys])


async def parameters(db: Session, visible: Visible, chance: random.Random) -> None:
    table, _, keys = draw(visible, chance)
    query = f"SELECT id FROM {table} WHERE id = ANY (%s) ORDER BY 1"
    assert [row["id"] for row in await db.fetch(query, [keys])] == keys


async def cte(db: Session, visible: Visible, chance: random.Random) -> None:
    table, where, keys = draw(visible, chance)
    kind = chance.choice(["", "NOT MATERIALIZED", "MATERIALIZED"])
    query = f"WITH own AS {kind} (SELECT * FROM {table}) SELECT count(*), sum(id) FROM own"
    await check(db, f"{query} WHERE {where}", [(len(keys), sum(keys) if keys else None)])


async def union(db: Session, visible: Visible, chance: random.Random) -> None:
    found = [draw(visible, chance) for _ in range(3)]
    parts = [f"SELECT id FROM {table} WHERE {where}" for table, where, _ in found]
    keys = sorted({key for *_, keys in found for key in keys})
    await check(db, f"{' UNION '.join(parts)} ORDER BY 1", [(key,) for key in keys])


async def join(db: Session, visible: Visible, chance: random.Random) -> None:
    kind = chance.choice(["", "LEFT "])
    query = f"SELECT p.id, size FROM projects p {kind}JOIN files ON project_id = p.id ORDER BY 1, 2"
    expected: list[tuple[int, int | None]] = []
    for each in sorted(visible["projects"], key=lambda row: int(row["_id"])):
        sizes = [file["size"] for file in each["files"]] or ([None] if kind else [])
        expected += [(each["_id"], size) for size in sizes]
    await check(db, query, expected)


async def subquery(db: Session, visible: Visible, chance: random.Random) -> None:
    sign, is_there = chance.choice([("", True), ("NOT ", False)])
    query = (
        f"SELECT id FROM projects p WHERE {sign}EXISTS (SELECT FROM notes WHERE project_id = p.id)"
    )
    noted = {each["projectId"] for each in visible["notes"]}
    keys = [each["_id"] for each in visible["projects"] if (each["_id"] in noted) == is_there]
    await check(db, f"{query} ORDER BY 1", [(key,) for key in sorted(keys)])


async def lateral(db: Session, visible: Visible, chance: random.Random) -> None:
    del chance
    counts = Counter(each["projectId"] for each in visible["notes"])
    query = "SELECT p.id, n FROM projects p, LATERAL (SELECT count(*) FROM notes"
    expected = [(each["_id"], counts[each["_id"]]) for each in visible["projects"]]
    await check(db, f"{query} WHERE project_id = p.id) AS c (n) ORDER BY 1", sorted(expected))


async def function(db: Session, visible: Visible, chance: random.Random) -> None:
    table = chance.choice(["notes", "docs"])
    await check(db, f"SELECT count_{table}()", [(len(visible[table]),)])


async def view(db: Session, visible: Visible, chance: random.Random) -> None:
    del chance
    keys = sorted(each["_id"] for each in visible["projects"])
    await check(db, "SELECT id FROM live_projects ORDER BY 1", [(key,) for key in keys])


async def copy(db: Session, visible: Visible, chance: random.Random) -> None:
    table, where, keys = draw(visible, chance)
    async with db.copy(f"COPY (SELECT id FROM {table} WHERE {where} ORDER BY 1) TO STDOUT") as rows:
        assert [int(row[0]) async for row in rows.rows()] == keys


async def stream(db: Session, visible: Visible, chance: random.Random) -> None:
    table, where, keys = draw(visible, chance)
    query = f"SELECT id FROM {table} WHERE {where} ORDER BY 1"
    assert [row["id"] async for row in db.stream(query, size=3)] == keys


async def prepared(db: Session, visible: Visible, chance: random.Random) -> None:
    """The statement stays on the connection, planned for whoever came first."""
    table = chance.choice(TABLES)
    name = f"keys_of_{table}"
    is_there = await db.fetch_value(
        "SELECT count(*) FROM pg_prepared_statements WHERE name = %s", [name]
    )
    if not is_there:
        await db.execute(f"PREPARE {name} AS SELECT id FROM {table} ORDER BY 1")
    keys = sorted(each["_id"] for each in visible[table])
    await check(db, f"EXECUTE {name}", [(key,) for key in keys])


async def savepoint(db: Session, visible: Visible, chance: random.Random) -> None:
    await db.execute("SAVEPOINT a")
    with suppress(TargetError):
        await db.execute("SELECT 1 / 0")
    await db.execute("ROLLBACK TO a")
    await plain(db, visible, chance)


async def update(db: Session, visible: Visible, chance: random.Random) -> None:
    del chance
    assert await db.execute("UPDATE projects SET name = name") == len(visible["projects"])
    assert await db.execute("DELETE FROM projects WHERE deleted_at IS NOT NULL") == 0


async def delete(db: Session, visible: Visible, chance: random.Random) -> None:
    own = {each["_id"]: each for each in visible["projects"]}
    key = chance.choice([*own, chance.randrange(300)])
    counts = await db.fetch_value("SELECT projects_delete(%s)", [key])
    if key not in own:
        assert counts == {"projects": 0}
        return
    notes = [each for each in visible["notes"] if each["projectId"] == key]
    assert counts == {"projects": 1, "files": len(own[key]["files"]), "notes": len(notes)}
    await check(db, "SELECT count(*) FROM projects", [(len(own) - 1,)])
    await check(db, "SELECT count(*) FROM notes", [(len(visible["notes"]) - len(notes),)])
    assert await db.fetch_value("SELECT projects_restore(%s)", [key]) == counts


QUERIES: tuple[Act, ...] = (
    plain, parameters, cte, union, join, subquery, lateral, function, view, copy, stream,
    prepared, savepoint, update, delete,
)  # fmt: skip
EVENTS = (*["go on"] * 15, "fail", "end", "cancel", "set", "look", "look")


LOOK = """SELECT nullif(current_setting('app.user_id', true), '') AS user,
    (SELECT count(*) FROM projects)"""


class Fuzz:
    """Sessions beside each other on some pools, until so many queries are done."""

    def __init__(self, pools: Sequence[RolePool], *, queries: int, seed: int) -> None:
        self.pools, self.queries, self.seed = pools, queries, seed
        self.done: Counter[str] = Counter()
        self.count = 0
        self.errors: list[BaseException] = []

    async def run(self) -> None:
        """Run them, and raise the first that gave other rows than it should."""
        try:
            await asyncio.gather(*(self._work(n) for n in range(8)))
        finally:
            for pool in self.pools:
                await pool.close()
        if self.errors:
            raise self.errors[0]

    async def _work(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        pool = self.pools[number % len(self.pools)]
        while self.count < self.queries and not self.errors:
            event = chance.choice(EVENTS)
            try:
                await (self._look(pool) if event == "look" else self._use(pool, event, chance))
            except (TargetError, UsageError, TimeoutError) as error:
                if event not in {"fail", "end", "cancel"}:
                    self.errors.append(error)
            except AssertionError as error:
                self.errors.append(error)
            self.done[event] += 1

    async def _use(self, pool: RolePool, event: str, chance: random.Random) -> None:
        user = chance.choice([None, *range(USERS)] if chance.random() < 0.1 else range(USERS))
        tenant = None if user is None else tenant_of(user)
        async with pool.session(Rights(user, tenant)) as db:
            for act in chance.choices(QUERIES, k=chance.randint(1, 4)):
                await act(db, VISIBLE[user], chance)
                self.done[act.__name__] += 1
                self.count += 1
            if event == "fail":
                await db.execute("SELECT 1 / 0")
            elif event == "end":
                await db.execute(chance.choice(["COMMIT", "ROLLBACK"]))
            elif event == "cancel":
                async with asyncio.timeout(0.02):
                    await db.execute("SELECT pg_sleep(5)")
            elif event == "set":
                await db.execute("SET SESSION app.user_id = '1'")
                await db.execute("SET SESSION app.tenant_id = 't1'")

    async def _look(self, pool: RolePool) -> None:
        """Nothing of a session is left for what comes without one, but what it SET itself."""
        async with (await pool.open()).connection() as connection:
            cursor = await connection.execute(LOOK)
            row = await cursor.fetchone()
        assert row is not None
        assert row["user"] in {None, "1"}
        assert row["count"] == len(VISIBLE[1 if row["user"] else None]["projects"])
