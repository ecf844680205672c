"""MongoDB's profiler: switched on for a time, set as it was, and read.

https://www.mongodb.com/docs/manual/tutorial/manage-the-database-profiler/
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from assise.errors import UsageError
from assise.mongo.commands import MongoDatabase
from assise.mongo.source import JsonObject

PROFILE = "system.profile"
LONGEST = dt.timedelta(hours=1)


def watch_profiler(
    database: MongoDatabase, watch: dt.timedelta, over_ms: int, sleep: Callable[[float], None]
) -> dt.datetime:
    """Let the profiler note operations over `over_ms` for a time; the server's time of its begin.

    Level and threshold are then as before, also where the wait is interrupted. The threshold holds
    for the whole server, and so for its log.

    Raises:
        UsageError: the time is none, or over an hour.
        CollectionError: the server has no profiler, as mongos has none, or the user no right.
    """
    if not dt.timedelta() < watch <= LONGEST:
        raise UsageError(f"{watch} is no time to watch", remedy="Give up to an hour, such as 30s.")
    before = database.run({"profile": -1})
    since = database.read_time()
    try:
        database.run({"profile": 1, "slowms": over_ms, "sampleRate": 1.0})
        sleep(watch.total_seconds())
    finally:
        level: JsonObject = {"profile": int(before.get("was", 0))}
        level |= {name: before[name] for name in ("slowms", "sampleRate") if name in before}
        database.run(level)
    return since


def read_profile(database: MongoDatabase, since: dt.datetime | None) -> Iterator[JsonObject]:
    """The operations that the profiler has noted, or those since a time."""
    yield from database.find(PROFILE, {} if since is None else {"ts": {"$gte": since}})
