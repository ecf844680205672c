"""What a job says while it runs: lines for people, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a step has come in one collection.

    Documents so far, and the position in its file of `size` bytes. `is_known` says that an earlier
    run has done the last chunk, and that it was only read again.
    """

    step: str
    collection: str
    documents: int
    position: int
    size: int
    is_known: bool = False


OnProgress = Callable[[Progress], None]
Log = Callable[[str], None]


def keep_silent(_line: object) -> None:
    """Log nothing, show no progress."""
