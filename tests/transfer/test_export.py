"""Export: what was loaded comes out again as it was, and what SQL has made of it as it is now."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import bson
import pytest
from bson import Decimal128, ObjectId
from tests.dumps import confirm, write_dump
from tests.oracle.equality import differences
from tests.oracle.slices import check_slice
from tests.oracle.walk import frames
from tests.scenes.databases import Databases, Template
from tests.scenes.hostile import document, field, int32, nested, string
from tests.scenes.migrations import NOT_BSON, SLICES, Hit, Migration, files
from tests.scenes.readback import Plain, Target, quote

from assise.documents.extjson import write_json
from assise.errors import AssiseError, UsageError
from assise.mongo.names import file_name
from assise.project import Project
from assise.transfer import export

Query = Callable[..., list[tuple[object, ...]]]
USERS = [
    {
        "_id": ObjectId(f"65b9f0a00000000000000{n:03}"),
        "name": f"user {n}",
        "items": [{"n": n}, {"n": n, "parts": [{"p": n}] * 2}],
    }
    for n in range(50)
]


def read(project: Project, collection: str = "users") -> list[bytes]:
    """The documents that an export gives."""
    found: list[bytes] = []
    exported = project.export(collection, found.append)
    assert (exported.documents, exported.problems) == (len(found), [])
    return found


def read_files(folder: Path, name: str = "users") -> list[bytes]:
    content = (folder / f"{name}.bson").read_bytes()
    assert {what for what, _, _ in frames(content)} <= {"document"}
    return [content[start:end] for _, start, end in frames(content)]


class Exports(Migration):
    """One example through the server and out again."""

    def check(self, plain: Plain, content: bytes) -> None:
        """Load it, export it, compare with the source minus the rejects.

        Then with the rejects that are documents.
        """
        super().check(plain, content)
        _, rejects, sources = self.expect(plain, content)
        project = Project(self.folder, to=self.target.conninfo)
        found = read(project, "docs")
        assert len(found) == len(sources)
        root = next(name for name, table in project.manifest.tables.items() if table.collection)
        key_name = project.manifest.tables[root].primary_key[0]
        table, order = quote(self.target.schema, root), quote("t", key_name)
        statement = f"SELECT {quote(key_name)}::text FROM {table} AS t ORDER BY {order}"
        by_key = [key for (key,) in self.target.run(statement)]
        for key, raw in zip(by_key, found, strict=True):
            assert differences(sources[(key or b"").decode()], raw) == []
            assert isinstance(json.loads(write_json(raw)), dict)
        done = project.export_folder(self.folder / "out")
        whole = [
            content[start:end]
            for start, (end, reason) in sorted(rejects.items())
            if reason != NOT_BSON
        ]
        written = (self.folder / "out" / "drawn" / "docs.bson").read_bytes()
        assert written == b"".join([*found, *whole])
        assert (done[0].documents, done[0].rejects, done[0].skipped) == (
            len(found),
            len(whole),
            len(rejects) - len(whole),
        )


@pytest.mark.parametrize(
    "name",
    ["drawn 0", "nested below text", "nested below float8", "nested below numeric", "rules 2"],
)
def test_hostile_documents_come_out_as_they_went_in(
    name: str, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits: set[Hit] = set()
    monkeypatch.setattr(export, "PAGE_DOCUMENTS", 2)
    with Target(database, "drawn") as target:

        def check(example: tuple[Plain, bytes]) -> None:
            Exports(target, tmp_path / "project", hits).check(*example)

        check_slice(
            check,
            files(SLICES[name][0]),
            number=100 + [*SLICES].index(name),
            share=10,
        )


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A project with 50 users who are loaded."""
    with databases.create_template(tmp_path_factory.mktemp("export")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.migrate(write_dump(template.folder / "app", {"users": USERS}), confirm=confirm)
        yield template


@pytest.fixture
def loaded(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it."""
    return template.copy(tmp_path, database)


def test_an_unchanged_migration_comes_out_in_the_order_of_its_keys(
    loaded: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for page in (1000, 7, 1):
        monkeypatch.setattr(export, "PAGE_DOCUMENTS", page)
        assert [bson.decode(raw) for raw in read(loaded)] == USERS
    monkeypatch.setattr(export, "PAGE_BYTES", 1)
    assert [bson.decode(raw) for raw in read(loaded)] == USERS


def test_what_sql_changed_and_added_comes_out_as_it_is_now(loaded: Project, query: Query) -> None:
    query("UPDATE users SET name = 'changed' WHERE name = 'user 3'")
    query("UPDATE users SET name = NULL WHERE name = 'user 4'")
    query("DELETE FROM users WHERE name LIKE 'user 1%%'", ())
    query(
        "DELETE FROM user_items WHERE position = 0 AND user_id = objectid_to_uuid(%s)",
        (str(USERS[5]["_id"]),),
    )
    (new,) = query("INSERT INTO users (name) VALUES ('new') RETURNING uuid_to_objectid(id)")
    query(
        "INSERT INTO user_items (user_id, position, n) SELECT id, 0, 9 FROM users WHERE name ="
        " 'new'"
    )
    found = {str(document["_id"]): document for document in map(bson.decode, read(loaded))}
    assert len(found) == 50 - 11 + 1
    assert found[str(USERS[3]["_id"])] == {**USERS[3], "name": "changed"}
    assert found[str(USERS[4]["_id"])] == {
        key: value for key, value in USERS[4].items() if key != "name"
    }
    assert found[str(USERS[5]["_id"])]["items"] == [{"n": 5, "parts": [{"p": 5}] * 2}]
    assert found[str(new[0])] == {
        "_id": ObjectId(str(new[0])),
        "name": "new",
        "items": [{"n": 9}],
    }


def test_a_row_that_has_no_bson_form_is_named_and_the_others_come_out(
    loaded: Project, query: Query, tmp_path: Path
) -> None:
    query("""UPDATE users SET _extra = '{"x": {"$oid": "no digits"}}' WHERE name = 'user 7'""")
    found: list[bytes] = []
    exported = loaded.export("users", found.append)
    assert (len(found), exported.documents, exported.skipped) == (49, 49, 1)
    assert exported.problems[0].startswith(
        "users: not exported: the row of users with the key 65b9f0a0"
    )
    assert loaded.export_folder(tmp_path / "out")[0].skipped == 1


@pytest.mark.parametrize("where", ["_extra", "odd", "large"])
def test_numbers_that_sql_wrote_beyond_their_range_are_named(
    project: Project, tmp_path: Path, query: Query, where: str
) -> None:
    column = "odd" if where == "large" else where
    odd = [
        None,
        "a",
        1.5,
        {"deep": [1]},
        "b" * 1_100_000 if where == "large" else "c",
    ]
    project.migrate(
        write_dump(
            tmp_path / "app", {"users": [{"_id": n, "odd": [value]} for n, value in enumerate(odd)]}
        ),
        confirm=confirm,
    )
    numbers = {
        "1e308": 1e308,
        "1e400": None,
        f"1{'0' * 400}.5": None,
        f"-1{'0' * 30}": -1e30,
        "1" * 5_000: None,
        str(-(2**63)): -(2**63),
    }
    numbers |= {str(2**63 - 1): 2**63 - 1, str(2**63): 2.0**63}
    for number, value in numbers.items():
        new = f"jsonb_build_object('x', '{number}'::jsonb, 'y', repeat('y', {len(str(odd[4]))}))"
        query(f"UPDATE users SET {column} = {new} WHERE id = 4")
        found: list[bytes] = []
        exported = project.export("users", found.append)
        if value is None:
            assert (exported.documents, exported.skipped) == (4, 1)
            assert re.search("key 4: .*beyond the range of doubles", exported.problems[0]), (
                exported.problems
            )
        else:
            document = bson.decode(found[4])
            got = document["x"] if where == "_extra" else document["odd"]["x"]
            assert (got, type(got) is float) == (value, type(value) is float), number


def test_a_key_that_is_a_number_is_named_as_one(
    project: Project, tmp_path: Path, query: Query
) -> None:
    project.migrate(
        write_dump(tmp_path / "app", {"users": [{"_id": n} for n in (7, -8)]}), confirm=confirm
    )
    query("""UPDATE users SET _extra = '{"x": {"$oid": "no digits"}}'""")
    problems = project.export("users", lambda _: None).problems
    assert [problem.split(":")[2] for problem in problems] == [
        " the row of users with the key -8",
        " the row of users with the key 7",
    ]


@pytest.mark.parametrize("change", ["DROP INDEX", "an edited manifest"])
def test_an_edited_manifest_does_not_hinder_it(loaded: Project, change: str) -> None:
    if change == "an edited manifest":
        loaded.path.write_text(loaded.path.read_text().replace("name: text", "name: jsonb"))
    assert len(read(loaded)) == 50


@pytest.mark.contract
def test_keys_that_are_equal_and_written_otherwise_find_their_children(
    project: Project, tmp_path: Path, query: Query
) -> None:
    documents = [
        {"_id": 1.5, "items": [{"a": 1}]},
        {"_id": 10, "items": [{"a": 2}]},
        {"_id": 20.0, "items": [{"a": 3}]},
    ]
    project.migrate(write_dump(tmp_path / "app", {"t": documents}), confirm=confirm)
    query("ALTER TABLE t_items DROP CONSTRAINT t_items_t_id_fkey")
    query("UPDATE t SET id = 10.0 WHERE id = 10")
    assert [bson.decode(raw) for raw in read(project, "t")] == [
        documents[0],
        {**documents[1], "_id": 10.0},
        documents[2],
    ]


def test_documents_without_an_id_come_out_in_the_order_of_the_source(
    project: Project, tmp_path: Path
) -> None:
    raws = [document(int32("a", n), field(0x0A, "b")) for n in range(30)] + [
        document(int32("_id", 1), int32("a", 7))
    ]
    project.migrate(write_dump(tmp_path / "app", {"users": raws}), confirm=confirm)
    found = read(project)
    assert [differences(raw, other) for raw, other in zip(raws, found, strict=True)] == [[]] * 31


def test_the_files_are_what_mongodump_wrote(project: Project, tmp_path: Path) -> None:
    dump = write_dump(
        tmp_path / "app",
        {"users": USERS, "a%2Fb": [{"_id": 1}], "packed": [{"_id": Decimal128("1.0")}]},
    )
    index = '{"v":{"$numberInt":"2"},"key":{"name":{"$numberInt":"-1"}},"name":"name_-1"}'
    metadata = f'{{"indexes":[{index}],"collectionName":"users","type":"collection"}}'
    (dump / "users.metadata.json").write_text(metadata)
    (dump / "packed.metadata.json.gz").write_bytes(gzip.compress(b'{"options": {"capped": true}}'))
    project.migrate(dump, confirm=confirm)
    done = project.export_folder(tmp_path / "out")
    place = tmp_path / "out" / "app"
    assert sorted(path.name for path in place.iterdir()) == sorted(
        f"{n}{end}" for n in ("a%2Fb", "packed", "users") for end in (".bson", ".metadata.json")
    )
    assert {each.name: each.documents for each in done} == {"a/b": 1, "packed": 1, "users": 50}
    assert (place / "users.metadata.json").read_text() == metadata
    assert json.loads((place / "packed.metadata.json").read_text()) == {"options": {"capped": True}}
    plain = json.loads((place / "a%2Fb.metadata.json").read_text())
    assert (plain["collectionName"], [index["name"] for index in plain["indexes"]]) == (
        "a/b",
        ["_id_"],
    )
    for name in ("users", "packed", "a%2Fb"):
        assert (place / f"{name}.bson").stat().st_size > 0
    assert [bson.decode(raw) for raw in read_files(place)] == USERS
    other = Project(tmp_path / "again.yaml", to=project.workspace.to)
    assert other.infer(place).manifest.tables == project.manifest.tables


def restore(folder: Path) -> dict[str, tuple[dict[str, Any], list[bytes]]]:
    """Read a database's folder as mongorestore does: collection -> metadata and documents.

    By the source of mongo-tools: mongorestore/filepath.go (names), metadata.go and
    common/idx/idx.go (metadata), common/db/bson_stream.go (sizes).
    """
    found: dict[str, tuple[dict[str, Any], list[bytes]]] = {}
    for file in sorted(folder.iterdir()):
        stem, ending = next(
            (file.name.removesuffix(end), end)
            for end in (".metadata.json", ".bson")
            if file.name.endswith(end)
        )
        if "%24" in stem and len(stem) == 238:
            stem = json.loads((folder / f"{stem}.metadata.json").read_text())["collectionName"]
        assert re.fullmatch("([^%]|%[0-9A-F]{2})+", stem)
        name = unquote_plus(stem, errors="strict")
        metadata, raws = found.setdefault(
            name.removeprefix("system.buckets.") if ending == ".bson" else name, ({}, [])
        )
        if ending == ".bson":
            raws += read_files(folder, file.name.removesuffix(ending))
            assert all(5 <= len(raw) <= 16 << 20 for raw in raws)
        else:
            metadata |= json.loads(file.read_text())
            assert isinstance(metadata.get("options", {}), dict)
            assert all(
                isinstance(index["key"], dict) and isinstance(index["name"], str)
                for index in metadata["indexes"]
            )
    return found


NAMES = [
    "a.b", "a%b", "100%", "a/b\\c", "ü 日本 😀", ".hidden", "..", "a:b;c,d?e", "$a&b+c=d@e~f-g_h",
    "a.bson",
    "b.metadata.json", "é" * 80, "a b", "a+b", "order items", "50% + " * 50,
    "".join(map(chr, range(0x20, 0x7F))),
]  # fmt: skip


def test_mongorestore_reads_every_collection_by_its_name_with_its_options(
    project: Project, tmp_path: Path
) -> None:
    index = {
        "v": 2,
        "key": {"a": -1},
        "name": "a_-1",
        "unique": True,
        "partialFilterExpression": {"a": {"$gt": {"$date": "2024-01-01T00:00:00Z"}}},
    }
    capped = {
        "options": {"capped": True, "size": {"$numberInt": "4096"}},
        "indexes": [index],
        "uuid": "0" * 32,
        "type": "collection",
    }
    series = {
        "options": {"timeseries": {"timeField": "t"}},
        "indexes": [],
        "collectionName": "ticks",
        "type": "timeseries",
    }
    long_name = "x" * 240  # without collectionName, as mongodumps of old wrote it
    dump = write_dump(
        tmp_path / "app",
        {
            "capped": [{"_id": 1}],
            "empty": [],
            "system.buckets.ticks": [{"_id": 2}],
            long_name: [{"_id": 3}],
        },
    )
    for name, metadata in {"capped": capped, "ticks": series, long_name: capped}.items():
        (dump / f"{name}.metadata.json").write_text(json.dumps(metadata))
    write_dump(dump, {f"n{i}": [{"_id": i}] for i in range(len(NAMES))})
    for i, name in enumerate(NAMES):
        (dump / f"n{i}.metadata.json").write_text(
            json.dumps({"collectionName": name, "indexes": []})
        )
    proposal = project.infer(dump)
    tables = dict(proposal.manifest.tables)
    del tables["ticks"]
    buckets = {"collection": "system.buckets.ticks"}  # as they are, because a manifest says so
    tables["ticks_buckets"] = tables["ticks_buckets"].model_copy(update=buckets)
    manifest = proposal.manifest.model_copy(update={"tables": tables})
    project.write_manifest(replace(proposal, manifest=manifest))
    project.migrate(dump, confirm=confirm)
    project.export_folder(tmp_path / "out")
    found = restore(tmp_path / "out" / "app")
    documents = {name: [bson.decode(raw) for raw in raws] for name, (_, raws) in found.items()}
    numbered = {name: [{"_id": i}] for i, name in enumerate(NAMES)}
    assert documents == {
        "capped": [{"_id": 1}],
        "empty": [],
        "ticks": [{"_id": 2}],
        long_name: [{"_id": 3}],
        **numbered,
    }
    assert (found["capped"][0], found["ticks"][0]) == (capped, series)
    assert found["empty"][0]["collectionName"] == "empty"
    named = {name: metadata.get("collectionName", name) for name, (metadata, _) in found.items()}
    escaped = "50% + " * 50  # mongorestore unescapes the name where that of the file is cut
    assert unquote_plus(named.pop(escaped)) == escaped
    assert {name for name, given in named.items() if name != given} == set()


def test_a_long_name_is_cut_as_mongodump_cuts_it() -> None:
    """The first is a file of mongo-tools' own tests."""
    name = (
        "a" + "Very" * 44 + "LongCollectionNameConsistingOfExactlyTwoHundredAndFortySevenCharacters"
    )
    assert (len(name), file_name(name)) == (247, name[:208] + "%24xFO0VquRn7cg3QooSZD5sglTddU")
    assert (
        file_name("é" * 80)
        == ("%C3%A9" * 80)[:208]
        + "%24"
        + urlsafe_b64encode(sha1(("é" * 80).encode(), usedforsecurity=False).digest()).decode()[:27]
    )


def test_documents_over_16_mib_are_named_and_left_out_for_mongorestore(
    project: Project, tmp_path: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.write_manifest(project.infer(dump))
    write_dump(
        dump,
        {
            "users": [
                *USERS,
                document(string("a", "x" * 2000)),
                USERS[0],
            ]
        },
    )
    project.migrate(dump, confirm=confirm)
    query("UPDATE users SET name = repeat('x', 1000) WHERE name = 'user 7'")
    monkeypatch.setattr(export, "DOCUMENT_BYTES", 1000)
    assert len(read(project)) == 50
    (done,) = project.export_folder(tmp_path / "out")
    assert (done.documents, done.rejects, done.skipped) == (49, 1, 2)
    assert done.problems[0].startswith(
        "users: not exported: the row of users with the key 65b9f0a0"
    )
    assert done.problems[0].endswith(" bytes, of which MongoDB takes 1,000")
    assert done.problems[1].startswith("users: not exported: the reject at offset ")
    assert len(read_files(tmp_path / "out" / "app")) == 50


def test_rejects_stand_at_the_end_and_what_is_no_document_is_named(
    project: Project, tmp_path: Path
) -> None:
    first = bson.encode(USERS[0])
    misfit, broken = document(string("a", "no id")), document(field(0x08, "a", b"\2"))
    dump = write_dump(tmp_path / "app", {"users": [*USERS]})
    project.write_manifest(project.infer(dump))
    write_dump(dump, {"users": [b"\xff" * 9, *USERS, first, broken, misfit]})
    assert project.migrate(dump, confirm=confirm).rejected == 4
    assert [bson.decode(raw) for raw in read(project)] == USERS
    (done,) = project.export_folder(tmp_path / "out", "users")
    assert (done.documents, done.rejects, done.skipped) == (50, 2, 2)
    assert (
        done.problems[0] == "users: not exported: 9 bytes at offset 0, which are not a document;"
        " `assise rejects users 0` prints them"
    )
    assert read_files(tmp_path / "out" / "app")[50:] == [first, misfit]


def test_nothing_is_overwritten_and_nothing_half_written_stays(
    loaded: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out" / "app"
    place.mkdir(parents=True)
    (place / "users.metadata.json").write_text("mine")
    with pytest.raises(UsageError, match=r"users\.metadata\.json exists, and is not overwritten"):
        loaded.export_folder(tmp_path / "out")
    assert [path.name for path in place.iterdir()] == ["users.metadata.json"]

    def fill(*_: object) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export, "_metadata", fill)
    with pytest.raises(AssiseError, match="cannot be written: No space left on device") as error:
        loaded.export_folder(tmp_path / "full")
    assert "Nothing was exported" in error.value.remedy
    assert list((tmp_path / "full").iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    loaded: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, write = tmp_path / "out" / "app", export._metadata  # noqa: SLF001

    def meanwhile(*arguments: object) -> str:
        (place / "users.metadata.json").write_text("mine")
        return write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(export, "_metadata", meanwhile)
    with pytest.raises(UsageError, match="exists, and is not overwritten"):
        loaded.export_folder(tmp_path / "out")
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [
        ("users.metadata.json", "mine")
    ]


def test_unknown_collections_and_what_is_not_loaded_are_named(
    project: Project, tmp_path: Path, query: Query
) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.write_manifest(project.infer(dump))
    with pytest.raises(UsageError, match="nothing of 'app' is loaded"):
        read(project)
    project.load(dump, confirm=confirm)
    with pytest.raises(UsageError, match=r"no collection 'user'\nDid you mean users\?"):
        read(project, "user")
    query("UPDATE assise.load SET finished_at = NULL")
    with pytest.raises(UsageError, match="is not finished"):
        project.export_folder(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_large_documents_and_deep_ones_come_out(project: Project, tmp_path: Path) -> None:
    raws = [
        document(
            int32("_id", n),
            string("t", "x" * (3 << 20)),
            field(3, "deep", nested(3000)),
        )
        for n in range(6)
    ]
    project.migrate(write_dump(tmp_path / "app", {"users": raws}), confirm=confirm)
    assert [differences(raw, other) for raw, other in zip(raws, read(project), strict=True)] == [
        []
    ] * 6


@pytest.mark.parametrize("name", ["users", "a/b", "ü ü", "x" * 300, "a:b", "$a&b"])
def test_the_name_of_a_file_leads_back_to_the_collection(
    project: Project, tmp_path: Path, name: str
) -> None:
    metadata = json.dumps({"collectionName": name})
    dump = write_dump(tmp_path / "app", {"c": [{"_id": 1}]})
    (dump / "c.metadata.json").write_text(metadata)
    project.migrate(dump, confirm=confirm)
    project.export_folder(tmp_path / "out")
    assert list(project.infer(tmp_path / "out" / "app").manifest.roots.values()) == [name]
    assert len(os.fsencode(file_name(name))) <= 240
