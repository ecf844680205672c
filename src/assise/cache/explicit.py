"""Values that an application sets and gets by keys of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from assise.cache.store import MAX_TAGS, Store, split_entry
from assise.cache.values import encode_checked, find_values
from assise.errors import UsageError


def _join(tags: Sequence[str], schema: str, data: bytes) -> bytes:
    """A value with the names of its tags and the digest of its type, in a line before it."""
    return json.dumps([schema, *tags]).encode() + b"\n" + data


async def put(
    store: Store, key: str, value: object, *, kind: object, ttl_s: float, tags: Sequence[str]
) -> None:
    """Set a value.

    Raises:
        UsageError: the value does not fit its type. AwayError: Redis does not answer, or is full.
    """
    if len(tags) > MAX_TAGS:
        raise UsageError(f"{key!r} has {len(tags)} tags, over {MAX_TAGS}")
    values = find_values(kind)
    data = _join(tags, values.schema, encode_checked(values, value, key))
    await store.put(key, data, tags=tags, ttl_s=ttl_s)


async def find_many(store: Store, keys: Sequence[str], kind: object) -> dict[str, Any]:
    """The values of those keys that are there, in one MGET, and one more where they have tags.

    A value of another type is none.

    Raises:
        AwayError: Redis does not answer.
    """
    values, found = find_values(kind), {}
    for key, entry in zip(keys, await store.read_raw(keys), strict=True):
        parts = split_entry(entry)
        if parts is not None:
            line, _, data = parts[1].partition(b"\n")
            schema, *tags = json.loads(line)
            if schema == values.schema:
                found[key] = parts[0], tags, data
    named = dict.fromkeys(tag for _, tags, _ in found.values() for tag in tags)
    stand = await store.generations([*named])
    return {
        key: values.decode(data)
        for key, (generations, tags, data) in found.items()
        if [stand[tag] for tag in tags] == generations
    }
