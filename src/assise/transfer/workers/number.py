"""How many workers a command has."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from assise.mongo.opening import measure
from assise.mongo.source import Source
from assise.settings import WORKERS, count_cores
from assise.transfer.workers.spare import spare_processes
from assise.workspace import Workspace

WORKER_BYTES = 8 << 20
"""Source bytes that are worth a further worker: one takes half a second to start."""

MOST_WORKERS = 8
"""Workers started unasked, at most: each has a session, of which a server usually takes 100."""


def spare_workers(workspace: Workspace, place: Path | str | None) -> AbstractContextManager[None]:
    """Fork the workers of a block, before this process has threads or connections.

    They are as many as the source needs; of a server, and of what the ledger names, as there may be.
    """
    size = None if place is None else measure(place)
    needed = MOST_WORKERS if size is None else _divide(size)
    return spare_processes(min(_choose(workspace, needed), MOST_WORKERS) - 1)


def count_workers(workspace: Workspace, source: Source) -> int:
    """As many as the user gives; else one for each core, fewer for a small source."""
    return _choose(workspace, count_needed(source))


def count_needed(source: Source) -> int:
    """How many workers have work that is worth their start."""
    return _divide(sum(each.size for each in source.collections if each.is_listed))


def _choose(workspace: Workspace, needed: int) -> int:
    return workspace.setting(WORKERS) or min(count_cores(), MOST_WORKERS, max(1, needed))


def _divide(size: int) -> int:
    return -(-size // WORKER_BYTES)
