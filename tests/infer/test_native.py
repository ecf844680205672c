"""Profiles in the crate: what Python counts, of any documents, and of the values that may join."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from random import Random
from types import SimpleNamespace

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.infer.profiles import INT
from tests.oracle import strategies
from tests.oracle.values import Element, write_document, write_text
from tests.rows.native import others

from assise.infer.joins import Joins
from assise.infer.profile import Profile
from assise.native import find_native

NATIVE = find_native()
pytestmark = pytest.mark.skipif(NATIVE is None, reason="assise-native is not installed")


def describe(documents: Sequence[bytes], *, is_native: bool, paths: int = 20_000) -> object:
    """All that a profile says of documents, in an order of its own where that means nothing."""
    profile = Profile(paths=paths, is_native=is_native)
    profile.add_all(documents, range(len(documents)))
    found = profile.as_json()
    for key in ("counts", "samples"):
        listed = found[key]
        assert isinstance(listed, list)
        found[key] = sorted(tuple(each) for each in listed)
    return found


def check(documents: Sequence[bytes], *, paths: int = 20_000) -> None:
    native, exact = (describe(documents, is_native=way, paths=paths) for way in (True, False))
    assert native == exact


@given(st.lists(strategies.documents(), max_size=6), st.sampled_from([1, 4, 20_000]))
def test_drawn_documents(documents: list[bytes], paths: int) -> None:
    check([*documents, *documents], paths=paths)


TEXTS = [
    "",
    "2024-02-29",
    "2023-02-29",
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00.123Z",
    "2024-01-01T00:00:00.12Z",
    "2024-01-01T00:00:00+15:59",
    "2024-01-01T00:00:00.123456789-01:00",
    "2024-01-01T24:00:00Z",
    "0000-01-01T00:00:00Z",
    "507f1f77bcf86cd799439011",
    "507F1f77bcf86cd799439011",
    "507f1f77bcf86cd79943901g",
    "507f1f77-bcf8-6cd7-9943-901100000000",
    "507f1f77-bcf8-6cd7-9943-90110000000A",
    "507f1f77-bcf8-6cd7-9943--01100000000",
    "x" * 100,
    "x" * 101,
    "x" * 1_000,
    "x" * 1_001,
    "\0",
]
DOUBLES = [0.0, -0.0, 0.5, 2.0**31 - 1, 2.0**31, -(2.0**31), 2.0**63, -(2.0**63), 1e300]
DECIMALS = ["1", "-0", "NaN", "Infinity", "1E+6111", "0.10"]
VALUES: list[object] = [
    *TEXTS,
    *DOUBLES,
    float("inf"),
    float("nan"),
    *map(bson.Decimal128, DECIMALS),
    *(bson.Binary(bytes(size), subtype) for size in (0, 16, 17) for subtype in (0, 2, 3, 4, 128)),
    *(bson.Int64(number) for number in (0, 7, -(2**63), 2**63 - 1)),
    bson.ObjectId("ffffffffffffffffffffffff"),
    bson.Code("x", {"a": [1]}),
    bson.Regex("a", "i"),
    bson.DatetimeMS(9_224_318_015_999_999),
    bson.DatetimeMS(9_224_318_016_000_000),
    bson.DatetimeMS(-210_866_803_200_001),
    [],
    [[], [1], {"a": {"b": {"c": {"d": {"e": 1}}}}}],
    {"a": {"b": {"c": {"d": {"e": 1}}}}},
]


@pytest.mark.parametrize("key", ["_id", "value"])
def test_every_value_at_an_edge(key: str) -> None:
    check([bson.encode({key: value}) for value in VALUES])
    odd: list[Element] = [
        (0x02, b"\2\0\0\0\xff\0"),
        (0x01, b"\1\0\0\0\0\0\xf8\x7f"),
        (0x0E, write_text(b"symbol")),
    ]
    check([write_document([(key.encode(), value), (b"x", INT)]) for value in odd])


@pytest.mark.parametrize("key", ["_id", "value"])
def test_numbers_of_values_that_may_join(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [bson.encode({"first": [1], key: value}) for value in VALUES]
    documents += [bson.encode({key: value, "last": 1}) for value in VALUES]
    native = Joins([key])
    native.add_all(documents)
    monkeypatch.setattr("assise.infer.joins.find_native", lambda: None)
    exact = Joins([key])
    exact.add_all(documents)
    assert native.as_json() == exact.as_json()
    assert native.ids[key].total > len(TEXTS)


class PanickingProfiler:
    """A profiler that counts two documents of each call, and leaves what is behind a panic."""

    def __init__(self, paths: int) -> None:
        assert NATIVE is not None
        self._inner = NATIVE.Profiler(paths)
        self.read = self._inner.read

    def add(self, documents: Sequence[bytes]) -> tuple[list[int], int]:
        invalid, done = self._inner.add(documents[:2])
        return invalid, done


def test_documents_behind_a_panic_are_counted_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [bson.encode({f"k{i}": i, "a": [i]}) for i in range(4)]
    documents[1] = b"\5\0\0\0\1"
    documents += [b"", bson.encode({"z": 1, "a": []})]
    exact = describe(documents, is_native=False)
    module = SimpleNamespace(Profiler=PanickingProfiler)
    monkeypatch.setattr("assise.infer.profile.find_native", lambda: module)
    assert describe(documents, is_native=True) == exact


def test_memory_of_eight_million_repeated_keys() -> None:
    program = """if True:
        from assise.infer.profile import Profile
        size = (16 << 20) - 1
        document = size.to_bytes(4, "little") + b"\\x0a\\0" * ((size - 5) // 2) + b"\\0"
        profile = Profile()
        profile.add_all([document], [0])
        assert (profile.documents, profile.invalid) == (1, 0)
        status = open("/proc/self/status").read()
        print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert int(done.stdout) < 200


@pytest.mark.skipif(not others.FILES, reason=others.MISSING)
def test_documents_of_others() -> None:
    for file in others.FILES[::7]:
        check(others.read_documents(file, 60))


@pytest.mark.soak
@pytest.mark.skipif(not others.FILES, reason=others.MISSING)
def test_every_document_of_others() -> None:
    for file in others.FILES:
        check(others.read_documents(file, None))


@pytest.mark.skipif(not others.FILES, reason=others.MISSING)
def test_mutated_documents() -> None:
    rng = Random(1)
    for file in others.find_small(1 << 20)[:5]:
        raws = others.read_documents(file, 500)
        check([raw for _, raw in others.mutate(rng, raws, 150)])


@pytest.mark.soak
@pytest.mark.skipif(not others.FILES, reason=others.MISSING)
def test_ten_million_mutated_documents() -> None:
    """ASSISE_TEST_MUTATED is another number of documents."""
    small = others.find_small(8 << 20)
    for seed, file in enumerate(small):
        rng, raws = Random(seed), others.read_documents(file, 500)
        for _ in range(0, others.MUTATED // len(small), 2_000):
            check([raw for _, raw in others.mutate(rng, raws, 2_000)])
