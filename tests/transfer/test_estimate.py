"""Estimates: they grow with the source, whatever it holds, and leave nothing behind."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from time import perf_counter

import bson
import pytest
from tests.dumps import write_dump
from tests.scenes.app import GARBAGE, NOT_BSON, key

from assise.errors import SourceError
from assise.mongo.bson_file import read_samples
from assise.mongo.dump import open_dump
from assise.project import Project
from assise.rows.columns import ColumnCounts
from assise.transfer.estimate import LOAD, VERIFY, Effort, estimate_source, measure
from assise.transfer.report import Plan

SIZE, COUNT = 20_000, 5


def user(n: int) -> bytes:
    """Inside it lies what frames as a document, too."""
    devices = [{"_id": n, "os": "x", "sizes": [0] * (n % 7)} for _ in range(n % 3)]
    return bson.encode(
        {"_id": key(2, n), "name": f"user {n}", "devices": devices, "last": {"_id": n, "zero": 0.0}}
    )


def measure_users(folder: Path, count: int, *, is_packed: bool = False) -> Effort:
    """The effort of a dump of so many users: the least of three, as the machine may be busy."""
    users = {"users": map(user, range(count))}
    dump = open_dump(write_dump(folder / str(count), users, is_packed=is_packed))
    manifest = Project(folder).infer(dump.path).manifest
    found = (
        measure(manifest, dump, "users", ColumnCounts(), until=perf_counter() + 60)
        for _ in range(3)
    )
    return min(found, key=lambda effort: effort.shred_s)


@pytest.mark.parametrize("is_packed", [False, True])
def test_ten_times_the_documents_are_ten_times_the_effort(tmp_path: Path, is_packed: bool) -> None:
    one, ten = (measure_users(tmp_path, count, is_packed=is_packed) for count in (2_000, 20_000))
    assert one.documents == pytest.approx(2_000, rel=0.1)
    assert ten.documents == pytest.approx(20_000, rel=0.1)
    assert ten.bytes == pytest.approx(10 * one.bytes, rel=0.2)
    assert one.shred_s > 0
    assert ten.shred_s > 2 * one.shred_s


def test_an_effort_grows_with_its_parts_and_shrinks_with_workers() -> None:
    effort = Effort(documents=10, bytes=1e9, shred_s=8.0)
    for rates in (LOAD, VERIFY):
        start = Effort().seconds(rates, 1)
        alone, by_four = (effort.seconds(rates, workers) - start for workers in (1, 4))
        assert alone == pytest.approx(4 * by_four)
        assert alone > 8.0
        for more in (Effort(shred_s=1.0), Effort(bytes=1e9)):
            assert more.seconds(rates, 1) > start + 1
    effort.add(Effort(documents=1, bytes=1e8, shred_s=1.0), 10)
    assert effort == Effort(documents=20, bytes=2e9, shred_s=18.0)


def test_collections_that_are_not_sampled_are_taken_to_be_like_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = {f"c{n}": map(user, range(n, n + 20)) for n in range(40)}
    dump = write_dump(tmp_path / "app", users)
    manifest = Project(tmp_path).infer(dump).manifest
    monkeypatch.setattr("assise.transfer.estimate.SAMPLE_S", 0.0)
    found = estimate_source(open_dump(dump), manifest, workers=1)
    assert min(found.documents.values()) > 10
    assert sum(found.documents.values()) == pytest.approx(800, rel=0.2)


def test_samples_are_documents_from_all_over_the_file(tmp_path: Path) -> None:
    users = {n: user(n) for n in range(30_000)}
    [collection] = open_dump(write_dump(tmp_path, {"users": users.values()})).files
    samples = [documents for documents, _ in read_samples(collection, SIZE, COUNT)]
    assert len(samples) == COUNT
    assert samples[-1][0][0] > collection.size // COUNT * (COUNT - 1)
    assert {raw for _, raw in chain(*samples)} < set(users.values())


def test_samples_of_large_documents_are_whole(tmp_path: Path) -> None:
    large = [bson.encode({"_id": n, "text": f"{n} " * 1_000_000}) for n in range(8)]
    [collection] = open_dump(write_dump(tmp_path, {"texts": large})).files
    samples = [documents for documents, _ in read_samples(collection, SIZE, COUNT)]
    assert len(samples) > 1
    assert {raw for _, raw in chain(*samples)} <= set(large)


def plan(project: Project, dump: Path) -> Plan:
    """The plan of a migration without a manifest, which leaves nothing behind."""
    before = sorted(project.path.parent.rglob("*"))
    found = project.plan(dump, project.infer(dump).manifest)
    assert sorted(project.path.parent.rglob("*")) == before
    assert found.load_seconds > 0
    assert found.verify_seconds > 0
    return found


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_plan_has_positive_figures(tmp_path: Path, is_packed: bool) -> None:
    dump = write_dump(
        tmp_path / "app", {"users": map(user, range(1_000)), "none": []}, is_packed=is_packed
    )
    found = plan(Project(tmp_path), dump)
    assert found.documents == {"none": 0, "users": 1_000}
    assert not (tmp_path / ".assise").exists()


def test_an_empty_dump(tmp_path: Path) -> None:
    assert plan(Project(tmp_path), write_dump(tmp_path / "app", {"none": []})).documents == {
        "none": 0
    }


def test_a_file_of_no_bytes_that_should_be_packed(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": [user(1)]})
    (dump / "more.bson.gz").write_bytes(b"")
    assert plan(Project(tmp_path), dump).documents == {"more": 0, "users": 1}


def test_rejects_and_garbage(tmp_path: Path) -> None:
    events = [bson.encode({"_id": n, "text": "x" * 50}) for n in range(60_000)]
    parts = [
        GARBAGE * 50_000,
        *events[:30_000],
        NOT_BSON,
        events[7],
        GARBAGE * 50_000,
        *events[30_000:],
        b"\xff" * 3,
    ]
    dump = write_dump(tmp_path / "app", {"events": parts, "waste": [GARBAGE]})
    found = plan(Project(tmp_path), dump)
    assert 30_000 < found.documents["events"] < 120_000
    assert found.documents["waste"] == 0


def test_one_document_of_16_mb(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"one": [{"_id": 1, "text": "x" * (16_000_000)}]})
    assert plan(Project(tmp_path), dump).documents == {"one": 1}


def test_many_collections_are_not_all_sampled_for_long(tmp_path: Path) -> None:
    users = {f"c{n}": map(user, range(n, n + 20)) for n in range(40)}
    documents = plan(Project(tmp_path), write_dump(tmp_path / "app", users)).documents
    assert sum(documents.values()) == pytest.approx(800, rel=0.2)


def test_a_broken_packed_file_is_told(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": map(user, range(100))}, is_packed=True)
    project = Project(tmp_path)
    manifest = project.infer(dump).manifest
    file = dump / "users.bson.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(SourceError, match="broken gzip"):
        project.plan(dump, manifest)
