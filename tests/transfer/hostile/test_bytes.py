"""Bytes that are not BSON, or as much of it as a document may have.

Each source ends with the right message, and with every document loaded or rejected.
"""

from __future__ import annotations

import random
from pathlib import Path

from tests.dumps import write_dump
from tests.scenes.hostile import (
    GOOD,
    JUNK,
    LARGEST,
    NOT_BSON,
    Command,
    Expected,
    Query,
    document,
    expect,
    field,
    int32,
    string,
)


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
    told = f"users: 1 place is no document, the first at byte {start:,}"
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
    parts = [
        JUNK,
        *GOOD[:2],
        JUNK + b"1",
        *GOOD[2:4],
        JUNK + b"22",
        *GOOD[4:6],
        JUNK + b"333",
    ]
    rejects = expect("users", parts, (0, 3, 6, 9), NOT_BSON)
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
    command.migrate(
        dump,
        3,
        [Expected("users", len(GOOD[0]), NOT_BSON, JUNK)],
    )


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
    rejects = expect("users", parts, (1, 3, 5, 7), NOT_BSON)
    words = ["a boolean that is 2", "unknown BSON type 32", "4 places are no documents"]
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
        [
            Expected(
                "users",
                len(b"".join(GOOD[:3])),
                NOT_BSON,
                run,
                kept=64 << 10,
            )
        ],
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
        dump,
        4,
        [
            Expected(
                "users",
                len(GOOD[0]) + LARGEST,
                NOT_BSON,
                larger,
                kept=64 << 10,
            )
        ],
    )
    assert query("SELECT octet_length(name) FROM users WHERE id = 100") == [(room,)]
