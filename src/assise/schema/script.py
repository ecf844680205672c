"""Everything that a load creates, as SQL to read or to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Self

from assise.manifest.model import Manifest
from assise.schema.access import access_script
from assise.schema.born import create_born, list_types
from assise.schema.cached import list_cache_objects
from assise.schema.comments import find_comments, set_comments
from assise.schema.constraints import list_objects
from assise.schema.objects import Lesser, lessen
from assise.schema.sql import (
    add_foreign_keys,
    create_extension,
    create_function,
    create_tables,
    extensions,
    key_functions,
    quote,
)

NOTHING: Mapping[str, Lesser] = MappingProxyType({})
"""No key has something lesser in its place."""


class SqlText(str):
    """SQL of a file of the manifest, whose name errors of the server give; and the view it makes."""

    __slots__ = ("file", "view")
    file: str
    view: str

    def __new__(cls, text: str, file: str, view: str = "") -> Self:
        """The text, with the path as the manifest says it."""
        made = super().__new__(cls, text)
        made.file, made.view = file, view
        return made


def list_statements(
    manifest: Manifest,
    schema: str,
    texts: Sequence[str] = (),
    *,
    lesser: Mapping[str, Lesser] = NOTHING,
) -> list[str]:
    """Schemas, extensions, functions, tables, keys, indexes, constraints, comments, access rules.

    Args:
        texts: those of the files that `sql:` names.
        lesser: the keys in whose place something lesser stands, by their ids.
    """
    layout = manifest.layout
    schemas = manifest.schemas
    return [
        *(f"CREATE SCHEMA IF NOT EXISTS {quote(name)}" for name in schemas),
        *(create_extension(name, schema) for name in extensions(list_types(manifest))),
        *(create_function(name, schema) for name in key_functions(layout)),
        *create_tables(layout, schema),
        *create_born(manifest, schema),
        *(text for _, text in add_foreign_keys(layout, schema)),
        *access_script(manifest, schema),
        *(each.sql for each in lessen(list_objects(manifest, schema), lesser)),
        *set_comments(find_comments(manifest), schema),
        *texts,
    ]


def script(
    manifest: Manifest,
    schema: str,
    texts: Sequence[str] = (),
    *,
    lesser: Mapping[str, Lesser] = NOTHING,
) -> str:
    """What a load creates, as one text of SQL; arguments as of `list_statements`."""
    return _join(list_statements(manifest, schema, texts, lesser=lesser))


def script_all(manifest: Manifest, schema: str, texts: Sequence[str] = ()) -> str:
    """The same, with what the cache needs, which no revision owns."""
    cached = [each.create for each in list_cache_objects(manifest, schema)]
    return _join([*list_statements(manifest, schema, texts), *cached])


def _join(statements: Sequence[str]) -> str:
    return "\n\n".join(f"{statement};" for statement in statements) + "\n"


def hash_script(manifest: Manifest, schema: str, texts: Sequence[str] = ()) -> str:
    """The sha256 of that text: two manifests with one hash make the same."""
    return sha256(script(manifest, schema, texts).encode()).hexdigest()
