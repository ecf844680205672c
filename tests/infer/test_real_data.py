"""Proposals for data of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.infer.profiles import profile_of

from assise.infer.propose import Proposal, propose
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest

DATA = (
    Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "mongo"
    / "atlas_and_classic_bson_nitslaszlo"
)
pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason=f"no data of others in {DATA}: set ASSISE_TEST_DATA"
)


def read_documents(path: Path) -> Iterator[bytes]:
    content, p = path.read_bytes(), 0
    while p < len(content):
        size = int.from_bytes(content[p : p + 4], "little")
        yield content[p : p + size]
        p += size


def propose_file(name: str) -> Proposal:
    path = DATA / name
    found = propose({path.stem: profile_of(read_documents(path))}, name="real")
    assert parse_manifest(dump_manifest(found.manifest, comments=found.comments)) == found.manifest
    return found


def test_customers_of_the_analytics_sample() -> None:
    found = propose_file("sample_analytics/customers.bson")
    types = {
        name: column.type for name, column in found.manifest.tables["customers"].columns.items()
    }
    assert [*found.manifest.tables] == ["customers"]
    assert types == {
        "id": "uuid",
        "username": "text",
        "name": "text",
        "address": "text",
        "birthdate": "timestamptz",
        "email": "text",
        "accounts": "int4[]",
        "tier_and_details": "jsonb",
    } | {name: types[name] for name in types if name == "active"}


def test_pokemon_has_id_beside_its_key() -> None:
    table = propose_file("sample_Pokemon/samples_pokemon.bson").manifest.tables["samples_pokemon"]
    assert (table.columns["id"].from_, table.columns["id_2"].from_) == ("_id", "id")


def test_rentals_and_payments() -> None:
    tables = propose_file("sample_Sakila/Sakila_customers.bson").manifest.tables
    assert [*tables] == [
        "sakila_customers",
        "sakila_customer_rentals",
        "sakila_customer_rental_payments",
    ]
    assert tables["sakila_customer_rental_payments"].primary_key == (
        "sakila_customer_id",
        "position",
        "position_2",
    )
    assert tables["sakila_customer_rental_payments"].columns["amount"].type == "numeric"


def test_companies() -> None:
    found = propose_file("sample_Crunchbase/crunchbase_database.bson")
    assert len(found.manifest.tables) == 15
    assert found.comments["tables", "crunchbase_database"] == "1,000 documents, _id: objectId"
    assert (
        found.manifest.tables["crunchbase_database"].columns["image_available_sizes"].type
        == "jsonb"
    )
