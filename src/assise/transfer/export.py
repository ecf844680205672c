"""Export: the documents of a collection as its rows are now, in the order of their keys."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from assise.errors import AssiseError, CellError, ExtendedJsonError
from assise.files import exists_error
from assise.mongo.names import file_name, is_cut, unescape
from assise.mongo.source import BUCKETS
from assise.postgres.connection import Connection
from assise.postgres.reading import Reading
from assise.rows.assemble import Assembler
from assise.rows.keys import normal_key, show_key
from assise.rows.model import Reason
from assise.schema.sql import select_sizes
from assise.transfer import ledger
from assise.transfer.kept_rejects import stream_rejects
from assise.transfer.ledger import Load
from assise.transfer.readback import Readback, no_child_rows
from assise.types.wire import Cell

PAGE_BYTES, PAGE_DOCUMENTS = 1 << 20, 1000
"""Documents that are read at a time: at most so many, and about so many bytes."""

SHOWN = 20
"""Documents of one collection that are not exported and are put into words."""

DOCUMENT_BYTES = 16 << 20
"""MongoDB's limit: at a larger document mongorestore stops, and leaves out all that follow."""

Write = Callable[[bytes], object]


@dataclass
class Exported:
    """The export of one collection: documents from rows, and rejects from their bytes.

    `texts` are rejects of JSON that are no documents; they stand in a file of their own.
    `problems` are the first of the documents that were skipped, in words. `is_series` says that
    they are the measurements of a time series, and not its buckets.
    """

    name: str
    documents: int = 0
    rejects: int = 0
    texts: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    is_series: bool = False

    def skip(self, what: str) -> None:
        """Count a document that is not exported, and say which."""
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
    """Give every document of a collection to `write`; larger ones than the limit are skipped.

    The caller's transaction must be open, with one snapshot.
    """
    metadata = json.loads(ledger.read_metadata(connection, load, collection) or "{}")
    exported = Exported(collection, is_series=_is_series(metadata, collection))
    reader = _Reader(connection, load, exported, limit_bytes=limit_bytes)
    for raw in reader.read():
        write(raw)
        exported.documents += 1
    return exported


def export_rejects(
    connection: Connection,
    load: Load,
    exported: Exported,
    write: Write,
    *,
    write_text: Write | None = None,
) -> None:
    """Give the rejects that are documents to `write`; the others are skipped.

    What was no document of a source of text goes to `write_text`, as it stands there.
    """
    for offset, size, reason, raw in stream_rejects(connection, load, exported.name):
        if reason is Reason.NOT_BSON and write_text and len(raw) == size:
            write_text(raw + b"\n")
            exported.texts += 1
        elif reason is Reason.NOT_BSON:
            command = f"`assise rejects {exported.name} {offset}` prints them"
            exported.skip(
                f"{size:,} bytes at offset {offset:,}, which are not a document; {command}"
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
        exported: Exported,
        *,
        limit_bytes: int | None,
    ) -> None:
        self._connection, self._exported, self._limit_bytes = connection, exported, limit_bytes
        self._assembler = Assembler(load.layout, load.layout.table_of(exported.name))
        self._layouts = self._assembler.layouts
        self._key_type = self._assembler.tree.key.type
        # SQL may have written a child row's key as 10.0 where its document has 10: they are equal.
        self._name_key = partial(normal_key, self._key_type)
        self._readback = Readback(connection, self._assembler, load.schema, name_key=self._name_key)
        self._select_sizes = select_sizes(self._layouts, load.schema)

    def read(self) -> Iterator[bytes]:
        """Yield the documents; a row without a BSON form is skipped."""
        nothing = no_child_rows(self._layouts)
        for keys in self._pages():
            rows, child_rows = self._readback.read(keys)
            for key in keys:
                of_document = child_rows.get(self._name_key(key), nothing)
                try:
                    raw = self._assembler.assemble(rows.pop(key), of_document)
                except (CellError, ExtendedJsonError) as error:
                    self._skip(key, error.message)
                    continue
                if self._limit_bytes is not None and len(raw) > self._limit_bytes:
                    self._skip(key, _too_large(len(raw)))
                else:
                    yield raw

    def _skip(self, key: Cell, reason: str) -> None:
        shown = show_key(self._key_type, key)
        row = f"the row of {self._layouts[0].table} with the key {shown}"
        self._exported.skip(f"{row}: {reason}")

    def _pages(self) -> Iterator[list[Cell]]:
        keys: list[Cell] = []
        size = 0
        for key, more in self._connection.stream(self._select_sizes, cursor="assise_keys"):
            keys.append(key or Cell(b""))
            size += int.from_bytes(more or b"")
            if size >= PAGE_BYTES or len(keys) >= PAGE_DOCUMENTS:
                yield keys
                keys, size = [], 0
        if keys:
            yield keys


def export_folder(
    connection: Connection, load: Load, collections: list[str], folder: Path
) -> list[Exported]:
    """Write the files `FOLDER/<database>/<collection>.bson` and `.metadata.json`, all or none.

    mongorestore reads them.

    Raises:
        UsageError: one of the files exists. AssiseError: a file cannot be written.
    """
    home = folder / load.name
    draft = home / f".assise-{os.getpid()}"
    surveys = ledger.read_surveys(connection, load)
    names: list[str] = []
    for name in collections:
        names += [f"{file_name(name)}.bson", _metadata_name(name)]
        if name in surveys:
            names.append(_rejects_name(name))
    names = [*dict.fromkeys(names)]  # a time series and its buckets share their metadata
    for name in names:
        if (home / name).exists():
            raise exists_error(home / name, instead=ANOTHER)
    try:
        draft.mkdir(parents=True)
        reading, exported = Reading(connection), list[Exported]()
        for name in collections:
            reading.open(len(load.layout.tree(load.layout.table_of(name))))
            has_text = "dialect" in surveys.get(name, ())
            written = _write_collection(connection, load, name, draft, has_text=has_text)
            exported.append(written)
        _publish(draft, home, [name for name in names if (draft / name).exists()])
    except OSError as error:
        remedy = "Nothing was exported. Make room, or give another folder."
        raise AssiseError(f"{home} cannot be written: {error.strerror}", remedy=remedy) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # other files are in it, or ours by now
            home.rmdir()
    return exported


def _write_collection(
    connection: Connection, load: Load, name: str, draft: Path, *, has_text: bool
) -> Exported:
    rejects = draft / _rejects_name(name)
    with (draft / f"{file_name(name)}.bson").open("wb") as stream, rejects.open("wb") as texts:
        write_text = texts.write if has_text else None
        exported = export_documents(
            connection, load, name, stream.write, limit_bytes=DOCUMENT_BYTES
        )
        export_rejects(connection, load, exported, stream.write, write_text=write_text)
    if not exported.texts:
        rejects.unlink()
    (draft / _metadata_name(name)).write_text(_metadata(connection, load, name), encoding="utf-8")
    return exported


def _publish(draft: Path, home: Path, names: list[str]) -> None:
    """Give the files their names. A hard link, unlike a rename, overwrites nothing."""
    published: list[Path] = []
    try:
        for name in names:
            (home / name).hardlink_to(draft / name)
            published.append(home / name)
    except OSError as error:
        for file in published:
            file.unlink()
        if isinstance(error, FileExistsError):
            raise exists_error(home / names[len(published)], instead=ANOTHER) from error
        raise


def _metadata_name(collection: str) -> str:
    return f"{file_name(collection.removeprefix(BUCKETS))}.metadata.json"


def _rejects_name(collection: str) -> str:
    return f"{file_name(collection)}.rejects.jsonl"


def _metadata(connection: Connection, load: Load, collection: str) -> str:
    """Return what the dump had, or else the one index that every collection has.

    Measurements of a time series become a collection: mongorestore would take them for buckets.
    Where the file's name is cut, the text has the collection's whole name, as mongorestore reads it
    there: escaped.
    """
    name = collection.removeprefix(BUCKETS)
    ids = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
    plain = {"options": {}, "indexes": [ids], "collectionName": name, "type": "collection"}
    text = ledger.read_metadata(connection, load, collection) or json.dumps(plain)
    metadata = json.loads(text)
    if _is_series(metadata, collection):
        metadata = {**plain, "indexes": [ids, *metadata.get("indexes", [])]}
        text = json.dumps(metadata)
    if not is_cut(file_name(name)):
        return text
    whole = name if unescape(name) == name else quote_plus(name)
    if metadata.get("collectionName") == whole:
        return text
    return json.dumps({**metadata, "collectionName": whole})


def _is_series(metadata: dict[str, Any], collection: str) -> bool:
    """Return whether what is loaded are the measurements of a time series."""
    options = metadata.get("options")
    is_series = isinstance(options, dict) and "timeseries" in options
    return is_series and not collection.startswith(BUCKETS)


ANOTHER = "another folder: --out FOLDER"
