"""The options that say which part of a source is read, on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.dumps import write_dump
from tests.scenes.hostile import Command

HELD: dict[str, list[bytes | Mapping[str, object]]] = {
    "users": [{"_id": 1, "name": "Zoé"}],
    "logs.2024": [{"_id": 1, "n": 7}],
    "logs.2025": [{"_id": 2, "n": 8}],
}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """Two databases in one folder."""
    write_dump(tmp_path / "dump" / "app", HELD)
    write_dump(tmp_path / "dump" / "blog", {"posts": [{"_id": 1}]})
    return tmp_path / "dump"


def test_several_databases_are_listed_and_one_is_chosen(command: Command, dump: Path) -> None:
    command.refuse(dump, "holds 2 databases: app, blog", "Name one of them: --db app", code=2)
    outcome = command.run("migrate", str(dump), "--db", "blog", "--yes")
    assert (outcome.code, outcome.count("loaded")) == (0, {"posts": 1})
    assert outcome.report["source"] == str(dump)
    assert "name: blog" in (dump.parent / "assise.yaml").read_text()
    assert command.run("verify").code == command.run("load").code == 0
    other = command.run("load", str(dump), "--db", "app")
    assert other.code == 2
    assert "'blog' was loaded with --db blog, not with --db app" in other.log
    assert command.run("migrate", str(dump), "--db", "blog").code == 0


def test_a_moved_source_may_be_given_again(command: Command, dump: Path) -> None:
    assert command.run("migrate", str(dump), "--db", "app", "--yes").code == 0
    moved = dump.rename(dump.with_name("moved"))
    gone = command.run("verify")
    assert (gone.code, f"{dump} does not exist" in gone.log) == (1, True)
    assert command.run("verify", str(moved)).code == 0
    assert command.run("load", str(moved)).code == 0
    assert command.run("verify").report["source"] == str(moved)


def test_patterns_decide_what_the_manifest_gets(command: Command, dump: Path) -> None:
    app = str(dump / "app")
    chosen = ["--only", "logs.*", "--only", "users", "--skip", "*.2024"]
    outcome = command.run("migrate", app, *chosen, "--name", "mine", "--yes")
    assert outcome.count("loaded") == {"logs.2025": 1, "users": 1}
    assert "name: mine" in (dump.parent / "assise.yaml").read_text()
    assert command.run("verify").code == 0
    again = command.run("migrate", app)
    assert again.code == 0
    assert "logs.2024 has no table in the manifest and is not loaded" in again.log
    assert command.run("migrate", app, *chosen, "--name", "mine").code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "user"], "--only 'user' fits no collection"),
        (["--skip", "*"], "--only and --skip leave no collection"),
        (["--name", "7"], "--name: 7 cannot be the name of a project"),
        (["--name", "postgres"], "is a database of PostgreSQL's own"),
        (["--zone", "Europe/Paris"], "is a dump, where --zone has no meaning"),
        (["--query", "users={}"], "is a dump, where --query has no meaning"),
        (["--query", "users"], "--query 'users' is not one query of one collection"),
        (["--query", "a={}", "--query", "a={}"], "is not one query of one collection"),
        (["--db", "blog"], "is the folder of one database, 'app', not of 'blog'"),
    ],
)
def test_options_without_an_effect_are_refused(
    command: Command, dump: Path, options: list[str], message: str
) -> None:
    for verb in ("migrate", "infer"):
        outcome = command.run(verb, str(dump / "app"), *options)
        assert outcome.code == 2
        assert message in outcome.log
        assert not (dump.parent / "assise.yaml").exists()


def test_a_manifest_that_is_there_decides(command: Command, dump: Path) -> None:
    app = str(dump / "app")
    assert command.run("infer", app).code == 0
    for options, message in (
        (
            ["--only", "u*", "--skip", "x"],
            "has the tables of logs.2024, logs.2025, users, not of users, as --only 'u*' --skip x asks",
        ),
        (["--name", "other"], "is called 'app', not 'other'"),
    ):
        outcome = command.run("migrate", app, *options, "--yes")
        assert (outcome.code, message in outcome.log) == (2, True)
    assert command.run("migrate", app, "--only", "*", "--name", "app", "--yes").code == 0


def test_infer_suggests_the_load_of_the_same(command: Command, dump: Path) -> None:
    outcome = command.run("infer", str(dump), "--db", "app")
    assert f"next: assise load {dump} --db app" in outcome.log
    assert command.run("load", str(dump), "--db", "app", "--yes").code == 0


def test_a_folder_of_arrays_says_which_file_is_cut(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "posts.json").write_text('[{"_id": 1}]')
    (folder / "users.json").write_text('[{"_id": 1}, {"_id": 2}')
    outcome = command.run("migrate", str(folder), "--yes")
    assert (outcome.code, outcome.count("loaded")) == (3, {"posts": 1, "users": 2})
    _, users = outcome.report["collections"]
    assert users["problems"] == ["the array of users has no end: the file is cut"]


def test_a_database_that_is_not_there_is_refused_with_those_of_the_user(
    command: Command, dump: Path
) -> None:
    (dump / "config").mkdir()
    (dump / "config" / "chunks.bson").touch()
    refused = command.run("infer", str(dump), "--db", "shop")
    assert refused.code == 2
    assert "holds no database 'shop'\nIt holds app, blog.\n" in refused.log


def test_a_load_is_read_by_the_options_that_it_was_loaded_with(
    command: Command, tmp_path: Path
) -> None:
    source = tmp_path / "users.json"
    source.write_text('{"_id": 1, "at": {"$date": "2024-01-31T10:00:00"}}\n')
    paris = ["--zone", "Europe/Paris"]
    assert command.run("migrate", str(source), *paris, "--yes").code == 0
    assert command.query("SELECT at::text FROM users") == [("2024-01-31 09:00:00+00",)]
    assert command.run("verify").code == command.run("load").code == 0
    assert command.run("migrate", str(source), *paris).code == 0
    other = command.run("load", str(source), "--zone", "Asia/Tokyo")
    assert other.code == 2
    assert "was loaded with --zone Europe/Paris, not with --zone Asia/Tokyo" in other.log
    without = command.run("migrate", str(source))
    assert without.code == 2
    assert "was loaded with --zone Europe/Paris, not without --zone" in without.log
    assert "`assise load` and `assise verify` go on as it was" in without.log


def test_a_single_file_is_a_collection_called_like_it(command: Command, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "files", {"my%20users": HELD["users"]})
    outcome = command.run("migrate", str(dump / "my%20users.bson"), "--yes")
    assert (outcome.code, outcome.count("loaded")) == (0, {"my users": 1})
    assert "name: my_users" in (tmp_path / "assise.yaml").read_text()
