"""Profiles: the counts, the merging of any split, and broken documents, which leave no trace."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.infer.profiles import INT, STRING, merge_parts, profile_of
from tests.oracle import strategies
from tests.oracle.values import Element, write_array, write_document
from tests.oracle.walk import NotBson, parse

from assise.infer.profile import Profile

NAMES = {
    "objectid": "objectId",
    "code": "javascript",
    "scoped": "javascriptWithScope",
    "dbpointer": "dbPointer",
    "minkey": "minKey",
    "maxkey": "maxKey",
}


def figures(profile: Profile) -> tuple[object, ...]:
    return profile.documents, profile.invalid, asdict(profile.tree())


def count_roots(documents: list[bytes]) -> dict[str, Counter[str]]:
    """The kinds at each key of the root that a column can read, from the tests' own walk."""
    found: dict[str, Counter[str]] = {"_id": Counter()}
    for raw in documents:
        fields = parse(raw).fields
        repeated = Counter(key for key, _ in fields)
        for key, value in fields:
            name = key.decode(errors="replace")
            if repeated[key] > 1 or name.endswith("\\") or name.encode() != key:
                continue
            kind = NAMES.get(value.kind, value.kind)
            if kind == "binary":
                if value.number == 4 and len(value.content) == 16:
                    kind = "uuid"
                elif value.number:
                    kind = f"binary_{value.number}"
            found.setdefault(name, Counter())[kind] += 1
    return found


@given(st.lists(strategies.documents(), max_size=6))
def test_counts_are_those_of_the_tests_own_walk(documents: list[bytes]) -> None:
    children = profile_of(documents).tree().children
    assert {key: path.kinds for key, path in children.items()} == count_roots(documents)


@given(
    st.lists(strategies.documents(), max_size=6),
    st.lists(st.integers(0, 6), max_size=3),
)
def test_any_split_merges_to_the_profile_of_the_whole(
    documents: list[bytes], cuts: list[int]
) -> None:
    assert figures(merge_parts(documents, cuts)) == figures(profile_of(documents))


@given(
    st.lists(strategies.documents(), max_size=6),
    st.lists(st.integers(0, 6), max_size=3),
    st.integers(1, 9),
)
def test_beyond_the_cap_every_field_is_counted_somewhere(
    documents: list[bytes], cuts: list[int], paths: int
) -> None:
    profiles = merge_parts(documents, cuts, paths=paths), profile_of(documents, paths=paths)
    merged, whole = (profile.tree() for profile in profiles)
    assert [*merged.children] == [*whole.children]
    assert merged.children["_id"] == whole.children["_id"]
    fields = sum(len(parse(raw).fields) for raw in documents)
    for root in (merged, whole):
        named = sum(path.values for path in root.children.values())
        assert named + root.unnamed == fields


def test_a_map_that_no_part_knows_as_one() -> None:
    maps = [{f"k{i}": {"a": i}} for i in range(150)]
    documents = [bson.encode({"map": each, f"f{i}": 1}) for i, each in enumerate(maps)]
    assert figures(merge_parts(documents, [70])) == figures(profile_of(documents))


@given(strategies.documents(), st.data())
def test_a_broken_document_is_counted_and_leaves_no_trace(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = bytes([data.draw(st.integers(0, 255))])
    broken = raw[:at] + changed + raw[at + 1 :]
    before, after = profile_of([raw]), profile_of([raw, broken])
    try:
        parse(broken)
    except NotBson:
        assert (after.documents, after.invalid, after.first_invalid) == (1, 1, 1)
        assert asdict(after.tree()) == asdict(before.tree())
    else:
        assert (after.documents, after.invalid) == (2, 0)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0",
        b"\5\0\0\0\1",
        b"\6\0\0\0\0\0",
        b"\5\0\0\0\0\0",
        b"\x0c\0\0\0\x10a\0\1\0\0\0\0"[:-1],
    ],
)
def test_bytes_that_are_no_document(raw: bytes) -> None:
    found = profile_of([raw])
    assert (found.documents, found.invalid, found.first_invalid) == (0, 1, 0)


def test_profiling_goes_on_after_a_merge() -> None:
    first = profile_of([bson.encode({"a": 1})])
    first.merge(profile_of([bson.encode({"b": 1})]))
    first.add(bson.encode({"a": 1, "b": "x", "c": None}), 0)
    children = first.tree().children
    assert {key: path.kinds for key, path in children.items()} == {
        "_id": {},
        "a": {"int32": 2},
        "b": {"string": 1, "int32": 1},
        "c": {"null": 1},
    }


def test_repeated_and_unnameable_keys_have_no_path() -> None:
    raw = write_document(
        [
            (b"a", INT),
            (b"b", INT),
            (b"a", STRING),
            (b"x\\", INT),
            (b"\xff", INT),
            (b"k" * 1001, INT),
        ]
    )
    root = profile_of([raw, raw]).tree()
    assert [*root.children] == ["_id", "b"]
    assert root.unnamed == 10


def test_a_key_repeated_in_one_document_counts_in_others() -> None:
    documents = [
        write_document([(b"a", INT)]),
        write_document([(b"a", INT), (b"a", STRING)]),
        write_document([(b"a", STRING)]),
    ]
    assert profile_of(documents).tree().children["a"].kinds == {"int32": 1, "string": 1}


def test_the_keys_of_arrays_do_not_count() -> None:
    inner = write_document([(b"a", INT)])
    array: Element = (
        0x04,
        write_document([(b"x", INT), (b"x", INT), (b"", (0x03, inner))]),
    )
    path = profile_of([write_document([(b"list", array)])]).tree().children["list"]
    assert path.element is not None
    assert path.element.kinds == {"int32": 2, "document": 1}
    assert path.element.children["a"].kinds == {"int32": 1}


@pytest.mark.parametrize("code", [0x03, 0x04])
def test_any_depth(code: int) -> None:
    value = INT
    for _ in range(5_000):
        value = (code, write_document([(b"0", value)]))
    found = profile_of([write_document([(b"deep", value)])])
    assert (found.documents, found.invalid) == (1, 0)
    broken: Element = (
        0x03,
        write_document([(b"a", (0x03, write_document([(b"b", (0x08, b"\2"))])))]),
    )
    for _ in range(50):
        broken = (code, write_document([(b"0", broken)]))
    assert profile_of([write_document([(b"deep", broken)])]).invalid == 1


def test_child_tables_nest_twenty_times() -> None:
    value: Element = (0x04, write_array([INT]))
    for _ in range(30):
        value = (0x04, write_array([(0x03, write_document([(b"l", value)]))]))
    root = profile_of([write_document([(b"l", value)])]).tree()
    path, depth = root.children["l"], 0
    while path.element:
        path, depth = path.element.children["l"], depth + 1
    assert depth == 20


@pytest.mark.parametrize("keys", [5_000, 30_000])
def test_distinct_keys_stop_at_the_cap(keys: int) -> None:
    names = [f"k{i}" for i in range(keys)]
    documents = (dict.fromkeys(names[i : i + 2], 1) for i in range(0, keys, 2))
    found = profile_of(map(bson.encode, documents))
    root = found.tree()
    assert found.documents == keys // 2
    assert len(root.children) == min(keys, 20_000) + 1
    assert root.unnamed == max(0, keys - 20_000)
    assert found.is_capped == (keys > 20_000)


def test_a_map_takes_few_paths() -> None:
    maps = ({f"k{i}": {"a": i, "b": i}} for i in range(5_000))
    documents = ({"map": each, f"field{i % 300}": 1} for i, each in enumerate(maps))
    found = profile_of(map(bson.encode, documents))
    root = found.tree()
    assert len(root.children) == 302
    assert 100 < len(root.children["map"].children) < 110
    assert root.children["map"].unnamed > 4_800


def test_a_new_kind_of_a_known_path_counts_beyond_the_cap() -> None:
    documents: list[dict[str, object]] = [
        {"a": 1},
        {"b": 1, "a": "x"},
        {"a": [1]},
    ]
    found = profile_of(map(bson.encode, documents), paths=1)
    root = found.tree()
    assert root.children["a"].kinds == {"int32": 1, "string": 1, "array": 1}
    assert (root.unnamed, root.children["a"].element) == (1, None)


@given(
    st.lists(
        strategies.documents().map(strategies.in_order),
        min_size=1,
        max_size=8,
    ),
    st.data(),
)
def test_counting_documents_together_gives_what_counting_each_gives(
    raws: list[bytes], data: st.DataObject
) -> None:
    broken = [
        bytes([*raw[:-6], 0xEE, *raw[-5:]])
        for raw in data.draw(st.lists(st.sampled_from(raws), max_size=1))
        if len(raw) > 10
    ]
    order = data.draw(st.permutations([*raws, *raws, *broken]))
    cut = data.draw(st.integers(0, len(order)))
    paths = data.draw(st.sampled_from([3, 20_000]))
    whole = figures(profile_of(order, paths=paths))
    for is_native in (True, False):
        together = Profile(paths=paths, is_native=is_native)
        together.add_all(order[:cut], range(cut))
        together.add_all(order[cut:], range(cut, len(order)))
        assert figures(together) == whole
