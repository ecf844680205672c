"""Verify: read rows back in one snapshot, assemble, and compare with the source's bytes, document by document."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from itertools import chain, islice
from random import SystemRandom

from assise.documents.shape import FEWEST, GROUP, LARGEST_BYTES
from assise.errors import AssiseError, CellError, ChangedError
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Collection, Dump
from assise.mongo.frames import Document
from assise.postgres.connection import Connection
from assise.progress import Log, OnProgress
from assise.rows.assemble import Assembler, Kids, Row
from assise.rows.cells import OIDS, pack_int4, pack_length, write_array_cell
from assise.rows.gather import Gatherer
from assise.rows.keys import compile_keys, normal_key, show_key
from assise.rows.shred import Reason
from assise.rows.tree import build_tree
from assise.schema.sql import count_orphans, count_rows, select_all_keys, select_keys, select_rows
from assise.transfer import ledger
from assise.transfer.compare import compare
from assise.transfer.kids import no_kids, read_kids
from assise.transfer.ledger import Load, Reject
from assise.transfer.load import find_known
from assise.transfer.pool import Workers
from assise.transfer.report import Verified
from assise.transfer.tasks import Known, Result, Task, list_tasks
from assise.wording import count_of, escape

SHOWN = 20
"""Differences of one collection that are put into words."""

READ_BYTES = 4 << 20
"""Source bytes whose rows are read back at a time."""


@dataclass
class Found:
    """What was found in one collection: counts, the first differences in words, and where the documents lie whose rows are wrong or missing."""

    verified: Verified = field(default_factory=Verified)
    differences: list[str] = field(default_factory=list)
    wrong: array[int] = field(default_factory=lambda: array("q"))


def verify_dump(
    connection: Connection,
    load: Load,
    dump: Dump,
    workers: Workers,
    *,
    sample: int | None = None,
    log: Log,
    progress: OnProgress,
) -> dict[str, Found]:
    """For each collection what was found in it, or in `sample` of its documents, drawn at random, and in the numbers of its rows.

    Raises:
        ChangedError: the source has changed since the load, so that there is nothing to compare with.
    """
    found = {name: Found() for name in load.layout.roots.values()}
    with connection.transaction(isolation="REPEATABLE READ"):
        workers.begin(
            lambda: VerifyWork(connection, load),
            lambda: {
                "work": "verify",
                **ledger.describe_load(connection, load),
                "snapshot": connection.scalar(ledger.QUERIES["snapshot"]),
            },
        )
        tasks = [
            _list_tasks(connection, load, dump, name, sample, is_read=workers.count == 1)
            for name in found
        ]
        for task, result in workers.run(chain.from_iterable(tasks)):
            each = found[task.collection.name]
            if task.is_end:
                lines = _count_rows(
                    connection, load, task.collection, each.verified, is_sample=sample is not None
                )
                log(f"{task.collection.name}: {count_of(each.verified.equal, 'document')} equal")
            else:
                lines = result["differences"]
                each.verified.add(Verified(*result["verified"]))
                each.wrong.extend(result["wrong"])
                progress(
                    task.progress(
                        "verify",
                        each.verified.equal + each.verified.different + each.verified.missing,
                    )
                )
            each.differences += lines[: SHOWN - len(each.differences)]
    return found


def _list_tasks(
    connection: Connection, load: Load, dump: Dump, name: str, sample: int | None, *, is_read: bool
) -> Iterator[Task]:
    tasks = list_loaded(connection, load, dump.collection(name), is_read=is_read and sample is None)
    return (
        tasks
        if sample is None
        else _draw(tasks, ledger.sum_chunks(connection, load, name).loaded, sample)
    )


def list_loaded(
    connection: Connection, load: Load, collection: Collection, *, is_read: bool
) -> Iterator[Task]:
    """The chunks of a collection, each with what the ledger says of it, and its end."""
    lines = ledger.finished_chunks(connection, load, collection.name)
    known = {line.start: Known(line.stop, line.sha256, line.figures.loaded) for line in lines}
    return list_tasks(collection, load.chunk_bytes, known, is_read=is_read, afresh=_remedy(load))


def _draw(tasks: Iterator[Task], loaded: int, count: int) -> Iterator[Task]:
    """Of `count` documents drawn from all that were loaded, those chunks that have some, and how many."""
    numbers, first = sorted(SystemRandom().sample(range(loaded), min(count, loaded))), 0
    for task in tasks:
        last = first + (task.known.loaded if task.known else 0)
        drawn = bisect_left(numbers, last) - bisect_left(numbers, first)
        if drawn or not task.known:
            yield replace(task, sample=drawn)
        first = last


def _remedy(load: Load) -> str:
    return "Give the folder that was loaded: assise verify FOLDER. " + ledger.restart_hint(load)


class VerifyWork:
    """Verifies chunks, in the transaction that the connection is in."""

    def __init__(self, connection: Connection, load: Load) -> None:
        self._connection, self._load = connection, load
        self._verifier: _CollectionVerifier | None = None

    def run(self, task: Task) -> Result:
        """What was found, as `Found` has it."""
        chunk = task.read(_remedy(self._load))
        if task.known is None:
            raise ChangedError(
                f"{task.collection.file} has changed since it was loaded, behind byte {chunk.start:,}",
                remedy=_remedy(self._load),
            )
        if self._verifier is None or self._verifier.name != task.collection.name:
            self._verifier = _CollectionVerifier(self._connection, self._load, task.collection.name)
        found = self._verifier.check_chunk(chunk, task.known.loaded, sample=task.sample)
        return {
            "verified": list(vars(found.verified).values()),
            "differences": found.differences,
            "wrong": sorted(found.wrong),
        }


_Match = tuple[Document, bytes, Row, Kids]
"""A document of the source, its key, and what the target has under this key."""


class _CollectionVerifier:
    """Verifies one collection."""

    def __init__(self, connection: Connection, load: Load, name: str) -> None:
        self._found = Found()
        self._connection, self._load, self.name = connection, load, name
        table = load.layout.table_of(name)
        self._assembler = Assembler(load.layout, table, is_strict=True)
        self._layouts = self._assembler.layouts
        self._key_type = self._assembler.tree.key.type
        self._read_keys = compile_keys(load.layout, table)
        self._selects = [select_rows(layout, load.schema) for layout in self._layouts]
        self._select_keys = select_keys(self._layouts[0], load.schema)
        self._gatherer: Gatherer | None = None

    def check_chunk(self, chunk: Chunk, count: int, *, sample: int | None) -> Found:
        """What was found of a chunk of which `count` documents were loaded, or of `sample` of them.

        A reject counts when the ledger has its size and sha256, and a duplicate when its key is in the table.
        """
        self._found = Found()
        rejects = ledger.rejects_of(self._connection, self._load, self.name, chunk)
        loaded, duplicates = _split(chunk, rejects)
        for documents in _parts(
            loaded if sample is None else SystemRandom().sample(loaded, min(sample, len(loaded)))
        ):
            self._check_documents(documents)
        for documents in _parts(duplicates):
            self._check_duplicates(documents)
        lost = [
            run
            for run in chunk.runs
            if not _is_rejected(rejects, run.offset, run.size, run.digest.hex())
        ]
        for run in lost:
            self._miss(f"what lies at offset {run.offset:,}, which is no document with a key,")
        unknown = count - len(loaded) - len(lost)
        for _ in range(unknown):
            self._miss(
                f"a document between {chunk.start:,} and {chunk.stop:,} was loaded, and is rejected in the ledger now; it"
            )
        self._found.verified.extra += len(rejects)
        for offset in rejects:
            self._say(f"the ledger has a reject at offset {offset:,}, where nothing begins")
        if unknown < 0:
            self._found.verified.extra -= unknown
            self._say(
                f"the ledger has lost {count_of(-unknown, 'reject')} between {chunk.start:,} and {chunk.stop:,}"
            )
        if unknown:  # rows cannot mend rejects
            del self._found.wrong[:]
        return self._found

    def _say(self, text: str) -> None:
        if len(self._found.differences) < SHOWN:
            self._found.differences.append(f"{self.name}: {text}")

    def _miss(self, what: str) -> None:
        self._found.verified.missing += 1
        self._say(f"{what} is missing")

    def _find_keys(self, documents: list[Document]) -> list[tuple[bytes, Document]]:
        """The keys of documents that have one; the others are missing."""
        found = []
        for key, document in zip(self._read_keys(documents), documents, strict=True):
            if key is None:
                self._miss(f"what lies at offset {document[0]:,}, which is no document with a key,")
            else:
                found.append((key, document))
        return found

    def _check_duplicates(self, documents: list[Document]) -> None:
        keys = self._find_keys(documents)
        known = find_known(
            self._connection,
            self._select_keys,
            self._key_type,
            (pack_length(len(key)) + key for key, _ in keys),
        )
        for key, (offset, _) in keys:
            if normal_key(self._key_type, key) not in known:
                self._miss(
                    f"document at offset {offset:,} (key {show_key(self._key_type, key)}), rejected as a duplicate of a row that"
                )

    def _check_documents(self, documents: list[Document]) -> None:
        keys = self._find_keys(documents)
        wanted = write_array_cell(
            [pack_length(len(key)) + key for key, _ in keys], OIDS[self._key_type]
        )[4:]
        position = self._assembler.tree.key_position
        rows = {
            row[position]: row
            for row in self._connection.fetch_cells(self._selects[0], wanted, self._key_type)
        }
        nothing = no_kids(self._layouts)
        kids = read_kids(
            self._connection,
            self._layouts,
            self._selects,
            wanted,
            key_type=self._key_type,
            name_key=bytes,
        )
        found: list[_Match] = []
        for key, document in keys:
            if row := rows.pop(key, None):
                found.append((document, key, row, kids.get(key, nothing)))
            else:
                self._found.wrong.append(document[0])
                self._miss(
                    f"document at offset {document[0]:,} (key {show_key(self._key_type, key)})"
                )
        for i in range(0, len(found), GROUP):
            self._check_group(found[i : i + GROUP])
        others = kids.keys() - {key for key, _ in keys}
        offsets = (
            {normal_key(self._key_type, key): offset for key, (offset, _) in keys} if others else {}
        )
        for key in others:
            self._found.verified.extra += 1
            self._found.wrong.append(offsets[normal_key(self._key_type, key)])
            self._say(
                f"child rows have the key {show_key(self._key_type, key)}, which is written otherwise in {self._layouts[0].table}"
            )

    def _check_group(self, found: list[_Match]) -> None:
        """Documents with their keys and rows: together where they are plain, the others one by one."""
        small = [each for each in found if len(each[0][1]) <= LARGEST_BYTES]
        if self._gatherer is None and len(small) >= FEWEST:
            self._gatherer = Gatherer(self._assembler, [raw for (_, raw), *_ in small])
        gathered = iter(
            self._gatherer.gather([row for _, _, row, _ in small], [kids for *_, kids in small])
            if self._gatherer
            else ()
        )
        for document, key, row, kids in found:
            again = next(gathered, None) if len(document[1]) <= LARGEST_BYTES else None
            if document[1] == again or _is_same(document[1], again):
                self._found.verified.equal += 1
            else:
                self._check_document(document, key, row, kids)

    def _check_document(self, document: Document, key: bytes, row: Row, kids: Kids) -> None:
        offset, raw = document
        try:
            self._check_positions(kids)
            lines = compare(raw, self._assembler.assemble(row, kids))
        except AssiseError as error:
            lines = [error.message]
        else:
            left = [
                (layout.table, sum(map(len, groups.values())))
                for layout, groups in zip(self._layouts, kids, strict=True)
            ]
            lines += [
                f"{count_of(count, 'row')} of {table} without a parent"
                for table, count in left
                if count
            ]
        if not lines:
            self._found.verified.equal += 1
            return
        self._found.verified.different += 1
        self._found.wrong.append(offset)
        for line in lines:
            self._say(
                f"document at offset {offset:,} (key {show_key(self._key_type, key)}): {line}"
            )

    def _check_positions(self, kids: Kids) -> None:
        for i, groups in enumerate(kids):
            last = self._layouts[i].key_width - 1
            for rows in groups.values():
                for position, row in enumerate(rows):
                    if row[last] != pack_int4(4, position)[4:]:
                        raise CellError(
                            f"the rows of {self._layouts[i].table} are not numbered from 0 without a gap"
                        )


def _is_same(raw: bytes, again: bytes | None) -> bool:
    """Whether two documents are equal; False also where one of them cannot be compared."""
    with suppress(AssiseError):
        return again is not None and not compare(raw, again)
    return False


def _count_rows(
    connection: Connection,
    load: Load,
    collection: Collection,
    verified: Verified,
    *,
    is_sample: bool,
) -> list[str]:
    """Add the rows of a collection's tables that come from no document, which the counts of rows tell; the first of them in words."""
    root, *children = build_tree(load.layout, load.layout.table_of(collection.name)).layouts
    expected = (
        ledger.sum_chunks(connection, load, collection.name).loaded
        if is_sample
        else verified.equal + verified.different
    )
    extra, lines = _int(connection.scalar(count_rows(root, load.schema))) - expected, list[str]()
    if extra < 0 or (is_sample and extra):
        surplus = f"{count_of(abs(extra), 'row')} {'more' if extra > 0 else 'fewer'}"
        lines.append(f"{collection.name}: {root.table} has {surplus} than documents were loaded")
        verified.missing = max(verified.missing, -extra)
    elif extra:
        with closing(find_extra(connection, load, collection)) as keys:
            lines += [
                f"{collection.name}: row {text} of {root.table} comes from no document"
                for text, _ in islice(keys, SHOWN)
            ]
    verified.extra += max(0, extra)
    for child in children:
        orphans = _int(connection.scalar(count_orphans(child, root, schema=load.schema)))
        if orphans:
            lines.append(
                f"{collection.name}: rows of {count_of(orphans, 'document')} in {child.table} have no row in {root.table}"
            )
        verified.extra += orphans
    return lines


def find_extra(
    connection: Connection, load: Load, collection: Collection
) -> Generator[tuple[str, bytes], None, None]:
    """The keys of the rows of a collection's table that come from no document, as text and as they are: the source is read once more."""
    table = load.layout.table_of(collection.name)
    root = build_tree(load.layout, table).layouts[0]
    read_keys, numbers = compile_keys(load.layout, table), array("Q")
    for task in list_loaded(connection, load, collection, is_read=False):
        if task.is_end:
            break
        chunk = task.read(_remedy(load))
        documents, _ = _split(chunk, ledger.rejects_of(connection, load, collection.name, chunk))
        numbers.extend([_hash(key) for key in read_keys(documents) if key is not None])
    known = array("Q", sorted(numbers))
    with closing(connection.stream(select_all_keys(root, load.schema))) as rows:
        for text, key in rows:
            number = _hash(key or b"")
            position = bisect_left(known, number)
            if position == len(known) or known[position] != number:
                yield escape((text or b"").decode(errors="replace")[:200]), key or b""


def _split(chunk: Chunk, rejects: dict[int, Reject]) -> tuple[list[Document], list[Document]]:
    """The documents of a chunk that must have rows, and the duplicates; their rejects are taken out of `rejects`."""
    if not rejects:
        return chunk.documents, []
    loaded, duplicates = list[Document](), list[Document]()
    for offset, raw in chunk.documents:
        reject = rejects.get(offset)
        if reject is None or not _is_rejected(rejects, offset, len(raw), sha256(raw).hexdigest()):
            loaded.append((offset, raw))
        elif reject.reason is Reason.DUPLICATE_ID:
            duplicates.append((offset, raw))
    return loaded, duplicates


def _is_rejected(rejects: dict[int, Reject], offset: int, size: int, digest: str) -> bool:
    """Whether the ledger has rejected exactly this, which is then taken out of `rejects`."""
    reject = rejects.pop(offset, None)
    return reject is not None and (reject.size, reject.sha256) == (size, digest)


def _parts(documents: list[Document]) -> Iterator[list[Document]]:
    """Documents in groups of about READ_BYTES."""
    part: list[Document] = []
    size = 0
    for document in documents:
        part.append(document)
        size += len(document[1])
        if size >= READ_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
