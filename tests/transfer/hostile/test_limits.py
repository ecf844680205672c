"""Rows, dates, levels, keys and columns at the limits of PostgreSQL and BSON.

Each source ends with the right message, and with every document loaded or rejected.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest
from tests.dumps import write_dump
from tests.scenes.hostile import (
    LIMIT,
    Command,
    Query,
    document,
    expect,
    field,
    int32,
    int64,
    nested,
    random_text,
    string,
    write_manifest,
)


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
    rejects = expect("wide", parts, bad, LIMIT)
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
    keys = "from: items.*, primary_key: [user_id, position]"
    items = f"items: {{parent: users, {keys}, columns: {{{names}}}}}"
    write_manifest(tmp_path, f"{users}, {items}")
    element = field(
        0x03,
        "1",
        document(*(string(f"c{i}", random_text(30, i)) for i in range(900))),
    )
    small = field(0x03, "0", document(string("c1", "x")))
    parts = [
        document(
            int32("_id", i),
            field(
                0x04,
                "items",
                document(small, *([element] if i == 4 else [])),
            ),
        )
        for i in range(8)
    ]
    rejects = expect("users", parts, [4], LIMIT)
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
