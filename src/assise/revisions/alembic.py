"""Alembic beside Assise: which tables its autogenerate must leave alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from assise.manifest.model import Manifest
from assise.manifest.names import split_table
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.audit import AUDIT, LOG_NAME, SEAL_NAME
from assise.manifest.sections.partitions import PARTITION
from assise.manifest.sections.search_log import LOG_TABLE, SEARCH_LOG
from assise.manifest.sections.views import VIEWS
from assise.schema.requests import REQUESTS

_INNER = r"_(search|meaning|cache)_.*"
_PARTITION = r"(_(past|far|\d{4}(_\d\d){0,2}))?"

IncludeObject = Callable[["_Named", "str | None", str, bool, object], bool]
"""What `context.configure` of Alembic takes as `include_object`."""


class _Named(Protocol):
    """A table of SQLAlchemy, or what belongs to one as its `table`."""

    schema: str | None


def leave_ours(manifest: Manifest) -> IncludeObject:
    """A function that says whether an object is the application's own, and so Alembic's.

    Left alone are the manifest's tables and views, their partitions, what parts make beside them,
    and the schema of the bookkeeping; with all that belongs to them.
    """
    ours = [(schema, re.compile(text)) for schema, text in _list_ours(manifest)]

    def include(item: _Named, name: str | None, kind: str, is_found: bool, other: object) -> bool:
        del kind, is_found, other
        table = getattr(item, "table", item)
        bare = str(getattr(table, "name", name))
        own = None if table.schema == "public" else table.schema
        is_ours = any(schema == own and text.fullmatch(bare) for schema, text in ours)
        return own != "assise" and not is_ours

    return include


def _list_ours(manifest: Manifest) -> Iterator[tuple[str | None, str]]:
    """Schemas, and patterns of the names of tables there."""
    yield from ((schema, _INNER) for schema in (None, *manifest.schemas))
    named = [*manifest.tables, *(VIEWS.of(manifest) or {})]
    named += [LOG_NAME, SEAL_NAME] if any(map(AUDIT.of, manifest.tables.values())) else []
    named += [REQUESTS] if ROLES.of(manifest) else []
    named += [LOG_TABLE] if SEARCH_LOG.of(manifest) else []
    cut = {LOG_NAME, LOG_TABLE, *(each for each in manifest.tables if _is_cut(manifest, each))}
    for name in named:
        schema, bare = split_table(name)
        yield schema, re.escape(bare) + (_PARTITION if name in cut else "")


def _is_cut(manifest: Manifest, table: str) -> bool:
    return PARTITION.of(manifest.tables[table]) is not None
