"""Orphans and duplicates that the manifest does not keep: values set to NULL, documents rejected.

What rejecting and setting to NULL leaves behind may break other keys: both are repeated until no
row breaks a key. All is one transaction, recorded like that of a chunk: no row counts as edited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from assise.documents.extjson import JsonWriter
from assise.errors import BusyError, DependentError, ManifestError, TargetError
from assise.manifest.layout import layouts
from assise.manifest.model import Manifest
from assise.mongo.source import Source
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.progress import Log, OnProgress
from assise.rows.assemble import Assembler
from assise.rows.columns import ColumnCount
from assise.rows.extra import ELEMENT
from assise.rows.keys import compile_keys
from assise.rows.tree import build_tree
from assise.schema.amend import Breach, Rejection
from assise.schema.constraints import list_objects
from assise.schema.objects import Object
from assise.schema.sql import quote, quote_table
from assise.transfer import ledger
from assise.transfer.digests import hash_key
from assise.transfer.ledger import LEDGER, QUERIES, Load
from assise.transfer.loaded import find_existing_keys, read_loaded
from assise.transfer.objects import (
    apply_objects,
    are_pending,
    drop_foreign_keys,
    list_made,
    name_object,
    show_keys,
)
from assise.transfer.readback import Readback, no_child_rows
from assise.transfer.reject import amend_chunk, reject_documents
from assise.transfer.report import Finding, Report
from assise.types.table import array_parameter
from assise.types.wire import Cell, add_length, write_row
from assise.wording import count_of
from assise.workspace import keep_silent

WITH_AMENDED = 8
"""The version of the ledger from which on it lists what was amended."""

SHOWN = 10
"""Keys of rows that a finding names."""

MADE = {
    "null": "they are NULL now, and the originals stand in _extra",
    "reject": "their documents were rejected",
}
"""What became of rows, in words."""

WITH_NOTES = 2
"""The rules from which on a note says that a value was set to NULL."""

NULLED = "nulled"
"""What counts by column call the kind of such a value."""

PATIENCE = "10s"
"""How long to wait for sessions that write."""

PAGE_ROWS = 10_000
"""Rows whose cells are set to NULL at a time."""

TRUE = b"\x01"

PAGE = 500
"""Documents that are read back at a time."""


def check_notes(load: Load, manifest: Manifest) -> None:
    """Check that rows of a load can note the values that the manifest says to set to NULL.

    Raises:
        ManifestError: the load is one by rules 1, which have no such note.
    """
    if load.layout.rules >= WITH_NOTES:
        return
    for each in list_objects(manifest, load.schema):
        if each.amendment is not None and each.amendment.action == "null":
            what = "duplicates" if each.amendment.values else "orphans"
            place = each.place[:-1] if each.place[2] == "columns" else each.place
            raise ManifestError(
                f"an older Assise loaded {load.name!r}, which keeps no original beside a NULL",
                file="the manifest",
                key=".".join([*place, what]),
                value="null",
                remedy=f"Write keep or reject. Or load again: {ledger.restart_hint(load)}",
            )


def list_amended(connection: Connection, load: Load) -> list[Finding]:
    """What was done with rows that break keys, each time that the load was run."""
    return [*_read_amended(connection, load).values()]


def _read_amended(connection: Connection, load: Load) -> dict[tuple[str, str], Finding]:
    """The same by table and name of the key."""
    if bookkeeping.find_version(connection, LEDGER) < WITH_AMENDED:
        return {}
    rows = connection.execute(QUERIES["amended"], {"load_id": load.id})
    return {
        (str(table), str(name)): Finding.from_json(facts)
        for table, name, facts in rows
        if isinstance(facts, dict)
    }


def make_objects(
    connection: Connection,
    load: Load,
    source: Source,
    objects: Sequence[Object],
    *,
    report: Report,
    workers: int,
    log: Log,
    progress: OnProgress,
) -> None:
    """Make what the manifest asks for beside tables, and amend rows first where it says so.

    The report gets the findings, and the figures of collections of which documents were rejected.

    Raises:
        ManifestError: the server cannot make one of them. Else as `amend_rows`.
    """
    amended = amend_rows(connection, load, source, objects, log=log)
    for each in report.collections:
        if each.name in amended:
            each.amend(ledger.sum_chunks(connection, load, each.name))
    report.findings = apply_objects(
        connection, load, objects, workers=workers, log=log, progress=progress
    )
    report.findings += list_amended(connection, load)


def amend_rows(
    connection: Connection,
    load: Load,
    source: Source,
    objects: Sequence[Object],
    *,
    log: Log,
) -> set[str]:
    """Reject or set to NULL what breaks keys that are not made yet, where the manifest says so.

    Returns the collections whose figures have changed. Rows that were edited since the load are
    left as they are.

    Raises:
        ChangedError: the source is no longer what was loaded. DependentError: rows of others refer
        to documents that are to be rejected. TargetError: another session uses the tables.
    """
    asked = [each for each in objects if each.amendment is not None]
    made = list_made(connection, load) if asked else {}
    if not are_pending(asked, made):
        return set()
    try:
        with connection.transaction():
            run = _Run(connection, load, source, asked, log)
            changed = run.run()
            if changed:
                run.forget(objects)
            return changed
    except BusyError as error:
        raise TargetError(
            f"another session writes the tables of {load.name!r}",
            remedy="End it, or wait; nothing was rejected or set to NULL.",
        ) from error


@dataclass
class _Run:
    connection: Connection
    load: Load
    source: Source
    asked: Sequence[Object]
    log: Log
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    @cached_property
    def _transactions(self) -> str:
        return QUERIES["transactions"].replace("%(load_id)s", str(self.load.id))

    @cached_property
    def _rejections(self) -> dict[str, Rejection]:
        """By the names of root tables."""
        layout, found = self.load.layout, dict[str, Rejection]()
        for root in dict.fromkeys(layout.root(each.table) for each in self.asked):
            found[root] = Rejection(layouts(layout, root), self.load.schema, self._transactions)
        return found

    def run(self) -> set[str]:
        self._lock()
        ledger.write_repair(self.connection, self.load)
        breaches = self.prepare()
        # Each begins when the one before finds nothing more: what is rejected as an orphan keeps no
        # other document from being the first of a value, and what is rejected is not set to NULL.
        while (
            self._reject_orphans(breaches)
            or self._reject_duplicates(breaches)
            or self.set_null(breaches)
        ):
            pass
        changed = set[str]()
        for root, rejection in self._rejections.items():
            name = self.load.layout.roots[root]
            if count := self._int(rejection.count_rejected()):
                reject_documents(self.connection, self.load, self.source, rejection, count=count)
                self.log(f"{name}: {count_of(count, 'document')} rejected")
                changed.add(name)
            if nulled := self._count_nulled(name, rejection):
                self.log(f"{name}: {count_of(nulled, 'value')} set to NULL, kept in _extra")
                changed.add(name)
        self._write_findings()
        return changed

    def forget(self, objects: Sequence[Object]) -> None:
        """Take from orphans that are kept what they have copied of rows that were rejected."""
        for each in objects:
            if each.forget:
                self.connection.execute(f"{each.forget} AND c.xmin IN ({self._transactions})")

    def prepare(self) -> list[Breach]:
        """Make the temporary tables; the breaches that are asked for."""
        for rejection in self._rejections.values():
            statements = rejection.create()
            if self.load.is_live:
                statements += rejection.create_raws()
            self.connection.execute(";\n".join(statements))
        return [*self._list_breaches()]

    def _lock(self) -> None:
        tables = [table for each in self._rejections.values() for table in each.layouts]
        names = ", ".join(quote_table(self.load.schema, table.table) for table in tables)
        self.connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        self.connection.execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")

    def _list_breaches(self) -> Iterator[Breach]:
        layout = self.load.layout
        for each in self.asked:
            if each.amendment is None:
                continue
            table, root = layout.tables[each.table], layout.root(each.table)
            escape = build_tree(layout, root).form.escapes.escape
            paths = {
                name: tuple(map(escape, table.columns[name].path)) or (ELEMENT,)
                for name in (each.amendment.columns if each.amendment.action == "null" else ())
            }
            yield Breach(each, each.amendment, table, self._rejections[root], paths)

    def _reject_orphans(self, breaches: Sequence[Breach]) -> int:
        return sum(
            self._amend(breach)
            for breach in breaches
            if breach.amendment.action == "reject" and not breach.amendment.values
        )

    def _reject_duplicates(self, breaches: Sequence[Breach]) -> int:
        found = [
            breach
            for breach in breaches
            if breach.amendment.action == "reject" and breach.amendment.values
        ]
        for breach in found:
            self._find_places(breach)
            self.connection.execute(f"TRUNCATE {breach.rejection.later}")
        for breach in found:
            self.connection.execute(breach.add_later())
        return sum(self._amend(breach) for breach in found)

    def set_null(self, breaches: Sequence[Breach]) -> int:
        """Set to NULL what is left of orphans and duplicates; duplicates of earlier documents."""
        count = 0
        for breach in breaches:
            if breach.amendment.action == "null":
                if breach.amendment.values:
                    self._find_places(breach)
                count += self._amend(breach)
        return count

    def _amend(self, breach: Breach) -> int:
        """Amend what breaks one key now; the number of rows or documents that changed."""
        if breach.amendment.action == "reject":
            for statement in (breach.reject(), *breach.rejection.keep_edited()):
                self.connection.execute(statement)
        count = self._int(breach.count())
        if count:
            key = breach.object.table, breach.object.name
            self.findings[key] = self._find(breach, count)
            if breach.amendment.action == "reject":
                self._delete(breach.rejection)
            else:
                _set_cells_null(self.connection, self.load, breach)
        return count

    def _find(self, breach: Breach, count: int) -> Finding:
        """The finding of a breach, with what was found in an earlier round."""
        each, ids = breach.object, self.connection.execute(breach.list_keys(SHOWN))
        before = self.findings.get((each.table, each.name))
        keys = show_keys(self.load.layout.tables[each.table], (str(key) for (key,) in ids))
        if before is not None:
            keys = (*before.keys, *keys)
            return replace(before, rows=before.rows + count, keys=keys[:SHOWN])
        ((_, among),) = self.connection.execute(each.broken.count)
        says = "have a value that an earlier one has" if breach.amendment.values else ""
        return Finding(
            each.table,
            each.kind,
            ".".join(each.place),
            name_object(each),
            count,
            int(str(among)),
            says or each.broken.says,
            keys,
            MADE[breach.amendment.action],
            "",
        )

    def _find_places(self, breach: Breach) -> None:
        """Find the places in the source of the documents with equal values."""
        rejection = breach.rejection
        self.connection.execute(breach.add_unplaced())
        if not self.connection.scalar(rejection.has_unplaced()):
            return
        name, root = self.load.layout.roots[rejection.root.table], rejection.root
        key_type, read_keys = root.key.type, compile_keys(self.load.layout, root.table)
        select, before = rejection.select_unplaced(), 0
        for part in read_loaded(self.connection, self.load, self.source, name):
            keys = [key for key in read_keys(part.documents) if key is not None]
            if find_existing_keys(self.connection, select, key_type, keys):
                array = array_parameter(key_type, keys)
                self.connection.fetch_cells(rejection.place(key_type, before), array, key_type)
            before += len(keys)

    def _delete(self, rejection: Rejection) -> None:
        """Delete the rows of the documents that are marked."""
        drop_foreign_keys(self.connection, self.load)
        self._check_dependents(rejection)
        if self.load.is_live:
            self._keep_documents(rejection)
        marked = self._int(rejection.count_marked())
        if self._int(rejection.delete_rows()) != marked:
            raise DependentError(
                f"documents of {rejection.root.table} cannot be rejected: a trigger keeps their rows",
                remedy="Disable the trigger, or write keep into the manifest.",
            )

    def _keep_documents(self, rejection: Rejection) -> None:
        """Keep the documents of a live source as they were loaded: it may have changed them."""
        root = rejection.root.table
        assembler = Assembler(self.load.layout, root)
        readback = Readback(self.connection, assembler, self.load.schema, name_key=lambda key: key)
        nothing = no_child_rows(assembler.layouts)
        with closing(self.connection.stream(rejection.select_marked())) as marked:
            while keys := [key for (key,) in islice(marked, PAGE) if key is not None]:
                rows, child_rows = readback.read(keys)
                lines = []
                for key, row in rows.items():
                    raw = assembler.assemble(row, child_rows.get(key, nothing))
                    fields = add_length(key), add_length(hash_key(key)), add_length(raw)
                    lines.append(write_row(*fields))
                self.connection.copy_in(rejection.copy_raws(), lines)

    def _check_dependents(self, rejection: Rejection) -> None:
        """Refuse where rows of others refer to those that are deleted."""
        own = {quote_table(self.load.schema, layout.table) for layout in rejection.layouts}
        for layout in rejection.layouts:
            table = quote_table(self.load.schema, layout.table)
            for other, name, _, _, schema, *_ in self.connection.execute(
                QUERIES["foreign_keys"], {"table": table}
            ):
                if quote(str(schema), str(other)) not in own:
                    raise DependentError(
                        f"documents of {layout.table} cannot be rejected, as rows of {other}"
                        f" refer to them by {name}",
                        remedy="Drop the foreign key, or write keep into the manifest.",
                    )

    def _count_nulled(self, name: str, rejection: Rejection) -> int:
        """Take values that are NULL now from the counts of cells to those of `_extra`.

        The first chunk of the collection has the difference: only sums over chunks are read.
        """
        total = 0
        rows = self.connection.execute(rejection.count_nulled())
        if not rows:
            return 0
        figures = ledger.finished_chunks(self.connection, self.load, name)[0]
        for table, column, *numbers in rows:
            cells, read, leaves, leaves_read = (int(str(number or 0)) for number in numbers)
            values, count = (
                figures.figures.values,
                figures.figures.columns.at(str(table), str(column)),
            )
            values.typed -= leaves - leaves_read
            values.read -= leaves_read
            values.extra += leaves
            count.add(ColumnCount(held=-cells, read=-read, extra={NULLED: cells}))
            total += cells
        amend_chunk(self.connection, self.load, figures.start, figures.figures)
        return total

    def _int(self, statement: str) -> int:
        return int(str(self.connection.scalar(statement)))

    def _write_findings(self) -> None:
        """Keep what was done, together with what an earlier run has done."""
        earlier = _read_amended(self.connection, self.load)
        for (table, name), finding in self.findings.items():
            found, before = finding, earlier.get((table, name))
            if before is not None:
                rows = before.rows + finding.rows
                keys = (*before.keys, *finding.keys)[:SHOWN]
                found = replace(finding, rows=rows, among=before.among, keys=keys)
            facts = {"table": table, "name": name, "finding": json.dumps(found.as_json())}
            self.connection.execute(QUERIES["write_amended"], {"load_id": self.load.id, **facts})


@dataclass(frozen=True)
class NullAgain:
    """Sets to NULL again, in the transaction of a repair, what it writes as the source has it."""

    connection: Connection
    load: Load
    source: Source
    objects: Sequence[Object]

    @cached_property
    def _asked(self) -> list[Object]:
        """The keys for which the load has set values to NULL."""
        amended = _read_amended(self.connection, self.load)
        return [
            each
            for each in self.objects
            if (each.table, each.name) in amended
            and each.amendment is not None
            and each.amendment.action == "null"
        ]

    def lift_unique(self) -> list[str]:
        """Drop the unique keys among them; the statements to put them back."""
        unique = [each for each in self._asked if each.kind == "unique"]
        for each in unique:
            self.connection.execute(each.drop)
        return [each.create for each in unique]

    def set_null(self) -> None:
        """Set to NULL what breaks them now."""
        if self._asked:
            run = _Run(self.connection, self.load, self.source, self._asked, keep_silent)
            breaches = run.prepare()
            while run.set_null(breaches):
                pass


def _set_cells_null(connection: Connection, load: Load, breach: Breach) -> None:
    """Set the cells of rows that break a key to NULL, and note their values in `_extra`."""
    tree = build_tree(load.layout, load.layout.root(breach.layout.table))
    columns = breach.amendment.columns
    codecs = [breach.layout.columns[name].codec(load.layout.rules) for name in columns]
    width = len(columns)
    while rows := [*connection.stream(breach.select_cells(PAGE_ROWS))]:
        lines = []
        for row, *facts in rows:
            parts = [json.dumps((row or b"").decode())]
            for codec, is_noted, cell in zip(codecs, facts[:width], facts[width:], strict=True):
                writer = JsonWriter(tree.form.dialect)
                text, _ = writer.value(*codec.decode(cell or Cell(b"")), 0)
                parts += [text, json.dumps(is_noted == TRUE), str(writer.leaves)]
            lines.append(Cell(f"[{', '.join(parts)}]".encode()))
        array = array_parameter("text", lines)
        if not [*connection.fetch_cells(breach.set_null(), array, "text")]:
            raise DependentError(
                f"{breach.name} cannot be set to NULL: a trigger keeps it",
                remedy="Disable the trigger, or write keep into the manifest.",
            )
