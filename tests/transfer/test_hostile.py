"""Sources that are broken, odd or at a limit.

Each ends with the right message, and with every document loaded or rejected.
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest
from bson import ObjectId
from tests.dumps import write_dump
from tests.scenes.hostile import (
    DUPLICATE,
    LARGEST,
    LIMIT,
    MISFIT,
    NOT_BSON,
    Command,
    Expected,
    Outcome,
    Query,
    document,
    double,
    field,
    int32,
    int64,
    nested,
    start_of,
    string,
)

GOOD = [document(int32("_id", number), string("name", f"user {number}")) for number in range(20)]
JUNK = b"\xde\xad\xbe\xef\x00" * 80


@pytest.fixture
def command(
    tmp_path: Path, database: str, query: Query, capsys: pytest.CaptureFixture[str]
) -> Command:
    def read() -> tuple[str, str]:
        found = capsys.readouterr()
        return found.out, found.err

    return Command(tmp_path, database, read, query)


def write_manifest(folder: Path, tables: str) -> None:
    """A manifest with these tables, in flow style."""
    (folder / "assise.yaml").write_text(f"assise: 1\nname: app\ntables: {{{tables}}}\n")


def as_json(text: object) -> object:
    """JSON with the order of its fields, whatever its white space; ints and doubles apart."""
    return json.loads(str(text), object_pairs_hook=list, parse_float=str)


def random_text(size: int, seed: int) -> str:
    """Text that PostgreSQL cannot compress much."""
    return "".join(
        random.Random(seed).choices(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=size
        )
    )


# Bytes that are not BSON


def test_the_rest_of_a_truncated_file_is_one_reject(command: Command, tmp_path: Path) -> None:
    content = b"".join(GOOD)
    dump = write_dump(tmp_path / "app", {"users": [content[:-7]]})
    start = len(content) - len(GOOD[-1])
    command.migrate(
        dump,
        20,
        [Expected("users", start, NOT_BSON, GOOD[-1][:-7])],
        f"{len(GOOD[-1]) - 7} bytes that cannot be framed as documents",
    )


def test_garbage_in_the_middle_is_one_reject_and_reading_goes_on_behind_it(
    command: Command, tmp_path: Path, query: Query
) -> None:
    dump = write_dump(tmp_path / "app", {"users": [*GOOD[:9], JUNK, *GOOD[9:]]})
    start = len(b"".join(GOOD[:9]))
    told = f"users: 1 place is not BSON, the first at byte {start:,}"
    outcome = command.migrate(
        dump, 21, [Expected("users", start, NOT_BSON, JUNK)], told, "next: assise rejects"
    )
    assert query("SELECT count(*), sum(id) FROM users") == [(20, 190)]
    listed = command.run("rejects")
    assert listed.code == 3
    assert [(reject["offset"], reject["reason_name"]) for reject in listed.printed] == [
        (start, "NOT_BSON")
    ]
    assert outcome.count("rejected") == {"users": 1}


def test_garbage_in_front_at_the_end_and_twice_between_is_four_rejects(
    command: Command, tmp_path: Path
) -> None:
    parts = [JUNK, *GOOD[:2], JUNK + b"1", *GOOD[2:4], JUNK + b"22", *GOOD[4:6], JUNK + b"333"]
    rejects = [Expected("users", start_of(parts, i), NOT_BSON, parts[i]) for i in (0, 3, 6, 9)]
    command.migrate(write_dump(tmp_path / "app", {"users": parts}), 10, rejects)


def test_a_document_between_two_runs_of_garbage_is_one_run_with_them(
    command: Command, tmp_path: Path
) -> None:
    run = JUNK + GOOD[3] + JUNK
    command.migrate(
        write_dump(tmp_path / "app", {"users": [GOOD[0], run, GOOD[1]]}),
        3,
        [Expected("users", len(GOOD[0]), NOT_BSON, run)],
    )


def test_a_document_behind_garbage_is_read_where_the_file_ends_with_it(
    command: Command, tmp_path: Path
) -> None:
    dump = write_dump(tmp_path / "app", {"users": [GOOD[0], JUNK, GOOD[1]]})
    command.migrate(dump, 3, [Expected("users", len(GOOD[0]), NOT_BSON, JUNK)])


def test_a_framed_document_that_is_no_bson_inside_is_one_reject_and_its_neighbours_are_loaded(
    command: Command, tmp_path: Path
) -> None:
    wrong_bool = document(int32("_id", 100), field(0x08, "ok", b"\x02"))
    unknown_type = document(int32("_id", 101), field(0x20, "x", b"\0\0\0\0"))
    long_string = document(int32("_id", 102), field(0x02, "s", b"\xff\0\0\0abc\0"))
    wrong_scope = document(int32("_id", 103), field(0x03, "d", b"\x09\0\0\0\x0a\0\0"))
    parts = [
        GOOD[0],
        wrong_bool,
        GOOD[1],
        unknown_type,
        GOOD[2],
        long_string,
        GOOD[3],
        wrong_scope,
        GOOD[4],
    ]
    offsets = [start_of(parts, i) for i in range(len(parts))]
    rejects = [Expected("users", offsets[i], NOT_BSON, parts[i]) for i in (1, 3, 5, 7)]
    words = ["a boolean that is 2", "unknown BSON type 32", "4 places are not BSON"]
    command.migrate(write_dump(tmp_path / "app", {"users": parts}), 9, rejects, *words)


def test_a_file_of_zeros_is_one_reject(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": [bytes(1 << 20)]})
    command.migrate(
        dump,
        1,
        [Expected("users", 0, NOT_BSON, bytes(1 << 20))],
        "1,048,576 bytes that cannot be framed",
    )


def test_a_run_over_16_mib_keeps_its_place_length_hash_and_first_64_kib(
    command: Command, tmp_path: Path, query: Query
) -> None:
    run = random.Random(3).randbytes((16 << 20) + 1)
    dump = write_dump(tmp_path / "app", {"users": [*GOOD[:3], run, *GOOD[3:]]})
    command.migrate(
        dump,
        21,
        [Expected("users", len(b"".join(GOOD[:3])), NOT_BSON, run, kept=64 << 10)],
        "16,777,217 bytes that cannot be framed",
    )
    assert query("SELECT count(*) FROM users") == [(20,)]


def test_a_run_of_just_16_mib_is_kept_whole(command: Command, tmp_path: Path) -> None:
    run = random.Random(4).randbytes(16 << 20)
    command.migrate(
        write_dump(tmp_path / "app", {"users": [run, *GOOD]}),
        21,
        [Expected("users", 0, NOT_BSON, run)],
    )


def test_the_largest_document_is_loaded_and_one_byte_more_is_no_document(
    command: Command, tmp_path: Path, query: Query
) -> None:
    room = LARGEST - len(document(int32("_id", 100), string("name", "")))
    largest, larger = (
        document(int32("_id", 100), string("name", "é" * (room // 2) + "x" * (room % 2 + more)))
        for more in (0, 1)
    )
    assert (len(largest), len(larger)) == (LARGEST, LARGEST + 1)
    dump = write_dump(tmp_path / "app", {"users": [GOOD[0], largest, larger, GOOD[1]]})
    command.migrate(
        dump, 4, [Expected("users", len(GOOD[0]) + LARGEST, NOT_BSON, larger, kept=64 << 10)]
    )
    assert query("SELECT octet_length(name) FROM users WHERE id = 100") == [(room,)]


# Files and folders


def test_an_empty_file_is_an_empty_collection(
    command: Command, tmp_path: Path, query: Query
) -> None:
    outcome = command.migrate(write_dump(tmp_path / "app", {"users": GOOD, "empty": []}), 20)
    assert outcome.count("documents") == {"empty": 0, "users": 20}
    assert query("SELECT count(*) FROM empty") == [(0,)]


def test_a_dump_of_nothing_but_an_empty_collection_is_done(
    command: Command, tmp_path: Path
) -> None:
    assert command.migrate(write_dump(tmp_path / "app", {"empty": []}, is_packed=True), 0).count(
        "loaded"
    ) == {"empty": 0}


def test_a_folder_without_a_dump_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "notes.txt").write_text("no dump")
    command.refuse(
        tmp_path / "nothing", "nothing holds no .bson files", "Give the folder that mongodump wrote"
    )
    command.refuse(tmp_path / "elsewhere", "elsewhere does not exist")
    command.refuse(tmp_path / "nothing" / "notes.txt", "notes.txt is no .bson or .bson.gz file")
    assert not (tmp_path / "assise.yaml").exists()


def test_a_truncated_gzip_stream_is_refused_and_the_whole_one_is_loaded_afterwards(
    command: Command, tmp_path: Path, query: Query
) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD}, is_packed=True)
    file = dump / "users.bson.gz"
    content = file.read_bytes()
    file.write_bytes(content[:-20])
    command.refuse(
        dump,
        "users.bson.gz is a broken gzip stream",
        "Take the dump again, or unpack what there is",
    )
    assert query("SELECT to_regclass('users')") == [(None,)]
    file.write_bytes(content)
    command.migrate(dump, 20)


def test_a_gzip_stream_that_breaks_off_within_a_load_leaves_the_load_unfinished(
    command: Command, tmp_path: Path
) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD}, is_packed=True)
    write_manifest(
        tmp_path,
        "users: {collection: users, primary_key: id, columns: {id: {type: int4, from: _id},"
        " name: text}}",
    )
    content = (dump / "users.bson.gz").read_bytes()
    (dump / "users.bson.gz").write_bytes(content[:-20])
    command.refuse(dump, "broken gzip stream")
    assert command.run("verify").code == 2
    (dump / "users.bson.gz").write_bytes(content)
    command.migrate(dump, 20)


def test_garbage_behind_a_gzip_stream_is_refused(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD}, is_packed=True)
    with (dump / "users.bson.gz").open("ab") as file:
        file.write(JUNK)
    command.refuse(dump, "users.bson.gz is a broken gzip stream")


def test_a_file_that_is_no_gzip_stream_at_all_is_refused(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users.bson.gz": []})
    (dump / "users.bson.gz.bson").rename(dump / "users.bson.gz").write_bytes(b"".join(GOOD))
    command.refuse(dump, "users.bson.gz is a broken gzip stream", "documents up to byte 0")


def test_a_gzip_stream_of_several_members_is_read_to_its_end(
    command: Command, tmp_path: Path
) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD[:7]}, is_packed=True)
    with (dump / "users.bson.gz").open("ab") as file:
        file.write(gzip.compress(b"".join(GOOD[7:])))
    command.migrate(dump, 20)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Files are opened as a user whom permissions bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_without_read_permission_is_refused(command: Command, short_folder: Path) -> None:
    dump = write_dump(short_folder / "locked", {"users": GOOD})
    (dump / "users.bson").chmod(0)
    with ordinary_user():
        outcome = replace(command, folder=short_folder).run(
            "infer", str(dump), "-o", "-", "--workers", "1"
        )
    assert outcome.code == 1
    assert "users.bson cannot be read: Permission denied" in outcome.log


def test_a_folder_without_permission_is_refused(command: Command, short_folder: Path) -> None:
    dump = write_dump(short_folder / "shut", {"users": GOOD})
    dump.chmod(0)
    with ordinary_user():
        reachable = replace(command, folder=short_folder)
        outcome = reachable.run("infer", str(dump), "-o", "-", "--workers", "1")
        inside = reachable.run("infer", str(dump / "users.bson"), "-o", "-", "--workers", "1")
    assert (outcome.code, inside.code) == (1, 1)
    assert "shut cannot be read: Permission denied" in outcome.log
    assert "users.bson cannot be read: Permission denied" in inside.log


def test_a_folder_with_the_name_of_a_file_is_said_and_not_read(
    command: Command, tmp_path: Path
) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD})
    (dump / "x.bson").mkdir()
    outcome = command.migrate(dump, 20, [], "not read: x.bson/")
    assert outcome.count("loaded") == {"users": 20}


def test_one_collection_in_two_files_is_refused(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD})
    write_dump(dump, {"users": GOOD}, is_packed=True)
    command.refuse(dump, "users.bson", "users.bson.gz", "are both the collection 'users'")


def test_several_databases_in_one_folder_are_named(command: Command, tmp_path: Path) -> None:
    for name in ("shop", "blog"):
        write_dump(tmp_path / "dump" / name, {"users": GOOD})
    command.refuse(tmp_path / "dump", "holds 2 databases: blog, shop", "Name one of them")
    command.migrate(tmp_path / "dump" / "shop", 20)


def test_the_oplog_and_the_servers_own_databases_beside_a_database_are_said_and_not_read(
    command: Command, tmp_path: Path
) -> None:
    write_dump(tmp_path / "dump", {"oplog": GOOD})
    write_dump(tmp_path / "dump" / "admin", {"system.version": GOOD})
    write_dump(tmp_path / "dump" / "shop", {"users": GOOD})
    outcome = command.migrate(tmp_path / "dump", 20, [], "not read: admin/, oplog.bson")
    assert outcome.count("loaded") == {"users": 20}


# Names


def test_escaped_and_shortened_file_names_give_the_collections_their_own_names(
    command: Command, tmp_path: Path
) -> None:
    long_name = "events." + "n" * 230
    short = "events." + "n" * 200 + "%24qVJMHJtqvWIUO1WvMWqzPZuNMWs="
    files = {"a%2Fb": GOOD[:1], "50%25": GOOD[:2], "caf%C3%A9": GOOD[:3], short: GOOD[:4]}
    dump = write_dump(tmp_path / "app", files)
    (dump / f"{short}.metadata.json").write_text(
        json.dumps({"options": {}, "indexes": [], "collectionName": long_name})
    )
    outcome = command.migrate(dump, 10)
    assert outcome.count("documents") == {"a/b": 1, "50%": 2, "café": 3, long_name: 4}


def test_collections_may_be_called_like_words_of_sql_and_like_our_own_things(
    command: Command, tmp_path: Path, query: Query
) -> None:
    names = [
        "user",
        "order",
        "select",
        "users",
        "users_pkey",
        "Users",
        "USERS",
        "assise.x",
        "pg_class",
        "xmin",
        "drop table users; --",
        'a"b',
        "a'b",
    ]
    dump = write_dump(tmp_path / "app", {name: GOOD[: i + 1] for i, name in enumerate(names)})
    outcome = command.migrate(dump, sum(range(1, len(names) + 1)))
    assert outcome.count("loaded") == {name: i + 1 for i, name in enumerate(names)}
    tables = outcome.tables()
    assert len({name.lower() for name in tables}) == len(names)
    assert query('SELECT count(*) FROM "user"') == [(1,)]
    assert query('SELECT count(*) FROM "order"') == [(2,)]
    assert query(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    ) == [(len(names),)]


@pytest.mark.parametrize("name", ["", "a%00b"])
def test_a_file_whose_name_is_that_of_no_collection_is_refused(
    command: Command, tmp_path: Path, name: str
) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD, name: GOOD})
    command.refuse(dump, f"{name}.bson is that of no collection", "Rename the file")


def test_long_names_that_differ_at_the_end_get_tables_of_their_own(
    command: Command, tmp_path: Path
) -> None:
    names = ["n" * 200, "n" * 199 + "m", "n" * 63, "n" * 58, "é" * 100]
    items = [
        document(
            int32("_id", 1),
            field(0x04, "k" * 200, document(field(0x03, "0", document(int32("n", 1))))),
        )
    ]
    outcome = command.migrate(write_dump(tmp_path / "app", dict.fromkeys(names, items)), 5)
    tables = outcome.tables()
    assert len(tables) == len({name.lower() for name in tables}) == 10
    assert max(len(name.encode()) for name in tables) <= 58


# Keys


def test_documents_without_id_are_keyed_by_their_offset_and_never_duplicates(
    command: Command, tmp_path: Path, query: Query
) -> None:
    nameless = document(string("name", "nobody"))
    command.migrate(
        write_dump(tmp_path / "app", {"users": [*GOOD[:2], nameless, nameless, GOOD[0]]}), 5
    )
    size = len(GOOD[0])
    offsets = [0, size, 2 * size, 2 * size + len(nameless), 2 * size + 2 * len(nameless)]
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
    dbref = document(string("$ref", "users"), field(0x07, "$id", oid.binary), string("$db", "shop"))
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
    command.migrate(write_dump(tmp_path / "app", {"things": [*parts, parts[2]]}), 6, [again])
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
    parts = [*good[:10], long[0], *good[10:20], long[1], *good[20:]]
    rejects = [Expected("users", start_of(parts, i), LIMIT, parts[i]) for i in (10, 21)]
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
        document(double("_id", 5.0)),
        document(int64("_id", 1 << 31)),
        document(string("name", "nobody")),
        document(field(0x0A, "_id")),
        document(int32("_id", 90), int32("_id", 91)),
    ]
    parts = [item for pair in zip(GOOD, bad, strict=False) for item in pair]
    rejects = [Expected("users", start_of(parts, i), MISFIT, parts[i]) for i in range(1, 12, 2)]
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
    rejects = [Expected("prices", start_of(parts, i), DUPLICATE, parts[i]) for i in (2, 3)]
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
    rejects = [Expected("float8", size * i, DUPLICATE, parts[i]) for i in (1, 3)] + [
        Expected("numeric", size * i, MISFIT, parts[i]) for i in (1, 3)
    ]
    command.migrate(write_dump(tmp_path / "app", {"numeric": parts, "float8": parts}), 10, rejects)
    for table in ("numeric", "float8"):
        assert query(f'SELECT n FROM "{table}" ORDER BY n') == [(0,), (2,), (4,)]


# A dump twice over


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
        Expected("users", (200 + i) * len(raw), DUPLICATE if raw == good[i] else NOT_BSON, raw)
        for i, raw in enumerate(again)
    ]
    command.migrate(
        write_dump(tmp_path / "app", {"users": parts}), 400, rejects, "29 places are not BSON"
    )


# Rows and documents at a limit


def wide_manifest(folder: Path, table: str, columns: int) -> None:
    names = ", ".join(f"c{i}: text" for i in range(columns))
    write_manifest(
        folder,
        f"{table}: {{collection: {table}, primary_key: id,"
        f" columns: {{id: {{type: int4, from: _id}}, {names}}}}}",
    )


def too_wide(number: int, columns: int, size: int) -> bytes:
    """A document whose row no page holds.

    The texts are short, so that TOAST does not help, or very many.
    """
    return document(
        int32("_id", number),
        *(string(f"c{i}", random_text(size, number * columns + i)) for i in range(columns)),
    )


@pytest.mark.contract
def test_rows_that_are_too_big_are_rejected_and_all_others_loaded(
    command: Command, tmp_path: Path, query: Query
) -> None:
    wide_manifest(tmp_path, "wide", 900)
    small = [
        document(int32("_id", i), *(string(f"c{c}", "x") for c in range(0, 900, 7)))
        for i in range(60)
    ]
    bad = {number: too_wide(1_000 + number, 900, 30) for number in (3, 4, 31, 59)}
    parts = [bad.get(i, raw) for i, raw in enumerate(small)]
    rejects = [Expected("wide", start_of(parts, i), LIMIT, raw) for i, raw in bad.items()]
    command.migrate(write_dump(tmp_path / "app", {"wide": parts}), 60, rejects, "row is too big")
    assert query("SELECT array_agg(id ORDER BY id) FROM wide") == [
        ([i for i in range(60) if i not in bad],)
    ]


def test_a_chunk_in_which_every_row_is_too_big_stays_linear(
    command: Command, tmp_path: Path
) -> None:
    seconds = []
    for table, size in (("few", 40), ("many", 120)):
        home = replace(command, folder=tmp_path / table)
        home.folder.mkdir()
        wide_manifest(home.folder, table, 450)
        manifest = home.folder / "assise.yaml"
        manifest.write_text(manifest.read_text().replace("name: app", f"name: {table}"))
        dump = write_dump(
            home.folder / "dump", {table: [too_wide(i, 450, 20) for i in range(size)]}
        )
        started = perf_counter()
        outcome = home.run("migrate", str(dump), "--yes")
        seconds.append(perf_counter() - started)
        assert (
            outcome.code,
            outcome.report["documents"],
            outcome.report["loaded"],
            outcome.report["rejected"],
        ) == (3, size, 0, size)
        source = (dump / f"{table}.bson").read_bytes()
        found = command.query(
            "SELECT reason, raw FROM assise.reject WHERE collection = %s ORDER BY start_offset",
            (table,),
        )
        assert {reason for reason, _ in found} == {LIMIT}
        assert b"".join(raw for _, raw in found if isinstance(raw, bytes)) == source
    assert seconds[1] < 6 * seconds[0], (
        f"40 documents {seconds[0]:.2f} s, 120 documents {seconds[1]:.2f} s"
    )


@pytest.mark.contract
def test_a_child_row_that_is_too_big_rejects_its_document(
    command: Command, tmp_path: Path, query: Query
) -> None:
    names = ", ".join(f"c{i}: text" for i in range(900))
    users = "users: {collection: users, primary_key: id, columns: {id: {type: int4, from: _id}}}"
    keys = "from: items.*, primary_key: [user_id, _position]"
    items = f"items: {{parent: users, {keys}, columns: {{{names}}}}}"
    write_manifest(tmp_path, f"{users}, {items}")
    element = field(0x03, "1", document(*(string(f"c{i}", random_text(30, i)) for i in range(900))))
    small = field(0x03, "0", document(string("c1", "x")))
    parts = [
        document(
            int32("_id", i), field(0x04, "items", document(small, *([element] if i == 4 else [])))
        )
        for i in range(8)
    ]
    rejects = [Expected("users", start_of(parts, 4), LIMIT, parts[4])]
    command.migrate(write_dump(tmp_path / "app", {"users": parts}), 8, rejects, "row is too big")
    assert query(
        "SELECT count(*), count(DISTINCT user_id), (SELECT count(*) FROM users) FROM items"
    ) == [(7, 7, 7)]


@pytest.mark.contract
def test_dates_at_the_edges_of_the_type_are_typed_and_those_beyond_are_kept(
    command: Command, tmp_path: Path, query: Query
) -> None:
    first, last = -210_866_803_200_000, 9_224_318_015_999_999
    moments = [
        0,
        1,
        -1,
        -62_135_596_800_001,
        253_402_300_800_000,
        first,
        last,
        *[0] * 80,
        first - 1,
        last + 1,
        -(1 << 63),
        (1 << 63) - 1,
    ]
    parts = [document(int32("_id", i), int64("at", ms, kind=0x09)) for i, ms in enumerate(moments)]
    command.migrate(write_dump(tmp_path / "app", {"events": parts}), len(moments))
    assert query("SELECT id FROM events WHERE at IS NULL ORDER BY id") == [
        (i,) for i in range(87, 91)
    ]
    assert query("SELECT at::text FROM events WHERE id IN (5, 6) ORDER BY id") == [
        ("4714-11-24 00:00:00+00 BC",),
        ("294276-12-31 23:59:59.999+00",),
    ]
    assert query(
        "SELECT _extra -> 'at' -> '$date' ->> '$numberLong' FROM events WHERE id >= 87 ORDER BY id"
    ) == [(str(ms),) for ms in moments[87:]]


def test_2000_levels_of_documents_and_of_arrays(command: Command, tmp_path: Path) -> None:
    documents = field(0x03, "deep", nested(2_000))
    arrays = field(0x04, "list", nested(2_000).replace(b"\x03a\0", b"\x040\0"))
    parts = [
        document(int32("_id", 1), documents),
        document(int32("_id", 2), arrays),
        document(int32("_id", 3), documents, arrays),
    ]
    command.migrate(write_dump(tmp_path / "app", {"deep": parts}), 3)


def test_5000_distinct_keys(command: Command, tmp_path: Path, query: Query) -> None:
    parts = [
        document(int32("_id", i), *(int32(f"k{(i * 50 + j) % 5000}", j) for j in range(50)))
        for i in range(100)
    ]
    parts += [document(int32("_id", 100), *(int32(f"k{j}", j) for j in range(5_000)))]
    outcome = command.migrate(
        write_dump(tmp_path / "app", {"sparse": parts}),
        101,
        [],
        "columns, the rarest, are left to _extra",
    )
    assert sum(outcome.report["collections"][0]["values"].values()) == 101 + 100 * 50 + 5_000
    (columns,) = query(
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'sparse'"
    )
    assert columns == (320,)


def test_1700_columns_that_every_document_has_are_cut_to_what_a_row_holds(
    command: Command, tmp_path: Path, query: Query
) -> None:
    parts = [
        document(
            int32("_id", i), *(string(f"f{j}", f"value {j} of document {i}") for j in range(1_700))
        )
        for i in range(10)
    ]
    command.migrate(
        write_dump(tmp_path / "app", {"wide": parts}),
        10,
        [],
        "wide: 1,382 of 1,700 columns, the rarest, are left to _extra",
    )
    assert query("SELECT count(*) FROM information_schema.columns WHERE table_name = 'wide'") == [
        (320,)
    ]


def test_16_mb_of_control_characters_come_back(
    command: Command, tmp_path: Path, query: Query
) -> None:
    text = (bytes(range(1, 32)) + b'"\\/\x7f')[:32] * ((16 << 20) // 32 - 8)
    parts = [
        document(int32("_id", 1), string("text", text)),
        document(int32("_id", 2), string("text", "x")),
    ]
    command.migrate(write_dump(tmp_path / "app", {"notes": parts}), 2)
    assert query(
        "SELECT sha256(convert_to(text, 'UTF8')) = sha256(%s) FROM notes WHERE id = 1", (text,)
    ) == [(True,)]


# Manifest and dump that do not go together


def test_a_table_whose_collection_the_dump_does_not_hold_is_an_error(
    command: Command, tmp_path: Path, query: Query
) -> None:
    columns = "primary_key: id, columns: {id: {type: int4, from: _id}}"
    write_manifest(
        tmp_path,
        f"users: {{collection: users, {columns}}}, orders: {{collection: orders, {columns}}}",
    )
    dump = write_dump(tmp_path / "app", {"users": GOOD})
    command.refuse(
        dump,
        "app holds no collection 'orders', which the manifest has",
        "Take its table out of the manifest",
    )
    assert query("SELECT to_regclass('users')") == [(None,)]


def test_a_collection_that_the_manifest_does_not_have_is_said_and_not_loaded(
    command: Command, tmp_path: Path, query: Query
) -> None:
    write_manifest(
        tmp_path,
        "users: {collection: users, primary_key: id, columns: {id: {type: int4, from: _id}}}",
    )
    dump = write_dump(tmp_path / "app", {"users": GOOD, "orders": GOOD})
    outcome = command.migrate(dump, 20, [], "orders has no table in the manifest and is not loaded")
    assert outcome.count("loaded") == {"users": 20}
    assert query("SELECT to_regclass('orders')") == [(None,)]
