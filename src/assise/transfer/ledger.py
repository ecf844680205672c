"""The ledger in schema `assise` of the target: versions, loads, chunks, rejects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

from assise.errors import BusyError, ChangedError, TargetError, UsageError, WorkerError
from assise.manifest.file import dump_manifest, parse_manifest
from assise.manifest.model import Manifest
from assise.mongo.dump import Chunk
from assise.postgres.connection import Connection, Parameter
from assise.progress import Log
from assise.rows.cells import pack_int4, pack_length
from assise.rows.shred import Reason
from assise.rows.tally import Values
from assise.schema.sql import all_layouts, create_tables, quote
from assise.transfer.report import CollectionReport

VERSION = 1
"""Of the bookkeeping: a program refuses a newer one and upgrades an older one."""

_TEXT = files("assise.transfer").joinpath("sql", "queries.sql").read_text()
QUERIES = dict(re.findall(r"^-- (\w+) --\n(.*?)(?=\n\n-- |\Z)", _TEXT, re.DOTALL | re.MULTILINE))


def fill_query(name: str, **parts: str) -> str:
    """A query with what stands in braces put in: these parts of SQL, and other queries."""
    return re.sub(
        r"\{(\w+)\}",
        lambda found: (
            parts[found[1]].replace("%", "%%") if found[1] in parts else QUERIES[found[1]]
        ),
        QUERIES[name],
    )


_PRINTED = {
    "int4": "integer", "int8": "bigint", "float8": "double precision", "bool": "boolean", "timestamptz": "timestamp with time zone",
}  # fmt: skip


@dataclass(frozen=True)
class Load:
    """A load as the ledger knows it."""

    id: int
    name: str
    source: Path
    manifest: Manifest
    schema: str
    chunk_bytes: int
    is_finished: bool


class Reject(NamedTuple):
    """One reject: where its bytes lie in the uncompressed source, and why it was rejected."""

    collection: str
    offset: int
    size: int
    reason: Reason
    detail: str
    sha256: str


@dataclass(frozen=True)
class ChunkLine:
    """A finished chunk: its bounds, its sha256 and its figures."""

    start: int
    stop: int
    sha256: str
    figures: CollectionReport


def find_loads(connection: Connection) -> list[Load]:
    """The loads of this database, oldest first.

    Raises:
        TargetError: the ledger was written by a newer program.
    """
    if not connection.scalar(QUERIES["has_ledger"]):
        return []
    found = connection.scalar(QUERIES["version"])
    if not isinstance(found, int) or found > VERSION:
        raise TargetError(
            f"the ledger in {connection.target} has version {found}, this program knows version {VERSION}",
            remedy="Use a newer Assise.",
        )
    return [_load(*row) for row in connection.execute(QUERIES["loads"])]


def find_load(connection: Connection, name: str) -> Load | None:
    """The load of the manifest that is called `name`, if there is one."""
    return next((load for load in find_loads(connection) if load.name == name), None)


def _load(
    load_id: object,
    name: object,
    source: object,
    manifest: object,
    schema: object,
    chunk_bytes: object,
    finished: object,
) -> Load:
    parsed = parse_manifest(str(manifest), file="the manifest in assise.load")
    return Load(
        int(str(load_id)),
        str(name),
        Path(str(source)),
        parsed,
        str(schema),
        int(str(chunk_bytes)),
        bool(finished),
    )


def describe_load(connection: Connection, load: Load) -> dict[str, object]:
    """What a worker needs to know, for `rebuild_load`; JSON can hold it. With the password, if there is one."""
    facts = {**vars(load), "source": str(load.source), "manifest": load.manifest.as_json()}
    return {"conninfo": connection.conninfo, "target": connection.target, "load": facts}


def rebuild_load(facts: dict[str, Any]) -> Load:
    """The load that was described."""
    return Load(
        **{
            **facts,
            "source": Path(facts["source"]),
            "manifest": Manifest.model_validate_json(facts["manifest"]),
        }
    )


def lock(connection: Connection, name: str, *, log: Log) -> None:
    """Wait until no other process loads `name`, nor a worker of one that was killed; at most ten seconds, and not long without a word.

    Raises:
        TargetError: another process loads, repairs or undoes it.
    """
    busy = f"another process is at work on {name!r} in {connection.target}"
    for patience_s in (1, 9):
        connection.execute(f"SET lock_timeout = '{patience_s}s'")
        try:
            connection.execute(QUERIES["lock"], [name])
            connection.execute(QUERIES["wait_for_workers"], [name])
            break
        except BusyError as error:
            if patience_s > 1:
                raise TargetError(busy, remedy="Wait until it is done.") from error
            log(f"{busy}: waiting")
    connection.execute("SET lock_timeout = 0")


def join(connection: Connection, name: str, leader: int) -> None:
    """Be one of the workers that load `name`: until this session ends nobody else begins to.

    Raises:
        WorkerError: the session `leader`, whose load it is, has ended.
    """
    connection.execute(QUERIES["join"], [name])
    if not connection.scalar(QUERIES["leads"], [leader, name]):
        raise WorkerError(f"the command that loads {name!r} has ended")


def check_server(connection: Connection) -> str:
    """The preflight: version, encoding, privileges. Returns the schema that tables will be created in.

    Raises:
        TargetError: the server is not fit; says in what.
    """
    if connection.server_version < 150_000:
        raise TargetError(
            f"{connection.target} is PostgreSQL {connection.server_version // 10_000}",
            remedy="Assise needs version 15 or later.",
        )
    encoding, is_replica, is_read_only, schema = connection.execute(QUERIES["server"])[0]
    if encoding != "UTF8":
        raise TargetError(
            f"{connection.target} has the encoding {encoding}",
            remedy="Create a database with ENCODING 'UTF8'.",
        )
    if is_replica or is_read_only:
        raise TargetError(f"{connection.target} is read-only", remedy="Give the primary server.")
    if not schema:
        raise TargetError(
            f"{connection.target} has no schema on its search_path",
            remedy="Create one, or set search_path.",
        )
    has_ledger = bool(connection.scalar(QUERIES["has_ledger"]))
    in_database, in_schema = connection.execute(QUERIES["may_create"], [str(schema)])[0]
    if not in_schema or not (in_database or has_ledger):
        missing = f"on schema {schema}" if not in_schema else "on the database"
        raise TargetError(
            f"{connection.target}: the user may not CREATE {missing}",
            remedy=f"GRANT CREATE {missing.upper()[:2]}{missing[2:]} …",
        )
    return str(schema)


def begin(
    connection: Connection,
    manifest: Manifest,
    source: Path,
    *,
    chunk_bytes: int,
    metadata: Iterable[tuple[str, str]] = (),
) -> Load:
    """Create the ledger where it is missing, and in one transaction the tables and the line of the load.

    `metadata` are names of collections, each with what mongodump wrote of it.

    Raises:
        TargetError: a table of the manifest exists already.
    """
    schema = check_server(connection)
    with connection.transaction():
        connection.execute(QUERIES["create_lock"])
        if not connection.scalar(QUERIES["has_ledger"]):
            connection.execute(files("assise.transfer").joinpath("sql", "ledger.sql").read_text())
    tables = [layout.table for layout in all_layouts(manifest)]
    existing = [
        table
        for table in tables
        if connection.scalar(QUERIES["has_relation"], [quote(schema, table)])
    ]
    if existing:
        raise TargetError(
            f"{connection.target} already has {', '.join(existing[:10])}: existing tables are never overwritten",
            remedy="Rename the tables in the manifest, give an empty database, or drop them yourself.",
        )
    with connection.transaction():
        for statement in create_tables(manifest, schema):
            connection.execute(statement)
        without_secrets = manifest.model_copy(update={"postgres": "embedded"})
        parameters: list[Parameter] = [
            manifest.name,
            str(source),
            dump_manifest(without_secrets),
            schema,
            chunk_bytes,
        ]
        load_id = int(str(connection.scalar(QUERIES["insert_load"], parameters)))
        for name, text in metadata:
            connection.execute(QUERIES["insert_collection"], [load_id, name, text])
    return Load(load_id, manifest.name, source, manifest, schema, chunk_bytes, is_finished=False)


def check_unchanged(connection: Connection, load: Load, manifest: Manifest) -> None:
    """Check that the load is of this manifest, and that its tables are as they were created.

    Raises:
        ChangedError: the manifest is another one, or a table was changed.
    """
    ours, theirs = load.manifest.tables, manifest.tables
    changed = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
    if changed:
        raise ChangedError(
            f"the manifest has changed since the load: {', '.join(changed[:10])}",
            remedy=start_afresh(load),
        )
    for layout in all_layouts(manifest):
        found = [
            (str(name), str(kind))
            for name, kind in connection.execute(
                QUERIES["columns"], [quote(load.schema, layout.table)]
            )
        ]
        expected = [
            (name, _printed(kind)) for name, kind in zip(layout.names, layout.types, strict=True)
        ]
        if not set(expected) <= set(found):
            gone = "is gone" if not found else "has other columns than the load created"
            raise ChangedError(
                f"table {load.schema}.{layout.table} {gone}", remedy=start_afresh(load)
            )


def remember_source(connection: Connection, load: Load, source: Path) -> None:
    """Keep the place of a source that was moved since the load began."""
    connection.execute(QUERIES["move_source"], [str(source), load.id, str(source)])


def _printed(column_type: str) -> str:
    element = column_type.removesuffix("[]")
    return _PRINTED.get(element, element) + column_type[len(element) :]


def start_afresh(load: Load) -> str:
    """What to do when a load cannot go on."""
    return f"`assise undo` drops what was loaded of {load.name!r}; then `assise load FOLDER` loads again."


def count_loaded(connection: Connection, load: Load) -> dict[str, int]:
    """How many rows each table got, by the lines of the chunks."""
    rows = {
        str(name): int(str(count))
        for name, count in connection.execute(QUERIES["loaded_rows"], [load.id])
    }
    return {layout.table: rows.get(layout.table, 0) for layout in all_layouts(load.manifest)}


def has_table(connection: Connection, schema: str, table: str) -> bool:
    """Whether there is such a table; a view of its name is none."""
    return bool(connection.scalar(QUERIES["is_table"], [quote(schema, table)]))


def forget(connection: Connection, load: Load) -> bool:
    """Take a load's lines out of the ledger, and the ledger away with its last load, which returns True; in a transaction."""
    connection.execute(QUERIES["lock_loads"])
    connection.execute(QUERIES["delete_rejects"], [load.id])
    connection.execute(QUERIES["delete_load"], [load.id])
    is_last = not connection.scalar(QUERIES["has_loads"])
    if is_last:
        connection.execute(QUERIES["drop_ledger"])
    return is_last


def finished_chunks(connection: Connection, load: Load, collection: str) -> Iterator[ChunkLine]:
    """The finished chunks of a collection, in the order of the source."""
    for *numbers, sha256, rows, seconds in connection.execute(
        QUERIES["chunks"], [load.id, collection]
    ):
        start, stop, documents, loaded, rejected, *values = _ints(*numbers)
        tables, size = json.loads(str(rows)), stop - start
        figures = CollectionReport(
            collection,
            documents,
            loaded,
            rejected,
            size,
            float(str(seconds)),
            tables,
            Values(*values),
        )
        yield ChunkLine(start, stop, str(sha256), figures)


def sum_chunks(connection: Connection, load: Load, collection: str) -> CollectionReport:
    """The figures of everything of a collection that is loaded."""
    report = CollectionReport(collection)
    for line in finished_chunks(connection, load, collection):
        report.add(line.figures)
    return report


def _ints(*values: object) -> list[int]:
    return [int(str(value)) for value in values]


def write_chunk(
    connection: Connection, load: Load, chunk: Chunk, figures: CollectionReport
) -> None:
    """The line of a finished chunk, in the transaction that copied its rows."""
    values = figures.values
    connection.execute(
        QUERIES["insert_chunk"],
        [
            load.id, figures.name, chunk.start, chunk.stop, chunk.digest, figures.documents, figures.loaded, figures.rejected,
            json.dumps(figures.tables), values.typed, values.jsonb, values.extra, figures.seconds,
        ],
    )  # fmt: skip


def write_rejects(
    connection: Connection, load: Load, rejects: Iterable[tuple[Reject, bytes]]
) -> None:
    """Rejects with their bytes."""
    connection.copy_in(QUERIES["copy_rejects"], _reject_rows(load, rejects))


def _reject_rows(load: Load, rejects: Iterable[tuple[Reject, bytes]]) -> Iterator[bytes]:
    number = pack_int4(4, load.id)
    pack_place, cell = Struct(">iqiqii").pack, lru_cache(1 << 10)(lambda text: _cell(text.encode()))
    for (collection, offset, size, reason, detail, sha256), raw in rejects:
        place = pack_place(8, offset, 8, size, 4, reason)
        yield (
            b"\0\x08"
            + number
            + cell(collection)
            + place
            + cell(detail)
            + _cell(sha256.encode())
            + _cell(raw)
        )


def _cell(content: bytes) -> bytes:
    return pack_length(len(content)) + content


def read_rejects(connection: Connection, load: Load) -> list[Reject]:
    """The rejects of a load, by collection and offset."""
    return [_reject(row) for row in connection.execute(QUERIES["rejects"], [load.id])]


def _reject(row: tuple[object, ...]) -> Reject:
    collection, offset, size, reason, detail, sha256 = row
    first, length, code = _ints(offset, size, reason)
    return Reject(str(collection), first, length, Reason(code), str(detail), str(sha256))


def read_reject(connection: Connection, load: Load, collection: str, offset: int) -> bytes:
    """The bytes of one reject, as far as they are kept.

    Raises:
        UsageError: there is none at this offset.
    """
    raw = connection.scalar(QUERIES["reject_raw"], [load.id, collection, offset])
    if not isinstance(raw, bytes):
        raise UsageError(
            f"{collection} has no reject at offset {offset}", remedy="`assise rejects` lists them."
        )
    return raw


def stream_rejects(
    connection: Connection, load: Load, collection: str
) -> Iterator[tuple[int, int, Reason, bytes]]:
    """Offset, size, reason and bytes of each reject of a collection, one at a time: each may have 16 MiB."""
    offset = -1
    while rows := connection.execute(QUERIES["next_reject"], [load.id, collection, offset]):
        offset, size, code = _ints(*rows[0][:3])
        raw = rows[0][3]
        yield offset, size, Reason(code), raw if isinstance(raw, bytes) else b""


def read_metadata(connection: Connection, load: Load, collection: str) -> str | None:
    """What mongodump wrote of a collection's options and indexes; None where the dump had nothing."""
    text = connection.scalar(QUERIES["metadata"], [load.id, collection])
    return None if text is None else str(text)


def rejects_of(
    connection: Connection, load: Load, collection: str, chunk: Chunk
) -> dict[int, Reject]:
    """The rejects of one chunk, by offset."""
    rows = connection.execute(
        QUERIES["rejected_between"], [load.id, collection, chunk.start, chunk.stop]
    )
    return {reject.offset: reject for reject in map(_reject, rows)}


def write_repair(connection: Connection, load: Load) -> None:
    """Note the transaction as a repair of the load: the rows that it writes are the load's."""
    connection.execute(QUERIES["insert_repair"], [load.id])


def finish(connection: Connection, load: Load) -> None:
    """Mark a load as finished."""
    connection.execute(QUERIES["finish_load"], [load.id])
