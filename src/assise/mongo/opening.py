"""The opening of a source, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assise.mongo.archive import open_archive, rebuild_archive
from assise.mongo.archive_contents import is_archive
from assise.mongo.dump import open_dump, rebuild_dump
from assise.mongo.source import NO_OPTIONS, JsonObject, Source, SourceOptions

KINDS: dict[str, Callable[[JsonObject], Source]] = {
    "archive": rebuild_archive,
    "dump": rebuild_dump,
}
"""How a worker process opens each kind of source, from what `Source.describe` returned."""


def open_source(place: Path | str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Open the source at a path or a URL.

    Raises:
        SourceError: there is none that can be read. UsageError: it holds more than one database.
    """
    path = Path(place)
    if is_archive(path):
        return open_archive(path, options)
    return open_dump(path, options)


def rebuild_source(facts: JsonObject) -> Source:
    """Open the source that `Source.describe` described, in a worker process."""
    return KINDS[facts["kind"]](facts)
