"""The ledger: loads, their chunks and their rejects, in schema `assise` of the target."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, NamedTuple

from assise import extras
from assise.errors import ChangedError, ManifestError, TargetError, WorkerError
from assise.manifest.layout import Layout, TableLayout, read_layout, restrict
from assise.mongo.chunks import Chunk
from assise.mongo.nothing import ADDRESS
from assise.mongo.source import NO_OPTIONS, JsonObject, SourceOptions, Survey, is_mongodb_url
from assise.postgres import bookkeeping, locks
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.rows.columns import ColumnCounts
from assise.rows.model import Values, WovenColumns
from assise.schema.sql import all_layouts, quote_table
from assise.transfer.functions import adopt_functions
from assise.transfer.report import CollectionReport
from assise.types.table import find_type

QUERIES = Queries("assise.transfer")
SHOWN = 10
"""Tables, and columns of each, that an error names."""


@dataclass(frozen=True)
class Load:
    """A load as the ledger knows it. Its layout, not a manifest, says what its rows are.

    `source` is the address of its source, without a password, and `options` are those it was
    opened with. With `is_revised` revisions own the schema of its tables; `closed_by` is the one
    that took something away which its documents need, or that made its tables without documents.
    `woven` are the columns of ours that the rows are loaded with, which the ledger does not know.
    """

    id: int
    name: str
    source: str
    layout: Layout
    schema: str
    chunk_bytes: int
    is_finished: bool
    options: SourceOptions = NO_OPTIONS
    is_revised: bool = False
    closed_by: str = ""
    woven: WovenColumns = field(default_factory=dict)

    @property
    def is_bare(self) -> bool:
        """Whether there never were documents: revisions or a manifest alone have made its tables."""
        return self.source == ADDRESS

    @property
    def is_live(self) -> bool:
        """Whether its source may change while it is read."""
        return is_mongodb_url(self.source)


@dataclass(frozen=True)
class ChunkLine:
    """A finished chunk: its bounds, its sha256 and its figures, without the seconds it took."""

    start: int
    stop: int
    sha256: str
    figures: CollectionReport


class ChunkFigures(NamedTuple):
    """A finished chunk, what the ledger says of it, and of a live source the digests."""

    chunk: Chunk
    figures: CollectionReport
    digests: bytes | None = None


@dataclass(frozen=True)
class _FirstLoad:
    id: int
    manifest: str
    schema: str


def _read_manifest(text: str) -> Layout | None:
    """The layout of a load of the first release; None where its manifest cannot be read.

    What reads a manifest is imported here: a worker starts in half the time without it.
    """
    derive, layout = extras.load("assise.manifest.derive"), None
    with suppress(LookupError, TypeError, ValueError, AttributeError, ManifestError):
        layout = derive.read_first_manifest(text)
    return layout


def _fill_layouts(connection: Connection) -> None:
    """Read the layouts of a ledger of version 1 from its manifests, and take over its functions.

    A manifest that cannot be read leaves its own load without a layout, and no other.
    """
    loads = []
    for load in connection.fetch(_FirstLoad, QUERIES["first_loads"]):
        layout = _read_manifest(load.manifest)
        if layout:
            text = json.dumps(layout.as_json())
            connection.execute(QUERIES["set_layout"], {"load_id": load.id, "layout": text})
        loads.append((layout, load.schema))
    adopt_functions(connection, loads)


BY_PARTS = 3
"""The version of the ledger from which on a load says how many of its tables there are."""

LEDGER = Bookkeeping("transfer", files("assise.transfer").joinpath("sql"), steps={2: _fill_layouts})


def find_load(connection: Connection, name: str) -> Load | None:
    """The load of the manifest that is called `name`, if there is one; no other load is read.

    Nothing is written: verbs that only read work on the ledger of an older program, too.

    Raises:
        TargetError: the ledger was written by a newer program, or tables of it are gone.
        ManifestError: the load was written by a newer program.
    """
    if not bookkeeping.has_tables(connection, LEDGER):
        return None
    parameters, rows = {"name": name}, list[_LoadRow | _FirstRow]()
    if has_layouts(connection):
        rows += connection.fetch(_LoadRow, QUERIES["load"], parameters)
    else:
        rows += connection.fetch(_FirstRow, QUERIES["first_load"], parameters)
    return rows[0].read() if rows else None


def has_layouts(connection: Connection) -> bool:
    """Whether the ledger is not that of the first release.

    Raises:
        TargetError: it was written by a newer program.
    """
    return bookkeeping.find_version(connection, LEDGER) > 1


def upgrade(connection: Connection) -> None:
    """Upgrade the ledger of an older program, if there is one; verbs that write begin with it.

    Raises:
        TargetError: it was written by a newer program, the user may not upgrade it, or tables of it
        are gone.
    """
    if bookkeeping.has_tables(connection, LEDGER):
        bookkeeping.ensure(connection, LEDGER)


@dataclass(frozen=True)
class _LoadRow:
    """A load as its line has it, or as a worker gets it."""

    id: int
    name: str
    source: str
    layout: dict[str, Any] | None
    schema: str
    chunk_bytes: int
    is_finished: bool
    options: JsonObject | None = None
    is_revised: bool = False
    closed_by: str = ""
    woven: WovenColumns = field(default_factory=dict)

    def read(self) -> Load:
        """The load, with its layout parsed."""
        if self.layout is None:
            raise ManifestError(
                f"the manifest of the load of {self.name!r} could not be read"
                " when the ledger was upgraded",
                remedy="Use the Assise that loaded it, in a copy of the database from before.",
            )
        layout = read_layout(self.layout, name=self.name)
        options = SourceOptions.from_json(self.options or {})
        return Load(**{**vars(self), "layout": layout, "options": options})


@dataclass(frozen=True)
class _FirstRow:
    """A load as a ledger without layouts has it."""

    id: int
    name: str
    source: str
    manifest: str
    schema: str
    chunk_bytes: int
    is_finished: bool

    def read(self) -> Load:
        """The load, with the layout of its manifest."""
        facts = vars(self).copy()
        layout = _read_manifest(facts.pop("manifest"))
        return _LoadRow(layout=None if layout is None else layout.as_json(), **facts).read()


def describe_load(connection: Connection, load: Load) -> dict[str, object]:
    """What a worker needs to know, for `rebuild_load`, as JSON holds it; with the password."""
    layout, options = load.layout.as_json(), load.options.as_json()
    facts = {**vars(load), "layout": layout, "options": options}
    return {"conninfo": connection.conninfo, "target": connection.target, "load": facts}


def rebuild_load(facts: dict[str, Any]) -> Load:
    """The load that was described."""
    return _LoadRow(**facts).read()


def lock(connection: Connection, name: str, *, log: Log) -> None:
    """Wait until no other process loads `name`, nor a worker of one that was killed.

    At most ten seconds, and not long without a line in the log.

    Raises:
        TargetError: another process loads, repairs or undoes it.
    """
    busy = f"another process is at work on {name!r} in {connection.target}"
    for patience_s in (1, 9):
        is_first = locks.ask(connection, _leader_key(name), patience_s=patience_s)
        if is_first and locks.wait(connection, _workers_key(name), patience_s=patience_s):
            locks.release(connection, _workers_key(name))
            return
        if patience_s == 1:
            log(f"{busy}: waiting")
    raise TargetError(busy, remedy="Wait until it is done.")


def join(connection: Connection, name: str, leader: int) -> None:
    """Take the lock that the workers of load `name` share: no new load begins until they end.

    Raises:
        WorkerError: the session `leader`, whose load it is, has ended.
    """
    locks.share(connection, _workers_key(name))
    if not locks.is_held_by(connection, leader, _leader_key(name)):
        raise WorkerError(f"the command that loads {name!r} has ended")


def _leader_key(name: str) -> str:
    return f"assise {name}"


def _workers_key(name: str) -> str:
    return f"assise workers {name}"


def check_unchanged(connection: Connection, load: Load, layout: Layout) -> None:
    """Check that rows of this layout are the load's, and that its tables are as they were created.

    Where revisions own the schema, columns and tables that they have added do not count.

    Raises:
        ChangedError: the layout is another one, a table was changed, or a revision closed the load.
    """
    check_open(load)
    if load.is_revised:
        layout = restrict(layout, load.layout)
    ours, theirs = load.layout.tables, layout.tables
    changed = [
        _describe_change(name, ours.get(name), theirs.get(name))
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    if changed:
        raise ChangedError(
            f"the manifest has changed since the load: {', '.join(changed[:SHOWN])}",
            remedy=restart_hint(load),
        )
    layouts = all_layouts(load.layout)
    names = [quote_table(load.schema, table.table) for table in layouts]
    columns: dict[int, set[tuple[object, ...]]] = {}
    for number, *column in connection.execute(QUERIES["columns"], {"tables": names}):
        columns.setdefault(int(str(number)), set()).add(tuple(column))
    for number, table in enumerate(layouts, 1):
        found = columns.get(number, set())
        types = [find_type(name).catalog_name for name in table.types]
        expected = zip(table.names, types, strict=True)
        if not {*expected} <= found:
            gone = "has other columns than the load created" if found else "is gone"
            raise ChangedError(
                f"table {quote_table(load.schema, table.table)} {gone}", remedy=restart_hint(load)
            )


def check_open(load: Load) -> None:
    """Check that no revision has closed the load.

    Raises:
        ChangedError: one has; names it.
    """
    if load.closed_by and load.is_bare:
        raise ChangedError(
            f"revision {load.closed_by} has made the tables of {load.name!r}, and no documents were"
            " loaded into them",
            remedy="To load documents, give `assise migrate` an empty database: it makes the tables"
            " and marks the revisions.",
        )
    if load.closed_by:
        raise ChangedError(
            f"the load of {load.name!r} was closed by revision {load.closed_by}:"
            " its documents can no longer be rebuilt from its tables",
            remedy="Its rows are the application's alone now; load the source into another database"
            " to compare.",
        )


def _describe_change(name: str, ours: TableLayout | None, theirs: TableLayout | None) -> str:
    if ours is None or theirs is None:
        return f"{name} (a table that is {'new' if ours is None else 'left out'})"
    before, now = ours.columns, theirs.columns
    columns = [each for each in {**before, **now} if before.get(each) != now.get(each)]
    if not columns:
        return name
    return f"{name} ({'column' if len(columns) == 1 else 'columns'} {', '.join(columns[:SHOWN])})"


def remember_source(connection: Connection, load: Load, address: str) -> None:
    """Keep the address of a source that was moved since the load began."""
    connection.execute(QUERIES["move_source"], {"load_id": load.id, "source": address})


def restart_hint(load: Load) -> str:
    """What to do when a load cannot go on."""
    return (
        f"`assise undo` drops what was loaded of {load.name!r};"
        " then `assise load SOURCE` loads again."
    )


def count_loaded(connection: Connection, load: Load) -> dict[str, int]:
    """How many rows each table got, by the lines of the chunks."""
    found = connection.execute(QUERIES["loaded_rows"], {"load_id": load.id})
    rows = {str(name): int(str(count)) for name, count in found}
    return {table.table: rows.get(table.table, 0) for table in all_layouts(load.layout)}


def count_created(connection: Connection, load: Load) -> int | None:
    """How many tables there are of a load that has not made all of them yet; None when it has."""
    if bookkeeping.find_version(connection, LEDGER) < BY_PARTS:
        return None
    created = connection.scalar(QUERIES["created"], {"load_id": load.id})
    return created if isinstance(created, int) else None


def find_tables(connection: Connection, load: Load, layouts: Sequence[TableLayout]) -> set[str]:
    """The names of the tables that there are; a view of such a name is none."""
    names = [quote_table(load.schema, layout.table) for layout in layouts]
    found = connection.execute(QUERIES["are_tables"], {"tables": names})
    return {layouts[int(str(number)) - 1].table for (number,) in found}


def finish(connection: Connection, load: Load) -> None:
    """Mark a load as finished."""
    connection.execute(QUERIES["finish_load"], {"load_id": load.id})


def write_repair(connection: Connection, load: Load) -> None:
    """Note the transaction as a repair of the load: the rows that it writes are the load's."""
    connection.execute(QUERIES["insert_repair"], {"load_id": load.id})


def read_metadata(connection: Connection, load: Load, collection: str) -> str | None:
    """What mongodump wrote of a collection's options and indexes; None where it wrote nothing."""
    parameters = {"load_id": load.id, "name": collection}
    text = connection.scalar(QUERIES["metadata"], parameters)
    return None if text is None else str(text)


def read_surveys(connection: Connection, load: Load) -> Survey:
    """What decides how the collections of a load are read, as far as the source has said it."""
    rows = connection.execute(QUERIES["surveys"], {"load_id": load.id})
    return {str(name): survey for name, survey in rows if isinstance(survey, dict)}


def is_last(connection: Connection, load: Load) -> bool:
    """Whether there is no load but this one, and the ledger is ours to drop."""
    return bool(connection.scalar(QUERIES["is_last_load"], {"load_id": load.id}))


def forget(connection: Connection, load: Load) -> None:
    """Take a load's lines out of the ledger, in a transaction."""
    connection.execute(QUERIES["delete_rejects"], {"load_id": load.id})
    connection.execute(QUERIES["delete_load"], {"load_id": load.id})


@dataclass(frozen=True)
class _ChunkRow:
    start_offset: int
    stop_offset: int
    sha256: str
    documents: int
    loaded: int
    rejected: int
    rows: dict[str, int]
    typed: int
    values_read: int
    jsonb: int
    extra: int
    columns: dict[str, Any] | None = None

    def read(self, collection: str) -> ChunkLine:
        figures = CollectionReport(
            collection,
            self.documents,
            self.loaded,
            self.rejected,
            self.stop_offset - self.start_offset,
            tables=self.rows,
            values=Values(self.typed, self.values_read, self.jsonb, self.extra),
            columns=ColumnCounts.from_json(self.columns),
        )
        return ChunkLine(self.start_offset, self.stop_offset, self.sha256, figures)


def finished_chunks(connection: Connection, load: Load, collection: str) -> list[ChunkLine]:
    """The finished chunks of a collection, in the order of the source."""
    parameters = {"load_id": load.id, "collection": collection}
    rows = connection.fetch(_ChunkRow, QUERIES["chunks"], parameters)
    lines = [row.read(collection) for row in rows]
    if load.is_live:
        _measure_live(connection, load, {collection: lines})
    return lines


def list_finished(connection: Connection, load: Load) -> dict[str, list[ChunkLine]]:
    """The finished chunks of all collections, by collection, in the order of the source."""
    found: dict[str, list[ChunkLine]] = {}

    def keep(*, collection: str, **facts: Any) -> None:  # noqa: ANN401
        found.setdefault(collection, []).append(_ChunkRow(**facts).read(collection))

    connection.fetch(keep, QUERIES["all_chunks"], {"load_id": load.id})
    if load.is_live:
        _measure_live(connection, load, found)
    return found


def _measure_live(
    connection: Connection, load: Load, found: Mapping[str, Iterable[ChunkLine]]
) -> None:
    """Set the bytes of chunks whose offsets do not say them."""
    rows = connection.execute(QUERIES["live_sizes"], {"load_id": load.id})
    sizes = {(str(name), int(str(start))): int(str(size)) for name, start, size in rows}
    for name, lines in found.items():
        for line in lines:
            line.figures.bytes = sizes.get((name, line.start), 0)


def list_foreign_keys(connection: Connection, tables: Sequence[str]) -> dict[int, tuple[str, bool]]:
    """Tables, by their places among `tables`, with their foreign keys: the name, and if checked."""
    rows = connection.execute(QUERIES["foreign_keys_of"], {"tables": [*tables]})
    return {int(str(n)) - 1: (str(name), bool(is_valid)) for n, name, is_valid in rows}


def sum_chunks(connection: Connection, load: Load, collection: str) -> CollectionReport:
    """The figures of everything of a collection that is loaded."""
    report = CollectionReport(collection)
    for line in finished_chunks(connection, load, collection):
        report.add(line.figures)
    return report


def write_chunks(connection: Connection, load: Load, lines: Sequence[ChunkFigures]) -> None:
    """The lines of finished chunks, in the transaction that copied their rows."""
    facts = [
        {
            "collection": figures.name,
            "start_offset": chunk.start,
            "stop_offset": chunk.stop,
            "sha256": chunk.digest,
            "documents": figures.documents,
            "loaded": figures.loaded,
            "rejected": figures.rejected,
            "rows": figures.tables,
            "columns": figures.columns.as_json(),
            "seconds": figures.seconds,
            **vars(figures.values),
        }
        for chunk, figures, _ in lines
    ]
    connection.execute(QUERIES["insert_chunks"], {"load_id": load.id, "lines": json.dumps(facts)})
    live = [line for line in lines if line.digests is not None]
    if live:
        parameters = {
            "load_id": load.id,
            "collections": [line.figures.name for line in live],
            "starts": [line.chunk.start for line in live],
            "sizes": [line.figures.bytes for line in live],
            "digests": [line.digests for line in live],
        }
        connection.execute(QUERIES["insert_live_chunks"], parameters)


def update_survey(connection: Connection, load: Load, survey: Survey) -> None:
    """Keep what decides how collections are read, in the place of what was known."""
    for name, facts in survey.items():
        parameters = {"load_id": load.id, "name": name, "survey": json.dumps(facts)}
        connection.execute(QUERIES["update_survey"], parameters)
