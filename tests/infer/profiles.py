"""Profiles of documents in a row, and of parts of them that are merged."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.oracle.values import Element, write_text

from assise.infer.profile import Profile

INT: Element = (0x10, b"\1\0\0\0")
STRING: Element = (0x02, write_text(b"a"))


def profile_of(documents: Iterable[bytes], *, paths: int | None = None) -> Profile:
    found = Profile(paths=paths)
    for offset, raw in enumerate(documents):
        found.add(raw, offset)
    return found


def merge_parts(documents: list[bytes], cuts: list[int], *, paths: int | None = None) -> Profile:
    """The profiles of the parts between the cuts, as worker processes hand them over, merged."""
    merged, start = Profile(paths=paths), 0
    for cut in [*sorted(cuts), len(documents)]:
        part = profile_of(documents[start:cut], paths=paths)
        merged.merge(Profile.from_json(json.loads(json.dumps(part.as_json()))))
        start = max(start, cut)
    return merged
