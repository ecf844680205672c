"""Memory: the command, in a process of its own, stays under 300 MB for any shape of documents."""

from __future__ import annotations

import json
import random
import struct
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.dumps import write_dump
from tests.scenes.hostile import (
    document,
    field,
    int32,
    nested,
    string,
    with_list,
    with_map,
)
from tests.scenes.memory import LIMIT_MB, run

FULL = (16 << 20) - 100
"""Bytes of a document that is nearly as large as documents get."""


def control_characters(size: int) -> list[bytes]:
    pattern = bytes(range(1, 32)) + b'"'
    return [
        document(int32("_id", number), string("text", pattern * (size // 32 - 1)))
        for number in range(3)
    ]


def many(count: int) -> list[bytes]:
    return [
        document(int32("_id", number), string("text", b"%d" % number)) for number in range(count)
    ]


def ints(size: int) -> list[bytes]:
    array = document(*(int32(str(i), i) for i in range(size // 13)))
    return [with_list(array)]


def ints_of_both_widths(size: int) -> list[bytes]:
    array = document(
        *(
            b"\x12%d\0%b" % (i, struct.pack("<q", i))
            if i % 2
            else b"\x10%d\0%b" % (i, struct.pack("<i", i))
            for i in range(size // 16)
        )
    )
    return [with_list(array)]


def values_of_all_kinds(size: int) -> list[bytes]:
    array = document(
        *(
            b"\x10%d\0%b" % (i, struct.pack("<i", i)) if i % 2 else b"\x08%d\0\1" % i
            for i in range(size // 13)
        )
    )
    return [with_list(array)]


def child_rows(size: int) -> list[bytes]:
    items = (document(int32("n", i)) for i in range(size // 22))
    array = document(*(field(0x03, str(i), item) for i, item in enumerate(items)))
    return [with_list(array)]


def empty_documents(size: int) -> list[bytes]:
    array = document(*(b"\x03%d\0\5\0\0\0\0" % i for i in range(size // 14)))
    return [with_list(array)]


def arrays_in_an_array(size: int) -> list[bytes]:
    items = (document(int32("0", i)) for i in range(size // 22))
    array = document(*(field(0x04, str(i), item) for i, item in enumerate(items)))
    return [with_list(array)]


def levels(size: int) -> list[bytes]:
    return [document(int32("_id", 1), field(0x03, "deep", nested(size // 8)))]


def wide(size: int) -> list[bytes]:
    return [
        document(
            int32("_id", 1), *(string(f"key {i}", "x" * (size // 5_000 - 20)) for i in range(5_000))
        )
    ]


def map_in_another_order(size: int) -> list[bytes]:
    keys = random.Random(5).sample(range(10_000_000), size // 80)
    return [with_map(*(string(f"{key:07}", "x" * 60) for key in keys))]


def arrays_of_100_000(_size: int) -> list[bytes]:
    keys = [str(i) for i in range(100_000)]
    numbers = document(*(int32(key, i) for i, key in enumerate(keys)))
    texts = document(*(string(key, f"text {key}") for key in keys))
    items = document(*(field(0x03, key, document(int32("n", i))) for i, key in enumerate(keys)))
    return [
        document(int32("_id", 1), field(0x04, "numbers", numbers)),
        document(int32("_id", 2), field(0x04, "texts", texts)),
        document(int32("_id", 3), field(0x04, "items", items)),
    ]


def many_keys(field_form: bytes, size: int) -> bytes:
    """Fields of one form with keys of four bytes, all distinct and in no order."""
    count = size // len(field_form % b"0000")
    return b"".join(
        [
            field_form % b64encode((i * 7_368_787 % (1 << 24)).to_bytes(3, "big"))
            for i in range(count)
        ]
    )


def keys_at_the_root(size: int) -> list[bytes]:
    return [document(int32("_id", 1), many_keys(b"\x0a%b\0", size))]


def keys_of_a_map(size: int) -> list[bytes]:
    return [with_map(many_keys(b"\x0a%b\0", size))]


def ints_of_a_map(size: int) -> list[bytes]:
    return [with_map(many_keys(b"\x10%b\0\xff\xff\xff\x7f", size))]


def strings_of_a_map(size: int) -> list[bytes]:
    return [with_map(many_keys(b"\x02%b\0\3\0\0\0ab\0", size))]


def documents_of_a_map(size: int) -> list[bytes]:
    inner = document(int32("b", 1), field(0x0A, "a"))
    return [with_map(many_keys(b"\x03%b\0" + inner, size))]


def regexes_of_a_map(size: int) -> list[bytes]:
    return [with_map(many_keys(b"\x0b%b\0\0\0", size))]


def keys_in_an_element(size: int) -> list[bytes]:
    element = document(many_keys(b"\x0a%b\0", size))
    return [with_list(document(field(0x03, "0", element)))]


def keys_in_an_array_of_all_kinds(size: int) -> list[bytes]:
    keys = field(0x03, "1", document(many_keys(b"\x0a%b\0", size)))
    item = field(0x04, "0", document(int32("0", 1), keys))
    return [with_list(document(item, int32("1", 1)))]


def keys_below_many_levels(size: int) -> list[bytes]:
    level = document(many_keys(b"\x0a%b\0", size))
    for _ in range(90):
        level = document(field(0x03, "a", level))
    return [document(int32("_id", 1), field(0x03, "deep", level))]


def one_letter(size: int) -> list[bytes]:
    """Documents that PostgreSQL packs to a hundredth."""
    return [
        document(int32("_id", number), string("text", "x" * (size - 50))) for number in range(6)
    ]


def rejects(size: int) -> list[bytes]:
    text = random.Random(5).randbytes(size // 2 - 50).hex()
    return [document(int32("_id", 1), string("text", text))] * 3


def garbage(size: int) -> list[bytes]:
    parts = [random.Random(seed).randbytes(size) for seed in (1, 2)]
    good = [document(int32("_id", i)) for i in range(4)]
    return [
        *good[:2],
        parts[0],
        *good[2:],
        parts[1],
    ]


def count_lines(file: Path) -> int:
    with file.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 20), b""))


Shape = Callable[[int], list[bytes]]
SHAPES: dict[Shape, int] = {
    control_characters: FULL,
    one_letter: FULL,
    rejects: FULL,
    ints: FULL // 2,
    ints_of_both_widths: FULL // 4,
    values_of_all_kinds: FULL // 4,
    child_rows: FULL // 8,
    empty_documents: FULL // 4,
    arrays_in_an_array: FULL // 4,
    levels: FULL // 8,
    wide: FULL,
    map_in_another_order: FULL // 4,
    arrays_of_100_000: FULL,
    garbage: FULL // 4,
    keys_of_a_map: FULL // 10,
    keys_at_the_root: FULL // 16,
    keys_in_an_element: FULL // 16,
    keys_in_an_array_of_all_kinds: FULL // 16,
    keys_below_many_levels: FULL // 16,
    ints_of_a_map: FULL // 16,
    strings_of_a_map: FULL // 16,
    documents_of_a_map: FULL // 16,
    regexes_of_a_map: FULL // 16,
}
"""The bytes of each shape that migrate in a few seconds."""

QUICK = {one_letter, child_rows, garbage}
"""`make test` takes these (the largest text, rows, rejects), the soak all."""

ALWAYS_FULL = {
    control_characters,
    one_letter,
    rejects,
    wide,
    arrays_of_100_000,
    keys_below_many_levels,
    regexes_of_a_map,
}
"""Shapes that are that large already, or need not be."""


def list_runs() -> list[ParameterSet]:
    """Each shape in its size, and in the largest one."""
    soak = pytest.mark.soak
    runs = [
        pytest.param(shape, size, marks=[] if shape in QUICK else soak)
        for shape, size in SHAPES.items()
    ]
    runs.append(pytest.param(many, 1_000_000, marks=soak))
    full = [shape for shape in SHAPES if shape not in ALWAYS_FULL]
    return runs + [
        pytest.param(shape, FULL, marks=soak, id=f"{shape.__name__}-full") for shape in full
    ]


@pytest.mark.parametrize(("shape", "size"), list_runs())
def test_a_migration_and_its_export_stay_under_300_mb(
    tmp_path: Path, database: str, shape: Shape, size: int
) -> None:
    parts = shape(size)
    write_dump(tmp_path / "app", {"big": parts})
    code, migrated_mb, printed = run(
        tmp_path, "migrate", "app", "--to", database, "--yes", "--json"
    )
    report = json.loads(printed.read_bytes())
    rejected = 2 if shape in {garbage, rejects} else 0
    assert (code, report["documents"], report["rejected"]) == (
        3 if rejected else 0,
        len(parts),
        rejected,
    )
    assert report["verified"] == {
        "equal": len(parts) - rejected,
        "different": 0,
        "missing": 0,
        "extra": 0,
    }
    code, json_mb, printed = run(tmp_path, "export", "big", "--to", database)
    assert (code, count_lines(printed)) == (0, len(parts) - rejected)
    code, bson_mb, printed = run(
        tmp_path, "export", "--format", "bson", "--out", "back", "--to", database, "--json"
    )
    exported = json.loads(printed.read_bytes())[0]
    assert (code, exported["documents"]) == (3 if shape is garbage else 0, len(parts) - rejected)
    assert exported["rejects"] + exported["skipped"] == rejected
    assert max(migrated_mb, json_mb, bson_mb) < LIMIT_MB, (
        f"migrate {migrated_mb:.0f}, export {json_mb:.0f}, with --format bson {bson_mb:.0f} MB"
    )
