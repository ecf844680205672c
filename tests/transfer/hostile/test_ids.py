"""Keys: missing, repeated, of every kind, long, unfit, equal as numbers.

Each source ends with the right message, and with every document loaded or rejected.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import perf_counter

import pytest
from bson import ObjectId
from tests.dumps import write_dump
from tests.scenes.hostile import (
    DUPLICATE,
    GOOD,
    LIMIT,
    MISFIT,
    NOT_BSON,
    Command,
    Expected,
    Outcome,
    Query,
    document,
    double,
    expect,
    field,
    int32,
    int64,
    nested,
    random_text,
    start_of,
    string,
    write_manifest,
)


def as_json(text: object) -> object:
    """JSON with the order of its fields, whatever its white space; ints and doubles apart."""
    return json.loads(str(text), object_pairs_hook=list, parse_float=str)


def test_documents_without_id_are_keyed_by_their_offset_and_never_duplicates(
    command: Command, tmp_path: Path, query: Query
) -> None:
    nameless = document(string("name", "nobody"))
    command.migrate(
        write_dump(tmp_path / "app", {"users": [*GOOD[:2], nameless, nameless, GOOD[0]]}), 5
    )
    size = len(GOOD[0])
    offsets = [
        0,
        size,
        2 * size,
        2 * size + len(nameless),
        2 * size + 2 * len(nameless),
    ]
    assert query("SELECT _offset, name FROM users ORDER BY 1") == list(
        zip(offsets, ["user 0", "user 1", "nobody", "nobody", "user 0"], strict=True)
    )


def test_an_id_that_stands_twice_in_a_document_is_no_key(
    command: Command, tmp_path: Path, query: Query
) -> None:
    twice = document(int32("_id", 3), string("name", "x"), int32("_id", 4))
    command.migrate(write_dump(tmp_path / "app", {"users": [*GOOD, twice]}), 21)
    assert query(
        "SELECT count(DISTINCT _offset), count(_extra) FILTER (WHERE _extra ? '$bson') FROM users"
    ) == [(21, 1)]


@pytest.mark.contract
def test_the_second_document_with_an_id_is_rejected_and_the_first_is_loaded(
    command: Command, tmp_path: Path, query: Query
) -> None:
    second, third = (
        document(int32("_id", 5), string("name", "second")),
        document(int64("_id", 5), string("name", "third")),
    )
    parts = [*GOOD, second, third]
    offsets = [start_of(parts, 20), start_of(parts, 21)]
    rejects = [
        Expected("users", offset, DUPLICATE, raw)
        for offset, raw in zip(offsets, parts[20:], strict=True)
    ]
    command.migrate(
        write_dump(tmp_path / "app", {"users": parts}),
        22,
        rejects,
        "a document with the same _id is loaded already",
    )
    assert query("SELECT name FROM users WHERE id = 5") == [("user 5",)]


def test_ids_of_every_kind_stand_beside_each_other(
    command: Command, tmp_path: Path, query: Query
) -> None:
    oid = ObjectId("507f1f77bcf86cd799439011")
    dbref = document(
        string("$ref", "users"),
        field(0x07, "$id", oid.binary),
        string("$db", "shop"),
    )
    ids = {
        "7": int32("_id", 7),
        '"7"': string("_id", "7"),
        '{"$numberDouble": "7.5"}': double("_id", 7.5),
        '{"$numberDouble": "7.0"}': double("_id", 7.0),
        '{"$numberDouble": "-0.0"}': double("_id", -0.0),
        '{"$numberDouble": "0.0"}': double("_id", 0.0),
        '{"$numberDouble": "NaN"}': double("_id", float("nan")),
        "0": int64("_id", 0),
        '{"$oid": "507f1f77bcf86cd799439011"}': field(0x07, "_id", oid.binary),
        "null": field(0x0A, "_id"),
        "true": field(0x08, "_id", b"\1"),
        '{"$date": {"$numberLong": "0"}}': int64("_id", 0, kind=0x09),
        '{"$binary": {"base64": "AQI=", "subType": "00"}}': field(0x05, "_id", b"\2\0\0\0\0\1\2"),
        '{"$timestamp": {"t": 2, "i": 1}}': field(0x11, "_id", b"\1\0\0\0\2\0\0\0"),
        '{"$minKey": 1}': field(0xFF, "_id"),
        '{"b": 1, "a": 2}': field(0x03, "_id", document(int32("b", 1), int32("a", 2))),
        '{"a": 2, "b": 1}': field(0x03, "_id", document(int32("a", 2), int32("b", 1))),
        '{"$ref": "users", "$id": {"$oid": "507f1f77bcf86cd799439011"}, "$db": "shop"}': field(
            0x03, "_id", dbref
        ),
        "[1, 2]": field(0x04, "_id", document(int32("0", 1), int32("1", 2))),
        "{}": field(0x03, "_id", document()),
        '""': string("_id", ""),
    }
    command.migrate(
        write_dump(
            tmp_path / "app",
            {"things": [document(item, int32("n", i)) for i, item in enumerate(ids.values())]},
        ),
        len(ids),
    )
    found = [as_json(text) for (text,) in query("SELECT id FROM things ORDER BY n")]
    assert found == [as_json(text) for text in ids]


def test_ids_that_json_cannot_hold_are_keys_all_the_same(
    command: Command, tmp_path: Path, query: Query
) -> None:
    repeated = document(int32("a", 1), int32("a", 2))
    other = document(int32("a", 2), int32("a", 1))
    ids = [field(0x03, "_id", inner) for inner in (repeated, other, nested(150))] + [
        string("_id", text) for text in (b"\xff\xfe", b"a\0b")
    ]
    ids += [field(0x01, "_id", bytes.fromhex("010000000000f87f")), int32("_id", 1)]
    parts = [document(item) for item in ids]
    again = len(b"".join(parts))
    command.migrate(
        write_dump(tmp_path / "app", {"things": [*parts, parts[0]]}),
        len(ids) + 1,
        [Expected("things", again, DUPLICATE, parts[0])],
    )
    assert query(
        "SELECT count(*) FROM things WHERE id LIKE '{\"$bson\":%' OR id LIKE 'sha256:%'"
    ) == [(5,)]
    assert query("SELECT count(*) FROM things WHERE id = '\"a\\u0000b\"'") == [(1,)]


@pytest.mark.contract
def test_long_ids_are_keyed_by_their_hash(command: Command, tmp_path: Path, query: Query) -> None:
    texts = [random_text(9_000, seed) for seed in range(5)]
    parts = [document(string("_id", text)) for text in texts]
    again = Expected("things", len(b"".join(parts)), DUPLICATE, parts[2])
    command.migrate(
        write_dump(tmp_path / "app", {"things": [*parts, parts[2]]}),
        6,
        [again],
    )
    assert query(
        "SELECT count(*) FROM things WHERE id ~ '^sha256:[0-9a-f]{64}$' AND length(_extra ->>"
        " '_id') = 9000"
    ) == [(5,)]


@pytest.mark.contract
def test_an_id_that_is_too_long_for_the_key_of_the_manifest_is_rejected(
    command: Command, tmp_path: Path, query: Query
) -> None:
    write_manifest(
        tmp_path,
        "users: {collection: users, primary_key: id, columns: {id: {type: text, from: _id},"
        " name: text}}",
    )
    long = [
        document(string("_id", random_text(size, size)), string("name", "long"))
        for size in (9_000, 4_000)
    ]
    good = [document(string("_id", f"u{i}"), string("name", "short")) for i in range(30)]
    parts = [
        *good[:10],
        long[0],
        *good[10:20],
        long[1],
        *good[20:],
    ]
    rejects = expect("users", parts, (10, 21), LIMIT)
    command.migrate(
        write_dump(tmp_path / "app", {"users": parts}),
        32,
        rejects,
        "index row requires 9016 bytes",
        "index row size 4016 exceeds",
    )
    assert query("SELECT count(*), max(name) FROM users") == [(30, "short")]


def test_an_id_that_does_not_fit_the_key_of_the_manifest_is_rejected(
    command: Command, tmp_path: Path
) -> None:
    write_manifest(
        tmp_path,
        "users: {collection: users, primary_key: id, columns: {id: {type: int4, from: _id},"
        " name: text}}",
    )
    bad = [
        document(string("_id", "5")),
        document(double("_id", 5.5)),
        document(int64("_id", 1 << 31)),
        document(string("name", "nobody")),
        document(field(0x0A, "_id")),
        document(int32("_id", 90), int32("_id", 91)),
    ]
    parts = [item for pair in zip(GOOD, bad, strict=False) for item in pair]
    rejects = expect("users", parts, range(1, 12, 2), MISFIT)
    words = [
        '_id "5" (string) does not fit int4',
        "(double) does not fit int4",
        "(int64) does not fit int4",
        "no _id",
        "2 fields _id",
    ]
    command.migrate(write_dump(tmp_path / "app", {"users": parts}), 12, rejects, *words)


@pytest.mark.contract
def test_numbers_that_postgresql_calls_equal_are_one_id(
    command: Command, tmp_path: Path, query: Query
) -> None:
    ids = [
        int32("_id", 10),
        double("_id", 10.5),
        double("_id", 10.0),
        int64("_id", 10),
        int32("_id", 0),
    ]
    parts = [document(item) for item in ids]
    rejects = expect("prices", parts, (2, 3), DUPLICATE)
    command.migrate(write_dump(tmp_path / "app", {"prices": parts}), 5, rejects)
    assert query("SELECT id::text FROM prices ORDER BY id") == [("0",), ("10",), ("10.5",)]


def test_nan_and_negative_zero_as_keys_of_the_manifest(
    command: Command, tmp_path: Path, query: Query
) -> None:
    columns = "id: {type: %s, from: _id}, n: int4"
    tables = [
        f"{name}: {{collection: {name}, primary_key: id, columns: {{{columns % name}}}}}"
        for name in ("numeric", "float8")
    ]
    write_manifest(tmp_path, ", ".join(tables))
    other_nan = field(0x01, "_id", bytes.fromhex("010000000000f87f"))
    ids = [
        double("_id", 0.0),
        double("_id", -0.0),
        double("_id", float("nan")),
        other_nan,
        double("_id", 1.5),
    ]
    parts = [document(item, int32("n", i)) for i, item in enumerate(ids)]
    size = len(parts[0])
    rejects = [
        Expected(
            "float8",
            size * i,
            DUPLICATE,
            parts[i],
        )
        for i in (1, 3)
    ] + [Expected("numeric", size * i, MISFIT, parts[i]) for i in (1, 3)]
    command.migrate(write_dump(tmp_path / "app", {"numeric": parts, "float8": parts}), 10, rejects)
    for table in ("numeric", "float8"):
        assert query(f'SELECT n FROM "{table}" ORDER BY n') == [(0,), (2,), (4,)]


def doubled_load(tmp_path: Path, command: Command, size: int) -> tuple[float, float, Outcome]:
    """Seconds of the load of a dump, of the dump twice in a row, and the outcome of the second."""
    parts = [
        document(
            field(0x07, "_id", i.to_bytes(12, "big")), string("name", f"user {i}"), int32("n", i)
        )
        for i in range(size)
    ]
    seconds, outcomes = [], []
    for name, content in (("once", parts), ("twice", parts * 2)):
        dump = write_dump(tmp_path / "dumps" / name, {name: content})
        (tmp_path / "assise.yaml").unlink(missing_ok=True)
        assert command.run("infer", str(dump)).code == 0
        started = perf_counter()
        outcomes.append(command.run("load", str(dump), "--yes"))
        seconds.append(perf_counter() - started)
    assert (outcomes[0].code, outcomes[0].report["loaded"], outcomes[0].report["rejected"]) == (
        0,
        size,
        0,
    )
    return seconds[0], seconds[1], outcomes[1]


@pytest.mark.parametrize("size", [20_000, pytest.param(200_000, marks=pytest.mark.soak)])
def test_a_dump_concatenated_with_itself_takes_at_most_three_times_as_long(
    command: Command, tmp_path: Path, query: Query, size: int
) -> None:
    once, twice, outcome = doubled_load(tmp_path, command, size)
    assert (outcome.code, outcome.report["documents"]) == (3, 2 * size)
    assert (outcome.report["loaded"], outcome.report["rejected"]) == (size, size)
    source = (tmp_path / "dumps/twice/twice.bson").read_bytes()
    assert query("SELECT reason, count(*), sum(size) FROM assise.reject GROUP BY reason") == [
        (DUPLICATE, size, len(source) // 2)
    ]
    for offset, raw in query(
        "SELECT start_offset, raw FROM assise.reject ORDER BY random() LIMIT 100"
    ):
        assert isinstance(offset, int)
        assert isinstance(raw, bytes)
        assert source[offset : offset + len(raw)] == raw
    assert size < 200_000 or twice <= 3 * once, f"{once:.2f} s, doubled {twice:.2f} s"
    assert command.run("verify").report["verified"] == {
        "equal": size,
        "different": 0,
        "missing": 0,
        "extra": 0,
    }


def test_what_is_not_bson_keeps_its_reason_in_chunks_that_are_looked_through_for_duplicates(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def user(number: int, ok: bytes) -> bytes:
        return document(int32("_id", number), field(0x08, "ok", ok))

    good = [user(number, b"\1") for number in range(200)]
    again = [user(number, b"\2" if number % 7 == 3 else b"\1") for number in range(200)]
    monkeypatch.setenv("ASSISE_LOAD_CHUNK_BYTES", str(40 * len(good[0])))
    monkeypatch.setenv("ASSISE_WORKERS", "1")  # with more it is open which of two is loaded
    parts = [*good, *again]
    rejects = [
        Expected(
            "users",
            (200 + i) * len(raw),
            DUPLICATE if raw == good[i] else NOT_BSON,
            raw,
        )
        for i, raw in enumerate(again)
    ]
    command.migrate(
        write_dump(tmp_path / "app", {"users": parts}), 400, rejects, "29 places are no documents"
    )
