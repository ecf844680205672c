"""The result of a profile: its counts as a tree of paths.

A count belongs to the number of a node, shifted, and a code: the type byte of the node's values,
or one of the codes below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from assise.documents.kinds import BINARY, KINDS

NODE_BITS = 10
CODES = (1 << NODE_BITS) - 1
SUBTYPES, UUID, OTHER, UNFIT = 256, 512, 513, 514
"""Codes: binaries by subtype, 16 bytes of subtype 4, fields without a path of their own, and
values of `_id` that do not fit their natural type."""

EMPTY, FRACTION, WIDE = 515, 516, 517
"""Codes: empty arrays, doubles that are no integer of 64 bits, and integers that are none of 32."""

ISO, ISO_MS, OTHER_ISO, DAY, HEX, OTHER_HEX, UUID_TEXT, OTHER_UUID, NO_TEXT = range(520, 529)
"""Codes of texts: moments in UTC with whole seconds, with milliseconds, and others; days; 24 hex
digits and UUIDs, in lower case or not; and the empty text."""

_FORMS = frozenset({EMPTY, FRACTION, WIDE, *range(ISO, NO_TEXT + 1)})


@dataclass
class PathProfile:
    """The profile of one path: its values by kind, and the paths below it.

    `key` is None for the elements of an array. Kinds are named as in `documents.kinds`, binaries as
    the manifest's kinds (`binary`, `binary_5`), and `uuid` for 16 bytes of subtype 4. `legacy_uuid`
    is the first binary of subtype 3, where all have 16 bytes. `forms` says what texts, doubles and
    arrays look like, by code.
    """

    key: str | None
    kinds: dict[str, int]
    children: dict[str, PathProfile]
    element: PathProfile | None = None
    unnamed: int = 0
    unfit: int = 0
    legacy_uuid: bytes = b""
    forms: Counter[int] = field(default_factory=Counter)

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
    elif code in _FORMS:
        path.forms[code] = count
    elif code == UUID:
        path.kinds["uuid"] = count
    elif code >= SUBTYPES:
        path.kinds[f"binary_{code - SUBTYPES}" if code > SUBTYPES else "binary"] = count
    elif code != BINARY:
        path.kinds[KINDS[code]] = count


def merge_paths(one: PathProfile, other: PathProfile) -> PathProfile:
    """The profile of the values at two paths together, with the key of the first."""
    kinds = Counter(one.kinds)
    kinds.update(other.kinds)
    children = dict(one.children)
    for key, child in other.children.items():
        children[key] = merge_paths(children[key], child) if key in children else child
    element = one.element or other.element
    if one.element and other.element:
        element = merge_paths(one.element, other.element)
    return PathProfile(
        one.key,
        dict(kinds),
        children,
        element,
        one.unnamed + other.unnamed,
        one.unfit + other.unfit,
        one.legacy_uuid or other.legacy_uuid,
        one.forms + other.forms,
    )
