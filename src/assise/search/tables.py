"""The index tables and functions of searched tables: made after a load, and changed in place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

from assise.errors import RefusedError, TargetError, UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.search import SEARCH
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.made import MadeObjects, change, find_missing
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.schema.access import AccessRules
from assise.schema.managed import Managed
from assise.schema.search.meaning import find_embedded, holds_meaning
from assise.schema.search.objects import (
    EXTENSIONS,
    list_data,
    list_search_functions,
    list_search_objects,
    stands_alone,
)
from assise.schema.search.searched import Searched
from assise.schema.search_text import CODE, LANGUAGES
from assise.schema.sql import create_extension, quote
from assise.search.months import keeping_searches
from assise.search.synonyms import read_synonyms
from assise.wording import count_of
from assise.workspace import LoadedTables

QUERIES = Queries("assise.search")
PART = Bookkeeping("search", files("assise.search").joinpath("sql"))
IN_SCRIPT = False
_MADE = MadeObjects(PART, QUERIES)
forget = _MADE.forget
_FUNCTION = re.compile(r'FUNCTION "?\w+"?\."?(\w+)"?\(')


def list_additions(connection: Connection, load: str) -> set[tuple[str, str]]:
    """What was added for a load, with each of the functions that are made as one object."""
    made = _MADE.find(connection, load)
    texts = [each.create for each in made if each.kind == "function"]
    functions = {("", f"function {name}") for text in texts for name in _FUNCTION.findall(text)}
    return functions | _MADE.list_additions(connection, load)


_DROP_EXTENSION = (
    "DO $$ BEGIN DROP EXTENSION IF EXISTS {name};"
    " EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END $$"
)


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make what the search of a manifest needs, and take away what it needs no longer.

    An index table whose text or languages changed is made again, and then built anew.

    Raises:
        TargetError: the server refuses something, or a function has one of our names.
    """
    made = _MADE.find(connection, tables.name)
    is_wanted = bool(list_search_functions(tables.manifest, tables.schema))
    if not is_wanted and not made:
        return
    bookkeeping.ensure(connection, PART)
    extensions = [each for each in made if each.kind == "extension"]
    if is_wanted:
        extensions += _make_extensions(connection, tables.schema, log)
    _check_languages(connection, tables.manifest)
    vector = find_vector(connection)
    _check_conditions(connection, AccessRules(tables.manifest, tables.schema), vector)
    synonyms = read_synonyms(tables.manifest, tables.home)
    wanted = list_search_objects(tables.manifest, tables.schema, vector=vector, synonyms=synonyms)
    wanted = [*extensions, *wanted]
    missing = find_missing(connection, wanted, tables.schema)
    if wanted == made and not missing:
        return
    rules = AccessRules(tables.manifest, tables.schema)

    def run() -> None:
        with keeping_searches(connection, rules):
            _change(connection, wanted=wanted, made=made, missing=missing)
        _MADE.keep(connection, tables.name, wanted, schema=tables.schema)

    change(connection, run, name=tables.name, what="search", log=log)
    count = len({each.table for each in wanted if each.table})
    if count:
        how = "with pgvector" if vector else "without pgvector, which is slower"
        log(f"search: {count_of(count, 'table')}, {how}; `assise search build` indexes their rows")


def check_made(connection: Connection, name: str, wanted: Sequence[Searched]) -> None:
    """Check that the index tables of searched tables were made for a load.

    Raises:
        UsageError: those of a table were not, or by a program that knew fewer.
    """
    made = {each.name for each in _MADE.find(connection, name) if each.kind == "table"}
    for table in wanted:
        if missing := {table.made(kind) for kind in list_data(table)} - made:
            what = "is not whole" if made & {table.made("rows")} else "is not made"
            raise UsageError(
                f"table {table.name!r} is searched by the manifest, but its index {what}:"
                f" there is no {min(missing)}",
                remedy="Run `assise load`, which makes it, then `assise search build`.",
            )


def _check_languages(connection: Connection, manifest: Manifest) -> None:
    """Check that each language is one of ours, or a configuration of the server.

    Raises:
        UsageError: one is neither.
    """
    known = [*LANGUAGES, CODE]
    for name, table in manifest.tables.items():
        search = SEARCH.of(table)
        unknown = [each for each in search.languages if each not in known] if search else []
        for language in unknown:
            theirs = [str(each) for (each,) in connection.execute(QUERIES["configurations"])]
            if language not in theirs:
                raise UsageError(
                    f"{name}.search.language: {language} is neither an ISO code that is known"
                    " nor a text search configuration of the server",
                    remedy="Write fr, en, code, or what SELECT cfgname FROM pg_ts_config lists.",
                )


def _check_conditions(connection: Connection, rules: AccessRules, vector: str | None) -> None:
    """Check that the server can read the condition of each `embed`, which triggers will.

    Raises:
        UsageError: it cannot.
    """
    for table in find_embedded(rules, vector):
        try:
            connection.execute(table.read_condition)
        except RefusedError as error:
            raise UsageError(
                f"{table.name}.embed.where cannot be used: {error.message}",
                remedy="Write a condition on columns of the table, such as role = 'user'.",
            ) from error


def find_vector(connection: Connection) -> str | None:
    """The schema of pgvector, if the database has one that search can use."""
    found = connection.scalar(QUERIES["vector"])
    return None if found is None else str(found)


def _make_extensions(connection: Connection, schema: str, log: Log) -> list[Managed]:
    made = []
    for name in ("vector", *EXTENSIONS):
        if not connection.scalar(QUERIES["available"], {"name": name}):
            continue
        try:
            with connection.transaction():
                connection.execute(create_extension(name, schema))
        except TargetError as error:
            log(f"extension {name} cannot be made: {error.message}")
            continue
        drop = _DROP_EXTENSION.format(name=quote(name))
        made.append(Managed("extension", "", name, "", drop))
    return made


def _change(
    connection: Connection, *, wanted: list[Managed], made: list[Managed], missing: set[Managed]
) -> None:
    """Drop what is no longer wanted as it is, and make the rest; tables stay while they can."""
    kept = {
        each for each in made if each.kind in {"table", "extension", "index"} and each in wanted
    }
    kept -= missing
    tables = (each for each in wanted if each.kind == "table" and not stands_alone(each.name))
    lost = {each.table for each in tables if each not in kept}
    kept -= {
        each
        for each in kept
        if each.kind != "extension" and not holds_meaning(each.name) and lost & {each.table, ""}
    }
    for each in reversed(made):
        if each not in kept and each.drop:
            connection.execute(each.drop)
    for each in wanted:
        if each not in kept and each.create:
            connection.execute(each.create)
