"""The result of a profile: its counts as a tree of paths.

A count belongs to the number of a node, shifted, and a code: the type byte of the node's values,
or one of the codes below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assise.documents.kinds import BINARY, KINDS

NODE_BITS = 10
CODES = (1 << NODE_BITS) - 1
SUBTYPES, UUID, OTHER, UNFIT = 256, 512, 513, 514
"""Codes: binaries by subtype, 16 bytes of subtype 4, fields without a path of their own, and
values of `_id` that do not fit their natural type."""


@dataclass
class PathProfile:
    """The profile of one path: its values by kind, and the paths below it.

    `key` is None for the elements of an array. Kinds are named as in `documents.kinds`, binaries as
    the manifest's kinds (`binary`, `binary_5`), and `uuid` for 16 bytes of subtype 4. `legacy_uuid`
    is the first binary of subtype 3, where all have 16 bytes.
    """

    key: str | None
    kinds: dict[str, int]
    children: dict[str, PathProfile]
    element: PathProfile | None = None
    unnamed: int = 0
    unfit: int = 0
    legacy_uuid: bytes = b""

    @property
    def values(self) -> int:
        """The number of values, nulls included."""
        return sum(self.kinds.values())

    @property
    def set_values(self) -> int:
        """The number of values that are not null."""
        return self.values - self.kinds.get("null", 0)


def build_tree(
    nodes: Sequence[tuple[int, str | None]], counts: Mapping[int, int], samples: Mapping[int, bytes]
) -> PathProfile:
    """Return the root of the tree; each node is (number of its parent, key), parents first.

    `samples` has a node's first binary of subtype 3; empty where one has not 16 bytes.
    """
    paths = [PathProfile(key, {}, {}) for _, key in nodes]
    for node, sample in samples.items():
        paths[node].legacy_uuid = sample
    for cell, count in sorted(counts.items()):
        _count(paths[cell >> NODE_BITS], cell & CODES, count)
    for path, (parent, key) in zip(paths, nodes, strict=True):
        if key is not None:
            paths[parent].children[key] = path
        elif parent >= 0:
            paths[parent].element = path
    return paths[0]


def _count(path: PathProfile, code: int, count: int) -> None:
    if code == OTHER:
        path.unnamed = count
    elif code == UNFIT:
        path.unfit = count
    elif code == UUID:
        path.kinds["uuid"] = count
    elif code >= SUBTYPES:
        path.kinds[f"binary_{code - SUBTYPES}" if code > SUBTYPES else "binary"] = count
    elif code != BINARY:
        path.kinds[KINDS[code]] = count
