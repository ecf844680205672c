"""Folders, files and names that are broken or odd.

Each source ends with the right message, and with every document loaded or rejected.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.dumps import write_dump
from tests.scenes.hostile import (
    GOOD,
    JUNK,
    Command,
    Query,
    document,
    field,
    int32,
    write_manifest,
)


def test_an_empty_file_is_an_empty_collection(
    command: Command, tmp_path: Path, query: Query
) -> None:
    outcome = command.migrate(write_dump(tmp_path / "app", {"users": GOOD, "empty": []}), 20)
    assert outcome.count("documents") == {"empty": 0, "users": 20}
    assert query("SELECT count(*) FROM empty") == [(0,)]


def test_a_dump_of_nothing_but_an_empty_collection_is_done(
    command: Command, tmp_path: Path
) -> None:
    assert command.migrate(
        write_dump(
            tmp_path / "app",
            {"empty": []},
            is_packed=True,
        ),
        0,
    ).count("loaded") == {"empty": 0}


def test_a_folder_without_a_dump_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "notes.txt").write_text("no dump")
    command.refuse(
        tmp_path / "nothing",
        "nothing holds no .bson or JSON files",
        "Give the folder that mongodump wrote, such as dump/app, or one with JSON files.",
    )
    command.refuse(tmp_path / "elsewhere", "elsewhere does not exist")
    command.refuse(tmp_path / "nothing" / "notes.txt", "notes.txt is neither BSON nor JSON")
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
    (dump / "users.bson.gz.bson").rename(dump / "users.bson.gz").write_bytes(b"no gzip, no BSON")
    command.refuse(dump, "users.bson.gz is a broken gzip stream", "Of it 0 documents can be read")


def test_the_bytes_of_a_file_tell_whether_it_is_packed(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD})
    packed = write_dump(tmp_path / "packed", {"orders": GOOD}, is_packed=True)
    (packed / "orders.bson.gz").rename(dump / "orders.bson")
    (dump / "users.bson").rename(dump / "users.bson.gz")
    command.migrate(dump, 40)


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


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("gone")])
def test_a_collection_whose_file_cannot_be_read_is_refused_before_anything_is_written(
    command: Command, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD})
    make(dump / "orders.bson")
    command.refuse(dump, "orders.bson is ", "so that its collection cannot be read")


def test_one_collection_in_two_files_is_refused(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": GOOD})
    write_dump(dump, {"users": GOOD}, is_packed=True)
    command.refuse(dump, "users.bson", "users.bson.gz", "are both the collection 'users'")


def test_several_databases_in_one_folder_are_named(command: Command, tmp_path: Path) -> None:
    for name in ("shop", "blog"):
        write_dump(tmp_path / "dump" / name, {"users": GOOD})
    command.refuse(tmp_path / "dump", "holds 2 databases: blog, shop", "Name one of them", code=2)
    command.migrate(tmp_path / "dump" / "shop", 20)


def test_the_oplog_and_the_servers_own_databases_beside_a_database_are_said_and_not_read(
    command: Command, tmp_path: Path
) -> None:
    write_dump(tmp_path / "dump", {"oplog": GOOD})
    write_dump(tmp_path / "dump" / "admin", {"system.version": GOOD})
    write_dump(tmp_path / "dump" / "shop", {"users": GOOD})
    outcome = command.migrate(tmp_path / "dump", 20, [], "not read: admin/, oplog.bson")
    assert outcome.count("loaded") == {"users": 20}


def test_escaped_and_shortened_file_names_give_the_collections_their_own_names(
    command: Command, tmp_path: Path
) -> None:
    long_name = "events." + "n" * 230
    short = "events." + "n" * 200 + "%24qVJMHJtqvWIUO1WvMWqzPZuNMWs="
    files = {
        "a%2Fb": GOOD[:1],
        "50%25": GOOD[:2],
        "caf%C3%A9": GOOD[:3],
        short: GOOD[:4],
    }
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
    command.refuse(dump, f"{name}.bson is not that of a collection", "Rename the file")


def test_long_names_that_differ_at_the_end_get_tables_of_their_own(
    command: Command, tmp_path: Path
) -> None:
    names = [
        "n" * 200,
        "n" * 199 + "m",
        "n" * 63,
        "n" * 58,
        "é" * 100,
    ]
    items = [
        document(
            int32("_id", 1),
            field(
                0x04,
                "k" * 200,
                document(field(0x03, "0", document(int32("n", 1)))),
            ),
        )
    ]
    outcome = command.migrate(write_dump(tmp_path / "app", dict.fromkeys(names, items)), 5)
    tables = outcome.tables()
    assert len(tables) == len({name.lower() for name in tables}) == 10
    assert max(len(name.encode()) for name in tables) <= 58


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
