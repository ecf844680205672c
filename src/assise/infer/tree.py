"""The result of a profile: its counts as a tree of paths.

A count belongs to the number of a node, shifted, and a code: the type byte of the node's values,
or one of the codes below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from assise.documents.kinds import BINARY, KINDS

NODE_BITS = 10
CODES = (1 << NODE_BITS) - 1
SUBTYPES, UUID, OTHER, UNFIT = 256, 512, 513, 514
"""Codes: binaries by subtype, 16 bytes of subtype 4, fields without a path of their own, and
values of `_id` that do not fit their natural type."""

EMPTY, FRACTION, WIDE, VAST = 515, 516, 517, 518
"""Codes: empty arrays; of doubles those that are no integer of 64 bits, and of others those of more
than 32 bits and those from 2^53 on, where doubles have lost digits."""

WORDS = 519
"""Code of texts such as `Wed Aug 27 13:08:45 +0000 2008` and `Wed, 27 Aug 2008 13:08:45 GMT`."""

ISO, ISO_MS, OTHER_ISO, DAY, HEX, OTHER_HEX, UUID_TEXT, OTHER_UUID, NO_TEXT = range(520, 529)
"""Codes of texts: moments in UTC with whole seconds, with milliseconds, and others; days; 24 hex
digits and UUIDs, in lower case or not; and the empty text."""

_FORMS = frozenset({EMPTY, FRACTION, WIDE, VAST, WORDS, *range(ISO, NO_TEXT + 1)})

MAP_KEYS = 100
"""A document below the root with more distinct keys is a map: its keys are data."""

PathNode = tuple[int, str | None]
"""The number of a path's parent, and its key: None for the elements of an array."""


class PathNodes:
    """The paths of a collection by their numbers, at most `paths` besides `_id`; parents first.

    Node 0 is the document, node 1 its `_id`: they are there before any document is.
    """

    def __init__(self, paths: int, found: Iterable[PathNode] = ()) -> None:
        self.paths = paths
        self.all: list[PathNode] = [(-1, None), (0, "_id")]
        self._children: list[dict[str | None, int]] = [{"_id": 1}, {}]
        for parent, key in found:
            self._add(parent, key)

    @property
    def is_capped(self) -> bool:
        """Whether no more paths are taken."""
        return len(self.all) >= self.paths + 2

    def has_room(self, parent: int, key: str | None) -> bool:
        """Whether a key below `parent` has a path, or may get one."""
        children = self._children[parent]
        if key in children or parent == 0 or key is None:
            return key in children or not self.is_capped
        # One key more than a map needs, and the elements of arrays at the same path.
        return not self.is_capped and len(children) <= MAP_KEYS + 1

    def find(self, parent: int, key: str | None) -> int:
        """Return the node of a key below `parent`, made if there is room; -1 if there is none."""
        if parent < 0 or not self.has_room(parent, key):
            return -1
        found = self._children[parent].get(key)
        return self._add(parent, key) if found is None else found

    def _add(self, parent: int, key: str | None) -> int:
        self._children[parent][key] = made = len(self.all)
        self.all.append((parent, key))
        self._children.append({})
        return made


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
    nodes: Sequence[PathNode], counts: Mapping[int, int], samples: Mapping[int, bytes]
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
