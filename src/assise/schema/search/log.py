"""The log of searches as SQL: its table, who may write it, and what is read of it."""

from __future__ import annotations

from collections.abc import Mapping

from assise.manifest.sections.search_log import LOG_TABLE, SEARCH_LOG
from assise.schema.access import AccessRules
from assise.schema.partitions import Partitioning
from assise.schema.search.searched import fill, read_blocks
from assise.schema.sql import quote

LOG = read_blocks("log.sql")
LOG_FUNCTIONS = {
    "_search_person": ("person", ""),
    "_search_note": ("note", "text, text[], integer, double precision, boolean, jsonb"),
    "_search_popular": ("popular", "text"),
    "_search_click": ("click", "uuid, text[], text"),
}
"""The functions, each with its block and the types of its arguments."""

LOG_TABLES = {LOG_TABLE: "log", "_search_secret": "secret"}
STORED_USERS = {
    "hash": "encode(substr(sha256(s.outer_key || sha256(s.inner_key || convert_to(u.key, 'UTF8'))), 1, 16), 'hex')",
    "key": "u.key",
    "none": "NULL::text",
}
"""What the log has of a user: NMAC with SHA-256 (Bellare, Canetti, Krawczyk, CRYPTO 1996), its key,
or nothing."""


def list_log_parts(rules: AccessRules) -> Mapping[str, str]:
    """What is put into the blocks of `log.sql`; empty where searches are not kept."""
    log = SEARCH_LOG.of(rules.manifest)
    if log is None:
        return {}
    names = {block: name for name, (block, _) in LOG_FUNCTIONS.items()}
    names |= {block: name for name, block in LOG_TABLES.items()}
    names["before"] = "_search_queries_before"
    parts = {block: quote(rules.schema, name) for block, name in names.items()}
    cut = {"cut": months.cut()} if (months := find_log_months(rules)) else {}
    return {**parts, **cut, "stored_user": STORED_USERS[log.users]}


def find_log_months(rules: AccessRules) -> Partitioning | None:
    """How the log is cut by months; None where searches are not kept."""
    log = SEARCH_LOG.of(rules.manifest)
    if log is None:
        return None
    return Partitioning(rules.schema, LOG_TABLE, "asked_at", ahead=3, keep=log.keep)


def write_statement(rules: AccessRules, name: str) -> str:
    """One of the statements of operators about the log."""
    return fill(LOG[name].replace("%", "%%").replace("%%(", "%("), list_log_parts(rules))


def note_search(schema: str | None) -> str:
    """The statement that notes a search, and need not be safe on disk when it is answered."""
    return (
        f"SELECT set_config('synchronous_commit', 'off', true), {_name(schema, '_search_note')}"
        "(%(q)s, %(tables)s::text[], %(hits)s::int4, %(ms)s::float8, %(is_next)s::bool,"
        " %(shown)s::jsonb)::text AS id"
    )


def note_click(schema: str | None) -> str:
    """The statement that notes a hit that was opened: whether it was shown."""
    return f"SELECT {_name(schema, '_search_click')}(%(query)s::uuid, %(key)s::text[], %(table)s)"


def _name(schema: str | None, function: str) -> str:
    return quote(schema, function) if schema else function


__all__ = [
    "LOG_FUNCTIONS",
    "LOG_TABLES",
    "find_log_months",
    "list_log_parts",
    "note_click",
    "note_search",
]
