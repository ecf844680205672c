"""The diagram of a manifest in Mermaid."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from tests.manifest.samples import DEVORA, draw_manifests

from assise.manifest.model import Manifest
from assise.manifest.read import parse_manifest
from assise.schema.diagram import write_diagram

DRAWN = """erDiagram
    "users" {
        uuid id PK
        text email UK
        text[] tags
        text city
        bool no
        timestamptz seen_at
        uuid device
        uuid owner
        numeric price
        text plan
        uuid boss_id FK
        numeric gross
    }
    "files" {
        uuid user_id PK, FK
        int4 _position PK
        text path
    }
    "notes" {
        uuid user_id PK, FK
        int4 _position PK, FK
        int4 _position_2 PK
    }
    "events" {
        int8 offset PK
    }
    "payments" {
        uuid id PK
        timestamptz at PK
        timestamptz created_at
        timestamptz updated_at
    }
    "users" |o--o{ "users" : "boss_id"
    "users" ||--o{ "files" : "user_id"
    "files" ||--o{ "notes" : "user_id, _position"
    "files" ||--o{ "notes" : "user_id, _position"
"""
# After Mermaid's grammar of entity relationship diagrams, erDiagram.jison.
NAME = r'"[^"%\r\n\v\b\\]+"'
LINE = re.compile(
    rf"    {NAME} {{|    }}|        [\w\[\]()-]+ [^\W\d][\w()\[\]-]*( (PK|FK|UK)(, (PK|FK|UK))*)?"
    rf"|    {NAME} (\|\||\|o)--(o\||o{{) {NAME} : {NAME}"
)


def test_tables_keys_and_references_are_drawn() -> None:
    assert write_diagram(parse_manifest(DEVORA)) == DRAWN


@given(draw_manifests())
def test_any_name_is_drawn_in_the_grammar_of_mermaid(manifest: Manifest) -> None:
    first, *lines = write_diagram(manifest).removesuffix("\n").split("\n")
    assert first == "erDiagram"
    for line in lines:
        assert LINE.fullmatch(line), line


@pytest.mark.parametrize(
    ("keys", "ends"),
    [
        ("not_null: true", "||--o{"),
        ("unique: true", "|o--o|"),
        ("unique: true, not_null: true", "||--o|"),
    ],
)
def test_ends_say_how_many_rows_there_may_be(keys: str, ends: str) -> None:
    text = DEVORA.replace("references: users,", f"references: users, {keys},")
    text = text.replace("on_delete: cascade", "on_delete: restrict")
    assert f'    "users" {ends} "users" : "boss_id"\n' in write_diagram(parse_manifest(text))
