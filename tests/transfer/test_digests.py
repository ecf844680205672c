"""Hashes of keys: the same from the crate and from Python."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from assise.transfer.digests import hash_key, hash_keys

# Around the blocks of BLAKE2b, which have 128 bytes.
KEYS = [bytes(range(256))[:size] + b"\7" * (size - 256) for size in (*range(258), 384, 1000)]


def test_hashes_of_keys_are_those_of_pythons_blake2b() -> None:
    expected = [blake2b(key, digest_size=8).digest() for key in KEYS]
    assert hash_keys(KEYS) == hash_keys(KEYS, is_native=False) == expected
    assert len({*expected}) == len(KEYS)
    assert hash_keys([]) == []


@given(st.lists(st.binary(max_size=600)))
def test_drawn_keys_have_one_hash(keys: list[bytes]) -> None:
    assert hash_keys(keys) == [hash_key(key) for key in keys]
