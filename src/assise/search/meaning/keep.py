"""Passages of the tables of a load: who embeds them, and what the worker does when rows change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from assise.errors import BusyError, UsageError
from assise.manifest.sections.embedding import MEANING, Meaning
from assise.postgres.connection import Connection
from assise.schema.access import AccessRules
from assise.schema.search.meaning import find_embedded
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.choose import describe_embedder
from assise.search.meaning.verbs import Embedders
from assise.search.tables import find_vector
from assise.wording import count_of
from assise.workspace import LoadedTables


def open_builder(
    connection: Connection,
    tables: LoadedTables,
    embedders: Embedders,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[str, int, int], None] = lambda _table, _rows, _size: None,
) -> PassageBuilder:
    """What embeds the tables of a load by the model of its manifest.

    Raises:
        UsageError: no table is searched by meaning, or the server has no pgvector.
    """
    rules = AccessRules(tables.manifest, tables.schema)
    vector = find_vector(connection)
    embedded = find_embedded(rules, vector)
    if not embedded:
        message = f"no table of {tables.name!r} is searched by meaning"
        remedy = "Write embed: [COLUMN, …] at a table."
        if find_embedded(rules, "public"):
            message = "the server has no pgvector 0.7 or later, which holds vectors"
            remedy = "Install the extension vector; then `assise load` makes what is missing."
        raise UsageError(message, remedy=remedy)
    meaning = MEANING.of(tables.manifest) or Meaning()
    own = embedders.open(meaning)
    using = Using(own, describe_embedder(meaning))
    return PassageBuilder(
        connection, embedded, using, {}, should_stop=should_stop, progress=progress
    )


def embed_changed(
    connection: Connection, should_stop: Callable[[], bool], *, tables: LoadedTables
) -> str:
    """Embed the rows that have changed; says how many. Nothing is started where none has.

    Raises:
        EmbedderError: the model cannot be run.
    """
    folder = (tables.folder or Path()).parent
    with closing(Embedders(folder)) as embedders:
        builder = open_builder(connection, tables, embedders, should_stop=should_stop)
        if not any(map(builder.count_waiting, builder.tables)):
            return ""
        try:
            spent = builder.build(patience_s=0).values()
        except BusyError:
            return ""
    rows = sum(each.rows for each in spent)
    return f"{count_of(rows, 'row')} embedded" if rows else ""
