"""Which kind of source a path or a URL is, and what is said of those that are none."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import bson
import pytest
from tests.archives import write_archive

from assise.errors import SourceError, UsageError
from assise.mongo.dump import Dump
from assise.mongo.opening import open_source
from assise.mongo.source import SourceOptions

USER = bson.encode({"_id": 1, "name": "Zoé"})
TEXT = '{"_id": 1, "name": "Zoé"}\n'


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@db/app",
        "https://db/app",
        "s3:/bucket",
        " mongodb://me:secret@db/app",
        "'mongodb://me:secret@db/app",
        "mongodb//me:secret@db/app",
        "mongodb:me:secret@db/app",
        "me:secret@db/app",
    ],
)
def test_a_url_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="the URL is not that of a MongoDB") as error:
        open_source(url)
    assert "mongodb://" in error.value.remedy
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("app.archive", SourceOptions(zone="UTC"), "is an archive, where --zone has no meaning"),
        ("app.archive", SourceOptions(queries={"a": "{}"}), "where --query has no meaning"),
        ("users.json", SourceOptions(database="app"), "is JSON, where --db has no meaning"),
        ("users.json", SourceOptions(queries={"a": "{}"}), "is JSON, where --query has no"),
        ("users.bson", SourceOptions(database="app"), "is a dump, where --db has no meaning"),
        ("mongodb://localhost", SourceOptions(zone="UTC"), "a server, where --zone has no meaning"),
    ],
)
def test_options_of_other_kinds_are_refused(
    tmp_path: Path, name: str, option: SourceOptions, message: str
) -> None:
    (tmp_path / "app.archive").write_bytes(write_archive({"users": [USER]}))
    (tmp_path / "users.json").write_text(TEXT)
    (tmp_path / "users.bson").write_bytes(USER)
    place = name if "://" in name else tmp_path / name
    with pytest.raises(UsageError) as error:
        open_source(place, option)
    assert message in error.value.message
    assert error.value.remedy.startswith("Leave --")


def test_an_empty_variable_is_not_the_folder_of_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users.bson").write_bytes(USER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGO_URL", "")
    for place in ("", "${MONGO_URL}"):
        with pytest.raises(SourceError, match="empty"):
            open_source(place)


@pytest.mark.parametrize("name", ["users.json", "app.archive", "users.bson", "users"])
def test_a_pipe_is_refused_without_waiting_for_it(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(SourceError, match="is not a regular file") as error:
        open_source(tmp_path / name)
    assert "to a file" in error.value.remedy


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing does not exist") as error:
        open_source(tmp_path / "nothing")
    assert error.value.remedy.startswith("Give a mongodump folder")


def test_a_folder_whose_name_looks_like_a_url_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "https:" / "app"
    folder.mkdir(parents=True)
    (folder / "users.bson").write_bytes(USER)
    monkeypatch.chdir(tmp_path)
    assert [each.name for each in open_source("https:/app").collections] == ["users"]


@pytest.mark.parametrize("name", ["users.bson", "users.dat", "users", "users.bson.gz", "u.gz"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_bson_is_told_by_its_bytes(tmp_path: Path, name: str, is_packed: bool) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(USER) if is_packed else USER)
    source = open_source(file)
    [piece, end] = source.list_chunks([source.collections[0].name], 1 << 20, is_read=True)
    assert piece.chunk
    assert piece.chunk.documents == [(0, USER)]
    assert end.start == end.stop == len(USER)


def test_a_document_that_begins_like_json_is_bson(tmp_path: Path) -> None:
    """The length of a document of 123 bytes is the brace of JSON."""
    raw = bson.encode({"_id": 1, "text": "x" * 98})
    assert raw.startswith(b"{")
    for name in ("users.bson", "users"):
        (tmp_path / name).write_bytes(raw)
        source = open_source(tmp_path / name)
        assert isinstance(source, Dump)


def test_a_file_of_json_lies_in_a_dump_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "users.bson").write_bytes(USER)
    (tmp_path / "posts.json").write_text(TEXT)
    source = open_source(tmp_path)
    assert [each.name for each in source.collections] == ["users"]
    assert source.ignored == ("posts.json",)


@pytest.mark.parametrize(
    ("name", "content", "message", "remedy"),
    [
        ("users.csv", b"_id,name\n1,Zo\n", "users.csv is CSV, which has no types", "mongoexport"),
        ("users.tsv", b"_id\tname\n1\tZo\n", "users.tsv is TSV", "--out users.json"),
        ("my users.csv", b"", "my users.csv is CSV", "--collection 'my users'"),
        ("users.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), "is CSV", "--jsonFormat=canonical"),
        ("users.txt", b"_id,name\n1,Zo\n", "users.txt is CSV", "mongoexport"),
        ("users.dat", TEXT.encode("utf-16"), "was converted to UTF-16: PowerShell", "--out FILE"),
        ("dump.zip", b"PK\3\4" + bytes(60), "dump.zip is a zip file", "Unpack it"),
        ("users.bson.zst", b"\x28\xb5\x2f\xfd" + bytes(9), "packed by zstd", "Unpack it"),
        ("users.dat", b"", "users.dat is empty", "Give a mongodump folder"),
        ("users.bson.zst", b"", "users.bson.zst is empty", "Give a mongodump folder"),
        ("notes.txt", b"Remember the milk.\n", "neither BSON nor JSON", "Give a mongodump folder"),
        ("photo", b"\x89PNG\r\n\x1a\n" + bytes(99), "neither BSON", "Give a mongodump folder"),
        ("five", b"\5\0\0\0", "neither BSON", "Give a mongodump folder"),
    ],
)
def test_what_is_no_source_is_named_and_its_remedy_with_it(
    tmp_path: Path, name: str, content: bytes, message: str, remedy: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError) as error:
        open_source(tmp_path / name)
    assert message in error.value.message
    assert remedy in error.value.remedy
