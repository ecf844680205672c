"""The opening of a source, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assise.mongo.dump import open_dump, rebuild_dump
from assise.mongo.server import Server, rebuild_server
from assise.mongo.source import NO_OPTIONS, JsonObject, Source, SourceOptions
from assise.mongo.url import is_mongodb_url

KINDS: dict[str, Callable[[JsonObject], Source]] = {
    "dump": rebuild_dump,
    "server": rebuild_server,
}
"""How a worker process opens each kind of source, from what `Source.describe` returned."""


def open_source(place: Path | str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Open the source at a path or a URL.

    Raises:
        SourceError: there is none that can be read. UsageError: it holds more than one database.
    """
    if isinstance(place, str) and is_mongodb_url(place):
        return Server(place, options)
    return open_dump(Path(place), options)


def rebuild_source(facts: JsonObject) -> Source:
    """Open the source that `Source.describe` described, in a worker process."""
    return KINDS[facts["kind"]](facts)
