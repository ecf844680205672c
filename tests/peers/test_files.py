"""Files of every dialect in every shape: both readers give their documents, in chunks of any size."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.documents.drawn_texts import DIALECTS, by_dialect
from tests.oracle.equality import differences
from tests.peers.dialects import UnwritableError
from tests.peers.documents import DOCUMENTS
from tests.peers.writers import WRITERS, Writer

from assise.documents.dialects.rules import Version
from assise.mongo.json_file import JsonFile, Reader, survey_file

SHAPES = {
    "lines": ("", "\n", "\n"),
    "lines of Windows": ("\ufeff", "\r\n", ""),
    "concatenated": ("", "", "\n"),
    "apart": ("// all\n", "\n\n/* next */\n", "\n"),
    "array": ("[", ",", "]"),
    "array of lines": ("[\n  ", ",\n  ", "\n]\n"),
}


def open_file(path: Path, content: str) -> JsonFile:
    data = content.encode()
    path.write_bytes(data)
    return JsonFile("users", path, len(data))


def read_documents(file: JsonFile, size: int, *, is_check: bool) -> list[bytes]:
    reader = Reader(file, survey_file(file), None, is_check=is_check)
    chunks = list(reader.read_chunks(size))
    assert [run for chunk in chunks for run in chunk.runs] == []
    return [raw for chunk in chunks for _, raw in chunk.documents]


@pytest.mark.parametrize("shape", SHAPES)
@by_dialect
def test_both_readers_give_the_documents_of_a_file(
    dialect: str, shape: str, tmp_path: Path
) -> None:
    write, _ = DIALECTS[dialect]
    texts, expected = [], []
    for raw in DOCUMENTS.values():
        try:
            texts.append(write(raw))
        except UnwritableError:
            continue
        expected.append(raw)
    start, between, end = SHAPES[shape]
    file = open_file(tmp_path / "users.json", start + between.join(texts) + end)
    assert survey_file(file).dialect == (Version.V1 if dialect == "v1" else Version.V2)
    for size in (1, 1000, 1 << 20):
        first = read_documents(file, size, is_check=False)
        second = read_documents(file, size, is_check=True)
        assert first == second
        assert len(first) == len(expected)
        for raw, found in zip(expected, first, strict=True):
            assert differences(raw, found) == []


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_the_dialect_of_a_file_is_that_of_its_writer(writer: Writer, tmp_path: Path) -> None:
    lines = [
        line
        for (name, _), line in zip(DOCUMENTS.items(), writer.lines(), strict=True)
        if not name.startswith(("looks like", "regex: new line"))
    ]
    file = open_file(tmp_path / "users.json", "\n".join(lines))
    has_old_words = writer.is_old and writer.name != "java-shell"
    assert survey_file(file).dialect == (Version.V1 if has_old_words else Version.V2)
