"""The opening of a source, whatever kind it is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from assise.mongo.dump import open_dump, rebuild_dump
from assise.mongo.source import NO_OPTIONS, JsonObject, Source, SourceOptions

KINDS: dict[str, Callable[[JsonObject], Source]] = {"dump": rebuild_dump}
"""How a worker process opens each kind of source, from what `Source.describe` returned."""


def open_source(place: Path | str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Open the source at a path or a URL.

    Raises:
        SourceError: there is none that can be read. UsageError: it holds more than one database.
    """
    return open_dump(Path(place), options)


def rebuild_source(facts: JsonObject) -> Source:
    """Open the source that `Source.describe` described, in a worker process."""
    return KINDS[facts["kind"]](facts)
