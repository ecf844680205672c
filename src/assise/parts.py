"""The one list of parts: what each is called, and where its word stands.

One word names a part in all places; where it has another one there, or none, `Part` says so. Parts
never import each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from assise.access import rules
from assise.analytics import tables as analytics_tables
from assise.audit import tables as audit
from assise.cache import tables as cache_tables
from assise.extras import load
from assise.partitions import tables as partitions
from assise.revisions import owner as revisions_owner
from assise.search import tables as search_tables
from assise.worker import books

if TYPE_CHECKING:
    from collections.abc import Sequence

    from assise.postgres.connection import Connection
    from assise.rows.model import WovenColumns
    from assise.workspace import Additions, CheckManifest, Job, LoadedTables, Owner


@dataclass(frozen=True)
class Part:
    """A part: the package of this name, the folder of this name in the tests, and a page.

    Args:
        nouns: its words on the command line.
        extra: the optional packages that it needs.
        sections: its modules in `manifest/sections`.
        bookkeeping: its row in `assise.part`.
        page: its page in the documentation.
        additions: what it adds to the tables of a load.
        check: what refuses a manifest before a load.
        jobs: the module whose `list_jobs` says what the worker runs for the tables of a load.
        is_face: whether it stands above applications, as the command line does, and is no job.
    """

    name: str
    nouns: tuple[str, ...] = ()
    extra: str | None = None
    sections: tuple[str, ...] = ()
    bookkeeping: str | None = None
    page: str = ""
    additions: Additions | None = None
    check: CheckManifest | None = None
    jobs: str | None = None
    is_face: bool = False


MAIN = "migrate infer load verify rejects export undo".split()

PARTS = (
    Part("transfer", nouns=tuple(MAIN), bookkeeping="transfer", page="migrate.md"),
    Part(
        "access",
        nouns=("access",),
        sections=("access", "deletion", "personal"),
        bookkeeping="access",
        page="how-to/access.md",
        additions=rules,
        jobs="assise.access.purge",
    ),
    Part(
        "search",
        nouns=("search", "mcp"),
        extra="search",
        sections=("search", "search_log", "embedding", "chat"),
        bookkeeping="search",
        page="how-to/search.md",
        additions=search_tables,
        jobs="assise.search.jobs",
    ),
    Part(
        "analytics",
        nouns=("analytics",),
        extra="analytics",
        sections=("analytics",),
        bookkeeping="analytics",
        page="how-to/events.md",
        additions=analytics_tables,
        check=analytics_tables.check_manifest,
        jobs="assise.analytics.jobs",
    ),
    Part(
        "cache",
        nouns=("cache", "redis"),
        extra="redis",
        sections=("redis", "redis_keys", "cached"),
        bookkeeping="cache",
        page="how-to/cache.md",
        additions=cache_tables,
        jobs="assise.cache.relay",
    ),
    Part("monitor", page="how-to/monitor.md"),
    Part(
        "revisions",
        nouns=("schema",),
        extra="schema",
        sections=("revisions", "views"),
        bookkeeping="revisions",
        page="how-to/revisions.md",
        additions=revisions_owner,
        jobs="assise.revisions.refresh",
    ),
    Part(
        "audit",
        nouns=("audit",),
        sections=("audit",),
        bookkeeping="audit",
        page="how-to/audit.md",
        additions=audit,
        jobs="assise.audit.verbs",
    ),
    Part(
        "partitions",
        nouns=("partitions",),
        sections=("partitions",),
        page="how-to/partitions.md",
        additions=partitions,
        jobs="assise.partitions.tables",
    ),
    Part(
        "worker",
        nouns=("worker",),
        extra="jobs",
        bookkeeping="worker",
        page="how-to/worker.md",
        additions=books,
    ),
    Part(
        "identity",
        nouns=("identity",),
        extra="api",
        sections=("identity", "servers"),
        bookkeeping="identity",
        page="how-to/sign-in.md",
    ),
    Part(
        "collections",
        nouns=("mongo",),
        sections=("mongo", "mongo_collections", "mongo_fields", "mongo_indexes"),
        page="how-to/mongodb-that-stays.md",
    ),
    Part(
        "api",
        nouns=("serve",),
        extra="api",
        sections=("api", "http"),
        page="how-to/serve.md",
        is_face=True,
    ),
)


def find_owner() -> Owner:
    """Who knows whether revisions own the schema."""
    return revisions_owner


def list_additions() -> Sequence[Additions]:
    """What parts add to the tables of a load."""
    return [part.additions for part in PARTS if part.additions is not None]


def list_checks() -> Sequence[CheckManifest]:
    """What parts refuse before a load."""
    return [part.check for part in PARTS if part.check is not None]


def list_beside(connection: Connection, load: str) -> set[tuple[str, str]]:
    """What parts have made for a load that is in no sum of a schema: table, and kind with name."""
    beside = [part for part in list_additions() if part is not rules]
    return {each for part in beside for each in part.list_additions(connection, load)}


def list_readers(connection: Connection, load: str) -> set[str]:
    """The triggers of parts that read columns of their tables; those of audit follow these."""
    others = [part for part in list_additions() if part not in (rules, audit)]
    made = {what for part in others for _, what in part.list_additions(connection, load)}
    return {what.removeprefix("trigger ") for what in made if what.startswith("trigger ")}


def add_woven(connection: Connection, tables: LoadedTables) -> WovenColumns:
    """Make the columns of ours that a load writes beside its own; which they are."""
    return rules.add_woven(connection, tables)


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """The jobs of all parts for the tables of a load."""
    return [job for part in PARTS if part.jobs for job in load(part.jobs).list_jobs(tables)]
