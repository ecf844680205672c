"""What a source must have for a manifest to be loaded from it, or for a sample of it."""

from __future__ import annotations

import shlex

from assise.errors import ChangedError, UsageError
from assise.manifest.model import Manifest
from assise.mongo.source import Source, find_collections
from assise.progress import Log
from assise.transfer.ledger import Load, restart_hint
from assise.wording import escape


def check_held(manifest: Manifest, source: Source, log: Log) -> None:
    """Check that the source holds every collection of the manifest; say which others it holds.

    Raises:
        SourceError: it lacks one. UsageError: a key cannot be kept.
    """
    known = manifest.roots.values()
    find_collections(source, known)
    check_keys(manifest, source)
    for collection in source.collections:
        if collection.is_listed and collection.name not in known:
            log(f"{escape(collection.name)} has no table in the manifest and is not loaded")


def check_keys(manifest: Manifest, source: Source) -> None:
    """Refuse keys that are places of documents in a live source, where none has a place to keep.

    Raises:
        UsageError: a collection has such a key.
    """
    for table, name in manifest.roots.items() if source.is_live else ():
        if manifest.layout.key_column(table).kind == "offset":
            raise UsageError(
                f"the key of {table} is of kind offset, and documents of the running collection"
                f" {name!r} have no offset that stays: what is loaded could not be verified",
                remedy="Give it a key that reads _id. Documents without one: load them from a file"
                f" of `mongodump --collection {shlex.quote(name)}`.",
            )


def suggest_another(load: Load) -> str:
    """Return the remedy where another source is given than that of a load."""
    return (
        "`assise load` and `assise verify` go on as it was. To load the other beside it, give"
        f" another manifest with -f. {restart_hint(load)}"
    )


def check_database(load: Load, source: Source) -> None:
    """Check that a live source is the database that was loaded; its server may have moved.

    Raises:
        ChangedError: it is another one.
    """
    if not (source.is_live and load.is_live):
        return
    _, _, path = load.source.partition("://")[2].partition("?")[0].partition("/")
    loaded = load.options.database or path
    if loaded and loaded != source.name:
        raise ChangedError(
            f"{load.name!r} was loaded from the database {loaded}, not from {source.name}",
            remedy=suggest_another(load),
        )


def check_sampled(source: Source, sample: int | None) -> None:
    """Refuse a sample of a source that is read whole anyway.

    Raises:
        UsageError: there is a sample, and the source is no running MongoDB.
    """
    if sample is not None and not source.is_live:
        raise UsageError(
            f"{source.address} is read whole: only of a running MongoDB is a sample inferred from",
            remedy="Leave --sample out.",
        )
