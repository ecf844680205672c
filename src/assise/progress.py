"""What a running job says: lines for people, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a step has come in one collection.

    `documents` have been done so far, and `position` of the `size` bytes of its file. `is_known`
    says that an earlier run did the last chunk, which was only read again. Other things than
    documents are called `noun`, and `size` is their number, or `in_bytes`.
    """

    step: str
    collection: str
    documents: int
    position: int
    size: int
    is_known: bool = False
    noun: str = "document"
    in_bytes: bool = False


OnProgress = Callable[[Progress], None]
Log = Callable[[str], None]
