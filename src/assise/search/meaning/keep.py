"""Passages of the tables of a load: who embeds them, and what the worker does when rows change."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace

from assise.errors import AssiseError, BusyError, UsageError
from assise.manifest.sections.embedding import MEANING, Meaning
from assise.postgres.connection import Connection
from assise.schema.access import AccessRules
from assise.schema.search.meaning import find_embedded
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.choose import describe_embedder, is_remote, read_embedder
from assise.search.meaning.embedder import Embedder
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
    builder = PassageBuilder(
        connection, embedded, using, {}, should_stop=should_stop, progress=progress
    )
    return replace(builder, others=_open_others(builder, embedders))


def _open_others(builder: PassageBuilder, embedders: Embedders) -> dict[str, Embedder]:
    """The models that are used until that of the manifest is complete.

    No text goes to another machine for them: that was agreed to for a model that stays.
    """
    found = dict[str, Embedder]()
    for name, _place, _dimensions, _is_active, described in builder.list_models():
        with suppress(AssiseError, ValueError):
            embedder = embedders.open(read_embedder(json.dumps(described)))
            if embedder.model.full_name == name and not is_remote(embedder):
                found[str(name)] = embedder
    found.pop(builder.using.embedder.model.full_name, None)
    return found


def embed_changed(
    connection: Connection, should_stop: Callable[[], bool], *, tables: LoadedTables
) -> str:
    """Embed the rows that have changed; says how many. Nothing is started where none has.

    All rows of a table go to another machine only by `assise search embed`, which asks before.

    Raises:
        EmbedderError: the model cannot be run.
    """
    with closing(Embedders(tables.home)) as embedders:
        builder = open_builder(connection, tables, embedders, should_stop=should_stop)
        is_waiting = any(map(builder.count_waiting, builder.tables))
        is_new = not builder.is_made() or builder.list_new()
        if is_waiting and is_new and is_remote(builder.using.embedder):
            return ""
        try:
            if not is_waiting:
                with builder.alone(patience_s=0):
                    builder.tidy(is_changed=False)
                return ""
            spent = builder.build(patience_s=0).values()
        except BusyError:
            return ""
    rows = sum(each.rows for each in spent)
    return f"{count_of(rows, 'row')} embedded" if rows else ""
