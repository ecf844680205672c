"""`Project.verify`: what it reports of a load, and which loads and sources it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bson
import pytest
from tests.dumps import confirm, write_dump
from tests.scenes.things import HEAD, THINGS, write_thing

from assise.errors import ChangedError, SourceError, UsageError
from assise.project import Project
from assise.transfer.report import Verified

Query = Callable[..., list[tuple[object, ...]]]


def test_deleted_documents_take_their_children_along_and_are_missing(
    project: Project, tmp_path: Path, query: Query
) -> None:
    project.path.write_text(HEAD + THINGS)
    project.migrate(
        write_dump(tmp_path / "app", {"things": [write_thing(0), write_thing(1)]}), confirm=confirm
    )
    query("DELETE FROM things WHERE word = 'word 1'")
    report = project.verify()
    assert [vars(collection.verified or Verified()) for collection in report.collections] == [
        {"equal": 1, "different": 0, "missing": 1, "extra": 0}
    ]
    assert report.exit_code == 3


def test_an_empty_collection_is_equal_until_a_row_comes(
    project: Project, tmp_path: Path, query: Query
) -> None:
    tables = (
        "  docs: {collection: docs, primary_key: key, columns: {key: {type: int4, from: _id}}}\n"
    )
    project.path.write_text(HEAD + tables)
    project.migrate(write_dump(tmp_path / "app", {"docs": []}), confirm=confirm)
    report = project.verify()
    assert (report.exit_code, report.documents, report.verified) == (0, 0, Verified())
    query("INSERT INTO docs VALUES (7)")
    report = project.verify()
    assert (report.exit_code, report.verified) == (3, Verified(extra=1))
    assert report.collections[0].differences == ["docs: row 7 of docs comes from no document"]


def test_a_reject_that_was_taken_out_of_the_ledger_is_missing(
    project: Project, tmp_path: Path, query: Query
) -> None:
    tables = (
        "  docs: {collection: docs, primary_key: key, columns: {key: {type: int4, from: _id}}}\n"
    )
    project.path.write_text(HEAD + tables)
    report = project.migrate(
        write_dump(tmp_path / "app", {"docs": [{"_id": 1}, {"_id": 1, "x": 2}, {"_id": 2}]}),
        confirm=confirm,
    )
    assert (report.loaded, report.rejected, report.verified, report.exit_code) == (
        2,
        1,
        Verified(equal=2),
        3,
    )
    query("DELETE FROM assise.reject")
    assert project.verify().exit_code == 3


@pytest.mark.parametrize("kind", [0x20, 0x03, 0x04, 0x01])
def test_what_is_no_bson_is_missing_when_its_reject_was_taken_out_of_the_ledger(
    project: Project, tmp_path: Path, query: Query, kind: int
) -> None:
    columns = "columns: {key: {type: int4, from: _id}, s: text, j: jsonb}"
    project.path.write_text(HEAD + f"  docs: {{collection: docs, primary_key: key, {columns}}}\n")
    documents = [
        bson.encode({"_id": n, "j": {"z": 1, "a": [1, {"b": n}]}, "s": f"text {n}"})
        for n in range(40)
    ]
    broken = documents[3].replace(b"\2s\0", b"%cs\0" % kind)
    report = project.migrate(
        write_dump(tmp_path / "app", {"docs": [*documents[:3], broken, *documents[3:]]}),
        confirm=confirm,
    )
    assert (report.loaded, report.rejected, report.verified) == (40, 1, Verified(equal=40))
    query("DELETE FROM assise.reject")
    verified = project.verify().verified
    assert verified is not None
    assert (verified.equal, verified.different + verified.missing) == (39, 2)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_source_that_changed_after_the_load_is_refused(
    project: Project, tmp_path: Path, *, is_packed: bool
) -> None:
    dump = write_dump(
        tmp_path / "app", {"things": [write_thing(n) for n in range(4)]}, is_packed=is_packed
    )
    project.migrate(dump, confirm=confirm)
    for order in ([0, 1, 2], [0, 1, 3, 2], [0, 1, 2, 3, 0], []):
        write_dump(dump, {"things": [write_thing(n) for n in order]}, is_packed=is_packed)
        with pytest.raises(ChangedError, match=r"things\.bson"):
            project.verify()
    write_dump(dump, {"things": [write_thing(n) for n in range(4)]}, is_packed=is_packed)
    assert project.verify().exit_code == 0
    dump.rename(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="does not exist"):
        project.verify()
    assert project.verify(tmp_path / "elsewhere").exit_code == 0


def test_nothing_loaded_is_an_error_that_says_what_to_do(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no manifest"):
        project.verify()
    project.write_manifest(
        project.infer(write_dump(tmp_path / "app", {"things": [write_thing(0)]}))
    )
    with pytest.raises(UsageError, match="nothing of 'app' is loaded") as error:
        project.verify()
    assert "assise load" in error.value.remedy


def test_a_load_that_is_not_finished_cannot_be_verified(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISE_LOAD_CHUNK_BYTES", "100")
    dump = write_dump(
        tmp_path / "app",
        {"docs": [{"_id": n, "text": str(n) * 30_000} for n in range(50)]},
        is_packed=True,
    )
    file = dump / "docs.bson.gz"
    whole = file.read_bytes()
    project.write_manifest(project.infer(dump))
    file.write_bytes(whole[:-20])
    with pytest.raises(SourceError, match="broken gzip stream"):
        project.load(dump, confirm=confirm)
    with pytest.raises(UsageError, match="the load of 'app' is not finished") as error:
        project.verify()
    assert "assise load" in error.value.remedy
    file.write_bytes(whole)
    assert project.load().loaded == 50
    assert project.verify().verified == Verified(equal=50)
