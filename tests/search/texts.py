"""A database with the functions of `schema/search_text.py`, and what they make of a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from assise.schema.search_text import EXTENSIONS, LANGUAGES, list_functions
from assise.schema.sql import quote

ALL = [*LANGUAGES, "code", "simple"]


@dataclass(frozen=True)
class Texts:
    """The functions in one schema of a database."""

    connection: psycopg.Connection[tuple[Any, ...]]
    schema: str = "public"

    def create(self, languages: Sequence[str] = ALL) -> None:
        """Make them; a second time changes nothing."""
        for extension in EXTENSIONS:
            self.connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}".encode())
        for statement in list_functions(self.schema, languages):
            self.connection.execute(statement.encode())

    def call(self, function: str, *values: object) -> object:
        """The value of a function."""
        places = ", ".join(["%s"] * len(values))
        statement = f"SELECT {quote(self.schema, function).replace('%', '%%')}({places})"
        row = self.connection.execute(statement.encode(), values).fetchone()
        assert row
        return row[0]

    def vector(self, text: str | None, *languages: str, own: Sequence[str] | None = None) -> str:
        """The lexemes of a text, with their positions."""
        return str(self.call("search_vector", text, [*languages], own))

    def lexemes(self, text: str | None, *languages: str) -> set[str]:
        """The lexemes of a text."""
        names = "SELECT tsvector_to_array(%s::tsvector)"
        row = self.connection.execute(names, (self.vector(text, *languages),)).fetchone()
        assert row
        return set(row[0])

    def query(
        self, text: str | None, *languages: str, fields: Sequence[str] = ()
    ) -> dict[str, Any]:
        """What a query asks for."""
        asked = self.call("search_query", text, [*languages], [*fields])
        assert isinstance(asked, dict)
        return asked

    def finds(self, query: str, text: str, *languages: str) -> bool:
        """Whether a text has a term of a query, and all that the query requires."""
        asked = self.query(query, *languages)
        vector = self.vector(text, *languages)
        row = self.connection.execute(
            "SELECT array(SELECT jsonb_object_keys(%s::jsonb)) && tsvector_to_array(%s::tsvector)"
            " AND NOT array(SELECT jsonb_array_elements_text(%s::jsonb)) && tsvector_to_array(%s)"
            " AND (%s = '' OR %s::tsvector @@ %s::tsquery)",
            (
                json.dumps(asked["terms"]),
                vector,
                json.dumps(asked["without"]),
                vector,
                asked["require"],
                vector,
                asked["require"],
            ),
        ).fetchone()
        return bool(row and row[0])
