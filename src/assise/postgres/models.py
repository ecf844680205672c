"""Tables as classes of SQLAlchemy 2, written by sqlacodegen."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from assise import extras
from assise.errors import UsageError
from assise.manifest.names import split_table
from assise.postgres.connection import Connection
from assise.postgres.environment import without_service
from assise.wording import nearest

EXTRA = "schema"


def write_models(connection: Connection, tables: Sequence[str]) -> str:
    """The classes of these tables; a name without a schema is looked for on the search path.

    Raises:
        MissingExtraError: sqlacodegen is not installed. UsageError: a table is not there.
    """
    sqlalchemy = extras.load("sqlalchemy", extra=EXTRA)
    text = extras.load("assise.postgres.model_text", extra=EXTRA)

    def connect() -> psycopg.Connection:
        with without_service(connection.conninfo):
            return psycopg.connect(connection.conninfo)

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=connect)
    try:
        inspector = sqlalchemy.inspect(engine)
        groups: dict[str | None, list[str]] = {}
        for schema, name in map(split_table, tables):
            groups.setdefault(schema, []).append(name)
        known = [
            f"{schema}.{name}" if schema else name
            for schema in groups
            for name in inspector.get_table_names(schema)
        ]
        missing = [name for name in tables if name not in known]
        if missing:
            raise UsageError(
                f"{connection.target} has no table {missing[0]}",
                remedy=f"`assise load FOLDER` makes it. {nearest(missing[0], known)}",
            )
        metadata = sqlalchemy.MetaData()
        for schema, names in groups.items():
            metadata.reflect(engine, schema, only=names)
        return str(text.ModelText(metadata, engine, set()).generate())
    finally:
        engine.dispose()
