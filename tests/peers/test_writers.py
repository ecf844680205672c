"""What writers of other languages write is read to their document, or to the loss that is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import pytest
from tests.conftest import DATA
from tests.oracle.equality import equal
from tests.oracle.walk import frames
from tests.peers.documents import DOCUMENTS
from tests.peers.losses import LOSSES, NOT_WRITTEN, REJECT, find_losses, render_table
from tests.peers.writers import WRITERS, Writer, missing_programs, write_lines

from assise.documents.extjson import CANONICAL, write_json
from assise.documents.reread.reader import read_again
from assise.errors import ExtendedJsonError


class Read(Protocol):
    """Reads one document of text to BSON."""

    def __call__(self, text: bytes, /, *, is_old: bool) -> bytes: ...


READERS: list[Read] = [read_again]
CORPUS = DATA / "mongo" / "derived" / "bson_corpus_valid_all.bson"
PAGE = Path(__file__).parents[2] / "docs" / "what-writers-lose.md"

IN_THE_CORPUS = {
    "node-relaxed": 33, "node-canonical": 14, "node-promoted": 30, "node-legacy": 29,
    "java-strict": 13, "java-extended": 9, "java-relaxed": 13, "java-shell": 15,
    "go-canonical": 9, "go-relaxed": 9, "rust-canonical": 9, "rust-relaxed": 10,
    "python-canonical": 20, "python-relaxed": 20, "python-legacy": 20,
}  # fmt: skip
"""How many of the corpus's documents each writer does not give back, of 728."""

by_writer = pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
by_reader = pytest.mark.parametrize("read", READERS)


def difference(read: Read, line: str, raw: bytes, *, is_old: bool) -> str | None:
    """What a line is read to; None when that is its document."""
    if line == "!":
        return NOT_WRITTEN
    try:
        found = read(line.encode(), is_old=is_old)
    except ExtendedJsonError:
        return REJECT
    if equal(found, raw):
        return None
    return write_json(found, CANONICAL).partition('"v":')[2].removesuffix("}")


@by_reader
@by_writer
def test_each_line_is_its_document_or_a_known_loss(writer: Writer, read: Read) -> None:
    pairs = zip(DOCUMENTS.items(), writer.lines(), strict=True)
    found = {name: difference(read, line, raw, is_old=writer.is_old) for (name, raw), line in pairs}
    assert {name: value for name, value in found.items() if value} == find_losses(writer)


def test_every_rule_and_every_document_is_used() -> None:
    assert all(any(loss.concerns(writer) for writer in WRITERS) for loss in LOSSES)
    assert {name for loss in LOSSES for name in loss.becomes} <= DOCUMENTS.keys()


def test_the_page_has_the_table() -> None:
    assert render_table() in PAGE.read_text()


def need_programs(writer: Writer) -> None:
    missing = missing_programs(writer.language)
    reason = f"not on this machine: {', '.join(missing)}"
    if missing and os.environ.get("CI"):
        pytest.fail(reason)
    if missing:
        pytest.skip(reason)


@pytest.mark.soak
@by_writer
def test_the_golden_file_is_what_the_library_writes(writer: Writer) -> None:
    need_programs(writer)
    assert write_lines(writer, list(DOCUMENTS.values())) == writer.lines()


@pytest.mark.soak
@pytest.mark.skipif(not CORPUS.exists(), reason=f"no data of others in {CORPUS}")
@by_writer
def test_the_specifications_documents_through_each_library(writer: Writer) -> None:
    need_programs(writer)
    data = CORPUS.read_bytes()
    stream = [data[start:stop] for kind, start, stop in frames(data) if kind == "document"]
    lines = write_lines(writer, stream)
    assert len(lines) == len(stream) == 728
    differences = [
        difference(read_again, line, raw, is_old=writer.is_old)
        for line, raw in zip(lines, stream, strict=True)
    ]
    assert sum(found is not None for found in differences) == IN_THE_CORPUS[writer.name]
