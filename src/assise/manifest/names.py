"""Names of tables and columns, as PostgreSQL takes them."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.problems import Place, Problem
from assise.wording import show

MAX_NAME_BYTES = 63
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def check_name(place: Place, name: str) -> Iterator[Problem]:
    """Check the name of a table or a column."""
    size = len(name.encode())
    if not name:
        yield Problem(place, "is an empty name", remedy="Give it a name.")
    elif "\0" in name:
        message = "is a name with a NUL, which PostgreSQL cannot hold"
        yield Problem(place, message, show(name), "Choose another name.")
    elif size > MAX_NAME_BYTES:
        remedy = f"PostgreSQL takes {MAX_NAME_BYTES}: choose a shorter one."
        yield Problem(place, f"is a name of {size} bytes", show(name), remedy)


def check_column_name(place: Place, name: str) -> Iterator[Problem]:
    """Check the name of a column."""
    yield from check_name(place, name)
    if name in SYSTEM_COLUMNS:
        message = "is the name of a system column of PostgreSQL"
        yield Problem(place, message, name, f"Choose another name, such as {name}_.")
