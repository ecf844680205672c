"""The profile of a collection: for each path the number of values of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from assise.documents.kinds import DECIMAL
from assise.infer.composites import Composites
from assise.infer.ids import FITS
from assise.infer.joins import Joins
from assise.infer.metadata import Metadata
from assise.infer.tree import NODE_BITS, UNFIT, PathNodes, PathProfile, build_tree
from assise.infer.walk import Walk
from assise.native import find_native
from assise.settings import INFER_PATHS, read_setting


class _Profiler(Protocol):
    """What the crate gives: see `native/src/module.rs`."""

    def add(self, documents: Sequence[bytes]) -> tuple[list[int], int]: ...

    def read(
        self,
    ) -> tuple[
        list[tuple[int, str | None]],
        list[tuple[int, int]],
        list[tuple[int, bytes]],
        int,
        list[bytes],
    ]: ...


class Profile:
    """The profile of the documents of one collection, or of one chunk of it.

    At most `paths` paths besides `_id` are kept (setting `infer.paths`): the first ones in the
    order of the documents. Profiles of chunks, merged in the order of the chunks, give the same
    result for any number of workers. Below the cap they propose the same as one profile of all
    documents. The measurements of a series may share an `_id`.

    Documents are counted in the crate, if that is installed and `is_native`, until another profile
    is merged into this one.
    """

    def __init__(
        self,
        *,
        paths: int | None = None,
        joins: Joins | None = None,
        composites: Composites | None = None,
        is_native: bool = True,
    ) -> None:
        self.paths = read_setting(INFER_PATHS, paths)
        self.documents = 0
        self.invalid = 0
        self.first_invalid: int | None = None
        self._walk = Walk(PathNodes(self.paths))
        self._is_native = is_native
        self._profiler: _Profiler | None = None
        self.joins = Joins() if joins is None else joins
        self.composites = Composites() if composites is None else composites
        self.metadata = Metadata()
        self.is_series = False

    @property
    def is_capped(self) -> bool:
        """Whether no more paths are taken."""
        return self._counted().nodes.is_capped

    @property
    def hex_ids(self) -> int:
        """The documents whose `_id` is a text of 24 hex digits, and stands first."""
        return self._counted().hex_ids

    def as_json(self) -> dict[str, object]:
        """Return the counts as values that JSON can hold."""
        walk = self._counted()
        return {
            "documents": self.documents,
            "invalid": self.invalid,
            "first_invalid": self.first_invalid,
            "hex_ids": walk.hex_ids,
            "nodes": walk.nodes.all[2:],
            "counts": list(walk.counts.items()),
            "samples": [[node, sample.hex()] for node, sample in walk.samples.items()],
            "joins": self.joins.as_json(),
            "composites": self.composites.as_json(),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Return the profile that `as_json` described, to be merged into another one."""
        profile = cls(paths=max(1, len(found["nodes"])), is_native=False)
        profile.documents = found["documents"]
        profile.invalid = found["invalid"]
        profile.first_invalid = found["first_invalid"]
        walk = profile._walk = Walk(PathNodes(profile.paths, found["nodes"]))
        walk.hex_ids = found["hex_ids"]
        walk.counts.update(dict(found["counts"]))
        walk.samples = {node: bytes.fromhex(sample) for node, sample in found["samples"]}
        profile.joins = Joins.from_json(found["joins"])
        profile.composites = Composites.from_json(found["composites"])
        return profile

    def add(self, raw: bytes, offset: int) -> None:
        """Count one document at `offset` of its source, but not what it joins."""
        self._count([raw], [offset])

    def add_invalid(self, offset: int) -> None:
        """Count bytes at `offset` that are not BSON."""
        self.invalid += 1
        if self.first_invalid is None or offset < self.first_invalid:
            self.first_invalid = offset

    def add_all(self, documents: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Count documents in their order, and what they join; what is not BSON is invalid."""
        invalid = self._count(documents, offsets)
        if invalid:
            documents = [raw for i, raw in enumerate(documents) if i not in invalid]
        self.joins.add_all(documents)
        self.composites.add_all(documents)

    def _count(self, documents: Sequence[bytes], offsets: Sequence[int]) -> set[int]:
        """Count documents; gives the positions of those that are not BSON."""
        if self._is_native and self._profiler is None:
            module = find_native()
            self._profiler = module.Profiler(self.paths) if module else None
            self._is_native = module is not None
        found, done = self._profiler.add(documents) if self._profiler else ([], 0)
        if done < len(documents):
            add = self._leave_native().add
            found += [i for i, raw in enumerate(documents[done:], done) if not add(raw)]
        for i in found:
            self.add_invalid(offsets[i])
        self.documents += len(documents) - len(found)
        return set(found)

    def _counted(self) -> Walk:
        """What was counted so far."""
        if self._profiler is None:
            self._walk.flush()
            return self._walk
        nodes, counts, samples, hex_ids, decimals = self._profiler.read()
        walk = self._walk = Walk(PathNodes(self.paths, nodes))
        walk.counts.update(dict(counts))
        walk.samples, walk.hex_ids = dict(samples), hex_ids
        unfit = sum(not FITS[DECIMAL](decimal) for decimal in decimals)
        if unfit:
            walk.counts[1 << NODE_BITS | UNFIT] += unfit
        return walk

    def _leave_native(self) -> Walk:
        """Go on in Python with what was counted so far."""
        walk = self._counted()
        self._profiler, self._is_native = None, False
        return walk

    def merge(self, other: Profile) -> None:
        """Add the profile of the documents that come after those of this one."""
        own, more = self._leave_native(), other._counted()
        self.documents += other.documents
        self.invalid += other.invalid
        self.joins.merge(other.joins)
        self.composites.merge(other.composites)
        if self.first_invalid is None:
            self.first_invalid = other.first_invalid
        own.merge(more)

    def tree(self) -> PathProfile:
        """Return the paths as a tree, children in the order in which they were first seen."""
        walk = self._counted()
        return build_tree(walk.nodes.all, walk.counts, walk.samples)
