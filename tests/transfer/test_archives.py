"""Archives are loaded as the same data in files are, by one worker or several, also after a kill."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest
from tests.archives import ArchiveWriter, write_archive
from tests.dumps import confirm
from tests.mongo.files import EMPTY, ONE
from tests.oracle.walk import frames
from tests.scenes.commands import SOURCES, Scene, read_report, read_state
from tests.scenes.memory import LIMIT_MB, MEASURE
from tests.scenes.moments import after_chunks
from tests.scenes.undisturbed import Undisturbed

from assise.errors import ChangedError, SourceError
from assise.project import Project

COLLECTIONS = 40
LARGE = bson.encode({"_id": 1, "text": "x" * ((16 << 20) - 100)})


def archive_app(undisturbed: Undisturbed, path: Path, *, is_packed: bool = False) -> Path:
    """An archive of the same collections, garbage included, some frames of each in turn."""
    collections = {}
    for file in sorted(undisturbed.dump.glob("*.bson")):
        data = file.read_bytes()
        parts: list[bytes] = []
        is_garbage = False
        for what, start, end in frames(data):
            # A run ends where the bytes after it frame: they stay together.
            if is_garbage:
                parts[-1] += data[start:end]
            else:
                parts.append(data[start:end])
            is_garbage = what == "garbage"
        collections[file.stem] = parts
    content = write_archive(collections, documents_at_once=40)
    path.write_bytes(gzip.compress(content) if is_packed else content)
    return path


@pytest.fixture(params=[("1", False), ("2", True)])
def scene(
    undisturbed: Undisturbed, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    """An empty target, the manifest of the undisturbed run, and an archive of its dump."""
    workers, is_packed = request.param
    (tmp_path / "assise.yaml").write_text(undisturbed.manifest)
    path = archive_app(undisturbed, tmp_path / "app.archive", is_packed=is_packed)
    scene = Scene(tmp_path, path, database, ["--to", database, "--yes", "--workers", workers])
    yield scene
    scene.close()


def check_end(scene: Scene, undisturbed: Undisturbed, done_code: int, printed: str) -> None:
    """Rows, chunks and rejects are those of the files."""
    assert done_code == 3
    report = read_report(printed)
    for name in ("documents", "loaded", "rejected"):
        assert report[name] == undisturbed.report[name]
    state, expected = read_state(scene.conninfo), dict(undisturbed.state)
    del state["load"], expected["load"]
    if scene.arguments[-1] == "1":
        assert report["collections"] == undisturbed.report["collections"]
        assert state == expected
    for name in ("chunks", "rejects"):
        mine, theirs = state[name], expected[name]
        assert isinstance(mine, list)
        assert isinstance(theirs, list)
        assert [row[:4] for row in mine if name == "chunks"] == [
            row[:4] for row in theirs if name == "chunks"
        ]
        assert len(mine) == len(theirs)


def test_an_archive_ends_as_its_files_do(scene: Scene, undisturbed: Undisturbed) -> None:
    done = scene.run("migrate")
    assert "Traceback" not in done.stderr
    check_end(scene, undisturbed, done.code, done.stdout)


def test_a_load_of_an_archive_goes_on_after_a_kill(scene: Scene, undisturbed: Undisturbed) -> None:
    after_chunks(5, "events")(scene)
    scene.command.end(signal.SIGKILL)
    scene.release()
    before = scene.ask("SELECT collection, start_offset, xid::text FROM assise.chunk")
    done = scene.run("load")
    check_end(scene, undisturbed, done.code, done.stdout)
    assert set(before) < set(
        scene.ask("SELECT collection, start_offset, xid::text FROM assise.chunk")
    )


def test_a_cut_archive_is_loaded_as_far_as_it_goes_and_ends_with_3(
    project: Project, tmp_path: Path
) -> None:
    users = [bson.encode({"_id": number}) for number in range(50)]
    content = write_archive({"orders": users, "users": users, "lost": []}, documents_at_once=99)
    path = tmp_path / "app.archive"
    path.write_bytes(content[: content.rindex(users[30]) + 7])
    report = project.migrate(path, confirm=confirm)
    assert report.documents == report.loaded + report.rejected
    assert report.rejected == 1
    assert report.exit_code == 3
    by_name = {each.name: each for each in report.collections}
    assert (by_name["orders"].loaded, by_name["orders"].problems) == (50, [])
    assert (by_name["users"].loaded, by_name["users"].rejected) == (30, 1)
    [problem] = by_name["users"].problems
    assert problem == (
        "users has no end: the archive is cut or broken, and 30 documents of it can be read"
    )
    assert by_name["users"].as_json()["problems"] == [problem]
    assert by_name["lost"].problems == ["lost is missing: the archive is cut before it begins"]


def test_an_archive_that_only_lacks_its_last_end_ends_with_3(
    project: Project, tmp_path: Path
) -> None:
    writer = ArchiveWriter()
    writer.prelude([{"db": "app", "collection": "users"}])
    writer.segment("app", "users", [ONE])
    path = tmp_path / "app.archive"
    path.write_bytes(writer.content)
    report = project.migrate(path, confirm=confirm)
    assert (report.documents, report.loaded, report.rejected, report.exit_code) == (1, 1, 0, 3)


def test_another_archive_in_its_place_is_refused(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "app.archive"
    path.write_bytes(write_archive({"users": [bson.encode({"_id": 1})]}))
    project.migrate(path, confirm=confirm)
    path.write_bytes(write_archive({"users": [bson.encode({"_id": 2})]}))
    with pytest.raises(ChangedError, match="has changed since it was loaded"):
        project.load(path, confirm=confirm)
    path.write_bytes(write_archive({"orders": [bson.encode({"_id": 2})]}))
    with pytest.raises(SourceError, match="holds no collection 'users'"):
        project.load(path, confirm=confirm)


def test_hundreds_of_collections_and_large_documents_stay_under_300_mb(
    tmp_path: Path, database: str
) -> None:
    """Each collection is begun early and ended late; no document is small."""
    writer = ArchiveWriter()
    names = [f"c{number}" for number in range(COLLECTIONS)]
    writer.prelude([{"db": "app", "collection": name} for name in ("large", *names)])
    writer.segment("app", "large", [LARGE])
    for part in range(4):
        for name in names:
            documents = [
                bson.encode({"_id": part * 3 + number, "text": "y" * 100_000})
                for number in range(3)
            ]
            writer.segment("app", name, documents)
    for name in names:
        writer.end("app", name)
    writer.segment("app", "large", [EMPTY])
    (tmp_path / "app.archive").write_bytes(writer.content)
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "assise", "migrate"]
    done = subprocess.run(
        [*command, "app.archive", "--to", database, "--yes", "--json", "--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (report["documents"], report["rejected"], done.returncode) == (
        12 * COLLECTIONS + 2,
        0,
        3,
    )
    assert report["verified"]["equal"] == 12 * COLLECTIONS + 2
    assert int(done.stderr.splitlines()[-1]) / 1024 < LIMIT_MB
