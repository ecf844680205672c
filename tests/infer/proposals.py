"""Manifests proposed for documents of a test."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import bson
from bson import ObjectId
from tests.infer.profiles import profile_of

from assise.infer.propose import Proposal, propose
from assise.manifest.model import Column
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest

OID = ObjectId("507f1f77bcf86cd799439011")


def propose_raw(documents: Iterable[bytes], *, ids: Literal["uuid", "text"] = "uuid") -> Proposal:
    found = propose({"docs": profile_of(documents)}, name="test", ids=ids)
    assert parse_manifest(dump_manifest(found.manifest, comments=found.comments)) == found.manifest
    return found


def propose_documents(
    documents: Iterable[dict[str, object]], *, ids: Literal["uuid", "text"] = "uuid"
) -> Proposal:
    return propose_raw([bson.encode({"_id": OID, **document}) for document in documents], ids=ids)


def write_column(column: Column) -> str:
    return f"{column.type} {column.kind} <{column.from_}>"


def columns(proposal: Proposal, table: str = "docs") -> dict[str, str]:
    """Name -> type, kind and path of the columns, the key left out."""
    found = proposal.manifest.tables[table]
    return {
        name: write_column(column)
        for name, column in found.columns.items()
        if name not in found.primary_key
    }
