"""A step of a plan, and names that are made of others."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedStep:
    """Statements of one transaction, and those that take them back.

    Without `up` the others run whenever the revision is taken back.

    batch, batch_back: the table whose rows the one UPDATE goes through by its primary key.
    loses: the column or table whose values go with the step.
    moves, moves_back: marks by which the stored layout of a load follows.
    says: what people must know of it.
    is_each, is_each_back: whether it runs for each partition of a table that is cut.
    index: the index that its one statement makes CONCURRENTLY.
    """

    up: tuple[str, ...]
    down: tuple[str, ...] = ()
    batch: str = ""
    batch_back: str = ""
    loses: str = ""
    moves: tuple[str, ...] = ()
    moves_back: tuple[str, ...] = ()
    says: str = ""
    is_each: bool = False
    is_each_back: bool = False
    index: str = ""


def quote_again(name: str) -> str:
    """A name made of a quoted one, quoted where it must be, and at most 63 bytes long.

    >>> quote_again("users_new"), quote_again('"Users"_new')
    ('users_new', '"Users_new"')
    """
    bare = name.replace('"', "")
    cut = bare.encode()[-63:].decode(errors="ignore")
    return cut if re.fullmatch("[a-z_][a-z0-9_]*", cut) else f'"{cut}"'
