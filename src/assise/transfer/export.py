"""Export: the documents of a collection as they are now, assembled from their rows, in the order of their keys."""

from __future__ import annotations

import json
import os
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha1
from pathlib import Path
from urllib.parse import quote as percent

from assise.errors import AssiseError, CellError, ExtendedJsonError
from assise.files import exists_error
from assise.mongo.dump import BUCKETS
from assise.postgres.connection import Connection
from assise.rows.assemble import Assembler
from assise.rows.cells import OIDS, pack_length, write_array_cell
from assise.rows.keys import normal_key, show_key
from assise.rows.shred import Reason
from assise.schema.sql import select_rows, select_sizes
from assise.transfer import ledger
from assise.transfer.kids import no_kids, read_kids
from assise.transfer.ledger import Load

PAGE_BYTES, PAGE_DOCUMENTS = 1 << 20, 1000
"""Documents that are read at a time: at most so many, and about so many bytes."""

SHOWN = 20
"""What is not exported of one collection, in words."""

DOCUMENT_BYTES = 16 << 20
"""MongoDB's limit. mongorestore stops at a larger document and leaves out all that follow."""

CUT = 238
"""Bytes of a file's name, without its ending, from which on it holds the beginning of a collection's name and a hash."""

ANOTHER = "another folder: --out FOLDER"

Write = Callable[[bytes], object]


@dataclass
class Exported:
    """What became of one collection: documents from rows, rejects from their bytes, and the first of what could not be exported."""

    name: str
    documents: int = 0
    rejects: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)

    def skip(self, what: str) -> None:
        """Note that something is not exported."""
        self.skipped += 1
        if len(self.problems) < SHOWN:
            self.problems.append(f"{self.name}: not exported: {what}")


def export_documents(
    connection: Connection,
    load: Load,
    collection: str,
    write: Write,
    *,
    limit_bytes: int | None = None,
) -> Exported:
    """Give every document of a collection to `write`, in a transaction of the caller's; larger ones than the limit are skipped."""
    exported = Exported(collection)
    table = load.layout.table_of(collection)
    for raw in _Reader(connection, load, table, exported.skip, limit_bytes=limit_bytes).read():
        write(raw)
        exported.documents += 1
    return exported


def export_rejects(connection: Connection, load: Load, exported: Exported, write: Write) -> None:
    """Give the rejects that are documents to `write`; the others are skipped."""
    for offset, size, reason, raw in ledger.stream_rejects(connection, load, exported.name):
        if reason is Reason.NOT_BSON:
            exported.skip(
                f"{size:,} bytes at offset {offset:,}, which are no document; `assise rejects {exported.name} {offset}` prints them"
            )
        elif size > DOCUMENT_BYTES:
            exported.skip(f"the reject at offset {offset:,}: {_too_large(size)}")
        else:
            write(raw)
            exported.rejects += 1


def _too_large(size: int) -> str:
    return f"its document has {size:,} bytes, of which MongoDB takes {DOCUMENT_BYTES:,}"


class _Reader:
    """Reads the documents of one collection, page by page."""

    def __init__(
        self,
        connection: Connection,
        load: Load,
        table: str,
        skip: Callable[[str], None],
        *,
        limit_bytes: int | None,
    ) -> None:
        self._connection, self._skip, self._limit_bytes = connection, skip, limit_bytes
        self._assembler = Assembler(load.layout, table)
        self._layouts = self._assembler.layouts
        self._key_type, self._key_position = (
            self._assembler.tree.key.type,
            self._assembler.tree.key_position,
        )
        self._selects = [select_rows(layout, load.schema) for layout in self._layouts]
        self._name_key = partial(normal_key, self._key_type)
        self._select_sizes = select_sizes(self._layouts, load.schema)

    def read(self) -> Iterator[bytes]:
        """The documents; a row without a BSON form is skipped."""
        for keys in self._pages():
            wanted = write_array_cell(
                [pack_length(len(key)) + key for key in keys], OIDS[self._key_type]
            )[4:]
            rows = {
                row[self._key_position] or b"": row
                for row in self._connection.fetch_cells(self._selects[0], wanted, self._key_type)
            }
            kids = read_kids(
                self._connection,
                self._layouts,
                self._selects,
                wanted,
                key_type=self._key_type,
                name_key=self._name_key,
            )
            for key in keys:
                try:
                    raw = self._assembler.assemble(
                        rows.pop(key), kids.get(self._name_key(key)) or no_kids(self._layouts)
                    )
                except (CellError, ExtendedJsonError) as error:
                    self._skip(f"{self._describe(key)}: {error.message}")
                    continue
                if self._limit_bytes is not None and len(raw) > self._limit_bytes:
                    self._skip(f"{self._describe(key)}: {_too_large(len(raw))}")
                else:
                    yield raw

    def _pages(self) -> Iterator[list[bytes]]:
        keys: list[bytes] = []
        size = 0
        for key, more in self._connection.stream(self._select_sizes, cursor="assise_keys"):
            keys.append(key or b"")
            size += int.from_bytes(more or b"")
            if size >= PAGE_BYTES or len(keys) >= PAGE_DOCUMENTS:
                yield keys
                keys, size = [], 0
        if keys:
            yield keys

    def _describe(self, key: bytes) -> str:
        return f"the row of {self._layouts[0].table} with the key {show_key(self._key_type, key)}"


def export_folder(
    connection: Connection, load: Load, collections: list[str], folder: Path
) -> list[Exported]:
    """Write `FOLDER/<database>/<collection>.bson` and `.metadata.json` as mongorestore reads them; all of the files or none.

    Raises:
        UsageError: one of the files exists. AssiseError: a file cannot be written.
    """
    place = folder / load.name
    draft = place / f".assise-{os.getpid()}"
    names = [
        *dict.fromkeys(
            each
            for name in collections
            for each in (f"{file_name(name)}.bson", _metadata_name(name))
        )
    ]
    for name in names:
        if (place / name).exists():
            raise exists_error(place / name, instead=ANOTHER)
    try:
        draft.mkdir(parents=True)
        done = [_write_collection(connection, load, name, draft) for name in collections]
        _publish(draft, place, names)
    except OSError as error:
        remedy = "Nothing was exported. Make room, or give another folder."
        raise AssiseError(f"{place} cannot be written: {error.strerror}", remedy=remedy) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # others' files are in it, or ours by now
            place.rmdir()
    return done


def _write_collection(connection: Connection, load: Load, name: str, draft: Path) -> Exported:
    with (draft / f"{file_name(name)}.bson").open("wb") as stream:
        exported = export_documents(
            connection, load, name, stream.write, limit_bytes=DOCUMENT_BYTES
        )
        export_rejects(connection, load, exported, stream.write)
    (draft / _metadata_name(name)).write_text(_metadata(connection, load, name), encoding="utf-8")
    return exported


def _publish(draft: Path, place: Path, names: list[str]) -> None:
    """Give the files their names, in a way that overwrites nothing."""
    published: list[Path] = []
    try:
        for name in names:
            (place / name).hardlink_to(draft / name)
            published.append(place / name)
    except OSError as error:
        for file in published:
            file.unlink()
        if isinstance(error, FileExistsError):
            raise exists_error(place / names[len(published)], instead=ANOTHER) from error
        raise


def file_name(collection: str) -> str:
    """A collection's name as mongodump writes it in the name of a file: escaped, and a long one cut, with its hash.

    >>> file_name("a/b c")
    'a%2Fb%20c'
    """
    escaped = percent(collection, safe="$&+:=@")
    if len(escaped) <= CUT:
        return escaped
    digest = (
        urlsafe_b64encode(sha1(collection.encode(), usedforsecurity=False).digest())
        .decode()
        .rstrip("=")
    )
    return f"{escaped[:208]}%24{digest}"


def _metadata_name(collection: str) -> str:
    return f"{file_name(collection.removeprefix(BUCKETS))}.metadata.json"


def _metadata(connection: Connection, load: Load, collection: str) -> str:
    """What the dump had, or the one index that every collection has; with the whole name where the file's is cut."""
    name = collection.removeprefix(BUCKETS)
    ids = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
    plain = {"options": {}, "indexes": [ids], "collectionName": name, "type": "collection"}
    text = ledger.read_metadata(connection, load, collection) or json.dumps(plain)
    if len(file_name(name)) < CUT or json.loads(text).get("collectionName"):
        return text
    return json.dumps({**json.loads(text), "collectionName": name})
