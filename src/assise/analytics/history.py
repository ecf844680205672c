"""History: events of before, from a file of one event a line, as SDKs send and PostHog exports them."""

from __future__ import annotations

import datetime as dt
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from assise.analytics.capture.bodies import MAX_BODY
from assise.analytics.capture.events import read_history
from assise.analytics.event import Event
from assise.analytics.months import make_months
from assise.analytics.store import count_new, insert_history
from assise.analytics.stored import StoredEvents
from assise.analytics.tables import QUERIES
from assise.errors import RequestError, SourceError
from assise.postgres.connection import Connection
from assise.wording import count_of

BATCH, BATCH_BYTES = 1_000, 8 << 20
"""Events that are kept in one transaction, and characters of their properties."""

SHOWN = 20
"""Lines that cannot be read are told one by one up to this many, and counted."""

OLDEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)


class BadLine(NamedTuple):
    """A line with something that is no event: its number, from 1, and what is wrong."""

    line: int
    what: str


@dataclass
class ImportReport:
    """What an import did: `events` is the sum of `kept`, `known` and `too_old`.

    known: those that were kept before, and those of erased persons.
    too_old: those that are older than events are kept.
    malformed: elements that are no event; `bad` are the first lines that hold one.
    """

    lines: int = 0
    events: int = 0
    kept: int = 0
    known: int = 0
    too_old: int = 0
    malformed: int = 0
    bad: list[BadLine] = field(default_factory=list)
    first: dt.datetime | None = None
    last: dt.datetime | None = None

    def describe(self, *, is_dry: bool) -> list[str]:
        """Sentences that say it."""
        verb = "would be kept" if is_dry else "kept"
        said = [f"{count_of(self.lines, 'line')}, {count_of(self.kept, 'event')} {verb}"]
        if self.known:
            said.append(f"{count_of(self.known, 'event')} known already, or of an erased person")
        if self.too_old:
            said.append(f"{count_of(self.too_old, 'event')} older than events are kept")
        said += [f"line {each.line:,}: {each.what}" for each in self.bad]
        if self.malformed > len(self.bad):
            said.append(f"{self.malformed:,} in all that are no event")
        return said


class ReadSoFar(NamedTuple):
    """How far a file is read: its lines, and bytes as they stand on the disk."""

    lines: int
    position: int


def size_of(path: Path) -> int:
    """The bytes of a file.

    Raises:
        SourceError: there is none.
    """
    try:
        if path.is_file():
            return path.stat().st_size
        what = "is no file" if path.exists() else "does not exist"
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    raise SourceError(f"{path} {what}", remedy="Name a file of events, one a line.")


def import_file(
    path: Path,
    connection: Connection,
    *,
    keep: str | None = None,
    on_progress: Callable[[ReadSoFar], None],
    is_dry: bool = False,
) -> ImportReport:
    """Keep the events of a file that are not known yet; it may be repeated at any time.

    keep: for how long events are kept, such as `25 months`.

    Raises:
        SourceError: the file cannot be read; what was read before is kept.
    """
    report, months = ImportReport(), set[tuple[int, int]]()
    found = connection.scalar(QUERIES["oldest"], {"keep": keep}) if keep else None
    oldest = found if isinstance(found, dt.datetime) else OLDEST
    stored = StoredEvents(connection)
    for batch in _read_batches(path, report, oldest, on_progress):
        fresh = stored.leave_out(batch)
        if is_dry:
            kept = count_new(connection, fresh)
        else:
            new = {(each.at.year, each.at.month): each.at for each in fresh}
            if added := [new[month] for month in new.keys() - months]:
                make_months(connection, added)
                months |= new.keys()
            kept = insert_history(connection, fresh).kept
        report.kept += kept
        report.known += len(batch) - kept
    return report


def _read_batches(
    path: Path,
    report: ImportReport,
    oldest: dt.datetime,
    on_progress: Callable[[ReadSoFar], None],
) -> Iterator[list[Event]]:
    batch, size = list[Event](), 0
    for line, position in _read_lines(path):
        report.lines += 1
        for event in _read_line(line, report):
            report.events += 1
            if event.at < oldest:
                report.too_old += 1
                continue
            report.first = min(report.first or event.at, event.at)
            report.last = max(report.last or event.at, event.at)
            batch.append(event)
            size += len(event.properties)
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
                on_progress(ReadSoFar(report.lines, position))
    if batch:
        yield batch


def _read_line(line: bytes, report: ImportReport) -> list[Event]:
    """The events of a line; what is none is counted in the report."""
    text = line.decode(errors="replace").removeprefix("\ufeff").strip()
    if not text:
        return []
    try:
        if len(line) > MAX_BODY:
            raise RequestError(f"it has more than {MAX_BODY:,} bytes")
        found = read_history(text)
    except RequestError as error:
        _note(report, 1, error.message.replace("the body", "the line"))
        return []
    events = [each for each in found.events if each.distinct_id and each.at >= OLDEST]
    if lost := found.malformed + len(found.events) - len(events):
        what = "an event has the fields event, distinct_id, and a timestamp from 1990 until now"
        _note(report, lost, what)
    return events


def _note(report: ImportReport, count: int, what: str) -> None:
    report.malformed += count
    if len(report.bad) < SHOWN:
        report.bad.append(BadLine(report.lines, what))


def _read_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """The lines of a file, each cut at the size of a body, and how far the file is read then."""
    try:
        with _open(path) as (file, raw):
            while line := file.readline(MAX_BODY + 1):
                rest = line
                while rest and not rest.endswith(b"\n") and len(rest) > MAX_BODY:
                    rest = file.readline(MAX_BODY + 1)
                yield line, raw.tell()
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{path} cannot be read to its end: {error}",
            remedy="Check the file, and import it again: what is kept already is left out.",
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[tuple[gzip.GzipFile | IO[bytes], IO[bytes]]]:
    with path.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not is_packed:
            yield raw, raw
            return
        with gzip.open(raw) as file:
            yield file, raw
