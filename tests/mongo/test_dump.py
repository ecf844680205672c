"""Dumps: folders and files, names of collections, what is not read, chunks."""

from __future__ import annotations

import gzip
import json
import os
import re
import tracemalloc
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import DATA
from tests.dumps import write_dump
from tests.mongo.files import EMPTY, files

from assise.errors import SourceError, UsageError
from assise.mongo.bson_file import BsonFile, find_bounds, read_chunk, read_chunks
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Dump, open_dump, read_metadata
from assise.mongo.source import SourceOptions, find_collections

DOCUMENTS = [bson.encode({"_id": i, "text": "x" * i}) for i in range(100)]
CONTENT = b"".join(DOCUMENTS)


def names(dump: Dump) -> list[str]:
    return [collection.name for collection in dump.collections]


def chunks_of(path: Path, size: int) -> list[Chunk]:
    return list(read_chunks(open_dump(path).files[0], size))


def test_a_folder_holds_its_collections_by_name(tmp_path: Path) -> None:
    dump = open_dump(write_dump(tmp_path / "app", {"b": DOCUMENTS, "a": [], "C": []}))
    assert names(dump) == ["C", "a", "b"]
    assert dump.files[2] == BsonFile(
        "b",
        tmp_path / "app" / "b.bson",
        len(CONTENT),
    )
    assert dump.ignored == ()


def test_the_folder_above_one_database_leads_to_it(tmp_path: Path) -> None:
    write_dump(tmp_path / "dump" / "app", {"users": DOCUMENTS})
    write_dump(tmp_path / "dump" / "admin", {"system.version": DOCUMENTS})
    write_dump(tmp_path / "dump", {"oplog": DOCUMENTS})
    dump = open_dump(tmp_path / "dump")
    assert names(dump) == ["users"]
    assert {name.rstrip("/") for name in dump.ignored} == {"admin", "oplog.bson"}
    note = "oplog.bson is not applied: each document is as it was when mongodump read it"
    assert dump.notes == (note,)
    assert open_dump(tmp_path / "dump").name == "app"


def test_a_dump_of_the_servers_own_database_alone_is_read(tmp_path: Path) -> None:
    write_dump(tmp_path / "dump" / "config", {"transactions": DOCUMENTS})
    assert names(open_dump(tmp_path / "dump")) == ["transactions"]


def test_the_servers_own_database_is_read_when_it_is_named(tmp_path: Path) -> None:
    write_dump(tmp_path / "dump" / "config", {"transactions": DOCUMENTS})
    write_dump(tmp_path / "dump" / "app", {"users": DOCUMENTS})
    dump = open_dump(tmp_path / "dump", SourceOptions(database="config"))
    assert (names(dump), dump.ignored, dump.name) == (["transactions"], ("app/",), "config")


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        ((), (), ["logs.2024", "logs.2025", "posts", "users"]),
        (("users",), (), ["users"]),
        (("logs.*",), (), ["logs.2024", "logs.2025"]),
        (("logs.*", "users"), ("*.2024",), ["logs.2025", "users"]),
        ((), ("logs.*",), ["posts", "users"]),
        (("[pu]*",), ("nothing",), ["posts", "users"]),
    ],
)
def test_patterns_select_collections(
    tmp_path: Path, only: tuple[str, ...], skip: tuple[str, ...], expected: list[str]
) -> None:
    held = dict.fromkeys(["users", "posts", "logs.2024", "logs.2025"], DOCUMENTS)
    dump = open_dump(write_dump(tmp_path, held), SourceOptions(only=only, skip=skip))
    assert (names(dump), dump.ignored) == (expected, ())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SourceOptions(only=("users", "nobody")), "--only 'nobody' fits no collection"),
        (SourceOptions(only=("USERS",)), "--only 'USERS' fits no collection"),
        (SourceOptions(skip=("*",)), "--only and --skip leave no collection"),
    ],
)
@pytest.mark.parametrize("end", ["", "users.bson"])
def test_patterns_that_select_nothing_are_refused(
    tmp_path: Path, options: SourceOptions, message: str, end: str
) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS})
    with pytest.raises(UsageError, match=re.escape(message)) as error:
        open_dump(tmp_path / end, options)
    assert error.value.remedy == "There are: users."


def test_more_than_one_database_is_refused_with_their_names(tmp_path: Path) -> None:
    write_dump(tmp_path / "dump" / "app", {"users": DOCUMENTS})
    write_dump(tmp_path / "dump" / "blog", {"posts": DOCUMENTS})
    with pytest.raises(UsageError, match="holds 2 databases: app, blog") as error:
        open_dump(tmp_path / "dump")
    assert error.value.remedy == "Name one of them: --db app"
    assert names(open_dump(tmp_path / "dump", SourceOptions(database="blog"))) == ["posts"]
    with pytest.raises(UsageError, match="holds no database 'shop'") as error:
        open_dump(tmp_path / "dump", SourceOptions(database="shop"))
    assert error.value.remedy == "It holds app, blog."
    with pytest.raises(UsageError, match="is the folder of one database, 'app', not of 'blog'"):
        open_dump(tmp_path / "dump" / "app", SourceOptions(database="blog"))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("caf%C3%A9s.bson", "cafés"),
        ("a%2Fb.bson", "a/b"),
        ("a%25b.bson", "a%b"),
        ("a.b.bson", "a.b"),
        ("%24special.bson", "$special"),
        ("100%.bson", "100%"),
        ("%FF.bson", "%FF"),
        ("system.buckets.x.bson", "system.buckets.x"),
        ("x.bson.gz", "x"),
        ("order+items.bson", "order items"),
        ("a%2Bb.bson", "a+b"),
        ("100%25+a.bson", "100% a"),
    ],
)
def test_names_of_files_are_decoded(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(gzip.compress(CONTENT) if file.endswith("gz") else CONTENT)
    assert names(open_dump(tmp_path)) == [name]
    assert names(open_dump(tmp_path / file)) == [name]
    documents = [document for chunk in chunks_of(tmp_path, 1) for document in chunk.documents]
    assert b"".join(raw for _, raw in documents) == CONTENT


@pytest.mark.parametrize("is_packed", [False, True])
def test_the_name_in_the_metadata_is_the_whole_one(tmp_path: Path, is_packed: bool) -> None:
    cut, whole = "x" * 200 + "%24hash", "x" * 240
    write_dump(tmp_path, {cut: DOCUMENTS}, is_packed=is_packed)
    metadata = json.dumps({"collectionName": whole, "indexes": []}).encode()
    (tmp_path / f"{cut}.metadata.json{'.gz' if is_packed else ''}").write_bytes(
        gzip.compress(metadata) if is_packed else metadata
    )
    dump = open_dump(tmp_path)
    assert names(dump) == [whole]
    assert dump.ignored == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"{}",
        b'{"collectionName": 7}',
        b'{"collectionName": ""}',
        b"\xff\xfe",
    ],
)
def test_broken_metadata_leaves_the_name_of_the_file(tmp_path: Path, content: bytes) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS})
    (tmp_path / "users.metadata.json").write_bytes(content)
    assert names(open_dump(tmp_path)) == ["users"]


def test_broken_packed_metadata_leaves_the_name_of_the_file(tmp_path: Path) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS}, is_packed=True)
    for content in (b"no gzip", gzip.compress(b'{"collectionName": "other"}')[:-12]):
        (tmp_path / "users.metadata.json.gz").write_bytes(content)
        assert names(open_dump(tmp_path)) == ["users"]


@pytest.mark.parametrize("end", ["", ".gz"])
def test_the_metadata_of_a_time_series_are_those_of_its_buckets(tmp_path: Path, end: str) -> None:
    write_dump(
        tmp_path,
        {"system.buckets.ticks": DOCUMENTS, "system.buckets.other": DOCUMENTS},
        is_packed=bool(end),
    )
    metadata = '{"options": {"timeseries": {"timeField": "t"}}, "collectionName": "ticks"}'
    (tmp_path / f"ticks.metadata.json{end}").write_bytes(
        gzip.compress(metadata.encode()) if end else metadata.encode()
    )
    dump = open_dump(tmp_path)
    assert (names(dump), dump.ignored) == (["system.buckets.other", "system.buckets.ticks"], ())
    assert [read_metadata(file) for file in dump.files] == [None, metadata]


def test_views_and_folders_beside_the_collections_are_told_and_not_read(tmp_path: Path) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS})
    (tmp_path / "a_view.metadata.json").write_text('{"options": {"viewOn": "users"}}')
    (tmp_path / "users.metadata.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    assert open_dump(tmp_path).ignored == ("notes/", "a_view.metadata.json (view on users: [])")


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ("", "collection"),
        (".gz", "collection"),
        ("", "timeseries"),
        ("", None),
        ("", [1]),
    ],
)
def test_a_collection_whose_data_are_missing_is_no_view(
    tmp_path: Path, end: str, kind: object
) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS})
    metadata = json.dumps(
        {"collectionName": "orders", "type": kind, "options": [] if kind else {}}
    ).encode()
    (tmp_path / "ecosystem.metadata.json").write_text("no JSON")
    (tmp_path / "system.js.metadata.json").write_text("{}")
    (tmp_path / f"orders.metadata.json{end}").write_bytes(
        gzip.compress(metadata) if end else metadata
    )
    (tmp_path / "shown.metadata.json").write_text(
        '{"options": {"viewOn": "users"}, "type": "view"}'
    )
    assert open_dump(tmp_path).ignored == (
        "ecosystem.metadata.json (its .bson is missing)",
        f"orders.metadata.json{end} (its .bson is missing)",
        "shown.metadata.json (view on users: [])",
        "system.js.metadata.json",
    )


def make_dangling(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


UNREADABLE = [
    (make_dangling, "is a link to a file that is missing"),
    (os.mkfifo, "is not a regular file"),
    (os.mkdir, "is a folder"),
]


@pytest.mark.parametrize(("make", "what"), UNREADABLE)
@pytest.mark.parametrize("name", ["orders.bson", "orders.bson.gz", "oplog.bson"])
def test_a_collection_whose_file_cannot_be_read_is_an_error(
    tmp_path: Path, name: str, make: Callable[[Path], None], what: str
) -> None:
    write_dump(tmp_path / "app", {"users": DOCUMENTS})
    make(tmp_path / "app" / name)
    with pytest.raises(SourceError, match=f"{name} {what}"):
        open_dump(tmp_path / "app")
    with pytest.raises(SourceError, match=f"{name} {what}"):
        open_dump(tmp_path)


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    write_dump(tmp_path / "app", {"users": DOCUMENTS})
    (tmp_path / "app" / "orders.bson").symlink_to("users.bson")
    assert names(open_dump(tmp_path / "app")) == ["orders", "users"]


def test_everything_else_in_a_folder_is_named(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump" / "app", {"users": DOCUMENTS, "._users": DOCUMENTS})
    (dump / "users.metadata.json").write_text("{}")
    (dump / "._users.metadata.json").write_bytes(b"\0\5\x16\7")
    (dump / ".DS_Store").write_bytes(b"")
    (dump / "notes.txt").write_bytes(b"")
    (dump / "orders.bson.zst").write_bytes(b"")
    (dump / "two\nlines").write_bytes(b"")
    (dump / "gone").symlink_to("nowhere")
    inside = (
        ".DS_Store",
        "._users.bson",
        "._users.metadata.json",
        "gone",
        "notes.txt",
        "orders.bson.zst",
        "two\\nlines",
    )
    (tmp_path / "dump" / ".git").mkdir()
    (tmp_path / "dump" / "prelude.json").write_text("{}")
    assert open_dump(dump).ignored == inside
    assert open_dump(tmp_path / "dump").ignored == (".git/", "prelude.json", *inside)
    assert names(open_dump(tmp_path / "dump")) == ["users"]


VERSIONS = {"ServerVersion": "7.0.5", "ToolVersion": "100.13.0"}


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("place", ["app", ""])
def test_what_mongodump_says_of_itself_is_told(tmp_path: Path, place: str, is_packed: bool) -> None:
    dump = tmp_path / "dump"
    write_dump(dump / "app", {"users": DOCUMENTS}, is_packed=is_packed)
    content = json.dumps(VERSIONS).encode()
    name = f"prelude.json{'.gz' * is_packed}"
    (dump / place / name).write_bytes(gzip.compress(content) if is_packed else content)
    found = open_dump(dump)
    assert found.notes == ("a dump of MongoDB 7.0.5, by mongodump 100.13.0",)
    assert found.ignored == ()
    # As mongo-tools 100.12 has it among its tests.
    (dump / place / name).write_text('{"ServerVersion":"unknown","ToolVersion":""}')
    assert open_dump(dump).notes == ("a dump of MongoDB unknown",)
    for broken in (b"", b"[1]", b'{"ServerVersion": 7}', b"\x1f\x8b\x08"):
        (dump / place / name).write_bytes(broken)
        found = open_dump(dump)
        assert (found.notes, found.ignored) == ((), (name,))
    assert names(found) == ["users"]


VIEW = {"_id": "app.late", "viewOn": "orders", "pipeline": [{"$match": {"late": True}}]}


@pytest.mark.parametrize("is_packed", [False, True])
def test_what_mongodb_keeps_for_itself_is_named_and_not_read(
    tmp_path: Path, is_packed: bool
) -> None:
    own = ("system.js", "system.indexes", "system.profile", "system.users", "%24admin.system.users")
    held: dict[str, list[bytes | Mapping[str, object]]] = {name: [DOCUMENTS[0]] for name in own}
    held |= {"system.views": [VIEW], "users": [DOCUMENTS[0]]}
    held |= {"system.buckets.ticks": [DOCUMENTS[0]]}
    dump = open_dump(write_dump(tmp_path, held, is_packed=is_packed))
    end = ".bson.gz" if is_packed else ".bson"
    views = f'system.views{end} (app.late, view on orders: [{{"$match": {{"late": true}}}}])'
    assert names(dump) == ["system.buckets.ticks", "users"]
    assert set(dump.ignored) == {*(f"{name}{end}" for name in own), views}
    assert names(open_dump(tmp_path / f"system.profile{end}")) == ["system.profile"]


def test_a_folder_of_what_mongodb_keeps_for_itself_is_refused(tmp_path: Path) -> None:
    write_dump(tmp_path, {"system.profile": DOCUMENTS})
    with pytest.raises(SourceError, match=r"only collections of MongoDB's own: system.profile"):
        open_dump(tmp_path)


@pytest.mark.parametrize("length", [35_615, 35_615 + (8 << 16), 200])
@pytest.mark.parametrize("end", [".bson", ".bson.gz"])
def test_gzip_is_told_by_the_bytes_and_not_by_the_name(
    tmp_path: Path, length: int, end: str
) -> None:
    """A document of 35,615 bytes begins with the two bytes of gzip."""
    first = bson.encode({"a": "x" * (length - 13)})
    assert len(first) == length
    assert first.startswith(b"\x1f\x8b") == (length != 200)
    content = first + CONTENT
    plain, packed = tmp_path / f"plain{end}", tmp_path / f"packed{end}"
    packed.write_bytes(gzip.compress(content))
    if end == ".bson" or length == 200:
        plain.write_bytes(content)
    for collection in open_dump(tmp_path).files:
        documents = [raw for chunk in read_chunks(collection, 1) for _, raw in chunk.documents]
        assert documents == [first, *DOCUMENTS]


def test_metadata_that_name_another_collection_are_told_and_followed(tmp_path: Path) -> None:
    write_dump(tmp_path, {"orders": DOCUMENTS, "a+b": DOCUMENTS, "caf%C3%A9": DOCUMENTS})
    for stem, name in {"orders": "users", "a+b": "a+b", "caf%C3%A9": "café"}.items():
        (tmp_path / f"{stem}.metadata.json").write_text(json.dumps({"collectionName": name}))
    note = "orders.bson is read as the collection users, as orders.metadata.json says"
    assert (names(open_dump(tmp_path)), open_dump(tmp_path).notes) == (
        ["a+b", "café", "users"],
        (note,),
    )
    assert open_dump(tmp_path / "orders.bson").notes == (note,)


JSON = b'{"_id": 1, "text": "of more than sixty-four characters, so that it is cut off"}\n'


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize(
    ("content", "is_told"),
    [
        (JSON, True),
        (b"\xef\xbb\xbf \n[" + JSON + b"]", True),
        (b"[]", True),
        (b"", False),
        (b"{", True),
        (b"text", False),
        (bson.encode({"_id": "x" * 0x5B}), False),
        (bson.encode({"_id": "x" * (0x7B - 15)}), False),
    ],
)
def test_json_in_a_file_of_bson_is_told(
    tmp_path: Path, content: bytes, *, is_told: bool, is_packed: bool
) -> None:
    end = ".gz" if is_packed else ""
    path = tmp_path / f"users.bson{end}"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    note = f"users.bson{end} begins like JSON, not BSON: name it users.json{end}"
    for dump in (open_dump(tmp_path), open_dump(path)):
        assert dump.notes == ((note,) if is_told else ())


def test_two_files_of_one_collection_are_refused(tmp_path: Path) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS})
    write_dump(tmp_path, {"users": DOCUMENTS}, is_packed=True)
    with pytest.raises(SourceError, match="are both the collection 'users'") as error:
        open_dump(tmp_path)
    assert error.value.remedy == "Move one of them elsewhere."


def test_a_folder_without_bson_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no \.bson or JSON files") as error:
        open_dump(tmp_path)
    assert "Give " in error.value.remedy


def test_a_collection_that_the_dump_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no collection 'posts'"):
        find_collections(open_dump(write_dump(tmp_path, {"users": DOCUMENTS})), ["posts"])


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("size", [1, 500, 1 << 20])
def test_chunks_are_all_of_the_bytes_in_order(tmp_path: Path, size: int, is_packed: bool) -> None:
    write_dump(tmp_path, {"users": DOCUMENTS}, is_packed=is_packed)
    chunks = chunks_of(tmp_path, size)
    assert [raw for chunk in chunks for _, raw in chunk.documents] == DOCUMENTS
    stops = [chunk.stop for chunk in chunks]
    assert [chunk.start for chunk in chunks] == [0, *stops[:-1]]
    assert chunks[-1].stop == len(CONTENT)
    assert all(chunk.stop - chunk.start >= size for chunk in chunks[:-1])
    lengths = [len(chunk.documents[-1][1]) for chunk in chunks]
    last_starts = [stop - length for stop, length in zip(stops, lengths, strict=True)]
    pairs = zip(chunks, last_starts, strict=True)
    assert all(start - chunk.start < size for chunk, start in pairs)
    assert [chunk.digest for chunk in chunks] == [
        sha256(CONTENT[chunk.start : chunk.stop]).hexdigest() for chunk in chunks
    ]


@given(files(), st.integers(1, 300))
def test_a_chunk_can_be_read_by_its_bounds_alone(data: bytes, size: int) -> None:
    with TemporaryDirectory() as folder:
        [collection] = open_dump(write_dump(Path(folder), {"users": [data]})).files
        chunks = list(read_chunks(collection, size))
        assert list(find_bounds(collection, size)) == [
            (chunk.start, chunk.stop) for chunk in chunks
        ]
        assert [read_chunk(collection, chunk.start, chunk.stop) for chunk in chunks] == chunks


def test_a_file_that_changes_between_its_bounds_and_its_chunks_is_an_error(tmp_path: Path) -> None:
    [collection] = open_dump(write_dump(tmp_path, {"users": DOCUMENTS})).files
    bounds = list(find_bounds(collection, 1000))
    collection.path.write_bytes(CONTENT[: bounds[-1][0] + 10])
    assert read_chunk(collection, *bounds[0]).stop == bounds[0][1]
    with pytest.raises(
        SourceError, match=r"users.bson has changed between bytes .* while it was read"
    ):
        read_chunk(collection, *bounds[-1])


@pytest.mark.parametrize("is_packed", [False, True])
def test_an_empty_collection_has_no_chunks(tmp_path: Path, is_packed: bool) -> None:
    write_dump(tmp_path, {"users": []}, is_packed=is_packed)
    assert chunks_of(tmp_path, 1) == []


@pytest.mark.parametrize(
    ("change", "readable"),
    [("cut", 60), ("no gzip", 0), ("trailing garbage", 100), ("wrong checksum", 100)],
)
def test_a_broken_gzip_stream_is_an_error_that_says_how_many_documents_can_be_read(
    tmp_path: Path, change: str, readable: int
) -> None:
    stored = gzip.compress(CONTENT, compresslevel=0)
    packed = gzip.compress(CONTENT)
    wrong = bytearray(packed)
    wrong[-8] ^= 1
    stop = sum(map(len, DOCUMENTS[:readable]))
    content = {
        # Ten bytes of gzip and five of its block stand before the content, which is not packed.
        "cut": stored[: 15 + stop + 7],
        "no gzip": b"x" + packed[1:],
        "trailing garbage": packed + b"garbage",
        "wrong checksum": bytes(wrong),
    }[change]
    (tmp_path / "users.bson.gz").write_bytes(content)
    with pytest.raises(SourceError, match="is a broken gzip stream") as error:
        chunks_of(tmp_path, 1 << 20)
    count = f"Of it {readable} documents can be read, up to byte {stop:,}."
    assert error.value.remedy.startswith(count)


def test_a_stream_of_several_gzip_members_is_one(tmp_path: Path) -> None:
    (tmp_path / "users.bson.gz").write_bytes(
        gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:])
    )
    assert [
        raw for chunk in chunks_of(tmp_path, 1 << 20) for _, raw in chunk.documents
    ] == DOCUMENTS


@pytest.mark.skipif(
    not (DATA / "mongo").exists(), reason=f"no data of others in {DATA}: set ASSISE_TEST_DATA"
)
def test_every_folder_of_mongodumps_own_tests_opens_or_says_why_not() -> None:
    folders = {
        file.parent
        for ending in ("*.bson", "*.bson.gz")
        for file in (DATA / "mongo" / "mongo_tools_testdata").rglob(ending)
    }
    assert len(folders) > 40
    own = {folder for folder in folders if folder.name == "admin"}
    assert own
    for folder in own:
        with pytest.raises(SourceError, match="only collections of MongoDB's own"):
            open_dump(folder)
    folders -= own
    for folder in folders:
        dump = open_dump(folder)
        ignored = {name.partition(" (")[0] for name in dump.ignored}
        files = {
            file
            for file in folder.iterdir()
            if file.name.endswith((".bson", ".bson.gz")) and file.name not in ignored
        }
        found = {collection.path for collection in dump.files}
        assert found == files or not found & files
        assert found
    assert any("é" in name for folder in folders for name in names(open_dump(folder)))


def test_the_digest_of_a_chunk_is_that_of_its_bytes_and_of_what_cannot_be_framed(
    tmp_path: Path,
) -> None:
    documents = [bson.encode({"_id": n}) for n in range(2_500)]
    before, after, garbage = b"".join(documents[:1_200]), b"".join(documents[1_200:]), b"\xff" * 9
    path = tmp_path / "users.bson"
    path.write_bytes(before + garbage + after)
    size = path.stat().st_size
    (chunk,) = read_chunks(BsonFile("users", path, size), size)
    assert chunk.digest == sha256(before + sha256(garbage).digest() + after).hexdigest()


@pytest.mark.parametrize(("count", "size"), [(8, 1 << 20), (20_000, 400), (1, 0), (0, 0)])
def test_a_chunk_is_hashed_without_a_second_copy_of_it(count: int, size: int) -> None:
    pieces = [bytes([i % 251]) * size for i in range(count)]
    chunk = Chunk(0, count * size, pieces, [], [], 0)
    tracemalloc.start()
    digest, (_, peak) = chunk.digest, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert digest == sha256(b"".join(pieces)).hexdigest()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("size", "stops"), [(10, [10, 20, 25]), (11, [15, 25]), (1, [5, 10, 15, 20, 25])]
)
def test_a_chunk_ends_with_the_first_document_that_fills_it(
    size: int, stops: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "users.bson"
    path.write_bytes(5 * EMPTY)
    file = BsonFile("users", path, 25)
    bounds = [*zip([0, *stops], stops, strict=False)]
    assert [*find_bounds(file, size)] == bounds
    chunks = [*read_chunks(file, size)]
    assert [(chunk.start, chunk.stop) for chunk in chunks] == bounds
    assert [each for chunk in chunks for each in chunk.documents] == [
        (start, EMPTY) for start in range(0, 25, 5)
    ]
    for chunk in chunks:
        assert chunk.digest == sha256(EMPTY * len(chunk.documents)).hexdigest()
        assert read_chunk(file, chunk.start, chunk.stop) == chunk
