"""The kinds of sources under contract: each writes the same collections in its own form."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bson import decode, encode
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import InvalidBSON
from bson.json_util import (
    CANONICAL_JSON_OPTIONS,
    LEGACY_JSON_OPTIONS,
    JSONOptions,
    dumps,
    loads,
)
from bson.raw_bson import RawBSONDocument
from tests.archives import write_archive
from tests.dumps import write_dump
from tests.peers.dialects import UnwritableError, write_relaxed, write_shell
from tests.servers.mongo import MongoServer
from tests.sources.held import Held, carry_all, make_held

Write = Callable[[Path, Held], Path | str]
"""Write collections below a folder of the test; return what `open_source` is given."""


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    `carries` says of a document whether it comes through as it is: values of others are left out.
    `is_single` says that it holds one collection, which is called `users`; `is_in_lines` that it is
    text of a document a line. So many `documents` are compared in tables, and more in soak.
    """

    name: str
    write: Write
    carries: Callable[[bytes], bool] = carry_all
    is_single: bool = False
    is_in_lines: bool = False
    documents: int = 2_000

    def hold(self, documents: int) -> Held:
        """Make collections that it can hold, with so many documents in all."""
        held = make_held(documents, self.carries)
        return {"users": held["users"]} if self.is_single else held


def _write_folder(folder: Path, held: Held) -> Path:
    return write_dump(folder / "app", held)


def _write_packed_folder(folder: Path, held: Held) -> Path:
    return write_dump(folder / "app", held, is_packed=True)


def _write_databases(folder: Path, held: Held) -> Path:
    write_dump(folder / "dump" / "admin", {"system.version": [b"\5\0\0\0\0"]})
    write_dump(folder / "dump" / "app", held)
    return folder / "dump"


def _write_file(folder: Path, held: Held) -> Path:
    return write_dump(folder, held) / "users.bson"


def _write_packed_file(folder: Path, held: Held) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "users.bson.gz"
    # In two members, as tools that pack in parallel write it.
    content = b"".join(held["users"])
    middle = len(content) // 2
    file.write_bytes(gzip.compress(content[:middle]) + gzip.compress(content[middle:]))
    return file


_OLD = LEGACY_JSON_OPTIONS.with_options(strict_number_long=True)


def _write_json(folder: Path, held: Held) -> Path:
    """Extended JSON, version 2 canonical, in lines."""
    target = folder / "app"
    target.mkdir(parents=True, exist_ok=True)
    for name, documents in held.items():
        lines = [dumps(_decode(raw), json_options=CANONICAL_JSON_OPTIONS) for raw in documents]
        (target / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return target


def _write_old_json(folder: Path, held: Held) -> Path:
    """Extended JSON, version 1, as one array, packed."""
    target = folder / "app"
    target.mkdir(parents=True, exist_ok=True)
    for name, documents in held.items():
        texts = [dumps(_decode(raw), json_options=_OLD) for raw in documents]
        content = "[\n" + ",\n".join(texts) + "\n]\n"
        (target / f"{name}.json.gz").write_bytes(gzip.compress(content.encode(), mtime=0))
    return target


def _write_relaxed_json(folder: Path, held: Held) -> Path:
    """Extended JSON, version 2 relaxed, as one array."""
    target = folder / "app"
    target.mkdir(parents=True, exist_ok=True)
    for name, documents in held.items():
        content = ",\n".join(map(write_relaxed, documents))
        (target / f"{name}.json").write_text(f"[\n{content}\n]\n")
    return target


def _write_shell(folder: Path, held: Held) -> Path:
    """The syntax of the mongo shell, with comments that end lines within documents."""
    target = folder / "app"
    target.mkdir(parents=True, exist_ok=True)
    for name, documents in held.items():
        content = "\n".join(map(write_shell, documents))
        (target / f"{name}.json").write_text(f"{content}\n")
    return target


def _is_writable(raw: bytes, write: Callable[[bytes], str]) -> bool:
    with suppress(UnwritableError):
        return bool(write(raw))
    return False


def _is_relaxed(raw: bytes) -> bool:
    """Whether relaxed JSON keeps the value of a document: of an int64 that fits int32 it does not."""
    number = int.from_bytes(raw[16:24], "little", signed=True)
    is_short = raw[13] == 0x12 and -(1 << 31) <= number < 1 << 31
    return not is_short and _is_writable(raw, write_relaxed)


def _decode(raw: bytes) -> dict[str, Any]:
    return decode(raw, CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS))


def _is_read_back(raw: bytes, options: JSONOptions) -> bool:
    """Whether pymongo's own decoder and this form of JSON keep everything of a document."""
    with suppress(InvalidBSON, TypeError, ValueError, OverflowError):
        document = _decode(raw)
        text = dumps(document, json_options=options)
        return encode(document) == raw == encode(loads(text, json_options=options))
    return False


def _write_archive(folder: Path, held: Held) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "app.archive"
    file.write_bytes(write_archive(held))
    return file


def _write_packed_archive(folder: Path, held: Held) -> Path:
    file = _write_archive(folder, held)
    packed = file.with_name("app.archive.gz")
    packed.write_bytes(gzip.compress(file.read_bytes(), mtime=0))
    return packed


def _write_nothing(_folder: Path, _held: Held) -> str:
    raise NotImplementedError


def write_server(mongo: MongoServer, _folder: Path, held: Held) -> str:
    """Fill a database of a running server; return its URL."""
    mongo.answer_truly()
    mongo.client.drop_database(DATABASE)
    for name, documents in held.items():
        collection = mongo.client[DATABASE].get_collection(name)
        collection.insert_many([RawBSONDocument(raw) for raw in documents])
    return f"{mongo.url}{DATABASE}"


def _is_taken_by_server(raw: bytes) -> bool:
    """Whether mongo-java-server stores a document as it is; a real server stores all kinds."""
    kind, value = raw[13], raw[16:]
    is_binary_kept = kind != 0x05 or value[4] in {0, 3, 4}
    return kind not in {0x06, 0x0C, 0x0E, 0x0F} and is_binary_kept


DATABASE = "held"
SERVER = Kind("server", _write_nothing, _is_taken_by_server)
"""A running MongoDB, which `write_server` fills."""

FILES = [
    Kind("folder", _write_folder),
    Kind("packed folder", _write_packed_folder),
    Kind("folder above", _write_databases),
    Kind("file", _write_file, is_single=True),
    Kind("packed file", _write_packed_file, is_single=True),
    Kind(
        "JSON",
        _write_json,
        partial(_is_read_back, options=CANONICAL_JSON_OPTIONS),
        is_in_lines=True,
    ),
    Kind("old JSON", _write_old_json, partial(_is_read_back, options=_OLD)),
    Kind("relaxed JSON", _write_relaxed_json, _is_relaxed),
    Kind("shell", _write_shell, partial(_is_writable, write=write_shell), is_in_lines=True),
    Kind("archive", _write_archive),
    Kind("packed archive", _write_packed_archive),
]
