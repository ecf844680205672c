"""Files of Extended JSON as a source: dialects, chunks, samples, and what cannot be read."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest
from bson import Int64, ObjectId, Regex
from bson.json_util import CANONICAL_JSON_OPTIONS, LEGACY_JSON_OPTIONS, RELAXED_JSON_OPTIONS, dumps

from assise.errors import SourceError, UsageError
from assise.mongo import json_file
from assise.mongo.chunks import Chunk
from assise.mongo.frames import Run
from assise.mongo.json_source import JsonSource, open_json, rebuild_json
from assise.mongo.json_text import TextReader, find_shape
from assise.mongo.opening import open_source
from assise.mongo.source import NO_OPTIONS, NOTHING, SourceOptions
from assise.rows.model import Document

OPTIONS = [CANONICAL_JSON_OPTIONS, RELAXED_JSON_OPTIONS, LEGACY_JSON_OPTIONS]
DOCUMENTS: list[dict[str, object]] = [
    {
        "_id": ObjectId(f"{n:024x}"),
        "n": Int64(n << 40),
        "text": "x" * (n % 50),
        "in": {"a": [n, {}]},
    }
    for n in range(300)
]


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def prepared(path: Path, options: SourceOptions = NO_OPTIONS, size: int = 4096) -> JsonSource:
    source = open_json(path, options)
    source.prepare([each.name for each in source.collections], size, NOTHING)
    return source


def chunks(source: JsonSource, name: str, size: int = 4096, *, is_read: bool = True) -> list[Chunk]:
    pieces = [*source.list_chunks([name], size, is_read=is_read)]
    end = pieces.pop()
    assert end.start == end.stop
    found = [piece.chunk or source.read_chunk(name, piece.start, piece.stop) for piece in pieces]
    assert [(each.start, each.stop) for each in found] == [(p.start, p.stop) for p in pieces]
    assert [(p.start, p.stop) for p in source.list_bounds([name], size)][:-1] == [
        (p.start, p.stop) for p in pieces
    ]
    return found


def read(path: Path, size: int = 4096) -> tuple[list[Document], list[Run]]:
    """All documents and runs of one file, which every way of reading gives alike."""
    source = prepared(path)
    name = source.collections[0].name
    found = chunks(source, name, size)
    for other in (chunks(source, name, size, is_read=False), chunks(source, name, 1 << 20)):
        assert [d for c in other for d in c.documents] == [d for c in found for d in c.documents]
        assert [r for c in other for r in c.runs] == [r for c in found for r in c.runs]
    known = source.prepare([name], size, NOTHING)
    again = rebuild_json(json.loads(json.dumps(open_again(path, known).describe())))
    again.prepare([name], size, known, is_check=True)
    checked = chunks(again, name, size)
    assert [d for c in checked for d in c.documents] == [d for c in found for d in c.documents]
    assert [c.digest for c in checked] == [c.digest for c in found]
    return [d for c in found for d in c.documents], [r for c in found for r in c.runs]


def open_again(path: Path, known: object) -> JsonSource:
    source = open_json(path)
    assert isinstance(known, dict)
    source.prepare([*known], 4096, known)
    return source


def values(documents: list[Document]) -> list[dict[str, object]]:
    return [bson.decode(raw) for _, raw in documents]


def forms(lines: list[str]) -> Iterator[tuple[str, bytes]]:
    """The same documents in files of every shape."""
    yield "lines.json", "\n".join(lines).encode() + b"\n"
    yield "windows.json", b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n"
    yield "array.json", f"[{','.join(lines)}]".encode()
    yield "pretty.json", ",\n".join(lines).join("[]").encode()
    yield "joined.json", "".join(lines).encode()
    yield "packed.json.gz", gzip.compress("\n".join(lines).encode())
    indented = [json.dumps(json.loads(line), indent=2) for line in lines]
    yield "indented.jsonl", "\n".join(indented).encode()
    yield "indented.ndjson", f"[{', '.join(indented)}]\n".encode()


@pytest.mark.parametrize("options", OPTIONS, ids=["canonical", "relaxed", "legacy"])
def test_every_shape_gives_the_same_documents(options: object, tmp_path: Path) -> None:
    lines = [dumps(document, json_options=options) for document in DOCUMENTS]
    for name, content in forms(lines):
        documents, runs = read(write(tmp_path / name, content))
        assert values(documents) == DOCUMENTS, name
        assert runs == [], name


@pytest.mark.parametrize("is_native", [True, False])
def test_what_the_scanner_loaded_it_does_not_check(
    is_native: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "users.json", dumps({"_id": 1}) + "\n")
    known = prepared(path).prepare(["users"], 4096, NOTHING)
    known["users"]["is_native"] = is_native
    source = open_json(path)
    source.prepare(["users"], 4096, known, is_check=True)
    scanned: list[bytes] = []
    monkeypatch.setattr(json_file, "read_plainly", scanned.append)
    (chunk,) = chunks(source, "users", 4096)
    assert [raw for _, raw in chunk.documents] == [bson.encode({"_id": 1})]
    assert bool(scanned) == is_native


def test_a_document_stands_where_its_offset_says(tmp_path: Path) -> None:
    for name, content in forms([dumps(document) for document in DOCUMENTS[:20]]):
        path = write(tmp_path / name, content)
        text = gzip.decompress(content) if name.endswith(".gz") else content
        assert [text[offset : offset + 1] for offset, _ in read(path)[0]] == [b"{"] * 20


def test_names_of_collections_and_of_the_source(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for name in ("users.json", "a b.jsonl", "c.ndjson", "d.json.gz"):
        write(folder / name, gzip.compress(b"{}") if name.endswith(".gz") else b"{}")
    for name in ("notes.txt", ".hidden.json", "users.metadata.json", "prelude.json"):
        write(folder / name, b"{}")
    (folder / "deeper").mkdir()
    source = open_source(folder)
    assert [each.name for each in source.collections] == ["a b", "c", "d", "users"]
    assert source.name == "export"
    assert sorted(source.ignored) == [
        ".hidden.json", "deeper/", "notes.txt", "prelude.json", "users.metadata.json",
    ]  # fmt: skip
    one = open_source(folder / "d.json.gz")
    assert (one.name, [each.name for each in one.collections]) == ("d", ["d"])
    some = open_source(folder, SourceOptions(only=("[ab]*",)))
    assert [each.name for each in some.collections] == ["a b"]


def test_a_dump_beside_json_stays_a_dump(tmp_path: Path) -> None:
    write(tmp_path / "users.bson", bson.encode({"_id": 1}))
    write(tmp_path / "package.json", b"{}")
    assert open_source(tmp_path).describe()["kind"] == "dump"
    (tmp_path / "app").mkdir()
    (tmp_path / "users.bson").rename(tmp_path / "app" / "users.bson")
    assert open_source(tmp_path).describe()["kind"] == "dump"


def test_two_files_of_one_collection(tmp_path: Path) -> None:
    write(tmp_path / "users.json", b"{}")
    write(tmp_path / "users.jsonl", b"{}")
    with pytest.raises(SourceError, match="are both the collection 'users'"):
        open_json(tmp_path)


@pytest.mark.parametrize("name", [".json", ".jsonl.gz"])
def test_a_file_without_a_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not that of a collection"):
        open_json(write(tmp_path / name, '{"_id": 1}\n'))


def test_no_zone_and_no_database(tmp_path: Path) -> None:
    path = write(tmp_path / "users.json", b"{}")
    with pytest.raises(UsageError, match="no time zone has the name 'Paris'"):
        open_json(path, SourceOptions(zone="Paris"))
    with pytest.raises(UsageError, match="is JSON, where --db has no meaning"):
        open_json(path, SourceOptions(database="app"))
    with pytest.raises(UsageError, match="is JSON, where --query has no meaning"):
        open_json(path, SourceOptions(queries={"users": "{}"}))


OLD, NEW = '{"a": {"$date": 5}}', '{"a": {"$numberInt": "5"}}'
QUERY = '{"q": {"$regex": "a", "$options": "i"}}'


@pytest.mark.parametrize("rest", ["", '{"text": "\\"$numberInt\\": \\"$date\\": 5"}'])
def test_the_dialect_belongs_to_the_file(tmp_path: Path, rest: str) -> None:
    plain = ['{"a": "' + "x" * 4000 + '"}'] * 300
    for sign, expected in ((OLD, Regex("a", "i")), (NEW, {"$regex": "a", "$options": "i"})):
        path = write(tmp_path / "a.json", "\n".join([QUERY, *plain, rest, sign]))
        documents, runs = read(path, 1 << 16)
        assert values(documents)[0] == {"q": expected}
        assert runs == []


def test_a_file_without_a_word_of_either_is_version_1_for_its_queries(tmp_path: Path) -> None:
    documents, _ = read(write(tmp_path / "a.json", QUERY))
    assert values(documents) == [{"q": Regex("a", "i")}]


def test_words_in_strings_are_no_words(tmp_path: Path) -> None:
    text = json.dumps({"_id": 1, "text": '{"$numberInt": "5"}'})
    source = prepared(write(tmp_path / "a.json", f"{text}\n{OLD}"))
    assert chunks(source, "a")[0].runs == []
    shell = "{ _id: 1, text: '\"$numberInt\": 5' }\n" + OLD
    source = prepared(write(tmp_path / "b.json", shell))
    assert chunks(source, "b")[0].runs == []


def test_both_dialects_in_one_file_are_told_with_both_places(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", f'{{"x": 1}}\n{OLD}\n{{"x": 2}}\n{NEW}')
    source = prepared(path)
    (note,) = source.notes
    assert "$numberInt of version 2 at byte 38" in note
    assert "$date with a number of version 1 at byte 9" in note
    (chunk,) = chunks(source, "a")
    assert [run.raw for run in chunk.runs] == [OLD.encode()]
    assert len(chunk.documents) == 3


def test_what_is_no_document_is_a_run_with_a_reason(tmp_path: Path) -> None:
    lines = [
        '{"_id": 1}',
        '{"_id": {"$oid": 5}}',
        '{"_id": 2} {"_id": 3}',
        '{"_id": 4',
        '{"_id": 5}',
        "not json",
        '{"_id": 6, "text": "\\ud800"}',
        '{"_id": 7, "d": {"$date": "2024-01-01T00:00:00"}}',
        '{"_id": 8}',
    ]
    documents, runs = read(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert [value["_id"] for value in values(documents)] == [1, 2, 3, 5, 8]
    told = {run.raw.strip().decode(): run.detail for run in runs}
    assert told == {
        lines[1]: "an ObjectId is not a string",
        lines[3]: "",
        lines[5]: "",
        lines[6]: "half a surrogate pair is not text",
        lines[7]: "the date '2024-01-01T00:00:00' has no zone: give that of such dates,"
        " --zone Europe/Paris",
    }


def test_guesses_are_counted_in_their_chunks(tmp_path: Path) -> None:
    lines = ['{"a": 100000000000000000000, "b": -0}', '{"a": 9223372036854775808}']
    (chunk,) = chunks(prepared(write(tmp_path / "a.json", "\n".join(lines))), "a")
    assert chunk.guesses == {
        "integers of more than 64 bits, read as doubles": 2,
        "integers -0, read as doubles": 1,
    }


def test_dates_in_the_zone_that_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", '{"d": {"$date": "2024-07-01T12:00:00"}}')
    source = rebuild_json(prepared(path, SourceOptions(zone="Europe/Paris")).describe())
    (chunk,) = chunks(source, "a")
    assert bson.decode(chunk.documents[0][1])["d"].hour == 10


def test_an_array_without_an_end_is_a_problem(tmp_path: Path) -> None:
    whole = "[" + ",".join(['{"_id": 1}'] * 9)
    for content, problems in (
        (whole + "]", 0),
        (whole, 1),
        (whole + ",\n", 1),
        (whole + ',{"_i', 0),
    ):
        source = prepared(write(tmp_path / "a.json", content))
        for is_read in (True, False):
            *_, end = source.list_chunks(["a"], 16, is_read=is_read)
            assert len(end.problems) == problems
        found = chunks(source, "a", 16)
        assert sum(len(chunk.documents) for chunk in found) == 9


def test_one_byte_chunks_hold_one_document_each(tmp_path: Path) -> None:
    for name, content in forms([dumps(document) for document in DOCUMENTS[:20]]):
        source = prepared(write(tmp_path / name, content))
        found = chunks(source, source.collections[0].name, 1)
        assert [len(chunk.documents) for chunk in found] == [1] * 20
        assert found[-1].stop == len(gzip.decompress(content) if ".gz" in name else content)


def test_samples_are_about_the_share_that_they_say(tmp_path: Path) -> None:
    lines = [dumps(document) for document in DOCUMENTS * 15]
    for name, content in forms(lines):
        source = prepared(write(tmp_path / name, content))
        samples = [*source.read_samples(source.collections[0].name, 2 << 10, 12)]
        count = sum(len(documents) for documents, _ in samples)
        share = sum(share for _, share in samples)
        assert 0.8 < count / share / len(lines) < 1.25, name
        if ".gz" not in name:
            assert len(samples) == 12
        small = [*source.read_samples(source.collections[0].name, 8 << 20, 12)]
        assert sum(len(documents) for documents, _ in small) == len(lines)


def find_ends(content: bytes) -> list[int]:
    """Where the documents of a file end."""
    shape = find_shape(io.BytesIO(content), "")
    reader = TextReader(io.BytesIO(content[shape.start :]), shape.start, shape)
    items = [each for item in reader.read() if isinstance(item, list) for each in item]
    return [offset + len(text.rstrip()) for offset, text in items]


@pytest.mark.parametrize("seed", range(10))
def test_truncated_and_damaged_files(seed: int, tmp_path: Path) -> None:
    """No error, no endless loop, and whatever is whole before the damage is read."""
    draw = random.Random(seed)
    lines = [dumps(document) for document in DOCUMENTS[:20]]
    for name, content in forms(lines):
        if name.endswith(".gz"):
            continue
        ends = find_ends(content)
        for _ in range(3):
            cut = draw.randrange(len(content))
            documents, _ = read(write(tmp_path / name, content[:cut]), 512)
            assert values(documents) == DOCUMENTS[: len(documents)], (name, cut)
            assert len(documents) == sum(end <= cut for end in ends), (name, cut)
            damaged = bytearray(content)
            for _ in range(draw.randrange(1, 4)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            path = write(tmp_path / name, bytes(damaged))
            documents, runs = read(path, 512)
            assert len(documents) + len(runs) > 0
            spans = [(run.offset, run.size) for run in runs]
            assert len({offset for offset, _ in spans}) == len(spans)


FLOODS = [b"{", b"{\n", b"\n{", b'{"a":', b'{"a":\n', b'[{"a":\n', b"\n{" * 150 + b"}"]


@pytest.mark.parametrize("unit", FLOODS)
@pytest.mark.parametrize("form", [b"%b\n%b\n%b\n%b\n", b"[%b,\n%b,\n%b,\n%b]"])
def test_braces_without_an_end_swallow_no_document_behind_them(
    unit: bytes, form: bytes, tmp_path: Path
) -> None:
    """Reading ends at the first level that no document has, and resumes behind."""
    flood = unit * (100_000 // len(unit))
    content = form % (b'{"_id":1}', b'{"_id":2}', flood, b'{"_id":3}')
    documents, runs = read(write(tmp_path / "a.json", content))
    found = values(documents)
    assert found[:2] == [{"_id": 1}, {"_id": 2}]
    assert found[-1] == {"_id": 3}
    assert len(found) + len(runs) < 2_000


@pytest.mark.parametrize("flood", [b"{" * 100_000, b'{"a":\n' * 100_000])
def test_a_reject_says_that_it_has_too_many_levels(flood: bytes, tmp_path: Path) -> None:
    content = b'{"_id":1}\n%b\n{"_id":2}\n' % flood
    documents, runs = read(write(tmp_path / "a.json", content))
    assert values(documents) == [{"_id": 1}, {"_id": 2}]
    assert [run.detail for run in runs] == ["more than 200 levels"]


@pytest.mark.parametrize("text", [b"{}", b"{}\n", b"{x}\n", b'{"a":{}}\n\n'])
def test_of_very_short_documents_no_chunk_has_many(
    text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("json_file", "json_text"):
        monkeypatch.setattr(f"assise.mongo.{module}.MOST_TEXTS", 1000)
    documents, runs = read(write(tmp_path / "a.json", b'{"_id": 1}\n' + text * 2500), 4 << 20)
    assert len(documents) + len(runs) == 2501
    found = chunks(prepared(tmp_path / "a.json"), "a", 4 << 20)
    assert max(len(chunk.documents) + len(chunk.runs) for chunk in found) <= 1000


@pytest.mark.parametrize("shape", ["lines", "array", "one after the other"])
@pytest.mark.parametrize(
    ("change", "readable"),
    [("cut", 60), ("no gzip", 0), ("trailing garbage", 100), ("wrong checksum", 100)],
)
def test_a_broken_gzip_stream_is_an_error_that_says_how_many_documents_can_be_read(
    tmp_path: Path, change: str, readable: int, shape: str
) -> None:
    between = {"lines": "\n", "array": ",\n", "one after the other": " "}[shape]
    texts = [f'{{"_id": {n}, "text": "\u00e9"}}' for n in range(100, 200)]
    opening, closing = ("[", "]") if shape == "array" else ("", "")
    content = f"{opening}{between.join(texts)}{closing}\n".encode()
    whole = (opening + between.join(texts[:readable])).encode() if readable else b""
    packed = gzip.compress(content)
    wrong = bytearray(packed)
    wrong[-8] ^= 1
    stored = gzip.compress(content, compresslevel=0)
    broken = {
        # Ten bytes of gzip and five of its block stand before the content, which is not packed.
        "cut": stored[: 15 + len(whole) + 7],
        "no gzip": packed[:3] + b"\xff" * 20,
        "trailing garbage": packed + b"garbage",
        "wrong checksum": bytes(wrong),
    }[change]
    path = write(tmp_path / "a.json.gz", broken)
    with pytest.raises(SourceError, match="is a broken gzip stream") as error:
        chunks(prepared(path), "a")
    count = f"Of it {readable} documents can be read, up to byte {len(whole):,}."
    assert error.value.remedy.startswith(count)
    assert "zcat FILE > a.jsonl" in error.value.remedy


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(SourceError, match="is a folder"):
        open_json(tmp_path)
    (tmp_path / "a.json").rmdir()
    (tmp_path / "a.json").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="missing"):
        open_json(tmp_path)
