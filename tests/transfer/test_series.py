"""Time series through PostgreSQL: measurements, buckets that are left, edits, export, memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import bson
import pytest
from tests.dumps import confirm
from tests.mongo.columns import OPTIONS, make_bucket, write_value
from tests.mongo.series import HOSTILE, START, write_buckets, write_series
from tests.oracle.equality import differences
from tests.scenes.memory import LIMIT_MB, run

from assise.errors import SourceError
from assise.project import Project
from assise.transfer.report import Report

Query = Callable[..., list[tuple[object, ...]]]


def export(project: Project, collection: str) -> list[bytes]:
    found = list[bytes]()
    exported = project.export(collection, found.append)
    assert exported.is_series == (collection == "weather")
    return found


def is_same(found: list[bytes], expected: Sequence[Mapping[str, object]]) -> bool:
    pairs = zip(found, map(bson.encode, expected), strict=True)
    return not any(differences(one, other) for one, other in pairs)


def is_clean(report: Report) -> bool:
    return report.verified is not None and report.verified.is_clean


def test_measurements_are_loaded_verified_edited_repaired_and_exported(
    project: Project, query: Query, tmp_path: Path
) -> None:
    """By two workers in many chunks; buckets that are left have a table of their own."""
    said = list[str]()
    settings = {"workers": 2, "load.chunk_bytes": 4096}
    parallel = Project(tmp_path, to=project.workspace.to, settings=settings, log=said.append)
    buckets, measurements = write_buckets(12)
    hostile = [HOSTILE["its version is not known"], HOSTILE["it has no data"]]
    dump = write_series(tmp_path / "app", [*buckets[:6], *hostile, *buckets[6:]])
    report = parallel.migrate(dump, confirm=confirm)
    loaded = {each.name: (each.documents, each.loaded) for each in report.collections}
    count = len(measurements)
    assert loaded == {"cities": (1, 1), "weather": (count, count), "weather_buckets": (2, 2)}
    assert is_clean(report)
    told = "weather_buckets: a bucket that cannot be unpacked, as its version is not known: 1"
    assert told in said
    assert is_same(export(project, "weather"), measurements)
    assert is_same(export(project, "weather_buckets"), hostile)
    assert query("SELECT count(*), min(ts), max(temp) FROM weather") == [(count, START, 23.0)]
    assert query("SELECT count(DISTINCT city), count(note) FROM weather") == [
        (1, sum("note" in each for each in measurements))
    ]
    query("UPDATE weather SET temp = 0 WHERE _offset = 3")
    query("DELETE FROM weather WHERE _offset = 4")
    proof = project.verify()
    assert proof.verified is not None
    assert (proof.verified.different, proof.verified.missing) == (1, 1)
    of_load, of_verify = (
        next(each.bytes for each in found.collections if each.name == "weather")
        for found in (report, proof)
    )
    assert of_load == of_verify
    repaired = project.repair(replace=["weather"], confirm=confirm)
    assert is_clean(repaired.report)
    assert is_same(export(project, "weather"), measurements)


def test_measurements_may_share_an_id(project: Project, query: Query, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"ts": START, "_id": 1},
        {"ts": START, "_id": 1},
        {"ts": START},
    ]
    data = {
        name: {str(n): row[name] for n, row in enumerate(rows) if name in row}
        for name in ("ts", "_id")
    }
    bucket = {"_id": 1, "control": {"version": 1}, "meta": "a", "data": data}
    report = project.migrate(write_series(tmp_path / "app", [bucket]), confirm=confirm)
    assert (report.loaded, report.rejected) == (4, 0)
    assert query("SELECT _offset, id, sensor FROM weather ORDER BY 1") == [
        (0, 1, "a"), (1, 1, "a"), (2, None, "a"),
    ]  # fmt: skip


def test_export_for_mongorestore_is_a_collection_of_measurements(
    project: Project, tmp_path: Path
) -> None:
    buckets, measurements = write_buckets(2)
    project.migrate(write_series(tmp_path / "app", buckets), confirm=confirm)
    project.export_folder(tmp_path / "out")
    folder = tmp_path / "out" / "app"
    content = (folder / "weather.bson").read_bytes()
    assert bson.decode_all(content, OPTIONS) == measurements
    metadata = json.loads((folder / "weather.metadata.json").read_text())
    assert (metadata["options"], metadata["type"]) == ({}, "collection")


def test_a_manifest_without_a_table_for_what_is_left_loses_nothing(
    project: Project, query: Query, tmp_path: Path
) -> None:
    """The load stops at the bucket, and goes on once the bucket has a table."""
    buckets, _ = write_buckets(2)
    dump = write_series(tmp_path / "app", buckets)
    project.write_manifest(project.infer(dump))
    write_series(tmp_path / "app", [*buckets, HOSTILE["it has no data"]])
    with pytest.raises(SourceError, match=r"cannot be unpacked \(it has no data\)") as found:
        project.load(dump, confirm=confirm)
    (line,) = found.value.remedy.split("`")[1::2]
    path = project.workspace.path
    path.write_text(path.read_text() + f"  {line}\n")
    project.undo(confirm=confirm)
    report = project.migrate(dump, confirm=confirm)
    assert is_clean(report)
    assert query("SELECT count(*) FROM weather_buckets") == [(1,)]


def test_a_load_of_buckets_goes_on_as_it_was(
    project: Project, query: Query, tmp_path: Path
) -> None:
    """A manifest that was written before measurements were read names the buckets."""
    buckets, _ = write_buckets(3)
    dump = write_series(tmp_path / "app", buckets)
    (tmp_path / "assise.yaml").write_text(
        "assise: 1\nname: app\ntables:\n  buckets:\n    collection: system.buckets.weather\n"
        "    primary_key: id\n    columns: {id: {type: uuid, from: _id}}\n"
    )
    report = project.migrate(dump, confirm=confirm)
    assert is_clean(report)
    assert query("SELECT count(*) FROM buckets") == [(3,)]
    found = list[bytes]()
    assert not project.export("system.buckets.weather", found.append).is_series
    ids = {bson.decode(raw)["_id"] for raw in found}
    assert ids == {each["_id"] for each in buckets}


def repeat_text(size: int, number: int = 0) -> dict[str, object]:
    """A bucket of 121 measurements with one text of some bytes, packed into few."""
    repeat = b"\x80" + (15).to_bytes(8, "little") + b"\0"
    text = write_value(f"{number:4}{'y' * size}")
    return make_bucket({"ts": write_value(START) + repeat, "text": text + repeat}, 121)


def test_buckets_that_unpack_to_much_stay_within_memory(tmp_path: Path, database: str) -> None:
    """A megabyte that becomes 116; a bucket of 15 MB; and one of 121 MB, which is left as it is."""
    buckets = [repeat_text(16_000, n) for n in range(60)]
    write_series(tmp_path / "app", [*buckets, repeat_text(125_000), repeat_text(1_000_000)])
    code, peak_mb, printed = run(tmp_path, "migrate", "app", "--to", database, "--yes", "--json")
    report = json.loads(printed.read_bytes())
    figures = {each["name"]: each["loaded"] for each in report["collections"]}
    assert (code, figures) == (0, {"cities": 1, "weather": 61 * 121, "weather_buckets": 1})
    assert report["verified"]["equal"] == 61 * 121 + 2
    assert peak_mb < LIMIT_MB
