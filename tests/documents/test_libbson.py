"""The files of libbson's tests.

Each is BSON or is refused, as the tests' own walker and the data set's README say.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import DATA
from tests.oracle.equality import differences
from tests.oracle.walk import NotBson, frames, parse

from assise.documents.equality import are_equal
from assise.documents.extjson import write_json
from assise.documents.extjson_reader import read_json
from assise.documents.reader import check_document
from assise.errors import InvalidBsonError
from assise.mongo.frames import Run, read_frames

FILES = DATA / "mongo" / "libbson_tests" / "src" / "libbson" / "tests" / "binary"
pytestmark = pytest.mark.skipif(
    not FILES.exists(), reason=f"no data of others in {FILES}: set ASSISE_TEST_DATA"
)

LISTED = set(
    "cdriver2269 overflow1 stream_corrupt test40 test41 test42 test43 test44 test45 test46 test47"
    " test52 test53 test54 test57 test59 test60 trailingnull".split()
)
"""Files that the data set's README lists as refused by a strict reader."""

STRICTER = {
    "overflow2": "a document longer than its document",
    "overflow3": "a document longer than its document",
    "overflow4": "a string longer than its document",
    "test48": "a string without a terminator",
    "test49": "a string without a terminator",
    "test50": "a string without a terminator",
    "test51": "a string without a terminator",
    "test55": "unknown BSON type 0",
}
"""Files that are refused too: lengths inside that leave their document, and a type 0."""


def is_bson(raw: bytes) -> bool:
    try:
        check_document(raw)
    except InvalidBsonError:
        return False
    return True


def kinds_of(path: Path) -> list[tuple[str, int, int]]:
    found = []
    with path.open("rb") as stream:
        for some in read_frames(stream):
            if isinstance(some, Run):
                found.append(("garbage", some.offset, some.offset + some.size))
            else:
                found += [
                    ("document" if is_bson(raw) else "invalid", offset, offset + len(raw))
                    for offset, raw in some
                ]
    return found


def test_the_files_are_refused_that_must_be() -> None:
    files = sorted(FILES.glob("*.bson"))
    assert len(files) == 77
    refused = set()
    for path in files:
        kinds = {kind for kind, _, _ in kinds_of(path)}
        if kinds != {"document"}:
            refused.add(path.stem)
    assert refused == LISTED | STRICTER.keys()


def test_every_file_is_framed_and_checked_as_the_tests_own_walker_does() -> None:
    for path in sorted(FILES.glob("*.bson")):
        assert kinds_of(path) == frames(path.read_bytes()), path.name


def test_every_document_is_refused_or_accepted_by_reader_and_writer_alike() -> None:
    accepted = 0
    for path in sorted(FILES.glob("*.bson")):
        data = path.read_bytes()
        for kind, start, end in frames(data):
            raw = data[start:end]
            if kind == "document":
                accepted += 1
                assert differences(raw, read_json(write_json(raw))) == []
                assert are_equal(raw, read_json(write_json(raw)))
                continue
            with pytest.raises(NotBson):
                parse(raw)
            for function in (check_document, write_json):
                with pytest.raises(InvalidBsonError):
                    function(raw)
    assert accepted > 2000


@pytest.mark.parametrize("stem", sorted(STRICTER))
def test_the_refusal_says_what_is_wrong(stem: str) -> None:
    with pytest.raises(InvalidBsonError, match=STRICTER[stem]):
        check_document((FILES / f"{stem}.bson").read_bytes())
