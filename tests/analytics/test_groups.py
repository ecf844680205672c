"""Group commit: who waits together is kept together, in one transaction at a time."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from assise.analytics.event import Event
from assise.analytics.groups import SIZE, GroupCommit

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def make_events(*numbers: int) -> list[Event]:
    """Events with these numbers as uuids."""
    return [Event(UUID(int=n), "n", "u", NOW) for n in numbers]


@dataclass
class Table:
    """Keeps groups when it is let, and refuses those that hold the event 99."""

    is_let: asyncio.Event = field(default_factory=asyncio.Event)
    groups: list[list[int]] = field(default_factory=list)
    busy: int = 0

    async def insert(self, events: Sequence[Event]) -> None:
        """Keep a group."""
        self.busy += 1
        assert self.busy == 1
        await self.is_let.wait()
        self.busy -= 1
        numbers = [each.uuid.int for each in events]
        if 99 in numbers:
            raise ValueError("refused")
        self.groups.append(numbers)


def test_who_comes_while_others_are_kept_shares_the_next_transaction() -> None:
    async def use() -> Table:
        table = Table()
        commit = GroupCommit(table.insert)
        waiting = [asyncio.create_task(commit.keep(make_events(1)))]
        await asyncio.sleep(0.01)
        waiting += [asyncio.create_task(commit.keep(make_events(n, n + 10))) for n in (2, 3, 4)]
        await asyncio.sleep(0.01)
        assert not any(each.done() for each in waiting), "none is told before it is kept"
        table.is_let.set()
        await asyncio.gather(*waiting)
        await commit.keep(make_events(5))
        return table

    assert asyncio.run(use()).groups == [[1], [2, 12, 3, 13, 4, 14], [5]]


def test_a_refused_group_is_told_to_all_of_it_and_to_nobody_else() -> None:
    async def use() -> tuple[Table, list[BaseException | None]]:
        table = Table()
        commit = GroupCommit(table.insert)
        waiting = [asyncio.create_task(commit.keep(make_events(1)))]
        await asyncio.sleep(0.01)
        waiting += [asyncio.create_task(commit.keep(make_events(n))) for n in (2, 99)]
        await asyncio.sleep(0.01)
        table.is_let.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await commit.keep(make_events(3))
        return table, found

    table, found = asyncio.run(use())
    assert table.groups == [[1], [3]]
    assert [type(each) for each in found] == [type(None), ValueError, ValueError]


def test_who_goes_away_leaves_its_events_to_the_group() -> None:
    async def use() -> Table:
        table = Table()
        commit = GroupCommit(table.insert)
        waiting = [asyncio.create_task(commit.keep(make_events(n))) for n in (1, 2)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        await asyncio.sleep(0.01)
        table.is_let.set()
        await waiting[1]
        return table

    assert asyncio.run(use()).groups == [[1, 2]]


def test_a_group_has_a_bound() -> None:
    async def use() -> Table:
        table = Table()
        table.is_let.set()
        commit = GroupCommit(table.insert)
        batches = [make_events(*range(100, 100 + size)) for size in (SIZE - 1, 1, 1, SIZE + 1)]
        await asyncio.gather(*map(commit.keep, batches))
        return table

    assert [len(each) for each in asyncio.run(use()).groups] == [SIZE, 1, SIZE + 1]
