"""The server that the tables are on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.problems import Place, Problem

_URL = re.compile(r"postgres(ql)?://.+", re.DOTALL)


def _check_postgres(place: Place, url: str, tables: Tables) -> Iterator[Problem]:
    del tables
    if url != "embedded" and not _URL.fullmatch(url) and "${" not in url:
        remedy = "Write embedded, postgresql://user@host/database, or ${VARIABLE}."
        yield Problem(place, "is neither embedded nor a URL", remedy=remedy)


POSTGRES = Key(
    "postgres",
    "manifest",
    help="embedded, or a URL; ${VAR} and ${VAR:-default} are replaced by environment variables"
    " when a command connects",
    affects="nothing",
    check=_check_postgres,
    is_secret=True,
)
KEYS = (POSTGRES,)
