"""Names of tables that give a schema, and what a manifest says of schemas."""

from __future__ import annotations

import pytest

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest
from assise.manifest.write import dump_manifest

TEXT = """assise: 1
name: shop
schemas: {auth: {comment: "who signs in"}}
tables:
  auth.users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
"""
MISTAKES = [
    (
        "auth.users:",
        "auth.old.users:",
        (
            "assise.yaml:5: tables.auth.old.users: auth.old.users: is neither a name nor a schema and"
            " a name\nWrite a name, or a schema and a name, such as auth.users."
        ),
    ),
    ("auth.users:", "auth.:", "is neither a name nor a schema and a name"),
    ("auth.users:", ".users:", "is neither a name nor a schema and a name"),
    (
        "auth.users:",
        "assise.users:",
        "is in schema assise, which is not for tables. Choose another schema.",
    ),
    ("auth.users:", "pg_auth.users:", "is in schema pg_auth, which is not for tables"),
    ("auth.users:", f"{'a' * 64}.users:", "is a name of 64 bytes"),
    ("auth.users:", f"auth.{'a' * 64}:", "is a name of 64 bytes"),
    (
        "{auth:",
        "{aut:",
        "assise.yaml:3: schemas.aut: aut: is the schema of no table\nDid you mean auth? Known: auth.",
    ),
    ('"who signs in"', '" "', "schemas.auth.comment: is an empty comment"),
    ("{comment:", "{comments:", "schemas.auth.comments: is not a manifest key here"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_a_mistake_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(TEXT.replace(old, new))
    assert message in str(caught.value)


def test_it_is_written_as_it_is_read() -> None:
    manifest = parse_manifest(TEXT)
    assert parse_manifest(dump_manifest(manifest)) == manifest
    assert "  auth.users:\n" in dump_manifest(manifest)


def test_no_schema_is_known_where_no_table_names_one() -> None:
    with pytest.raises(ManifestError, match=r"Name a table in it, such as auth\.users\."):
        parse_manifest(TEXT.replace("auth.users:", "users:"))
