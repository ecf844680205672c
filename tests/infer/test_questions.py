"""What infer asks: the order of bytes of old UUIDs, keys that may be data, keys of frameworks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import bson
import pytest
from bson import Binary
from bson.binary import UuidRepresentation
from tests.infer.profiles import merge_parts, profile_of
from tests.infer.proposals import columns, propose_documents

from assise.manifest.write import dump_manifest
from assise.project import Project

MAKER = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
OLD = Binary.from_uuid(MAKER, UuidRepresentation.JAVA_LEGACY)
READ = {
    "uuid_java": MAKER,
    "uuid_csharp": OLD.as_uuid(UuidRepresentation.CSHARP_LEGACY),
    "uuid_python": OLD.as_uuid(UuidRepresentation.PYTHON_LEGACY),
}
Query = Callable[..., list[tuple[object, ...]]]
CASE = (
    Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")).parent
    / "cases/05-legacy-uuid-keys"
)


def test_old_uuids_are_shown_in_each_order_of_bytes_with_the_question() -> None:
    found = propose_documents([{"maker": OLD, "others": [OLD]}] * 3)
    assert columns(found) == {
        "maker": "uuid uuid_python <maker>",
        "others": "uuid[] uuid_python <others>",
    }
    orders = ", ".join(f"{kind}: {value}" for kind, value in READ.items())
    question = f"which kind is right? {orders}"
    comments = found.comments
    assert comments["tables", "docs", "columns", "maker"] == f"binary_3; {question}"
    (note,) = found.notes
    assert note.startswith("docs.maker, docs.others: UUIDs of binary subtype 3")
    assert question in note
    assert "uuid_python is written until you say" in note
    assert question in dump_manifest(found.manifest, comments=comments)


def test_the_sample_is_the_first_one_however_the_documents_are_cut() -> None:
    values = [UUID(int=n) for n in range(1, 7)]
    raws = [bson.encode({"a": Binary.from_uuid(v, UuidRepresentation.JAVA_LEGACY)}) for v in values]
    whole = profile_of(raws).tree().children["a"].legacy_uuid
    assert whole
    for cuts in ([1], [2, 4], [3, 5]):
        assert merge_parts(raws, cuts).tree().children["a"].legacy_uuid == whole
    raws.insert(3, bson.encode({"a": Binary(b"short", 3)}))
    for cuts in ([], [1], [3], [4], [2, 5]):
        assert merge_parts(raws, cuts).tree().children["a"].legacy_uuid == b""


@pytest.mark.skipif(not CASE.exists(), reason=f"no {CASE}: set ASSISE_TEST_DATA")
def test_old_keys_and_references_join_and_are_right_once_the_question_is_answered(
    project: Project, query: Query, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, CASE / "make.py", tmp_path], check=True)
    project.write_manifest(project.infer(tmp_path / "catalog"))
    join = "SELECT count(*) FROM items JOIN makers ON makers.id = maker_id"
    for kind, agree in (("uuid_python", 0), ("uuid_java", 8)):
        text = project.path.read_text().replace("kind: uuid_python", f"kind: {kind}")
        project.path.write_text(text)
        report = project.migrate(tmp_path / "catalog", confirm=lambda _: True)
        assert (report.exit_code, report.loaded) == (0, 48)
        assert query(join) == [(40,)]
        assert query("SELECT count(*) FROM makers WHERE id::text = slug") == [(agree,)]
        project.undo(confirm=lambda _: True)


@pytest.mark.parametrize(("count", "is_told"), [(19, False), (20, True), (100, True), (101, False)])
def test_many_keys_may_be_data(count: int, is_told: bool) -> None:
    prices = {f"k{'abcdefghij'[n // 10 % 10]}{n}x": n for n in range(count)}
    found = propose_documents([{"prices": prices}] * 100)
    note = (
        f"prices has {count} keys; if they are data, one column is better:"
        " prices: {type: jsonb, from: prices}"
    )
    is_one = columns(found) == {"prices": "jsonb every <prices>"}
    assert is_one == (count > 100)
    assert found.comments["tables", "docs"].endswith(note) == is_told


def test_keys_of_frameworks_are_understood() -> None:
    found = propose_documents([{"_p_author": "_User$x", "__v": 0, "a": {"__v": 1}}])
    assert columns(found) == {
        "author": "text string <_p_author>",
        "__v": "int4 int <__v>",
        "a_v": "int4 int <a.__v>",
    }
    comments = {place[-1]: text for place, text in found.comments.items() if len(place) > 2}
    assert comments == {
        "author": "string; a pointer of Parse: class, $ and id",
        "__v": "int32; how often Mongoose has changed an array of the document",
        "a_v": "int32",
    }
    both = columns(propose_documents([{"_p_author": "x", "author": 1}]))
    assert [*both] == ["author", "author_2"]
