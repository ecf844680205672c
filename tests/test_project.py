"""Project: names of today and of before, and one verb that says a thing once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bson import ObjectId

from assise.errors import UsageError
from assise.postgres.embedded import Embedded
from assise.progress import Progress
from assise.project import Project
from assise.settings import CHUNK_BYTES
from assise.workspace import Workspace, find_manifest
from tests.dumps import write_dump

USERS = [{"_id": ObjectId(), "name": f"user {n}"} for n in range(5)]


def test_the_keywords_of_before_are_those_of_today(tmp_path: Path, database: str) -> None:
    write_dump(tmp_path / "app", {"users": USERS})
    lines, steps, questions = list[str](), list[Progress](), list[str]()

    def agree(question: str) -> bool:
        questions.append(question)
        return True

    old = {"talk": lines.append, "watch": steps.append}
    project = Project(tmp_path, to=database, **old)  # type: ignore[arg-type]
    report = project.migrate(tmp_path / "app", agree=agree)  # type: ignore[call-arg]
    assert report.loaded == 5
    assert f"wrote {project.path}" in lines
    assert {step.step for step in steps} == {"infer", "load", "verify"}
    assert not project.repair(agree=agree).is_done  # type: ignore[call-arg]
    assert project.undo(agree=agree).is_done  # type: ignore[call-arg]
    assert project.load(tmp_path / "app", agree=agree).loaded == 5  # type: ignore[call-arg]
    assert len(questions) == 3
    with pytest.raises(TypeError, match="unexpected keyword argument 'listen'"):
        Project(tmp_path, listen=lines.append)  # type: ignore[call-arg]


def test_a_migration_says_once_what_it_does_not_read(tmp_path: Path, database: str) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    (dump / "x").mkdir()
    lines = list[str]()
    project = Project(tmp_path, to=database, log=lines.append)
    project.migrate(dump, confirm=lambda _: True)
    assert [line for line in lines if line.startswith("not read")] == ["not read: x/"]


def test_a_sample_of_a_source_that_is_read_whole_is_refused(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    for verb in (Project(tmp_path).infer, Project(tmp_path).migrate):
        with pytest.raises(UsageError, match="app is read whole: only of a running") as error:
            verb(dump, sample=3)
        assert error.value.remedy == "Leave --sample out."
    assert not (tmp_path / "assise.yaml").exists()


def test_that_the_embedded_server_stays_up_is_said_once(
    tmp_path: Path, embedded_server: Embedded, use_embedded_server: Callable[[Path], None]
) -> None:
    use_embedded_server(tmp_path)
    embedded_server.stop()
    lines = list[str]()
    project = Project(tmp_path, log=lines.append)
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=lambda _: True)
    project.verify()
    said = [line for line in lines if "keeps running" in line]
    assert said == ["the embedded server keeps running after this; `assise pg stop` stops it"]
    assert (embedded_server.status().programs / "pg_dump").is_file()


def test_a_workspace_has_the_settings_that_are_given(tmp_path: Path) -> None:
    given = {CHUNK_BYTES.name: 512}
    assert Workspace(tmp_path / "assise.yaml", settings=given).setting(CHUNK_BYTES) == 512
    assert Workspace(tmp_path / "assise.yaml").setting(CHUNK_BYTES) == CHUNK_BYTES.default
    with pytest.raises(UsageError, match=r"^--chunk-bytes is '0'"):
        Workspace(tmp_path, settings={CHUNK_BYTES.name: 0}).setting(CHUNK_BYTES)


def test_a_manifest_is_named_by_its_path_or_by_its_folder(tmp_path: Path) -> None:
    assert find_manifest(tmp_path) == tmp_path / "assise.yaml"
    assert find_manifest(tmp_path / "new.yaml") == tmp_path / "new.yaml"
    with pytest.raises(UsageError, match="does not exist"):
        find_manifest(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="there is no manifest"):
        Workspace(tmp_path / "assise.yaml").manifest()


def test_a_variable_may_say_that_the_target_is_the_embedded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "assise: 1\nname: app\npostgres: ${ASSISE_TEST_URL:-embedded}\ntables: {}\n"
    (tmp_path / "assise.yaml").write_text(text)
    workspace = Workspace(tmp_path / "assise.yaml")
    assert workspace.is_embedded(workspace.manifest())
    monkeypatch.setenv("ASSISE_TEST_URL", "postgresql://localhost/app")
    assert not workspace.is_embedded(workspace.manifest())


def test_a_change_in_place_is_said_once(tmp_path: Path, database: str) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    lines = list[str]()
    project = Project(tmp_path, to=database, log=lines.append)
    project.migrate(dump, confirm=lambda _: True)
    text = project.path.read_text()
    project.path.write_text(text.replace("collection: users", "collection: users\n    comment: us"))
    for _ in range(2):
        project.load()
    assert lines.count("1 comment changed in place") == 1


def test_a_setting_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no setting 'load\.workers'") as caught:
        Project(tmp_path, settings={"load.workers": 2})
    assert "Did you mean workers? Known: load.chunk_bytes, workers, " in caught.value.remedy
