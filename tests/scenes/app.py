"""A dump with child and grandchild rows, repeated `_id`s and bytes that are no documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import bson
from bson import ObjectId
from tests.dumps import write_dump

GARBAGE = b"\x07\x01\x01\x01 no document \xfe"
NOT_BSON = b"\x0c\0\0\0\x08a\0\x02\0\0\0\0"  # framed; its boolean is 2

Document = dict[str, object]

# Repeated documents are fewer than a hundredth, so that `again` becomes no column.
EVERY_BOOKING, EVERY_USER = 130, 150
FIRST_REPEATED = 15  # in the first chunk


@dataclass(frozen=True)
class App:
    """The documents of each collection, and the bytes of a chunk that suit them."""

    bookings: int = 600
    events: int = 800
    users: int = 600
    chunk_bytes: int = 3_500

    @property
    def loaded(self) -> int:
        """How many documents are loaded."""
        return self.bookings + self.events + self.users

    @property
    def rejected(self) -> dict[tuple[str, int], int]:
        """How many rejects there are, by collection and reason."""
        return {
            ("bookings", 2): len(range(FIRST_REPEATED, self.bookings, EVERY_BOOKING)),
            ("events", 1): 3,
            ("users", 2): len(range(FIRST_REPEATED, self.users, EVERY_USER)),
        }

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        lines = [n % 3 for n in range(self.bookings)]
        return {
            "bookings": self.bookings,
            "booking_lines": sum(lines),
            "booking_line_discounts": sum(lines[1::2]),
            "events": self.events,
            "users": self.users,
            "user_devices": self.users,
        }


SMALL = App()
LARGE = App(bookings=4_000, events=5_000, users=4_000, chunk_bytes=20_000)


def key(family: int, number: int) -> ObjectId:
    """An ObjectId that depends on its arguments alone."""
    return ObjectId(f"{family:08x}{number:016x}")


def write_app(folder: Path, app: App) -> Path:
    """Write the dump."""
    events = [bson.encode(event) for event in list_events(app.events)]
    fifth = app.events // 5
    parts = [
        events[:fifth],
        [GARBAGE],
        events[fifth : 3 * fifth],
        [NOT_BSON],
        events[3 * fifth : 4 * fifth],
        [GARBAGE * 30],
        events[4 * fifth :],
    ]
    bookings = repeat_some(list_bookings(app.bookings), EVERY_BOOKING, app.bookings // 4 + 7)
    users = repeat_some(list_users(app.users), EVERY_USER, app.users // 4 + 7)
    return write_dump(folder, {"bookings": bookings, "events": chain(*parts), "users": users})


def list_bookings(count: int) -> Iterator[Document]:
    """Bookings with up to two lines; the lines of every other one have discounts."""
    for n in range(count):
        lines: list[Document] = [{"sku": f"s{i}", "count": i} for i in range(n % 3)]
        for line in lines if n % 2 else []:
            line["discounts"] = [{"percent": n % 50}]
        yield {
            "_id": key(1, n),
            "customer": f"customer {n % 97}",
            "total": n * 1.25,
            "paid": n % 3 == 0 or str(n),
            "lines": lines,
        }


def list_events(count: int) -> Iterator[Document]:
    """Events, with a null in every fifth."""
    for n in range(count):
        note = f"note {n}" if n % 5 else None
        yield {"_id": n, "kind": "click", "at": n / 8, "note": note}


def list_users(count: int) -> Iterator[Document]:
    """Users with one device each."""
    for n in range(count):
        tags, devices = ["a", "b"][: n % 3], [{"os": "x", "n": n}]
        yield {
            "_id": key(2, n),
            "name": f"user {n}",
            "tags": tags,
            "devices": devices,
        }


def repeat_some(documents: Iterable[Document], every: int, later: int) -> Iterator[Document]:
    """The documents, and one of `every` again with another content, at once or much later."""
    again: dict[int, Document] = {}
    for n, document in enumerate(documents):
        yield document
        if n % every == FIRST_REPEATED:
            again[n + n // every % 2 * later] = {**document, "again": True}
        if n in again:
            yield again.pop(n)
    yield from again.values()
