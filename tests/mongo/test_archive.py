"""Archives: collections of one database, read in one pass, as the same data in `.bson` files are.

What is wrong with an archive is told, and whatever is whole is read.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.archives import (
    HEADER,
    TERMINATOR,
    ArchiveWriter,
    find_crc,
    write_archive,
)
from tests.dumps import write_dump
from tests.mongo.files import EMPTY, ONE, files

from assise import extras
from assise.errors import MissingExtraError, SourceError, UsageError
from assise.mongo import archive_contents
from assise.mongo.archive import Archive, open_archive
from assise.mongo.archive_chunks import OPEN_BYTES, SMALLEST_CHUNK
from assise.mongo.archive_contents import is_archive
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Dump, open_dump
from assise.mongo.opening import open_source
from assise.mongo.source import Piece, Source, SourceOptions

DOCUMENTS = {
    name: [bson.encode({"_id": i, "of": name, "text": "x" * (i % 90)}) for i in range(count)]
    for name, count in {"users": 120, "orders": 75, "empty": 0}.items()
}
CHUNK_BYTES = 1000
GOLDEN = Path(__file__).parent / "go.archive"


def write(folder: Path, content: bytes, name: str = "app.archive") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read_all(source: Source, size: int = CHUNK_BYTES) -> dict[str, list[Piece]]:
    """The pieces of each collection, whose bounds and end are checked."""
    names = [each.name for each in source.collections]
    found: dict[str, list[Piece]] = {name: [] for name in names}
    for piece in source.list_chunks(names, size, is_read=True):
        stop = found[piece.collection][-1].stop if found[piece.collection] else 0
        assert piece.start == stop
        found[piece.collection].append(piece)
    for pieces in found.values():
        assert [piece.start == piece.stop for piece in pieces] == [False] * (len(pieces) - 1) + [
            True
        ]
    return found


def chunks_of(pieces: Sequence[Piece]) -> list[Chunk]:
    """The chunks, without how far the file was read."""
    return [replace(piece.chunk, position=0) for piece in pieces if piece.chunk]


def documents_of(pieces: Sequence[Piece]) -> list[bytes]:
    return [raw for chunk in chunks_of(pieces) for _, raw in chunk.documents]


def problems_of(source: Source) -> list[str]:
    """What is told with the ends of the collections."""
    return [text for pieces in read_all(source).values() for text in pieces[-1].problems]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("documents_at_once", [1, 7, 1000])
def test_collections_are_read_as_from_files_of_their_own(
    tmp_path: Path, documents_at_once: int, *, is_packed: bool
) -> None:
    content = write_archive(DOCUMENTS, documents_at_once=documents_at_once)
    path = write(tmp_path, gzip.compress(content) if is_packed else content, "backup")
    archive = open_source(path)
    dump = open_source(write_dump(tmp_path / "app", DOCUMENTS))
    assert isinstance(archive, Archive)
    assert archive.name == "app"
    assert [(each.name, each.size) for each in archive.collections] == [
        (each.name, each.size) for each in dump.collections
    ]
    found, expected = read_all(archive), read_all(dump)
    assert {name: chunks_of(pieces) for name, pieces in found.items()} == {
        name: chunks_of(pieces) for name, pieces in expected.items()
    }
    assert len(found["users"]) > 5
    assert (archive.notes, archive.ignored, problems_of(archive)) == ((), (), [])
    bounds = list(archive.list_bounds([*found], CHUNK_BYTES))
    assert sorted(bounds) == sorted(
        piece._replace(chunk=None) for pieces in found.values() for piece in pieces
    )


def test_garbage_inside_is_framed_as_in_a_file_of_its_own(tmp_path: Path) -> None:
    users = [*DOCUMENTS["users"][:40], b"\x07garbage\xff\xff\xff\xff!", *DOCUMENTS["users"][40:]]
    path = write(tmp_path, write_archive({**DOCUMENTS, "users": users}))
    found, expected = (
        read_all(open_archive(path)),
        read_all(open_dump(write_dump(tmp_path / "app", {"users": users}))),
    )
    assert chunks_of(found["users"]) == chunks_of(expected["users"])
    assert documents_of(found["orders"]) == DOCUMENTS["orders"]


@given(data=files(), sizes=st.lists(st.integers(0, 400), max_size=4), size=st.integers(1, 300))
def test_whatever_stands_in_segments_is_framed_or_a_run(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, sizes: list[int], size: int
) -> None:
    """Bytes of any kind, cut anywhere into segments: none of them is lost."""
    writer = ArchiveWriter()
    writer.prelude([{"db": "app", "collection": "users"}])
    rest = data
    for count in [*sizes, len(data)]:
        writer.segment("app", "users", [rest[:count]])
        writer.segment("app", "other", [ONE])
        rest = rest[count:]
    writer.end("app", "users")
    writer.end("app", "other")
    archive = open_archive(write(tmp_path_factory.mktemp("a"), bytes(writer.content)))
    found = read_all(archive, size)
    content = b""
    for chunk in chunks_of(found["users"]):
        frames = [*chunk.documents, *((run.offset, run.raw) for run in chunk.runs)]
        part = b"".join(raw for _, raw in sorted(frames))
        assert chunk.stop - chunk.start == len(part)
        content += part
    # FF may look like a terminator: then it belongs to no collection, which is told.
    assert content == data or (b"\xff" in data and archive.problems)
    assert documents_of(found["other"]) == [ONE] * (len(sizes) + 1)


def test_the_checksum_is_that_of_gos_crc64() -> None:
    """Both agree with the published check value of CRC-64/XZ, the ECMA polynomial of Go."""
    checksum = archive_contents.find_checksum()
    assert checksum is not None
    assert find_crc(b"123456789") & (1 << 64) - 1 == checksum(b"123456789", 0) == 0x995DC9BBDF1939FA


def test_documents_that_are_not_those_that_were_dumped_are_told(tmp_path: Path) -> None:
    content = write_archive(DOCUMENTS)
    at = content.index(b"xxxx")
    archive = open_archive(write(tmp_path, content[:at] + b"y" + content[at + 1 :]))
    [problem] = problems_of(archive)
    assert problem.startswith("users is not as it was dumped: the checksum of its documents was ")
    assert archive.notes == ("the archive is not whole, and what can be read of it is read: users",)
    assert len(documents_of(read_all(archive)["users"])) == 120


def test_without_fastcrc_checksums_are_not_compared_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(module: str, *, extra: str) -> None:
        raise MissingExtraError(f"{module} of {extra}", remedy="")

    monkeypatch.setattr(extras, "load", fail)
    content = write_archive(DOCUMENTS).replace(b"xxxx", b"yyyy", 1)
    archive = open_archive(write(tmp_path, content))
    assert problems_of(archive) == []
    assert archive.notes == (
        (
            "the checksums of the archive are not compared: `pip install 'assise[archive]'` brings"
            " what is needed"
        ),
    )


def several() -> bytes:
    """Two databases, one of MongoDB's own, and the oplog."""
    writer = ArchiveWriter()
    names = [("app", "users"), ("blog", "posts"), ("admin", "system.version"), ("", "oplog")]
    writer.prelude([{"db": database, "collection": name} for database, name in names])
    for database, name in names:
        writer.segment(database, name, DOCUMENTS["orders"])
        writer.end(database, name)
    return bytes(writer.content)


def test_of_several_databases_one_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, several())
    with pytest.raises(UsageError, match=r"holds 2 databases: app, blog") as error:
        open_archive(path)
    assert error.value.remedy == "Name one of them: --db app"
    blog = open_archive(path, SourceOptions(database="blog"))
    assert blog.name == "blog"
    assert documents_of(read_all(blog)["posts"]) == DOCUMENTS["orders"]
    assert blog.ignored == (
        "admin/",
        "app/",
        "oplog (documents are loaded as each was when it was dumped)",
    )
    with pytest.raises(UsageError, match="no database 'shop'"):
        open_archive(path, SourceOptions(database="shop"))
    with pytest.raises(UsageError, match="is an archive, where --zone has no meaning"):
        open_archive(path, SourceOptions(database="blog", zone="UTC"))


def test_collections_are_chosen_by_patterns(tmp_path: Path) -> None:
    path = write(tmp_path, write_archive(DOCUMENTS))
    archive = open_archive(path, SourceOptions(only=("*r*",), skip=("order?",)))
    assert [each.name for each in archive.collections] == ["users"]
    assert documents_of(read_all(archive)["users"]) == DOCUMENTS["users"]


def test_views_time_series_and_what_is_mongodbs_own(tmp_path: Path) -> None:
    def text(options: Mapping[str, object]) -> str:
        return json.dumps({"options": options, "indexes": [], "uuid": ""})

    view, series = (
        text({"viewOn": "users", "pipeline": []}),
        text({"timeseries": {"timeField": "t"}}),
    )
    users = text({"capped": True})
    writer = ArchiveWriter()
    app = {"db": "app"}
    writer.prelude(
        [
            {**app, "collection": "users", "metadata": users},
            {**app, "collection": "recent", "metadata": view, "type": "view"},
            {**app, "collection": "weather", "metadata": series, "type": "timeseries"},
            {**app, "collection": "broken", "metadata": "{"},
            {**app, "collection": "$admin.system.users"},
        ]
    )
    for name in ("users", "system.buckets.weather", "broken", "$admin.system.users"):
        writer.segment("app", name, DOCUMENTS["orders"])
        writer.end("app", name)
    # mongodump opens and closes a view, and writes nothing of it between.
    writer.segment("app", "recent", [])
    writer.end("app", "recent")
    archive = open_archive(write(tmp_path, bytes(writer.content)))
    assert [each.name for each in archive.collections] == [
        "broken",
        "system.buckets.weather",
        "users",
    ]
    assert archive.ignored == ("$admin.system.users", "recent (view on users: [])")
    assert archive.read_metadata("users") == users
    assert archive.read_metadata("system.buckets.weather") == series
    assert archive.read_metadata("broken") is None
    assert archive.notes == ()
    assert problems_of(archive) == []


def test_a_time_series_of_newer_servers_stands_under_its_own_name(tmp_path: Path) -> None:
    content = write_archive(
        {"weather": [ONE]},
        metadata=[{"db": "app", "collection": "weather", "type": "timeseries", "metadata": "{}"}],
    )
    archive = open_archive(write(tmp_path, content))
    assert documents_of(read_all(archive)["weather"]) == [ONE]


def test_collections_that_the_prelude_lacks_are_read_and_told(tmp_path: Path) -> None:
    archive = open_archive(write(tmp_path, write_archive(DOCUMENTS, metadata=[])))
    assert {name: documents_of(pieces) for name, pieces in read_all(archive).items()} == DOCUMENTS
    assert archive.notes == tuple(
        f"{name} is not in the prelude: its options and indexes are not known"
        for name in ("empty", "orders", "users")
    )


def test_collections_of_which_there_is_nothing_stay_and_are_told(tmp_path: Path) -> None:
    names = [{"db": "app", "collection": name} for name in ("users", "lost")]
    archive = open_archive(write(tmp_path, write_archive({"users": [ONE]}, metadata=names)))
    assert [each.name for each in archive.collections] == ["lost", "users"]
    assert problems_of(archive) == ["lost is missing: the archive is cut before it begins"]


def test_keys_and_versions_that_are_not_known_are_told(tmp_path: Path) -> None:
    writer = ArchiveWriter({**HEADER, "version": "0.2"})
    writer.prelude([{"db": "app", "collection": "users", "future": 1}])
    content = bytes(writer.content)
    head = {"db": "app", "collection": "users"}
    content += bson.encode({**head, "EOF": False, "CRC": bson.Int64(0), "future": 1}) + ONE
    content += TERMINATOR + bson.encode({**head, "EOF": True}) + TERMINATOR
    archive = open_archive(write(tmp_path, content))
    assert archive.notes == (
        "the archive has version 0.2 of its format, of which 0.1 is known",
        "the archive has headers with keys that are not known: future",
    )
    assert documents_of(read_all(archive)["users"]) == [ONE]


def test_documents_after_the_end_of_their_collection_are_read_and_told(tmp_path: Path) -> None:
    writer = ArchiveWriter()
    writer.prelude([{"db": "app", "collection": "users"}])
    for _ in range(2):
        writer.segment("app", "users", [ONE])
        writer.end("app", "users")
    archive = open_archive(write(tmp_path, bytes(writer.content)))
    assert documents_of(read_all(archive)["users"]) == [ONE, ONE]
    assert problems_of(archive) == ["users goes on after its end"]


def test_a_length_that_leads_into_another_segment_takes_none_of_its_documents(
    tmp_path: Path,
) -> None:
    """The document swallows the header behind it, and ends with a NUL there."""
    content = write_archive({"users": [ONE] * 3, "orders": [EMPTY] * 3}, documents_at_once=3)
    first = content.index(ONE)
    last = content.index(EMPTY * 3) + 5
    length = (last - first).to_bytes(4, "little")
    archive = open_archive(write(tmp_path, content[:first] + length + content[first + 4 :]))
    found = read_all(archive)
    assert documents_of(found["orders"]) == [EMPTY] * 3
    assert documents_of(found["users"]) == [ONE] * 2
    assert [run.size for chunk in chunks_of(found["users"]) for run in chunk.runs] == [len(ONE)]
    assert len(problems_of(archive)) == 1


def test_an_archive_inside_a_document_is_left_alone(tmp_path: Path) -> None:
    inner = write_archive({"users": [ONE] * 9})
    chunks = [bson.encode({"_id": i, "data": inner}) for i in range(3)]
    archive = open_archive(write(tmp_path, write_archive({"fs.chunks": chunks, "users": [EMPTY]})))
    found = read_all(archive)
    assert documents_of(found["fs.chunks"]) == chunks
    assert documents_of(found["users"]) == [EMPTY]


def test_documents_whose_header_is_broken_are_given_to_no_collection(tmp_path: Path) -> None:
    content = write_archive({"users": [ONE], "orders": [EMPTY], "more": [EMPTY]})
    at = content.index(EMPTY)
    broken = content[:at].rindex(b"\x08EOF\0")
    archive = open_archive(write(tmp_path, content[:broken] + b"\x02" + content[broken + 1 :]))
    assert {name: documents_of(pieces) for name, pieces in read_all(archive).items()} == {
        "users": [ONE],
        "orders": [],
        "more": [EMPTY],
    }
    [lost] = archive.problems
    assert "belong to no collection" in lost
    problems = problems_of(archive)
    assert lost in problems
    assert any(problem.startswith("orders is not as it was dumped") for problem in problems)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: b"", "is empty"),
        (lambda content: b"PK\3\4" + content, "is a zip file"),
        (lambda content: content[:3], "is neither BSON nor JSON nor an archive"),
        (lambda content: content[:4], "its beginning cannot be read"),
        (lambda content: content[:50], "its beginning cannot be read"),
        (lambda content: content + content, "is two archives"),
        (
            lambda content: b"\xff\xfe" + content.decode("cp437").encode("utf-16-le"),
            "was converted to UTF-16",
        ),
        (
            lambda content: (
                b"\xff\xfe" + gzip.compress(content).decode("cp437").encode("utf-16-le")
            ),
            "was converted to UTF-16",
        ),
    ],
)
def test_what_is_no_archive_is_refused_with_the_reason(
    tmp_path: Path, make: Callable[[bytes], bytes], message: str
) -> None:
    path = write(tmp_path, make(write_archive(DOCUMENTS)), "a.archive")
    with pytest.raises(SourceError, match=message) as error:
        open_source(path)
    assert error.value.remedy


def test_two_archives_in_one_file_can_be_split_as_the_error_says(tmp_path: Path) -> None:
    one, other = write_archive({"users": [ONE]}), write_archive({"orders": [ONE]})
    with pytest.raises(SourceError) as error:
        open_archive(write(tmp_path, one + other))
    assert error.value.remedy == (
        f"Split it: `head -c {len(one)}` gives the first, `tail -c +{len(one) + 1}` the second."
    )


def test_what_is_mongodbs_own_alone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, write_archive({"system.version": [ONE]}, database="admin"))
    with pytest.raises(SourceError, match="of the database admin only what is MongoDB's own"):
        open_archive(path)


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no collections"):
        open_archive(write(tmp_path, write_archive({})))


def test_an_archive_that_is_cut_in_its_prelude_may_be_cut(tmp_path: Path) -> None:
    whole = write_archive({"users": [ONE]})
    with pytest.raises(SourceError, match="holds no collections; perhaps it is cut") as caught:
        open_archive(write(tmp_path, whole[:150]))
    assert "take the dump again" in caught.value.remedy


def test_an_archive_is_told_by_its_bytes_whatever_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, write_archive(DOCUMENTS), "users.bson")
    assert isinstance(open_source(path), Archive)
    other = write(tmp_path, ONE, "other.archive")
    assert not is_archive(other)
    assert isinstance(open_source(other), Dump)
    assert not is_archive(tmp_path)


@pytest.mark.parametrize("is_packed", [False, True])
def test_cut_anywhere_what_is_whole_is_read_and_the_rest_is_told(
    tmp_path: Path, *, is_packed: bool
) -> None:
    content = write_archive({"users": DOCUMENTS["users"][:30], "orders": DOCUMENTS["orders"][:20]})
    whole = gzip.compress(content) if is_packed else content
    prelude = content.index(TERMINATOR)
    refused = [0]
    for cut in [
        *random.Random(5).sample(range(len(whole)), 96),
        *range(len(whole) - 4, len(whole)),
    ]:
        path = write(tmp_path, whole[:cut], f"{cut}.archive")
        try:
            found = read_all(open_archive(path), 300)
        except SourceError:
            refused.append(cut)
            continue
        problems = [text for pieces in found.values() for text in pieces[-1].problems]
        assert problems, cut
        if not is_packed:
            read = sum(len(raw) for pieces in found.values() for raw in documents_of(pieces))
            runs = [
                run for pieces in found.values() for each in chunks_of(pieces) for run in each.runs
            ]
            before = content[:cut].rfind(b"\0CRC\0")
            assert len(runs) <= 1
            assert read + sum(run.size for run in runs) <= cut
            assert before < 0 or read > 0
        for name, pieces in found.items():
            documents = documents_of(pieces)
            assert documents == DOCUMENTS[name][: len(documents)]
    assert max(refused) < (200 if is_packed else prelude)


def test_a_cut_in_what_is_not_read_is_told(tmp_path: Path) -> None:
    options, whole = SourceOptions(database="app"), several()
    told = "the archive is not whole, and what can be read of it is read"
    assert told not in open_archive(write(tmp_path, whole), options).notes
    for cut in range(whole.rindex(DOCUMENTS["orders"][0]), len(whole), 40):
        found = open_archive(write(tmp_path, whole[:cut]), options)
        assert documents_of(read_all(found)["users"]) == DOCUMENTS["orders"]
        assert told in found.notes, cut


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_byte_anywhere_loses_nothing_in_silence(tmp_path: Path, seed: int) -> None:
    """Every document is read as it was, or is told of, or its collection is."""
    users, orders = DOCUMENTS["users"][:30], DOCUMENTS["orders"][:20]
    content = write_archive({"users": users, "orders": orders})
    rng = random.Random(seed)
    for at in rng.sample(range(len(content)), 100):
        byte = rng.choice([0, 1, 255, content[at] ^ 1, content[at] ^ 128])
        changed = content[:at] + bytes([byte]) + content[at + 1 :]
        try:
            found = read_all(open_archive(write(tmp_path, changed, f"{at}.archive")), 300)
        except (SourceError, UsageError):
            continue
        known = {*users, *orders}
        problems = [text for pieces in found.values() for text in pieces[-1].problems]
        read = [(name, raw) for name, pieces in found.items() for raw in documents_of(pieces)]
        lost = known - {raw for _, raw in read}
        assert not lost or problems, at
        for name, raw in read:
            assert raw not in known or raw in {"users": users, "orders": orders}.get(name, known), (
                at
            )


def test_chunks_are_smaller_while_many_collections_are_open(tmp_path: Path) -> None:
    """They depend on the archive alone, not on the collections that are asked for."""
    document = bson.encode({"text": "x" * 5000})
    writer = ArchiveWriter()
    names = [f"c{number}" for number in range(60)]
    writer.prelude([{"db": "app", "collection": name} for name in names])
    for name in names * 15:
        writer.segment("app", name, [document] * 20)
    for name in names:
        writer.end("app", name, crc=0)
    archive = open_archive(write(tmp_path, bytes(writer.content)))
    size = OPEN_BYTES // 16
    found = read_all(archive, size)
    sizes = [chunk.stop - chunk.start for chunk in chunks_of(found["c7"])]
    assert OPEN_BYTES // 60 <= max(sizes) <= OPEN_BYTES // 60 + len(document)
    assert max(sizes) > SMALLEST_CHUNK
    alone = list(archive.list_chunks(["c7"], size, is_read=True))
    assert chunks_of(alone) == chunks_of(found["c7"])


def test_samples_are_the_first_documents_with_their_share(tmp_path: Path) -> None:
    archive = open_archive(write(tmp_path, write_archive(DOCUMENTS)))
    samples = list(archive.read_samples("users", 1000, 3))
    documents = [raw for found, _ in samples for _, raw in found]
    assert documents == DOCUMENTS["users"][: len(documents)]
    size = sum(map(len, DOCUMENTS["users"]))
    assert sum(share for _, share in samples) == pytest.approx(sum(map(len, documents)) / size)
    assert list(archive.read_samples("empty", 1000, 3)) == []


def test_a_prelude_that_is_broken_hides_no_documents(tmp_path: Path) -> None:
    content = write_archive(DOCUMENTS)
    at = content.index(b"\x02db\0")
    archive = open_archive(write(tmp_path, content[:at] + b"\x99" + content[at + 1 :]))
    assert {name: documents_of(pieces) for name, pieces in read_all(archive).items()} == DOCUMENTS
    [problem] = archive.problems
    assert problem.startswith(f"the prelude of the archive cannot be read from byte {at - 4} on")
    assert problem in problems_of(archive)


def test_what_go_writes_is_read_whole() -> None:
    """`go.archive` is what `go_archive` writes with the driver's encoder and Go's own CRC-64."""
    assert archive_contents.find_checksum() is not None
    archive = open_archive(GOLDEN)
    assert archive.name == "shop"
    assert archive.ignored == ("recent (view on orders: [])",)
    assert (archive.notes, problems_of(archive)) == ((), [])
    series = "system.buckets.weather"
    found = {name: documents_of(pieces) for name, pieces in read_all(archive).items()}
    assert [*found] == ["empty", "orders", series, "users"]
    for name, documents in found.items():
        assert documents == [
            bson.encode({"_id": number, "of": name, "text": "é" * number, "ratio": number / 3})
            for number in range(0 if name == "empty" else 9)
        ]
    assert '"capped":true' in str(archive.read_metadata("orders"))
    assert '"timeField":"at"' in str(archive.read_metadata(series))


@pytest.mark.soak
def test_the_golden_file_is_what_go_writes() -> None:
    go = shutil.which("go")
    if go is None:
        missing = "Go is not on this machine: see https://go.dev/doc/install"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    command = [go, "run", "."]
    done = subprocess.run(
        command, cwd=GOLDEN.parent / "go_archive", capture_output=True, check=True
    )
    assert done.stdout == GOLDEN.read_bytes()


def test_views_that_were_dumped_as_collections_are_collections(tmp_path: Path) -> None:
    """`mongodump --viewsAsCollections` keeps the type, and leaves the definition out."""
    names = ("full", "hollow")
    text = json.dumps({"options": {}, "indexes": []})
    metadata = [
        {"db": "app", "collection": name, "metadata": text, "type": "view"} for name in names
    ]
    content = write_archive({"full": [ONE], "hollow": []}, metadata=metadata)
    archive = open_archive(write(tmp_path, content))
    assert [each.name for each in archive.collections] == ["full", "hollow"]
    assert (archive.ignored, archive.notes) == ((), ())
