"""The check of one collection: what the target gives back, beside the source's documents."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from random import SystemRandom

from assise.documents.equality import fingerprint
from assise.errors import AssiseError, CellError
from assise.mongo.chunks import Chunk
from assise.mongo.frames import PackedDocuments, join_documents
from assise.postgres.connection import Connection
from assise.rows.assemble import Assembler
from assise.rows.keys import compile_keys, normal_key, show_key
from assise.rows.model import ChildRows, Document, Row
from assise.schema.sql import select_all_keys, select_keys
from assise.transfer.compare import compare
from assise.transfer.digests import Digests, hash_key, join_digests, read_number, split_digests
from assise.transfer.kept_rejects import rejects_of
from assise.transfer.ledger import Load
from assise.transfer.loaded import find_existing_keys, split_chunk, take_reject
from assise.transfer.readback import Readback, no_child_rows
from assise.transfer.report import Since, Verified
from assise.transfer.workers.task import Result
from assise.types.wire import Cell, int4_field
from assise.wording import count_of, escape

SHOWN = 20
"""Differences of one collection that are put into words."""

READ_BYTES = 1 << 20
"""Source bytes whose rows are read back at a time."""

GROUP = 2_000
"""Documents that are assembled together."""


@dataclass
class Findings:
    """The findings in one collection: counts, the first differences in words, and `wrong`.

    `wrong` has the offsets of the documents whose rows are different or missing, of a live source
    the hashes of their keys. `problems` are what is wrong with the collection in the source as a
    whole. Of a live source `since` says how it has changed, and `gone` has the digests of the
    documents that it holds no more.
    """

    verified: Verified = field(default_factory=Verified)
    differences: list[str] = field(default_factory=list)
    wrong: array[int] = field(default_factory=lambda: array("q"))
    problems: list[str] = field(default_factory=list)
    since: Since = field(default_factory=Since)
    gone: dict[bytes, bytes] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """Keep a difference in words, if it is one of the first."""
        if len(self.differences) < SHOWN:
            self.differences.append(line)

    def add(self, part: Findings) -> None:
        """Add the findings of a part, such as a chunk."""
        self.verified.add(part.verified)
        self.wrong.extend(part.wrong)
        self.since.add(part.since)
        self.gone.update(part.gone)
        for line in part.differences:
            self.say(line)

    def as_json(self) -> Result:
        """Return what `from_json` takes."""
        verified, wrong = dict(vars(self.verified)), sorted(self.wrong)
        live = {"since": vars(self.since), "gone": join_digests(self.gone).hex()}
        return {"verified": verified, "differences": self.differences, "wrong": wrong, **live}

    @classmethod
    def from_json(cls, facts: Result) -> Findings:
        """Return the findings that `as_json` described."""
        verified, wrong = Verified(**facts["verified"]), array("q", facts["wrong"])
        since, gone = Since(**facts["since"]), split_digests(bytes.fromhex(facts["gone"]))
        return cls(verified, facts["differences"], wrong, since=since, gone=gone)


@dataclass
class _Group:
    """Documents of the source, with their keys and what the target has under these keys."""

    documents: list[Document] = field(default_factory=list)
    keys: list[Cell] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    child_rows: list[ChildRows] = field(default_factory=list)


class CollectionCheck:
    """Checks one collection, in the transaction that the connection is in."""

    def __init__(self, connection: Connection, load: Load, name: str) -> None:
        self._connection, self._load, self.name = connection, load, name
        table = load.layout.table_of(name)
        self._assembler = Assembler(load.layout, table, is_strict=True)
        self.layouts = self._assembler.layouts
        self._key_type = self._assembler.tree.key.type
        self._read_keys = compile_keys(load.layout, table)
        self._readback = Readback(
            connection, self._assembler, load.schema, name_key=lambda key: key
        )
        self._select_keys = select_keys(self.layouts[0], load.schema)
        self._select_all_keys = select_all_keys(self.layouts[0], load.schema)
        self._findings = Findings()
        self._digests: Digests = {}
        self._is_quick = True

    def check_chunk(self, chunk: Chunk, loaded_count: int, *, sample: int | None) -> Findings:
        """Check a chunk of which `loaded_count` documents were loaded, or `sample` of them.

        A reject counts when the ledger has its size and sha256, and a duplicate when its key is
        in the table.
        """
        self._findings = findings = Findings()
        rejects = rejects_of(self._connection, self._load, self.name, chunk)
        loaded, duplicates = split_chunk(chunk, rejects)
        checked = loaded
        if sample is not None:
            checked = SystemRandom().sample(loaded, min(sample, len(loaded)))
        for part in _split_by_bytes(checked):
            self._check_documents(part)
        for part in _split_by_bytes(duplicates):
            self._check_duplicates(part)
        lost = 0
        for run in chunk.runs:
            if not take_reject(rejects, run.offset, size=run.size, digest=run.digest.hex()):
                lost += 1
                self._miss(_without_key(run.offset))
        bounds = f"between {chunk.start:,} and {chunk.stop:,}"
        unknown = loaded_count - len(loaded) - lost
        for _ in range(unknown):
            self._miss(f"a document {bounds} was loaded, and is rejected in the ledger now; it")
        # What is left in `rejects` belongs to no document and no run of the chunk.
        findings.verified.extra += len(rejects)
        for offset in rejects:
            self._say(f"the ledger has a reject at offset {offset:,}, where nothing begins")
        if unknown < 0:
            findings.verified.extra -= unknown
            self._say(f"the ledger has lost {count_of(-unknown, 'reject')} {bounds}")
        if unknown:
            # The ledger's rejects are wrong, which repair cannot put right by writing rows.
            del findings.wrong[:]
        return findings

    def check_live(
        self, chunks: Iterable[Chunk], digests: Digests, *, sample: int | None
    ) -> Findings:
        """Check a chunk of a live source, read in one part or more, or `sample` of its documents.

        Rows that are not equal to the document as it is now may be equal to what was loaded, by its
        digest: then the source has changed. Rejects are found by their sha256, as offsets are not
        those of the load.
        """
        self._findings = findings = Findings()
        self._digests, left = digests, dict(digests)
        for chunk in chunks:
            rejects = rejects_of(self._connection, self._load, self.name, chunk)
            rejected = {reject.sha256 for reject in rejects.values()}
            loaded, numbers = list[Document](), dict[int, int]()
            for key, document in zip(
                self._read_keys(chunk.documents), chunk.documents, strict=True
            ):
                number = hash_key(key or b"")
                if rejected and sha256(document[1]).hexdigest() in rejected:
                    continue
                if number in left:
                    loaded.append(document)
                    numbers[document[0]] = read_number(number)
                    del left[number]
                else:
                    findings.since.added += 1
            if sample is not None:
                loaded = SystemRandom().sample(loaded, min(sample, len(loaded)))
            first = len(findings.wrong)
            for part in _split_by_bytes(loaded):
                self._check_documents(part)
            # Offsets are those of this reading: repair, which reads again, knows the keys alone.
            wrong = [numbers[offset] for offset in findings.wrong[first:]]
            findings.wrong[first:] = array("q", wrong)
        findings.gone = left if sample is None else {}
        return findings

    def check_gone(self, gone: Digests) -> Findings:
        """Check the rows of documents that a live source holds no more, by their digests."""
        self._findings = findings = Findings()
        left, keys = dict(gone), list[Cell]()
        with closing(self._connection.stream(self._select_all_keys)) as rows:
            for _, cell in rows:
                key = cell or Cell(b"")
                if left.pop(hash_key(key), None):
                    keys.append(key)
        for start in range(0, len(keys), GROUP):
            self._check_rows(keys[start : start + GROUP], gone)
        for _ in left:
            self._miss("a document that the source holds no more")
        return findings

    def _check_rows(self, keys: list[Cell], digests: Digests) -> None:
        rows, child_rows = self._readback.read(keys)
        for key in keys:
            try:
                of_key = child_rows.get(key, no_child_rows(self.layouts))
                self._check_positions(of_key)
                is_same = self._was_loaded(
                    key, self._assembler.assemble(rows[key], of_key), digests
                )
            except (AssiseError, KeyError):
                is_same = False
            if is_same:
                self._findings.verified.equal += 1
                self._findings.since.deleted += 1
            else:
                self._findings.verified.different += 1
                shown = show_key(self._key_type, key)
                self._say(f"key {shown}: differs from what was loaded, and is gone in the source")

    def _was_loaded(self, key: Cell, assembled: bytes, digests: Digests) -> bool:
        return digests.get(hash_key(key)) == fingerprint(assembled)

    def _say(self, text: str) -> None:
        self._findings.say(f"{escape(self.name)}: {text}")

    def _miss(self, what: str) -> None:
        self._findings.verified.missing += 1
        self._say(f"{what} is missing")

    def _find_keys(self, documents: Sequence[Document]) -> list[tuple[Cell, Document]]:
        """Return the documents that have a key, with it; the others are missing."""
        keyed = []
        for key, document in zip(self._read_keys(documents), documents, strict=True):
            if key is None:
                self._miss(_without_key(document[0]))
            else:
                keyed.append((key, document))
        return keyed

    def _check_duplicates(self, documents: Sequence[Document]) -> None:
        keyed = self._find_keys(documents)
        keys = [key for key, _ in keyed]
        existing = find_existing_keys(self._connection, self._select_keys, self._key_type, keys)
        for key, (offset, _) in keyed:
            if normal_key(self._key_type, key) not in existing:
                place = self._show_document(offset, key)
                self._miss(f"{place}, rejected as a duplicate of a row that")

    def _check_documents(self, documents: Sequence[Document]) -> None:
        left = self._find_unproved(documents)
        self._findings.verified.equal += len(documents) - len(left)
        if left:
            self._check_exactly(left)

    def _find_unproved(self, documents: Sequence[Document]) -> Sequence[Document]:
        """Return the documents that the crate does not give back as they are, byte for byte.

        Rows go through it as the server sends them. Where it leaves out most, this is not tried
        again.
        """
        native = self._assembler.native
        if native is None or not self._is_quick:
            return documents
        rows, child_rows = self._readback.read_joined(*native.find_keys(documents))
        assembled = native.assemble_all(documents, rows, child_rows)
        if assembled is None:
            return documents
        content, ends = assembled[0], array("I", assembled[1])
        if content == join_documents(documents):
            return []
        bounds = zip(documents, chain((0,), ends), ends, strict=False)
        left = [each for each, start, end in bounds if content[start:end] != each[1]]
        self._is_quick = 2 * len(left) <= len(documents)
        return left

    def _check_exactly(self, documents: Sequence[Document]) -> None:
        keyed = self._find_keys(documents)
        rows, child_rows = self._readback.read([key for key, _ in keyed])
        nothing = no_child_rows(self.layouts)
        group = _Group()
        for key, document in keyed:
            row = rows.pop(key, None)
            if row is None:
                self._findings.wrong.append(document[0])
                self._miss(self._show_document(document[0], key))
                continue
            group.documents.append(document)
            group.keys.append(key)
            group.rows.append(row)
            group.child_rows.append(child_rows.get(key, nothing))
            if len(group.keys) == GROUP:
                self._check_group(group)
                group = _Group()
        if group.keys:
            self._check_group(group)
        other_keys = child_rows.keys() - {key for key, _ in keyed}
        if other_keys:
            self._list_other_spellings(other_keys, keyed)

    def _list_other_spellings(
        self, other_keys: set[Cell], keyed: list[tuple[Cell, Document]]
    ) -> None:
        """Child rows whose keys are equal to a document's key, and not the same bytes: 10.0, 10."""
        offsets = {normal_key(self._key_type, key): offset for key, (offset, _) in keyed}
        for key in other_keys:
            self._findings.verified.extra += 1
            self._findings.wrong.append(offsets[normal_key(self._key_type, key)])
            shown, table = show_key(self._key_type, key), self.layouts[0].table
            self._say(f"child rows have the key {shown}, which is written otherwise in {table}")

    def _check_group(self, group: _Group) -> None:
        """Compare documents: those that the crate assembles at once, the others one by one."""
        sources = [raw for _, raw in group.documents]
        native = self._assembler.assemble_all(sources, group.rows, group.child_rows)
        for i, document in enumerate(group.documents):
            raw, assembled = document[1], native[i]
            if assembled is not None and (raw == assembled or _is_equal(raw, assembled)):
                self._findings.verified.equal += 1
                continue
            row, child_rows = group.rows[i], group.child_rows[i]
            self._check_document(document, group.keys[i], row, child_rows)

    def _check_document(
        self, document: Document, key: Cell, row: Row, child_rows: ChildRows
    ) -> None:
        offset, raw = document
        try:
            self._check_positions(child_rows)
            assembled = self._assembler.assemble(row, child_rows)
            lines = compare(raw, assembled)
            if lines and self._digests and self._was_loaded(key, assembled, self._digests):
                self._findings.since.changed += 1
                lines = []
        except AssiseError as error:
            lines = [error.message]
        else:
            # assemble() has taken out what it has used; the rest has no parent.
            for layout, by_parent in zip(self.layouts, child_rows, strict=True):
                count = sum(map(len, by_parent.values()))
                if count:
                    lines.append(f"{count_of(count, 'row')} of {layout.table} without a parent")
        if not lines:
            self._findings.verified.equal += 1
            return
        self._findings.verified.different += 1
        self._findings.wrong.append(offset)
        for line in lines:
            self._say(f"{self._show_document(offset, key)}: {line}")

    def _check_positions(self, child_rows: ChildRows) -> None:
        for layout, by_parent in zip(self.layouts, child_rows, strict=True):
            ordinal = layout.key_width - 1
            for rows in by_parent.values():
                for position, row in enumerate(rows):
                    if row[ordinal] != int4_field(position)[4:]:
                        rule = "are not numbered from 0 without a gap"
                        raise CellError(f"the rows of {layout.table} {rule}")

    def _show_document(self, offset: int, key: Cell) -> str:
        shown = show_key(self._key_type, key)
        # Offsets of a live source say nothing to people.
        return (
            f"document {shown}" if self._digests else f"document at offset {offset:,} (key {shown})"
        )


def _without_key(offset: int) -> str:
    return f"the bytes at offset {offset:,}, which are not a document with a key,"


def _is_equal(raw: bytes, assembled: bytes) -> bool:
    """Whether two documents are equal; False also where one of them cannot be compared."""
    with suppress(AssiseError):
        return not compare(raw, assembled)
    return False


def _split_by_bytes(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    """Yield documents in parts of about READ_BYTES."""
    if isinstance(documents, PackedDocuments):
        yield from documents.split(READ_BYTES)
        return
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
