"""The creation of a load: first look, then write, and leave nothing when it is refused.

The ledger, the functions of keys, the load's line and the tables are made in one transaction. Where
they are more tables than the server has locks for, the others follow in transactions of their own,
and the load's line says how many there are already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from assise.errors import RefusedError, TargetError, UsageError
from assise.manifest.layout import Layout
from assise.manifest.model import Manifest
from assise.manifest.names import split_table
from assise.manifest.write import dump_manifest
from assise.mongo.nothing import ADDRESS
from assise.mongo.source import NO_OPTIONS, NOTHING, SourceOptions, Survey
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.server import check_server, count_tables_at_once
from assise.schema.born import list_types
from assise.schema.computed import list_formulas
from assise.schema.constraints import list_objects
from assise.schema.objects import list_indexes
from assise.schema.script import SqlText
from assise.schema.sql import (
    all_layouts,
    create_extension,
    create_tables,
    extensions,
    key_functions,
    quote,
    quote_table,
)
from assise.schema.views import revoke_defaults
from assise.transfer import born, comments, ledger
from assise.transfer.followed import move
from assise.transfer.functions import find_missing, make_functions, note_function
from assise.transfer.ledger import LEDGER, QUERIES, Load
from assise.transfer.objects import note_objects, try_objects


def begin(
    connection: Connection,
    manifest: Manifest,
    address: str,
    options: SourceOptions = NO_OPTIONS,
    *,
    chunk_bytes: int,
    metadata: Mapping[str, str | None] = {},
    survey: Survey = NOTHING,
    texts: Sequence[SqlText] = (),
) -> Load:
    """Create the ledger where it is missing, the load and its tables; behind them run `texts`.

    The load's source has this address and these options; `metadata` and `survey` are what it says
    of its collections.

    Raises:
        TargetError: a table or an index of the manifest exists already, or a function that is not
        ours, or the schema `assise` is another role's. ManifestError: the server refuses a
        constraint, an index or a default. UsageError: a table has two names. Nothing was written.
    """
    schema, layout = check_server(connection), manifest.layout
    tables = [*(table.table for table in all_layouts(layout)), *manifest.born]
    objects = list_objects(manifest, schema)
    _check_twice(tables, schema)
    with bookkeeping.lock(connection):
        bookkeeping.check_access(connection, bookkeeping.WRITING)
        _check_schemas(connection, manifest.schemas)
        find_missing(connection, key_functions(layout), schema)
        _check_new(connection, tables, schema, list_indexes(objects))
        with connection.transaction():
            bookkeeping.upgrade(connection, LEDGER)
            _make_extensions(connection, list_types(manifest), schema)
            make_functions(connection, layout, schema)
            load = _insert(
                connection, manifest, address, options, schema=schema, chunk_bytes=chunk_bytes
            )
            names = [name for name, text in metadata.items() if text or name in survey]
            lines = {
                "load_id": load.id,
                "names": names,
                "metadata": [metadata.get(name) for name in names],
                "surveys": [json.dumps(survey[name]) if name in survey else None for name in names],
            }
            connection.execute(QUERIES["insert_collections"], lines)
            born.make_schemas(connection, load, manifest.schemas)
            born.make_tables(connection, load, manifest)
            is_whole = _create_some(connection, load, 0, texts)
            if is_whole:
                try_objects(connection, [*list_formulas(manifest, schema), *objects])
                comments.apply_comments(connection, load, manifest)
    if not is_whole:
        create_rest(connection, load, texts)
        comments.apply_manifest(connection, load, manifest)
    return load


def adopt(
    connection: Connection, manifest: Manifest, *, first: str, schema: str, chunk_bytes: int
) -> Load:
    """Note the tables of a manifest, which revisions have made, as a load; or find it noted.

    It is finished and has no documents; revisions own its tables. Where the manifest has
    collections it is closed by the first revision, so that nothing asks for their documents.
    """
    with bookkeeping.lock(connection), connection.transaction():
        bookkeeping.upgrade(connection, LEDGER)
        if found := ledger.find_load(connection, manifest.name):
            return found
        facts = (connection, manifest, ADDRESS, NO_OPTIONS)
        load = _insert(*facts, schema=schema, chunk_bytes=chunk_bytes)
        born.note(connection, load, [*manifest.born])
        for name in key_functions(load.layout):
            note_function(connection, name, schema)
        note_objects(connection, load, list_objects(manifest, schema))
        ledger.finish(connection, load)
        move(connection, load, [("own",)])
        if manifest.roots:
            connection.execute(QUERIES["close"], {"load_id": load.id, "revision": first})
    return load


def _make_extensions(connection: Connection, types: Sequence[str], schema: str) -> None:
    """Make the extensions that columns need, in the schema of the tables; undo leaves them.

    Raises:
        TargetError: the server does not have one.
    """
    for name in extensions(types):
        [(is_made, is_available)] = connection.execute(QUERIES["extension"], {"name": name})
        if is_made:
            continue
        if not is_available:
            raise TargetError(
                f"{connection.target} has no extension {name}",
                remedy="Install PostgreSQL's contrib package there, or give the columns type text.",
            )
        connection.execute(create_extension(name, schema))


def _insert(
    connection: Connection,
    manifest: Manifest,
    address: str,
    options: SourceOptions,
    *,
    schema: str,
    chunk_bytes: int,
) -> Load:
    layout: Layout = manifest.layout
    parameters = {
        "name": manifest.name,
        "source": address,
        "options": json.dumps(options.as_json()),
        "schema": schema,
        "manifest": dump_manifest(manifest, with_secrets=False),
        "layout": json.dumps(layout.as_json()),
        "chunk_bytes": chunk_bytes,
    }
    load_id = int(str(connection.scalar(QUERIES["insert_load"], parameters)))
    facts = (load_id, manifest.name, address, layout, schema, chunk_bytes)
    return Load(*facts, is_finished=False, options=options)


def create_rest(connection: Connection, load: Load, texts: Sequence[SqlText] = ()) -> None:
    """Create the tables that are still missing of a load that was stopped while it began.

    Raises:
        TargetError: there is another table of this name by now.
    """
    tables = [table.table for table in all_layouts(load.layout)]
    while (created := ledger.count_created(connection, load)) is not None:
        _check_new(connection, tables[created:], load.schema)
        with connection.transaction():
            _create_some(connection, load, created, texts)


def _create_some(
    connection: Connection, load: Load, created: int, texts: Sequence[SqlText]
) -> bool:
    """Create as many tables as one transaction may; whether these were the last."""
    stop = created + count_tables_at_once(connection)
    statements = create_tables(load.layout, load.schema)
    connection.execute(";\n".join(statements[created:stop]) or "SELECT")
    is_whole = stop >= len(statements)
    if is_whole:
        for text in texts:
            _run_text(connection, text)
    parameters = {"load_id": load.id, "created": None if is_whole else stop}
    connection.execute(QUERIES["set_created"], parameters)
    return is_whole


def _check_twice(tables: Sequence[str], schema: str) -> None:
    for name in tables:
        if f"{schema}.{name}" in tables:
            raise UsageError(
                f"tables {name!r} and {f'{schema}.{name}'!r} of the manifest are one: names without"
                f" a schema are in {schema}",
                remedy="Rename one of them.",
            )


def _run_text(connection: Connection, text: SqlText) -> None:
    try:
        connection.execute(text)
        if text.view:
            connection.execute(revoke_defaults(text.view))
    except RefusedError as error:
        raise RefusedError(
            f"{text.file}: the server refuses it: {error.message}",
            remedy="Correct the file; nothing was written.",
        ) from error


def _check_schemas(connection: Connection, names: list[str]) -> None:
    found = connection.execute(QUERIES["closed_schemas"], {"names": names}) if names else []
    for (name,) in found:
        raise TargetError(
            f"{connection.target}: the user may not CREATE on schema {name}",
            remedy=f"GRANT USAGE, CREATE ON SCHEMA {quote(str(name))} …",
        )


def _check_new(
    connection: Connection,
    tables: list[str],
    schema: str,
    indexes: Sequence[tuple[str, str]] = (),
) -> None:
    places = [(quote_table(schema, table), table) for table in tables]
    places += [(quote(split_table(table)[0] or schema, name), name) for table, name in indexes]
    born.check_free(
        connection,
        places,
        remedy="Rename the tables in the manifest, give an empty database, or drop them yourself.",
    )
