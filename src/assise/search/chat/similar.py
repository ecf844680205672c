"""The text of a row, by which others that are like it are found."""

from __future__ import annotations

import json
from collections.abc import Sequence

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.embedding import find_shown
from assise.postgres.asking import Asking
from assise.schema.search.searched import select_hits
from assise.search.meaning.passages import compose

LONGEST = 1_000
"""Characters of a row by which others are found."""


def find_text(manifest: Manifest, table: str, key: Sequence[str]) -> Asking[str]:
    """The beginning of the text of the row with a key, as the session sees it.

    Raises:
        UsageError: there is no such row, or the user does not see it.
    """
    rows = yield select_hits(manifest, table, None), {"keys": json.dumps([key])}
    if not rows or len(key) != len(manifest.tables[table].primary_key):
        raise UsageError(
            f"table {table} has no row {', '.join(key)!r} that this user sees",
            remedy="Take the id of a hit.",
        )
    columns = find_shown(manifest.tables[table]).columns
    return compose(rows[0].get(name) for name in columns)[:LONGEST]
