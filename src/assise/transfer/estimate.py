"""Estimate: how long a load and its verification take, from samples that are shredded and assembled here and now, without a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from time import perf_counter, process_time

from assise.documents.shape import FEWEST, LARGEST_BYTES
from assise.errors import AssiseError
from assise.manifest.model import Manifest
from assise.mongo.bson_file import read_samples
from assise.mongo.dump import Collection, Dump
from assise.mongo.frames import Document
from assise.rows.assemble import Assembler
from assise.rows.cells import read_cells
from assise.rows.gather import Gatherer
from assise.rows.shred import Batch, Shredder
from assise.transfer.compare import compare
from assise.transfer.kids import no_kids

SAMPLE_S = 1.5
"""Seconds for all samples. A collection gets one part at least, and nothing after twice as long."""

PART_BYTES, PARTS = 256 << 10, 12
"""Source bytes of a part of a sample, and how many parts there are of a collection at most."""

ALONE_S, START_S = 0.3, 0.6
"""The start of a command that works alone, and of one with workers."""

ROW_S, BYTE_S = (4e-6, 1e-6), (13e-9, 6e-9)
"""Of load and of verify, what a sample does not show: seconds for each row, and for each of its bytes.

It is mostly the server's share (COPY, indexes, log, commits, foreign keys; selects by key) and the way of the rows there and back. Measured as the
processor time of the command, its workers and the server for whole runs of benchmarks/estimate.py's sources, less that of shredding and assembling.
"""

STEADY_S = 0.02
"""Seconds that are added to both clocks, so that one short wait does not look like a slow machine."""


@dataclass(frozen=True)
class Effort:
    """What documents come to: rows, their bytes in COPY, seconds of the processor for shredding and for assembling them."""

    documents: float = 0.0
    rows: float = 0.0
    row_bytes: float = 0.0
    shred_s: float = 0.0
    assemble_s: float = 0.0

    def add(self, other: Effort, times: float = 1.0) -> Effort:
        """This and so many times the other."""
        return Effort(
            *(mine + times * more for mine, more in zip(astuple(self), astuple(other), strict=True))
        )

    def take(self, workers: int, slowness: float) -> tuple[float, float]:
        """Seconds of load and of verify; `slowness` is how long a second of the processor takes."""
        own = self.shred_s, self.assemble_s
        of_all = (own[i] + ROW_S[i] * self.rows + BYTE_S[i] * self.row_bytes for i in range(2))
        load_s, verify_s = (
            slowness * ((START_S if workers > 1 else ALONE_S) + found / workers) for found in of_all
        )
        return load_s, verify_s


@dataclass(frozen=True)
class Estimate:
    """About how many documents each collection has, and how many seconds load and verify take."""

    documents: dict[str, int]
    load_s: float
    verify_s: float


def estimate_dump(dump: Dump, manifest: Manifest, *, workers: int) -> Estimate:
    """What a load of the dump takes, and its verification; `workers` are those that have a core each.

    Raises:
        SourceError: a file cannot be read.
    """
    collections = sorted(
        (dump.collection(name) for name in manifest.roots.values()),
        key=lambda each: each.size,
        reverse=True,
    )
    size, done, total = sum(each.size for each in collections), 0, Effort()
    documents: dict[str, int] = {}
    began, began_cpu = perf_counter(), process_time()
    for each in collections:
        if done and perf_counter() > began + 2 * SAMPLE_S:
            effort = Effort().add(total, each.size / done)
        else:
            effort = extrapolate(
                _try_parts(manifest, each, began + SAMPLE_S * (done + each.size) / max(1, size))
            )
        documents[each.name], done, total = (
            round(effort.documents),
            done + each.size,
            total.add(effort),
        )
    slowness = max(
        1.0, (perf_counter() - began + STEADY_S) / (process_time() - began_cpu + STEADY_S)
    )
    load_s, verify_s = total.take(workers, slowness)
    return Estimate({name: documents[name] for name in manifest.roots.values()}, load_s, verify_s)


def extrapolate(parts: Iterable[tuple[Effort, float]]) -> Effort:
    """What all is, by its parts with their shares; the first one, in which shapes are learnt, counts once where there are others."""
    (first, first_share), *others = [*parts] or [(Effort(), 1.0)]
    rest, share = Effort(), sum(share for _, share in others)
    for effort, _ in others:
        rest = rest.add(effort)
    return (
        first.add(rest, (1 - first_share) / share)
        if share
        else Effort().add(first, 1 / first_share)
    )


def _try_parts(
    manifest: Manifest, collection: Collection, until: float
) -> Iterator[tuple[Effort, float]]:
    trial = _Trial(manifest, collection)
    began = process_time()
    for documents, share in read_samples(collection, PART_BYTES, PARTS):
        yield trial.run(documents, process_time() - began), share
        if perf_counter() > until:
            break
        began = process_time()


class _Trial:
    """Shreds documents of one collection, and assembles them, as load and verify do."""

    def __init__(self, manifest: Manifest, collection: Collection) -> None:
        table = manifest.table_of(collection.name)
        self._shredder, self._assembler = (
            Shredder(manifest.layout, table),
            Assembler(manifest.layout, table, is_strict=True),
        )
        self._gatherer: Gatherer | None = None

    def run(self, documents: list[Document], read_s: float) -> Effort:
        """What some documents come to that were read in so many seconds."""
        began = process_time()
        batch = self._shredder.shred(documents)
        shredded = process_time()
        self._assemble(dict(documents), batch)
        assembled = process_time()
        sizes = [len(row) for rows in batch.rows for row in rows]
        return Effort(
            len(documents),
            len(sizes),
            sum(sizes),
            read_s + shredded - began,
            read_s + assembled - shredded,
        )

    def _assemble(self, documents: dict[int, bytes], batch: Batch) -> None:
        layouts, raws = self._shredder.layouts, [documents[offset] for offset in batch.offsets]
        roots, kids = [read_cells(row) for row in batch.rows[0]], [no_kids(layouts) for _ in raws]
        for i, layout in enumerate(layouts[1:], 1):
            for row, owner in zip(map(read_cells, batch.rows[i]), batch.owners[i], strict=True):
                kids[owner][i].setdefault(
                    b"".join([cell or b"" for cell in row[1 : layout.key_width - 1]]), []
                ).append(row)
        small = [i for i, raw in enumerate(raws) if len(raw) <= LARGEST_BYTES]
        if self._gatherer is None and len(small) >= FEWEST:
            self._gatherer = Gatherer(self._assembler, [raws[i] for i in small])
        gathered = (
            self._gatherer.gather([roots[i] for i in small], [kids[i] for i in small])
            if self._gatherer
            else []
        )
        same = {i for i, document in zip(small, gathered, strict=False) if document == raws[i]}
        for i in [i for i in range(len(raws)) if i not in same]:
            with suppress(AssiseError):
                compare(raws[i], self._assembler.assemble(roots[i], kids[i]))
