"""The keys of the manifest: one module a noun, with its keys in `KEYS`.

A package adds its module here: the import, and one line in `SECTIONS`.
"""

from __future__ import annotations

from assise.manifest.keys import AnyKey, On
from assise.manifest.problems import Place
from assise.manifest.sections import (
    absent,
    access,
    analytics,
    api,
    audit,
    cached,
    chat,
    children,
    collections,
    columns,
    comments,
    computed,
    constraints,
    deletion,
    embedding,
    http,
    identity,
    indexes,
    mongo,
    mongo_collections,
    partitions,
    personal,
    postgres,
    primary_keys,
    project,
    readings,
    redis,
    redis_keys,
    references,
    revisions,
    schemas,
    search,
    search_log,
    servers,
    views,
)

SECTIONS = (
    project.KEYS,
    postgres.KEYS,
    mongo.KEYS,
    redis.KEYS,
    redis_keys.KEYS,
    identity.KEYS,
    http.KEYS,
    (embedding.MEANING,),
    chat.KEYS,
    search_log.KEYS,
    analytics.KEYS,
    access.KEYS,
    schemas.KEYS,
    mongo_collections.KEYS,
    deletion.KEYS,
    api.KEYS,
    collections.KEYS,
    servers.KEYS,
    children.KEYS,
    primary_keys.KEYS,
    columns.KEYS,
    readings.KEYS,
    references.COLUMN_KEYS,
    constraints.COLUMN_KEYS,
    personal.KEYS,
    absent.KEYS,
    comments.KEYS,
    revisions.KEYS,
    views.KEYS,
    (references.FOREIGN_KEYS,),
    indexes.KEYS,
    partitions.KEYS,
    audit.KEYS,
    computed.KEYS,
    search.KEYS,
    (embedding.EMBED,),
    cached.KEYS,
)

KEYS: tuple[AnyKey, ...] = tuple(key for section in SECTIONS for key in section)
"""Every key, in the order in which a person writes them."""

_FOUND = {(key.on, key.name): key for key in KEYS}


def keys_on(on: On) -> tuple[AnyKey, ...]:
    """The keys of the manifest itself, of a table, or of a column."""
    return tuple(key for key in KEYS if key.on == on)


def find_key(place: Place) -> AnyKey | None:
    """The key whose value stands at `place`, or around it; None for a table or a column."""
    match place:
        case ("tables", _) | ("tables", _, "columns", _):
            return None
        case ("tables", _, "columns", _, name, *_):
            return _FOUND.get(("column", name))
        case ("tables", _, name, *_):
            return _FOUND.get(("table", name))
        case (name, *_):
            return _FOUND.get(("manifest", name))
    return None
