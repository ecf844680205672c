"""The result of a profile: its counted cells as a tree of paths.

A cell is the number of a node, shifted, and a code: the type byte of its values, or one of the codes below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assise.documents.kinds import BINARY, KINDS

NODE_BITS = 10
CODES = (1 << NODE_BITS) - 1
SUBTYPES, UUID, OTHER, MISFIT = 256, 512, 513, 514
"""Binaries by subtype, 16 bytes of subtype 4, fields without a path of their own, values of `_id` that its natural type does not hold."""


@dataclass
class Path:
    """A path as it was profiled: its key (None: the elements of an array), values by kind, and what lies below.

    Kinds are named as in `documents.kinds`; binaries as the manifest's kinds (`binary`, `binary_5`), `uuid` where 16 bytes of subtype 4.
    """

    key: str | None
    kinds: dict[str, int]
    children: dict[str, Path]
    element: Path | None = None
    unnamed: int = 0
    misfits: int = 0

    @property
    def values(self) -> int:
        """How many values there are, nulls included."""
        return sum(self.kinds.values())

    @property
    def set_values(self) -> int:
        """How many values there are, nulls left out."""
        return self.values - self.kinds.get("null", 0)


def build_tree(nodes: Sequence[tuple[int, str | None]], counts: Mapping[int, int]) -> Path:
    """The root of the tree of `nodes`, which are given as (number of the parent, key), parents first."""
    paths = [Path(key, {}, {}) for _, key in nodes]
    for cell, count in sorted(counts.items()):
        _count(paths[cell >> NODE_BITS], cell & CODES, count)
    for path, (parent, key) in zip(paths, nodes, strict=True):
        if key is not None:
            paths[parent].children[key] = path
        elif parent >= 0:
            paths[parent].element = path
    return paths[0]


def _count(path: Path, code: int, count: int) -> None:
    if code == OTHER:
        path.unnamed = count
    elif code == MISFIT:
        path.misfits = count
    elif code == UUID:
        path.kinds["uuid"] = count
    elif code >= SUBTYPES:
        path.kinds[f"binary_{code - SUBTYPES}" if code > SUBTYPES else "binary"] = count
    elif code != BINARY:
        path.kinds[KINDS[code]] = count
