"""Estimate: about how long a load and its verification take, from samples that are shredded here.

Shredding the samples shows how costly these documents are and how fast this machine is. The rest,
which is mostly the server's work, is taken to be in proportion to that and to the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from assise.manifest.model import Manifest
from assise.mongo.source import Source, find_collections
from assise.rows.columns import ColumnCounts
from assise.rows.shred import Shredder

SAMPLE_S = 1.5
"""Seconds for all samples. Each collection gets one part at least, but none after twice as long."""

PART_BYTES, PARTS = 256 << 10, 12
"""Source bytes of a part of a sample, and the most parts of one collection."""

START_S = 0.5
"""Seconds to start a command and its workers."""

LOAD, VERIFY = (1.6, 14e-9), (1.3, 7e-9)
"""Seconds for each second of shredding, and for each byte of the documents.

Fitted to whole runs of the sources of benchmarks/estimate.py with two workers.
"""


@dataclass
class Effort:
    """Documents, their bytes, and the seconds that it takes to read and shred them."""

    documents: float = 0.0
    bytes: float = 0.0
    shred_s: float = 0.0

    def add(self, other: Effort, times: float = 1.0) -> None:
        """Add another effort, that many times."""
        self.documents += times * other.documents
        self.bytes += times * other.bytes
        self.shred_s += times * other.shred_s

    def seconds(self, rates: tuple[float, float], workers: int) -> float:
        """Return the seconds of a step with these rates."""
        by_shredding, by_byte = rates
        return START_S + (by_shredding * self.shred_s + by_byte * self.bytes) / workers


@dataclass(frozen=True)
class Estimate:
    """About how many documents each collection has, and how many seconds load and verify take.

    `columns` are the counts of the samples.
    """

    documents: dict[str, int]
    load_s: float
    verify_s: float
    columns: ColumnCounts


def estimate_source(source: Source, manifest: Manifest, *, workers: int) -> Estimate:
    """Estimate the load of a source and its verification; each of the workers has a core.

    Raises:
        SourceError: a file cannot be read.
    """
    documents = dict.fromkeys(manifest.roots.values(), 0)
    collections = find_collections(source, [*documents]).values()
    size = sum(each.size for each in collections)
    done, total, columns = 0, Effort(), ColumnCounts()
    began = perf_counter()
    for each in sorted(collections, key=lambda each: each.size, reverse=True):
        effort = Effort()
        if done and perf_counter() > began + 2 * SAMPLE_S:
            effort.add(total, each.size / done)
        else:
            until = began + SAMPLE_S * (done + each.size) / max(1, size)
            effort = measure(manifest, source, each.name, columns, until=until)
        documents[each.name] = round(effort.documents)
        done += each.size
        total.add(effort)
    return Estimate(
        documents, total.seconds(LOAD, workers), total.seconds(VERIFY, workers), columns
    )


def measure(
    manifest: Manifest, source: Source, name: str, columns: ColumnCounts, *, until: float
) -> Effort:
    """Return the effort of a whole collection, by samples that are taken until a time.

    Where their values stand is added to `columns`.
    """
    shredder = Shredder(manifest.layout, manifest.table_of(name))
    sample, all_shares = Effort(), 0.0
    began = perf_counter()
    for documents, share in source.read_samples(name, PART_BYTES, PARTS):
        if not all_shares:
            shredder.shred(documents)  # learns the shapes, which a load does once
            began = perf_counter()
        batch = shredder.shred(documents)
        size = sum(len(raw) for _, raw in documents)
        sample.add(Effort(len(documents), size, perf_counter() - began))
        columns.add(batch.columns)
        all_shares += share
        began = perf_counter()
        if began > until:
            break
    effort = Effort()
    effort.add(sample, 1 / all_shares if all_shares else 0.0)
    return effort


def count_samples(source: Source, manifest: Manifest, *, seconds: float) -> ColumnCounts:
    """Count where the values of the first part of each collection would stand.

    The largest collections come first; none is begun after so many seconds.
    """
    columns, until = ColumnCounts(), perf_counter() + seconds
    collections = find_collections(source, manifest.roots.values()).values()
    for each in sorted(collections, key=lambda each: each.size, reverse=True):
        if perf_counter() > until:
            break
        shredder = Shredder(manifest.layout, manifest.table_of(each.name))
        for documents, _ in source.read_samples(each.name, PART_BYTES, 1):
            columns.add(shredder.shred(documents).columns)
    return columns
