"""Verify: read rows back in one snapshot, assemble, and compare with the source's bytes, document by document."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from struct import error as StructError

from assise.documents.shape import FEWEST, GROUP, LARGEST_BYTES
from assise.errors import AssiseError, CellError, ChangedError, InvalidBsonError
from assise.mongo.dump import Chunk, Dump, read_chunks
from assise.mongo.frames import Frame, frame_sha256
from assise.postgres.connection import Connection
from assise.rows.assemble import Assembler, Kids, Row
from assise.rows.cells import OIDS, pack_int4, pack_length, write_array_cell
from assise.rows.gather import Gatherer
from assise.rows.keys import compile_key, normal_key
from assise.rows.shred import Reason
from assise.schema.sql import count_orphans, count_rows, select_all_keys, select_keys, select_rows
from assise.transfer import ledger
from assise.transfer.compare import compare
from assise.transfer.kids import no_kids, read_kids
from assise.transfer.ledger import ChunkLine, Load
from assise.transfer.load import Talk, find_known
from assise.transfer.report import Verified

SHOWN = 20
"""Differences of one collection that are put into words."""

READ_BYTES = 4 << 20
"""Source bytes whose rows are read back at a time."""


def verify_dump(connection: Connection, load: Load, dump: Dump, *, talk: Talk) -> dict[str, tuple[Verified, list[str]]]:
    """For each collection what was found, and the first differences in words.

    Raises:
        ChangedError: the source has changed since the load, so that there is nothing to compare with.
    """
    found = {}
    with connection.transaction(isolation="REPEATABLE READ"):
        for table, collection in load.manifest.roots.items():
            verifier = _CollectionVerifier(connection, load, dump, table, collection)
            verifier.run()
            found[collection] = verifier.verified, verifier.differences
            talk(f"{collection}: {verifier.verified.equal:,} documents equal")
    return found


_Found = tuple[Frame, bytes, Row, Kids]
"""A frame of the source, its key, and what the target has under this key."""


class _CollectionVerifier:
    """Verifies one collection."""

    def __init__(self, connection: Connection, load: Load, dump: Dump, table: str, collection: str) -> None:
        self.verified, self.differences = Verified(), list[str]()
        self._connection, self._load, self._name = connection, load, collection
        self._source = dump.collection(collection)
        self._assembler = Assembler(load.manifest, table, is_strict=True)
        self._layouts = self._assembler.layouts
        self._key_type = self._assembler.tree.key.type
        self._read_key = compile_key(load.manifest, table)
        self._selects = [select_rows(layout, load.schema) for layout in self._layouts]
        self._select_keys = select_keys(self._layouts[0], load.schema)
        self._seen = array("Q")
        self._gatherer: Gatherer | None = None

    def run(self) -> None:
        lines = {line.start: line for line in ledger.finished_chunks(self._connection, self._load, self._name)}
        for chunk in read_chunks(self._source, self._load.chunk_bytes):
            line = lines.pop(chunk.start, None)
            if line is None or (line.stop, line.sha256) != (chunk.stop, chunk.digest):
                raise ChangedError(
                    f"{self._source.file} has changed since it was loaded, behind byte {chunk.start:,}",
                    remedy="Give the folder that was loaded: assise verify FOLDER. " + ledger.start_afresh(self._load),
                )
            self._check_chunk(chunk, line)
        if lines:
            raise ChangedError(f"{self._source.file} is shorter than what was loaded", remedy=ledger.start_afresh(self._load))
        self._check_extra()

    def _say(self, text: str) -> None:
        if len(self.differences) < SHOWN:
            self.differences.append(f"{self._name}: {text}")

    def _check_chunk(self, chunk: Chunk, line: ChunkLine) -> None:
        """A reject counts when the ledger has the frame's size and sha256, and a duplicate when its key is in the table."""
        rejects = ledger.rejects_of(self._connection, self._load, self._name, chunk)
        loaded, duplicates = list[Frame](), list[Frame]()
        for frame in chunk.frames:
            reject = rejects.pop(frame.offset, None)
            if reject is None or (reject.size, reject.sha256) != (frame.size, frame_sha256(frame)):
                loaded.append(frame)
            elif reject.reason is Reason.DUPLICATE_ID:
                duplicates.append(frame)
        for frames in _parts(loaded):
            self._check_frames(frames)
        for frames in _parts(duplicates):
            self._check_duplicates(frames)
        for _ in range(line.figures.loaded - len(loaded)):
            self._miss(f"a document between {chunk.start:,} and {chunk.stop:,} was loaded, and is rejected in the ledger now; it")
        self.verified.extra += len(rejects)
        for offset in rejects:
            self._say(f"the ledger has a reject at offset {offset:,}, where nothing begins")

    def _miss(self, what: str) -> None:
        self.verified.missing += 1
        self._say(f"{what} is missing")

    def _read_keys(self, frames: list[Frame]) -> list[tuple[bytes, Frame]]:
        """The keys of frames that have one; the others are missing."""
        found = []
        for frame in frames:
            try:
                found.append((self._read_key(frame.raw, frame.offset), frame))
            except (InvalidBsonError, KeyError, StructError, IndexError):
                self._miss(f"what lies at offset {frame.offset:,}, which is no document with a key,")
        return found

    def _check_duplicates(self, frames: list[Frame]) -> None:
        keys = self._read_keys(frames)
        known = find_known(self._connection, self._select_keys, self._key_type, (pack_length(len(key)) + key for key, _ in keys))
        for key, frame in keys:
            if normal_key(self._key_type, key) not in known:
                self._miss(f"document at offset {frame.offset:,} (key {_show_key(self._key_type, key)}), rejected as a duplicate of a row that")

    def _check_frames(self, frames: list[Frame]) -> None:
        keys = self._read_keys(frames)
        self._seen.extend([_hash(key) for key, _ in keys])
        wanted = write_array_cell([pack_length(len(key)) + key for key, _ in keys], OIDS[self._key_type])[4:]
        position = self._assembler.tree.key_position
        rows: dict[bytes, Row] = {}
        for row in self._connection.fetch_cells(self._selects[0], wanted, self._key_type):
            rows[row[position] or b""] = row
        kids = read_kids(self._connection, self._layouts, self._selects, wanted, key_type=self._key_type, name_key=bytes)
        found: list[_Found] = []
        for key, frame in keys:
            if key in rows:
                found.append((frame, key, rows.pop(key), kids.get(key) or no_kids(self._layouts)))
            else:
                self._miss(f"document at offset {frame.offset:,} (key {_show_key(self._key_type, key)})")
        for i in range(0, len(found), GROUP):
            self._check_documents(found[i : i + GROUP])
        for key in kids.keys() - {key for key, _ in keys}:
            self.verified.extra += 1
            self._say(f"child rows have the key {_show_key(self._key_type, key)}, which is written otherwise in {self._layouts[0].table}")

    def _check_documents(self, found: list[_Found]) -> None:
        """Documents with their keys and rows: together where they are plain, the others one by one."""
        small = [each for each in found if each[0].size <= LARGEST_BYTES]
        if self._gatherer is None and len(small) >= FEWEST:
            self._gatherer = Gatherer(self._assembler, [frame.raw for frame, *_ in small])
        gathered = self._gatherer.gather([row for _, _, row, _ in small], [kids for *_, kids in small]) if self._gatherer else []
        assembled = {frame.offset: document for (frame, *_), document in zip(small, gathered, strict=False)}
        for frame, key, row, kids in found:
            if assembled.get(frame.offset) == frame.raw:
                self.verified.equal += 1
            else:
                self._check_document(frame, key, row, kids)

    def _check_document(self, frame: Frame, key: bytes, row: Row, kids: Kids) -> None:
        try:
            self._check_positions(kids)
            lines = compare(frame.raw, self._assembler.assemble(row, kids))
        except AssiseError as error:
            lines = [error.message]
        else:
            left = [(layout.table, sum(map(len, groups.values()))) for layout, groups in zip(self._layouts, kids, strict=True)]
            lines += [f"{count:,} rows of {table} have no parent" for table, count in left if count]
        if not lines:
            self.verified.equal += 1
            return
        self.verified.different += 1
        for line in lines:
            self._say(f"document at offset {frame.offset:,} (key {_show_key(self._key_type, key)}): {line}")

    def _check_positions(self, kids: Kids) -> None:
        for i, groups in enumerate(kids):
            last = self._layouts[i].front - 1
            for rows in groups.values():
                for position, row in enumerate(rows):
                    if row[last] != pack_int4(4, position)[4:]:
                        raise CellError(f"the rows of {self._layouts[i].table} are not numbered from 0 without a gap")

    def _check_extra(self) -> None:
        root, *children = self._layouts
        reached = self.verified.equal + self.verified.different
        extra = _int(self._connection.scalar(count_rows(root, self._load.schema))) - reached
        if extra:
            for key in self._extra_keys():
                self._say(f"row {key} of {root.table} comes from no document")
        for child in children:
            orphans = _int(self._connection.scalar(count_orphans(child, root, self._load.schema)))
            if orphans:
                self._say(f"rows of {orphans} documents in {child.table} have no row in {root.table}")
            extra += orphans
        self.verified.extra += extra

    def _extra_keys(self) -> Iterator[str]:
        known = array("Q", sorted(self._seen))
        for text, key in self._connection.stream(select_all_keys(self._layouts[0], self._load.schema)):
            number = _hash(key or b"")
            position = bisect_left(known, number)
            if position == len(known) or known[position] != number:
                yield (text or b"").decode(errors="replace")[:200]


def _parts(frames: list[Frame]) -> Iterator[list[Frame]]:
    """Frames in groups of about READ_BYTES."""
    part: list[Frame] = []
    size = 0
    for frame in frames:
        part.append(frame)
        size += frame.size
        if size >= READ_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _hash(key: bytes) -> int:
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def _show_key(column_type: str, key: bytes) -> str:
    if column_type in {"int4", "int8"}:
        return str(int.from_bytes(key, "big", signed=True))
    return key.decode(errors="replace")[:200] if column_type == "text" else key.hex()


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
