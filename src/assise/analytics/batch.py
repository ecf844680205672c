"""A batch of events: read once, by event and day, with the persons whom they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assise.analytics.event import SHARED_IDS
from assise.analytics.picture import (
    EventChanges,
    fetch_rows,
    list_ids,
    make_bitmap,
    merge,
    to_merges,
)
from assise.analytics.tables import QUERIES
from assise.postgres.connection import Connection
from assise.postgres.pool import Record

_MERGING = frozenset({"$identify", "$create_alias", "$merge_dangerously"})


@dataclass(frozen=True)
class EventBatch:
    """The next events by event, day and traffic; `place` is between which places they are."""

    rows: list[Record]
    place: Mapping[str, object]


def read_batch(connection: Connection, state: Record, *, zone: str, size: int) -> EventBatch | None:
    """The next events that no open transaction can come before, but those of erased persons."""
    place: dict[str, object] = {key: state[key] for key in ("xid", "number", "snapshot")}
    asked = {**place, "until": state["xmin"], "size": size, "zone": zone}
    while rows := _fetch(connection, QUERIES.fill("batch"), asked):
        # Behind the last whole batch: everything below the oldest open transaction.
        end = rows[0]["last"] or (str(int(state["xmin"]) - 1), 2**63 - 1)
        place["to_xid"], place["to_number"] = end[0], int(end[1])
        if not fetch_rows(connection, QUERIES["erase_late"], place):
            return EventBatch(rows, place)
    return None


def apply_batch(connection: Connection, batch: EventBatch) -> EventChanges:
    """Give all ids persons; what the events change."""
    shared: dict[str, object] = {"shared": sorted(SHARED_IDS)}
    has_merges = any(row["event"] in _MERGING for row in batch.rows)
    said = QUERIES.fill("merges"), {**batch.place, **shared}
    merges = to_merges(fetch_rows(connection, *said)) if has_merges else []
    named = list_ids(merges)
    ids = {*named}.union(*(row["ids"] for row in batch.rows))
    # Who was tracked by the application itself is a user, unless merges have to come before.
    own = set[str]().union(*(row["ids"] for row in batch.rows if row["own"] and not merges))
    asked = {"ids": [*ids], "own": [each in own for each in ids], **shared}
    (found,) = _fetch(connection, QUERIES["find_persons"], asked)
    numbers = zip(ids, found["persons"] or [], strict=True)
    persons = {id_: each for id_, each in numbers if each is not None}
    identities = fetch_rows(connection, QUERIES["identities"], {"ids": named}) if merges else []
    changes = merge(merges, identities)
    for row in batch.rows:
        if row["traffic"] in {"person", "anonymous", "system"}:
            did = make_bitmap([persons[each] for each in row["ids"] if each in persons])
            users = did if row["traffic"] == "person" else make_bitmap()
            changes.add((row["event"], row["day"]), did, users, row["events"])
    return changes


def _fetch(connection: Connection, query: str, parameters: Mapping[str, object]) -> list[Record]:
    """Rows with long arrays, which come as they are and not as digits."""
    found: list[Record] = connection.fetch(dict, query, parameters, binary=True)
    return found
