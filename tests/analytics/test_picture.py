"""The picture of a moment: what opens it does not read the events."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import uuid4

import pytest

from assise.analytics.event import Event
from assise.analytics.fold import fold
from assise.analytics.picture import open_picture, run
from assise.analytics.store import insert_sync
from assise.analytics.tables import QUERIES
from assise.postgres.connection import Connection

ZONE = "UTC"


def keep(connection: Connection, count: int) -> None:
    """Keep events of now, a thousand in a transaction."""
    now = dt.datetime.now(dt.UTC)
    for _ in range(count // 1_000):
        events = [Event(uuid4(), "login", f"u{n}", now) for n in range(1_000)]
        insert_sync(connection, events)


@pytest.mark.usefixtures("shop")
def test_where_everything_is_folded_no_event_is_read_to_know_it(database: str) -> None:
    with Connection(database) as connection:
        keep(connection, 5_000)
        fold(connection, ZONE)
        connection.execute("VACUUM ANALYZE assise.analytics_events")
        plan = connection.scalar(
            "EXPLAIN (ANALYZE, FORMAT json) " + QUERIES.fill("opening"), {"zone": ZONE}
        )
        scans = [*list_scans(json.loads(json.dumps(plan))[0]["Plan"])]
        assert len(scans) > 3
        assert all(node["Node Type"].startswith("Index") for node in scans)
        assert (
            sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans) < 10
        )
        assert not run(open_picture(ZONE), connection).has_tail
        keep(connection, 1_000)
        assert run(open_picture(ZONE), connection).has_tail


def list_scans(node: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a plan that read events."""
    found = [each for part in node.get("Plans", []) for each in list_scans(part)]
    is_scan = str(node.get("Relation Name", "")).startswith("analytics_events")
    return [*found, node] if is_scan else found
