"""The spool: events on disk before anything else, so that neither kill -9 nor an outage loses one.

A process appends lines to a segment of its own, which it holds locked. A segment that nobody holds
is taken by whoever drains: its events are kept, and only then the file is removed. What is kept
twice by a crash between the two is left out by its uuid.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple
from uuid import UUID, uuid4

from assise.analytics.event import Event
from assise.errors import AssiseError, SpoolError

BATCH = 500
"""Events that are kept in one transaction."""


class Segment(NamedTuple):
    """The events of a file that nobody else reads meanwhile, and how many lines are none."""

    path: Path
    events: list[Event]
    broken: int


class Spool:
    """Files of events in a folder, of at most `limit` bytes in all."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._lock = Lock()
        self._file: BinaryIO | None = None
        self._pid = 0
        # A child would hold the lock of its parent's segment for as long as it lives.
        os.register_at_fork(after_in_child=self._close)

    def append(self, *events: Event) -> None:
        """Keep events, all or none; they are on disk when this returns.

        Raises:
            SpoolError: the spool is full, or its folder cannot be written.
        """
        lines = b"".join(json.dumps(each, default=str).encode() + b"\n" for each in events)
        with self._lock:
            try:
                if self.size() + len(lines) > self.limit:
                    raise SpoolError(
                        f"the spool of events {self.folder} is full: {self.limit:,} bytes",
                        remedy="Events are drained while PostgreSQL can be reached; or raise"
                        " analytics.spool_bytes.",
                    )
                if self._file is None or self._pid != os.getpid():
                    self._file = self._open()
                _write(self._file, lines)
            except OSError as error:
                self._close()
                raise SpoolError(
                    f"the event cannot be written to {self.folder}: {error.strerror}",
                    remedy="Make the folder writable, and leave space on the disk.",
                ) from error

    def _open(self) -> BinaryIO:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{uuid4()}.jsonl"
        file = path.open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        if not path.exists():
            # Somebody drained it, still empty, before it was locked.
            file.close()
            return self._open()
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._pid = os.getpid()
        return file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def rotate(self) -> None:
        """Let others read what was written so far; the next event goes to a new file."""
        with self._lock:
            if self._pid == os.getpid():
                self._close()

    def size(self) -> int:
        """Bytes of all files."""
        total = 0
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
        return total

    def list_segments(self) -> list[Path]:
        """The files, the oldest first."""
        found = []
        with suppress(FileNotFoundError):
            for path in self.folder.glob("*.jsonl"):
                with suppress(FileNotFoundError):
                    found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    @contextmanager
    def take(self, path: Path) -> Iterator[Segment | None]:
        """A segment to keep; None where another process has it. Behind the block it is removed.

        A last line that is cut was never promised. Other lines that are no events stay in a file
        beside it.
        """
        try:
            file = path.open("rb")
        except FileNotFoundError:
            yield None
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            if not path.exists():
                yield None
                return
            segment = _read(path, file.read())
            yield segment
            if segment.broken:
                path.rename(path.with_suffix(".broken"))
            else:
                path.unlink()


def _write(file: BinaryIO, lines: bytes) -> None:
    """Write to the disk, all or nothing: one that is full takes a part first, and says so next."""
    begin, rest = file.tell(), memoryview(lines)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fdatasync(file.fileno())
    except OSError:
        with suppress(OSError):
            file.truncate(begin)
        raise


def _read(path: Path, content: bytes) -> Segment:
    events, broken = [], 0
    for line in content.split(b"\n")[:-1]:
        try:
            events.append(_read_event(json.loads(line)))
        except (ValueError, TypeError, AssiseError):
            broken += 1
    return Segment(path, events, broken)


def _read_event(fields: list[str]) -> Event:
    uuid, event, distinct_id, at, sent, properties, session = fields
    json.loads(properties)
    return Event(
        UUID(uuid), event, distinct_id, datetime.fromisoformat(at), sent, properties, session
    )
