"""The version of the manifest and the name of the project."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.names import MAX_NAME_BYTES
from assise.manifest.problems import Place, Problem
from assise.wording import show

SERVERS_OWN = frozenset({"postgres", "template0", "template1"})
"""Databases that every cluster has, and that new databases are made from."""

_NAME = "[A-Za-z][A-Za-z0-9_-]*"


def _check_name(place: Place, name: str, tables: Tables) -> Iterator[Problem]:
    del tables
    if not re.fullmatch(_NAME, name) or len(name) > MAX_NAME_BYTES:
        remedy = (
            "Begin with a letter A-Z or a-z; then letters, digits, _ and -,"
            f" at most {MAX_NAME_BYTES} in all."
        )
        yield Problem(place, "cannot be the name of a project", show(name), remedy)
    if name in SERVERS_OWN:
        remedy = "Give the project another name."
        yield Problem(place, "is a database of PostgreSQL's own", show(name), remedy)


ASSISE: Key[int] = Key(
    "assise",
    "manifest",
    help="version of the manifest: 1",
    affects="nothing",
    missing="Write assise: 1 in the first line.",
    schema={"const": 1},
)
NAME = Key(
    "name",
    "manifest",
    help="name of the project and of its database on the embedded server: a letter, then letters,"
    f" digits, _, -; at most {MAX_NAME_BYTES}",
    affects="nothing",
    check=_check_name,
    missing="Name the project, such as name: shop.",
    schema={"type": "string", "pattern": f"^{_NAME}$", "maxLength": MAX_NAME_BYTES},
)
KEYS = (ASSISE, NAME)
