"""The opening of a source, whatever kind it is of.

The module of a kind is imported when a source is of that kind: a command and each of its workers
start without the others, and without pymongo where no server is read.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from assise.errors import SourceError
from assise.mongo.archive_contents import is_archive
from assise.mongo.dump import check_text, is_dump, open_dump, rebuild_dump
from assise.mongo.nothing import ADDRESS, Nothing
from assise.mongo.series import rebuild_series, with_series
from assise.mongo.source import (
    NO_OPTIONS,
    REMEDY_UNREADABLE,
    JsonObject,
    Source,
    SourceOptions,
    is_mongodb_url,
)
from assise.mongo.unknown import GIVE_SOURCE, refuse_file
from assise.settings import expand

_URL = re.compile(r"[\s'\"]*[a-z][a-z0-9+]+:/|[^@]*:[^@]*@", re.IGNORECASE)
"""What may be meant as a URL, and may hold a password."""


def open_source(place: Path | str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Open the source at a path or a URL; its kind is told by its first bytes and by its name.

    Raises:
        SourceError: there is none that can be read.
        UsageError: it holds more than one database, or not what the options name.
    """
    if isinstance(place, str) and _may_be_url(place):
        # So that a password stands neither in the command nor in the list of processes.
        place = expand(place).strip()
        if is_mongodb_url(place):
            options.check({"database", "queries"}, "the source is a server")
            from assise.mongo.server import Server

            scheme, rest = place.split(":", 1)
            return Server(f"{scheme.lower()}:{rest}", options)
    if place == ADDRESS:
        options.check((), "the manifest has no collections")
        return Nothing()
    if not str(place):
        raise SourceError("the source is an empty text", remedy=GIVE_SOURCE)
    path = Path(place)
    if _URL.match(str(place)) and not os.path.lexists(path):
        raise SourceError(
            "the URL is not that of a MongoDB",
            remedy="A live source begins with mongodb:// or mongodb+srv://.",
        )
    path = path.absolute()
    check_text(str(path))
    try:
        path.lstat()
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist", remedy=GIVE_SOURCE) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise SourceError(message, remedy=REMEDY_UNREADABLE) from error
    if path.exists() and not (path.is_file() or path.is_dir()):
        # To open a pipe would wait for its writer, and it could be read once only.
        raise SourceError(
            f"{path} is not a regular file", remedy="Write what it gives to a file, and give that."
        )
    if is_archive(path):
        from assise.mongo.archive import open_archive

        options.check({"database"}, f"{path} is an archive")
        return with_series(open_archive(path, options))
    if is_dump(path):
        return with_series(open_dump(path, options))
    from assise.mongo.json_source import is_json, open_json

    if is_json(path):
        options.check({"zone"}, f"{path} is JSON")
        return open_json(path, options)
    if path.is_dir():
        return open_dump(path, options)  # which says what it lacks
    raise refuse_file(path)


def measure(place: Path | str) -> int | None:
    """Return the bytes that a source has on the disk, as far as they can be seen.

    Returns None of a server, and imports what reads it.
    """
    if isinstance(place, str) and _may_be_url(place):
        import assise.mongo.server  # noqa: F401

        return None
    path, size = Path(place), 0
    # What cannot be seen is told where it is read.
    with suppress(OSError):
        for file in path.rglob("*") if path.is_dir() else [path]:
            with suppress(OSError):
                size += file.stat().st_size
    return size


def _may_be_url(place: str) -> bool:
    return place.startswith("${") or is_mongodb_url(place)


def rebuild_source(facts: JsonObject) -> Source:
    """Open the source that `Source.describe` described, in a worker process."""
    match facts["kind"]:
        case "none":
            return Nothing()
        case "dump":
            return rebuild_dump(facts)
        case "series":
            return rebuild_series(rebuild_source(facts["inner"]), facts)
        case "archive":
            from assise.mongo.archive import rebuild_archive

            return rebuild_archive(facts)
        case "json":
            from assise.mongo.json_source import rebuild_json

            return rebuild_json(facts)
        case _:
            from assise.mongo.server import rebuild_server

            return rebuild_server(facts)
