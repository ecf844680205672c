"""Names of files: by Go's documentation of `url.QueryEscape`, which mongo-tools call."""

from __future__ import annotations

import json
import string
from base64 import urlsafe_b64encode
from hashlib import sha1
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dumps import write_dump

from assise.mongo.dump import open_dump
from assise.mongo.names import file_name, is_cut, unescape, whole_name

UNRESERVED = string.ascii_letters + string.digits + "-_.~"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
OTHERS = "é日本😀\u00a0\u200d\ufeff"


def query_escape(text: str) -> str:
    """The rule of Go: unreserved characters as they are, a space as +, other bytes as %XX."""
    return "".join(
        c
        if c in UNRESERVED
        else "+"
        if c == " "
        else "".join(f"%{byte:02X}" for byte in c.encode())
        for c in text
    )


@pytest.mark.parametrize("c", PRINTABLE + OTHERS)
def test_a_character_is_written_and_read_as_by_mongo_tools(c: str) -> None:
    for name in (c, f"a{c}b", c * 3):
        assert file_name(name) == query_escape(name)
        assert unescape(query_escape(name)) == name


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=90))
def test_every_name_comes_back(name: str) -> None:
    stem, escaped = file_name(name), query_escape(name)
    digest = sha1(name.encode(), usedforsecurity=False).digest()
    cut = escaped[:208] + "%24" + urlsafe_b64encode(digest).decode()[:27]
    assert stem == (escaped if len(escaped) <= 238 else cut)
    assert whole_name(stem, name) == name
    if len(escaped) > 238:
        assert is_cut(stem)
        assert whole_name(stem, escaped) == name
    else:
        assert unescape(stem) == name


def test_names_that_differ_in_a_plus_stay_two_collections(tmp_path: Path) -> None:
    dump = write_dump(tmp_path, {"a+b": [{"_id": 1}], "a%2Bb": [{"_id": 2}]})
    assert [(each.name, each.path.name) for each in open_dump(dump).files] == [
        ("a b", "a+b.bson"),
        ("a+b", "a%2Bb.bson"),
    ]


@pytest.mark.parametrize("is_escaped", [False, True])
def test_a_cut_name_is_read_as_mongodump_and_as_export_write_it(
    tmp_path: Path, is_escaped: bool
) -> None:
    name = "50% + é " * 20
    stem = file_name(name)
    write_dump(tmp_path, {stem: [{"_id": 1}]})
    given = query_escape(name) if is_escaped else name
    (tmp_path / f"{stem}.metadata.json").write_text(json.dumps({"collectionName": given}))
    dump = open_dump(tmp_path)
    assert ([each.name for each in dump.collections], dump.notes) == ([name], ())
