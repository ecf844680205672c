"""The fixed SQL of a package: named queries in its `sql/queries.sql`."""

from __future__ import annotations

import re
from importlib.resources import files

_BLOCK = re.compile(r"^-- (\w+) --\n-- (.+)\n((?:.+\n?)+)", re.MULTILINE)
_PART = re.compile(r"\{(\w+)\}")


class Queries:
    """Queries by name, each with a line of description.

    A query's parameters are named, as `%(name)s`. Where its text has `{part}`, another query or a
    part of SQL that its caller makes is put in.
    """

    def __init__(self, package: str) -> None:
        text = files(package).joinpath("sql", "queries.sql").read_text(encoding="utf-8")
        self.descriptions: dict[str, str] = {}
        self._queries: dict[str, str] = {}
        for name, description, query in _BLOCK.findall(text):
            self.descriptions[name] = description
            self._queries[name] = query.strip()

    def __getitem__(self, name: str) -> str:
        return self._queries[name]

    def fill(self, name: str, **parts: str) -> str:
        """A query with its parts put in: those given, and other queries."""
        texts = self._queries | {key: text.replace("%", "%%") for key, text in parts.items()}
        return _PART.sub(lambda part: texts[part[1]], self[name])


QUERIES = Queries("assise.postgres")
"""The queries of this package."""
