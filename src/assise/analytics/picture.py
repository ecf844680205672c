"""The picture of a moment: stored bitmaps of persons, with the events that are not folded yet.

What reads asks statements, which a session answers with await and a connection without.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from assise.analytics.event import SHARED_IDS, SYSTEM_EVENTS
from assise.analytics.persons import Merge, Persons
from assise.analytics.tables import QUERIES
from assise.errors import BusyError
from assise.extras import load
from assise.postgres.asking import Asking, answer, answer_async
from assise.postgres.connection import Connection
from assise.postgres.pool import Record, Session

if TYPE_CHECKING:
    from pyroaring import BitMap

T = TypeVar("T")
EventDay = tuple[str, dt.date]

ANY = ""
"""The event that stands for any activity."""

END = str(2**63), 2**63 - 1
TAIL, BITMAPS = QUERIES["tail"], QUERIES["bitmaps"]


def make_bitmap(content: object = b"") -> BitMap:
    """A set of persons: from its bytes, or from numbers.

    Raises:
        MissingExtraError: the extra `analytics` is not installed.
    """
    bitmap = _load_bitmap()
    is_stored = isinstance(content, bytes) and content
    found: BitMap = bitmap.deserialize(content) if is_stored else bitmap(content)
    return found


@cache
def _load_bitmap() -> Any:  # noqa: ANN401
    return load("pyroaring", extra="analytics").BitMap


@dataclass
class EventChanges:
    """What events do to the bitmaps: persons and numbers of events by event and day."""

    groups: dict[EventDay, tuple[BitMap, int]] = field(default_factory=dict)
    moved: dict[int, int] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    users: BitMap = field(default_factory=make_bitmap)
    aliases: dict[str, int] = field(default_factory=dict)
    refused: int = 0

    @cached_property
    def old(self) -> BitMap:
        """The persons that are now others."""
        return make_bitmap(sorted(self.moved))

    def add(self, key: EventDay, persons: BitMap, users: BitMap, events: int) -> None:
        """Add events of a day, whose persons are as they were before."""
        found = move(persons, self.moved, self.old)
        self.users |= move(users, self.moved, self.old)
        is_system = key[0] in SYSTEM_EVENTS
        self._add(key, make_bitmap() if is_system else found, events)
        if not is_system:
            self._add((ANY, key[1]), found, events)

    def _add(self, key: EventDay, persons: BitMap, events: int) -> None:
        before, count = self.groups.get(key, (make_bitmap(), 0))
        self.groups[key] = before | persons, count + events


def move(persons: BitMap, moved: Mapping[int, int], old: BitMap) -> BitMap:
    """The persons, of whom some are now others."""
    found = persons & old
    if not found:
        return persons
    return (persons - old) | make_bitmap([moved[each] for each in found])


def read_changes(place: Mapping[str, object], zone: str) -> Asking[EventChanges]:
    """What the events between two places change; ids that are not known get numbers meanwhile."""
    parameters: dict[str, object] = {**place, "zone": zone, "shared": sorted(SHARED_IDS)}
    merges = to_merges((yield QUERIES.fill("merges"), parameters))
    parameters["ids"] = list_ids(merges)
    known = (yield QUERIES["identities"], parameters) if merges else []
    unknown = (yield QUERIES.fill("unknown"), parameters) if merges else []
    changes = merge(merges, [*known, *unknown])
    for row in (yield QUERIES.fill("groups"), parameters):
        persons, users = make_bitmap(row["persons"]), make_bitmap(row["users"])
        changes.add((row["event"], row["day"]), persons, users, row["events"])
    return changes


def to_merges(rows: Iterable[Record]) -> list[Merge]:
    """What the rows of `merges` say."""
    return [Merge(row["distinct_id"], row["other"], row["identifies"]) for row in rows]


def list_ids(merges: Iterable[Merge]) -> list[str]:
    """The ids that merges name, in order."""
    return sorted({id_ for each in merges for id_ in each[:2] if id_ is not None})


def merge(merges: Iterable[Merge], identities: Sequence[Record]) -> EventChanges:
    """What merges change, where these are the persons of all ids that they name."""
    of = {row["distinct_id"]: row["person"] for row in identities}
    persons = Persons(of, {row["person"] for row in identities if row.get("is_identified")})
    persons.merge_all(merges)
    return EventChanges(
        moved={old: persons.find(old) for old in persons.moved},
        named=persons.named,
        users=make_bitmap(sorted(persons.named)),
        aliases={id_: persons.find(each) for id_, each in of.items()},
        refused=persons.refused,
    )


@dataclass
class Picture:
    """What is known at a moment; `now` is the server's clock, `place` where the tail begins."""

    zone: ZoneInfo
    version: int
    now: dt.datetime
    users: BitMap
    changes: EventChanges
    has_tail: bool
    is_stored: bool = True
    place: Mapping[str, object] = field(default_factory=dict)

    @cached_property
    def today(self) -> dt.date:
        """The day that it is in the project's time zone."""
        return self.now.astimezone(self.zone).date()

    def is_over(self, day: dt.date) -> bool:
        """Whether a day has ended."""
        return day < self.today

    def read_persons(
        self, events: Sequence[str], first: dt.date, last: dt.date
    ) -> Asking[dict[dt.date, BitMap]]:
        """The users who did one of the events, by day."""
        asked = list(events) if self.is_stored else []
        parameters = {"events": asked, "first": first, "last": last}
        found: dict[dt.date, BitMap] = {}
        moved = self.changes.moved
        old = make_bitmap(sorted(moved))
        for row in (yield BITMAPS, parameters):
            persons = move(make_bitmap(bytes(row["persons"])), moved, old)
            found[row["day"]] = found.get(row["day"], make_bitmap()) | persons
        for (event, day), (persons, _) in self.changes.groups.items():
            if event in events and first <= day <= last:
                found[day] = found.get(day, make_bitmap()) | persons
        return {day: persons & self.users for day, persons in found.items()}

    def count_events(self, events: Sequence[str]) -> Asking[dict[str, int]]:
        """How often each of some events happened."""
        found = dict.fromkeys(events, 0)
        asked = list(events) if self.is_stored else []
        for row in (yield QUERIES["counts"], {"events": asked}):
            found[row["event"]] += row["events"]
        for (event, _), (_, count) in self.changes.groups.items():
            if event in found:
                found[event] += count
        return found


def open_picture(zone: str) -> Asking[Picture]:
    """Read how far events are folded, and what came since."""
    (state,) = yield QUERIES.fill("opening"), {"zone": zone}
    is_fresh, has_tail = state["is_fresh"], state["has_tail"]
    xid, number = (state["xid"], state["number"]) if is_fresh else ("0", 0)
    place = {"xid": xid, "number": number, "to_xid": END[0], "to_number": END[1]}
    place |= {"snapshot": state["snapshot"], "last": state["last"]}
    changes = (yield from read_changes(place, zone)) if has_tail else EventChanges()
    stored = make_bitmap(bytes(state["users"] or b"")) if is_fresh else make_bitmap()
    users = move(stored, changes.moved, make_bitmap(sorted(changes.moved))) | changes.users
    zoned = ZoneInfo(zone)
    moment = state["version"], state["now"]
    return Picture(zoned, *moment, users, changes, has_tail, is_fresh, place)


def read_whole(zone: str, make: Callable[[Picture], Asking[T]]) -> Asking[T]:
    """Read from one picture, again where a fold came between.

    Raises:
        BusyError: folds came between each time.
    """
    for _ in range(10):
        picture = yield from open_picture(zone)
        found = yield from make(picture)
        (row,) = yield QUERIES["version"], {}
        if row["version"] == picture.version:
            return found
    raise BusyError("events are folded faster than they can be read", remedy="Try again.")


def fetch_rows(
    connection: Connection, query: str, parameters: Mapping[str, object] = {}
) -> list[Record]:
    """The rows of a query as dictionaries."""
    found: list[Record] = connection.fetch(dict, query, parameters, binary=query == BITMAPS)
    return found


def run(asking: Asking[T], connection: Connection) -> T:
    """Read with the connection of a command."""
    return answer(asking, partial(fetch_rows, connection))


async def run_async(asking: Asking[T], session: Session) -> T:
    """Read with the session of an application."""

    async def fetch(query: str, parameters: Mapping[str, object]) -> list[Record]:
        return await session.fetch(query, parameters, binary=query == BITMAPS)

    return await answer_async(asking, fetch)
