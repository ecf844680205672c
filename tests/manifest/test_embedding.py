"""The key `embed`: what cannot be embedded."""

from __future__ import annotations

import pytest

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest

MANIFEST = """assise: 1
name: app
roles: {{prefix: app}}
tables:
  users:
    collection: users
    primary_key: id
    access: {{owner: id}}
    {api}
    embed: [{column}]
    columns: {{id: {{type: text, from: _id}}, name: text, note: {{type: text, personal: note}}}}
"""


@pytest.mark.parametrize(
    ("api", "column", "is_read"),
    [
        ("api: {read: all}", "name", True),
        ("api: {read: all}", "note", False),
        ("api: {read: [name]}", "note", False),
        ("api: {read: [note]}", "name", False),
        ("api: {read: [note]}", "note", True),
        ("api: {read: [note]}", "id", True),
        ("comment: not served", "note", True),
    ],
)
def test_what_is_not_read_over_api_is_not_told_by_similarity(
    api: str, column: str, is_read: bool
) -> None:
    text = MANIFEST.format(api=api, column=column)
    if is_read:
        assert parse_manifest(text).tables
        return
    with pytest.raises(ManifestError, match=f"'?{column}'?: is not read over api, but how similar"):
        parse_manifest(text)


def test_a_limit_of_tokens_is_a_number_above_0() -> None:
    text = "assise: 1\nname: app\nsearch: {embedder: {openai: {model: m, tokens_a_day: 0}}}\ntables: {}\n"
    with pytest.raises(ManifestError, match="tokens_a_day: is no number of tokens"):
        parse_manifest(text)
