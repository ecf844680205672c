from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assise.errors import ManifestError
from assise.manifest.paths import (
    format_child_path,
    format_path,
    is_nameable,
    parse_child_path,
    parse_path,
)

KEYS = st.one_of(st.text(r"\.*a", max_size=6), st.text(max_size=8)).filter(is_nameable)


@given(st.lists(KEYS, min_size=1, max_size=100))
def test_parse_reads_what_format_writes(keys: list[str]) -> None:
    assert parse_path(format_path(keys)) == tuple(keys)
    assert parse_child_path(format_child_path(keys)) == tuple(keys)


@given(st.text(r"\.*ab", max_size=12))
def test_a_path_that_parses_means_the_same_when_written_again(text: str) -> None:
    try:
        keys = parse_path(text)
    except ManifestError:
        return
    assert parse_path(format_path(keys)) == keys


@given(st.lists(KEYS, min_size=1, max_size=4), st.lists(KEYS, min_size=1, max_size=4))
def test_different_keys_have_different_paths(one: list[str], other: list[str]) -> None:
    assert (format_path(one) == format_path(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a", ("a",)),
        ("address.city", ("address", "city")),
        ("", ("",)),
        ("a.", ("a", "")),
        (".", ("", "")),
        (r"a\.b", ("a.b",)),
        (r"\*", ("*",)),
        ("a*", ("a*",)),
        (r"a\b", (r"a\b",)),
        (r"a\\.b", (r"a\.b",)),
        (r"a\\*", (r"a\*",)),
        ("a b.é.\n", ("a b", "é", "\n")),
        ("$ref.0", ("$ref", "0")),
    ],
)
def test_a_path_has_these_keys(text: str, keys: tuple[str, ...]) -> None:
    assert parse_path(text) == keys


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("a", "b"), "a.b"),
        (("a.b",), r"a\.b"),
        (("*",), r"\*"),
        (("a*b",), r"a\*b"),
        (("",), ""),
        ((r"a\b",), r"a\b"),
        ((r"a\.b",), r"a\\.b"),
    ],
)
def test_keys_are_written_so(keys: tuple[str, ...], text: str) -> None:
    assert format_path(keys) == text


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("files.*", ("files",)),
        ("a.b.*", ("a", "b")),
        (".*", ("",)),
        (r"\*.*", ("*",)),
        (r"a\.b.*", ("a.b",)),
    ],
)
def test_a_child_path_has_these_keys(text: str, keys: tuple[str, ...]) -> None:
    assert parse_child_path(text) == keys
    assert format_child_path(keys) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("*", "a segment * stands for"),
        ("a.*", "a segment * stands for"),
        ("*.a", "a segment * stands for"),
        ("a\\", "cannot be named"),
        ("a\0", "cannot be named"),
        ("a.\ud800", "cannot be named"),
        (".".join("k" * 101), "a path of 101 keys"),
    ],
)
def test_a_column_cannot_read(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message.replace("*", r"\*")) as caught:
        parse_path(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text", ["", "*", "files", r"files.\*", r"files\.*", "a.*.b", "a.*.*", "*.*", "a*"]
)
def test_a_child_path_ends_in_its_only_star(text: str) -> None:
    with pytest.raises(ManifestError, match=r"ends in its one \*"):
        parse_child_path(text)


@pytest.mark.parametrize("keys", [(), ("a\\",), ("a\\", "b"), ("\0",), ("\udfff",), ("k",) * 101])
def test_keys_that_have_no_path_are_not_written(keys: tuple[str, ...]) -> None:
    with pytest.raises(ManifestError):
        format_path(keys)


def test_a_hundred_keys_are_a_path() -> None:
    keys = ("k",) * 100
    assert parse_path(format_path(keys)) == keys
    assert parse_child_path(format_child_path(keys)) == keys


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("", True),
        ("a", True),
        (r"\a", True),
        ("a\\", False),
        ("\\", False),
        ("\0", False),
        ("\ud800", False),
    ],
)
def test_is_nameable(key: str, *, expected: bool) -> None:
    assert is_nameable(key) is expected
