"""Ranges of `_id`: each document in one of them, whatever its bracket."""

from __future__ import annotations

import datetime as dt
import struct
from itertools import pairwise

import bson
import pytest
from bson import (
    Binary,
    Code,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)

from assise.mongo.ranges import (
    BRACKETS,
    EVERYTHING,
    RawId,
    both,
    bracket_of,
    brackets_between,
    divide,
    find_bracket,
    match_bracket,
    number_ranges,
    read_id,
    read_ids,
    split_range,
)

NAN = float("nan")


def ids(*values: object) -> list[tuple[RawId, int]]:
    return [(read_id(bson.encode({"_id": value})), 1) for value in values]


def shown(filters: list[bytes]) -> list[object]:
    return [bson.decode(each) for each in filters]


def test_a_small_collection_of_one_bracket_is_one_range_of_everything() -> None:
    assert divide(ids(1, 2, 3), 10) == [EVERYTHING]
    assert divide([], 10) == []


def test_ranges_of_one_bracket_meet_and_the_outer_ones_are_open() -> None:
    a, b, c = (ObjectId(f"{n:024x}") for n in (3, 6, 9))
    given = ids(*(ObjectId(f"{n:024x}") for n in range(12)))
    assert shown(divide(given, 3)) == [
        {"_id": {"$lt": a}},
        {"_id": {"$gte": a, "$lt": b}},
        {"_id": {"$gte": b, "$lt": c}},
        {"_id": {"$gte": c}},
    ]


def test_each_bracket_has_ranges_of_its_own() -> None:
    found = shown(divide(ids(1, 2, 3, 4, "a", "b", "c", ObjectId(bytes(12))), 2))
    assert found == [
        pytest.approx({"_id": NAN}, nan_ok=True),
        {"_id": {"$lt": 3}},
        {"_id": {"$gte": 3}},
        {"_id": {"$lt": "c"}},
        {"_id": {"$gte": "c"}},
        {"_id": {"$type": [7]}},
    ]


@pytest.mark.parametrize("nan", [NAN, Decimal128("NaN"), Decimal128("-NaN")])
def test_nan_is_no_bound(nan: object) -> None:
    found = shown(divide(ids(nan, nan, 1, 2), 1))
    assert found[1:] == [{"_id": {"$lt": 1}}, {"_id": {"$gte": 1, "$lt": 2}}, {"_id": {"$gte": 2}}]
    assert "$lt" not in str(found[0])


def test_weights_are_what_a_range_is_measured_by() -> None:
    weighted = [(each, 100 if n == 2 else 1) for n, (each, _) in enumerate(ids(*range(8)))]
    assert shown(divide(weighted, 100))[1:] == [{"_id": {"$lt": 3}}, {"_id": {"$gte": 3}}]


def test_brackets_that_a_sample_lacks_are_matched() -> None:
    found = shown(divide(ids("a", "b"), 5, [(0x07,), (0xFF,), (0x00,)]))
    assert found == [
        {"_id": {"$type": [-1]}},
        {"_id": {"$exists": False}},
        {"_id": {"$gte": ""}},
        {"_id": {"$type": [7]}},
    ]


def test_arrays_are_read_in_one_range_of_everything() -> None:
    array = (0x04, bson.encode({"0": 1})), 1
    assert divide([*ids("a", "b", "c"), array], 1) == [EVERYTHING]


def test_brackets_are_in_the_order_of_the_manual() -> None:
    values = [
        MinKey(), None, 1, Int64(2), 2.5, Decimal128("3"), "s", {"a": 1}, [1], Binary(b"x"),
        ObjectId(), True, dt.datetime.now(dt.UTC), Timestamp(1, 1), Regex("a"),
        Code("f"), Code("f", {}), MaxKey(),
    ]  # fmt: skip
    kinds = [each[0] for each, _ in ids(*values)]
    places = [next(n for n, b in enumerate(BRACKETS) if kind in b) for kind in kinds]
    assert places == sorted(places)
    assert sorted(kind for kinds in BRACKETS for kind in kinds if kind) == sorted(
        [*range(1, 0x14), 0x7F, 0xFF]
    )
    assert [*brackets_between(0x07, 0x09)] == [(0x08,)]
    assert [*brackets_between(0x07, 0x07)] == []


@pytest.mark.parametrize("kinds", BRACKETS)
def test_the_bracket_of_a_filter_is_found_again(kinds: tuple[int, ...]) -> None:
    condition = match_bracket(kinds)
    assert find_bracket(condition) == kinds
    assert find_bracket(both(EVERYTHING, condition)) == kinds
    assert find_bracket(both(condition, condition)) == kinds


def test_the_bracket_of_each_part_of_a_bracket_is_found_again() -> None:
    filters = divide(ids(*range(10)), 2)
    assert len(filters) > 3
    assert {find_bracket(each) for each in filters} == {bracket_of(0x10)}
    assert find_bracket(EVERYTHING) is None


def test_two_filters_are_one() -> None:
    one, other = bson.encode({"tenant": 7}), match_bracket([0x07])
    assert bson.decode(both(one, other)) == {"$and": [{"tenant": 7}, {"_id": {"$type": [7]}}]}
    assert both(one, EVERYTHING) == both(EVERYTHING, one) == one


def test_ranges_are_split_within_their_offsets() -> None:
    one, other = number_ranges([b"a", b"b"])
    assert one.stop == other.start
    parts = split_range(other, [b"1", b"2", b"3"])
    assert [part.filter for part in parts] == [b"1", b"2", b"3"]
    assert (parts[0].start, parts[-1].stop) == (other.start, other.stop)
    assert all(one.stop == two.start for one, two in pairwise(parts))


def test_an_id_is_read_from_a_document_of_nothing_else() -> None:
    raw = bson.encode({"_id": "x"})
    assert read_id(b"12" + raw, 2) == (0x02, struct.pack("<i", 2) + b"x\0")
    assert read_id(bson.encode({})) == (0, b"")


@pytest.mark.parametrize(
    "values",
    [
        [ObjectId(f"{n:024x}") for n in range(25)],
        [*range(25)],
        [Int64(n) for n in range(7)] + list("abc"),
        [NAN, *(n / 4 for n in range(20))],
        [str(n) for n in range(25)],
        [],
    ],
)
@pytest.mark.parametrize("every", [1, 4, 1000])
def test_few_of_the_ids_of_a_batch_stand_for_all(values: list[object], every: int) -> None:
    given = [read_id(bson.encode({"_id": value})) for value in values]
    documents = [bson.encode({"_id": value}) for value in values]
    batch = b"".join(documents)
    at, taken = 0, list[int]()
    for each, count in read_ids(batch, every):
        assert each == given[at]
        taken.append(count)
        at += count
    assert at == len(values)
    assert max(taken, default=0) <= every
    if len({raw[:9] for raw in documents}) == 1:
        assert len(taken) == -(-len(values) // every)


def test_documents_without_an_id_are_counted() -> None:
    batch = bson.encode({}) * 3 + bson.encode({"_id": 1})
    missing, one = ((0, b""), 1), ((0x10, b"\1\0\0\0"), 1)
    assert [*read_ids(batch, 9)] == [missing, missing, missing, one]
