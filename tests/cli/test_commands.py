"""Every command through the real entry point.

stdout is data, stderr is log, and the exit code says how it went.
"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from bson import ObjectId, json_util
from tests.dumps import confirm, write_dump

import assise
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
Done = subprocess.CompletedProcess[str]
SOURCES = str(Path(assise.__file__).resolve().parents[1])
COMMANDS = [
    "migrate",
    "infer",
    "load",
    "verify",
    "rejects",
    "export",
    "undo",
    "pg start",
    "pg stop",
    "pg status",
    "pg shell",
    "pg url",
    "schema sql",
]
REPORT = {
    "source",
    "target",
    "seconds",
    "documents",
    "loaded",
    "rejected",
    "verified",
    "collections",
}
COLLECTION = {
    "name",
    "documents",
    "loaded",
    "rejected",
    "bytes",
    "seconds",
    "tables",
    "values",
    "columns",
    "verified",
}
USERS = [
    {
        "_id": ObjectId(f"65b9f0a0000000000000000{n}"),
        "name": f"user {n}",
        "items": [{"n": n}],
        "odd": [1, "a"],
    }
    for n in range(5)
]
TABLES = "SELECT relname FROM pg_class WHERE oid >= 16384 AND relkind = 'r'"


@dataclass
class Shell:
    """A folder in which commands are run."""

    program: ClassVar[list[str]]
    folder: Path
    target: str

    def run(self, *words: str, to: bool = False, stdin: str = "", **environ: str) -> Done:
        """Run a command; none may end in a traceback, or write colours to no terminal."""
        argv = [*words, *(["--to", self.target] if to else [])]
        is_cold = any(name.startswith("PYTHON") for name in environ)
        program = [sys.executable, "-m", "assise"] if is_cold else self.program
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "ASSISE_"))
        }
        environment |= {"PYTHONPATH": SOURCES, "COLUMNS": "80", **environ}
        done = subprocess.run(
            [*program, *argv],
            cwd=self.folder,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert sum(line.startswith("next: ") for line in done.stderr.splitlines()) <= 2
        assert "next: " not in done.stdout
        return done

    def files(self) -> list[str]:
        """Everything in the folder."""
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if "app" not in path.parts
        )


@pytest.fixture(scope="module", autouse=True)
def program(warm_program: str, short_folder: Path) -> None:
    """What every shell calls; only what decides at the start of Python is started anew."""
    path = short_folder / "assise"
    path.write_text(warm_program)
    path.chmod(0o755)
    Shell.program = [str(path)]


@pytest.fixture
def shell(tmp_path: Path, database: str) -> Shell:
    write_dump(tmp_path / "app", {"users": USERS})
    return Shell(tmp_path, database)


@pytest.fixture
def embedded(short_folder: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A folder of its own embedded server, which is stopped at the end."""
    folder = short_folder / str(abs(hash(request.node.nodeid)))
    folder.mkdir()
    folder.chmod(0o755)
    write_dump(folder / "app", {"users": USERS})
    shell = Shell(folder, "")
    yield shell
    Project(folder).embedded.stop(immediate=True)


def without_seconds(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report without the seconds, which are those of its own run."""
    collections = [{**each, "seconds": 0} for each in report["collections"]]
    return {**report, "seconds": 0, "collections": collections}


def test_migrate_loads_and_verifies_and_the_others_agree(shell: Shell, query: Query) -> None:
    done = shell.run("migrate", "app", "--yes", "--json", to=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) == REPORT
    (collection,) = report["collections"]
    assert set(collection) == COLLECTION
    assert {name: report[name] for name in ("documents", "loaded", "rejected")} == {
        "documents": 5,
        "loaded": 5,
        "rejected": 0,
    }
    assert (
        report["verified"]
        == collection["verified"]
        == {"equal": 5, "different": 0, "missing": 0, "extra": 0}
    )
    assert collection["tables"] == {"users": 5, "user_items": 5}
    assert collection["values"] == {"typed": 15, "read": 0, "jsonb": 10, "extra": 0}
    assert collection["bytes"] == (shell.folder / "app" / "users.bson").stat().st_size
    assert (report["source"], collection["name"]) == (str(shell.folder / "app"), "users")
    assert report["target"].startswith("postgresql://")
    assert query("SELECT count(*) FROM users JOIN user_items ON user_id = id") == [(5,)]
    same = json.loads(shell.run("verify", "--json", to=True).stdout)
    assert without_seconds(same) == without_seconds(report)
    python = Project(shell.folder, to=shell.target).verify().as_json()
    assert without_seconds(python) == without_seconds(report)


def test_a_second_load_says_that_it_is_done(shell: Shell) -> None:
    Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    again = shell.run("load", "--json", to=True)
    assert (again.returncode, json.loads(again.stdout)["verified"]) == (0, None)
    assert "no rows were changed" in again.stderr


def test_the_table_on_stdout_names_collections_tables_and_sums(shell: Shell) -> None:
    done = shell.run("migrate", "app", "--yes", to=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == "collection, table documents loaded rejected size seconds verified".split()
    assert [line[0] for line in lines if line] == [
        "collection,",
        "users",
        "users",
        "user_items",
        "total",
    ]
    assert lines[1][1:4] == ["5", "5", "✓"]
    assert lines[1][-3:] == ["✓", "5", "equal"]
    assert "wrote " in done.stderr
    assert "users: 5 documents" in done.stderr


def test_a_locale_without_ticks_gets_them_escaped(shell: Shell) -> None:
    done = shell.run("migrate", "app", "--yes", to=True, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\u2713 5 equal" in done.stdout


def test_infer_load_and_verify_one_after_the_other(shell: Shell, query: Query) -> None:
    done = shell.run("infer", "app", to=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert "next: assise load app" in done.stderr
    assert shell.files() == [
        ".assise",
        ".assise/.gitignore",
        ".assise/manifest.schema.json",
        "assise.yaml",
    ]
    assert query(TABLES) == []
    assert shell.run("load", "app", "--yes", to=True).returncode == 0
    assert query("SELECT count(*) FROM users") == [(5,)]
    assert shell.run("verify", to=True).returncode == 0


def test_infer_prints_the_manifest_with_o_dash_and_writes_nothing(shell: Shell) -> None:
    done = shell.run("infer", "app", "-o", "-")
    assert done.returncode == 0
    assert done.stdout.startswith("# yaml-language-server")
    assert "collection: users" in done.stdout
    assert shell.files() == []
    assert shell.run("infer", "app", "--dry-run").stdout == done.stdout


def test_infer_as_json_is_one_object(shell: Shell) -> None:
    plain = json.loads(shell.run("infer", "app", "-o", "-", "--json").stdout)
    assert list(plain["tables"]) == ["users", "user_items"]
    assert shell.files() == []


def test_infer_writes_another_file_and_overwrites_none(shell: Shell) -> None:
    (shell.folder / "other.yaml").write_text("mine")
    assert shell.run("infer", "app", "-o", "other.yaml").returncode == 2
    assert (shell.folder / "other.yaml").read_text() == "mine"
    assert shell.run("infer", "app", "-o", "new.yaml").returncode == 0
    assert "collection: users" in (shell.folder / "new.yaml").read_text()


def test_ids_as_text_keep_their_24_digits(shell: Shell, query: Query) -> None:
    assert shell.run("migrate", "app", "--ids", "text", "--yes", to=True).returncode == 0
    assert query("SELECT min(id) FROM users") == [("65b9f0a00000000000000000",)]
    assert shell.run("migrate", "app", "--ids", "integer").returncode == 2


def test_the_line_that_comes_next_can_be_pasted(tmp_path: Path) -> None:
    write_dump(tmp_path / "my app's", {"users": USERS})
    done = Shell(tmp_path, "").run("infer", "my app's")
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("next: ")]
    assert shlex.split(line.removeprefix("next: ")) == ["assise", "load", "my app's"]


@pytest.mark.parametrize("words", ["migrate app", "infer app", "infer app --json"])
def test_a_dry_run_changes_nothing(shell: Shell, query: Query, words: str) -> None:
    done = shell.run(*words.split(), "--dry-run", to=True)
    assert (done.returncode, bool(done.stdout)) == (0, True)
    assert (shell.files(), query(TABLES)) == ([], [])


def test_a_dry_run_of_migrate_says_what_it_would_do(shell: Shell) -> None:
    plan = json.loads(shell.run("migrate", "app", "--dry-run", "--json").stdout)
    assert set(plan) == {
        "source",
        "target",
        "tables",
        "collections",
        "documents",
        "load_seconds",
        "verify_seconds",
        "misfits",
        "changes",
        "is_loaded",
        "refusals",
    }
    assert plan["documents"] == {"users": 5}
    assert plan["load_seconds"] > 0
    assert plan["verify_seconds"] > 0
    assert plan["tables"] == ["users", "user_items"]
    assert plan["collections"] == {"users": (shell.folder / "app" / "users.bson").stat().st_size}
    assert "embedded server" in plan["target"]
    assert shell.files() == []


def test_a_dry_run_of_load_changes_nothing_and_wants_the_source(shell: Shell, query: Query) -> None:
    assert shell.run("infer", "app").returncode == 0
    before = shell.files()
    done = shell.run("load", "app", "--dry-run", to=True)
    assert done.returncode == 0
    assert "user_items" in done.stdout
    assert re.search("^time +load .+ seconds, verify .+ seconds$", done.stdout, re.MULTILINE)
    assert shell.run("load", "--dry-run", to=True).returncode == 2
    assert (shell.files(), query(TABLES)) == (before, [])


def test_nothing_is_written_without_yes_where_nobody_can_be_asked(
    shell: Shell, query: Query
) -> None:
    done = shell.run("migrate", "app", to=True, stdin="y\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert "not confirmed, nothing was written" in done.stderr
    assert "Confirm with --yes." in done.stderr
    assert query(TABLES) == []


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks(shell: Shell, query: Query, answer: str) -> None:
    main, terminal = pty.openpty()
    os.write(main, f"{answer}\n".encode())
    argv = [sys.executable, "-m", "assise", "migrate", "app", "--to", shell.target]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run(
        argv,
        cwd=shell.folder,
        env=environment,
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(main)
    os.close(terminal)
    assert "2 tables: users, user_items. Go on?" in done.stderr
    assert "Go on?" not in done.stdout
    assert done.returncode == (0 if answer == "y" else 2)
    assert query("SELECT to_regclass('users') IS NOT NULL") == [(answer == "y",)]


@pytest.fixture
def rejected(shell: Shell) -> tuple[Shell, bytes]:
    """A load with one reject: the last document is the first one again. The reject's bytes."""
    path = write_dump(shell.folder / "app", {"users": [*USERS, USERS[0]]}) / "users.bson"
    report = Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    assert report.exit_code == 3
    return shell, path.read_bytes()[-len(path.read_bytes()) // 6 :]


def test_a_load_with_rejects_is_exit_3_and_says_where_they_are(
    rejected: tuple[Shell, bytes],
) -> None:
    shell, _ = rejected
    done = shell.run("load", to=True)
    assert done.returncode == 3
    assert "next: assise rejects" in done.stderr
    listed = shell.run("rejects", to=True)
    assert listed.returncode == 3
    assert "duplicate id" in listed.stdout
    assert listed.stdout.splitlines()[-1] == "1 reject: 1 duplicate id"


def test_names_of_collections_do_nothing_to_a_terminal(shell: Shell) -> None:
    """Shell.run finds no control character in what each command says."""
    dump = write_dump(shell.folder / "app", {"a\x1b[31m\nb": [*USERS, USERS[0]], "none": []})
    done = shell.run("migrate", str(dump), "--yes", to=True)
    assert "a\\x1b[31m\\nb: " in done.stderr
    assert "none: no documents" in done.stderr
    for command in ("rejects", "verify", "load"):
        assert "a\\x1b[31m\\nb " in shell.run(command, to=True).stdout


def test_rejects_are_data(rejected: tuple[Shell, bytes]) -> None:
    shell, raw = rejected
    (reject,) = json.loads(shell.run("rejects", "--json", to=True).stdout)
    assert set(reject) == {
        "collection",
        "offset",
        "size",
        "reason",
        "reason_name",
        "detail",
        "sha256",
    }
    assert (reject["collection"], reject["offset"], reject["size"], reject["reason"]) == (
        "users",
        5 * len(raw),
        len(raw),
        2,
    )
    assert reject["sha256"] == hashlib.sha256(raw).hexdigest()
    none = shell.run("rejects", "others", "--json", to=True)
    assert (none.returncode, json.loads(none.stdout)) == (0, [])


def test_the_bytes_of_a_reject_are_printed(rejected: tuple[Shell, bytes]) -> None:
    shell, raw = rejected
    argv = [
        sys.executable,
        "-m",
        "assise",
        "rejects",
        "users",
        str(5 * len(raw)),
        "--to",
        shell.target,
    ]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    assert (
        subprocess.run(
            argv, cwd=shell.folder, env=environment, capture_output=True, check=True
        ).stdout
        == raw
    )
    printed = json.loads(
        shell.run(
            "rejects",
            "users",
            str(5 * len(raw)),
            "--json",
            to=True,
        ).stdout
    )
    assert printed == {
        "collection": "users",
        "offset": 5 * len(raw),
        "base64": b64encode(raw).decode(),
    }
    missing = shell.run("rejects", "users", "1", to=True)
    assert (missing.returncode, missing.stdout) == (2, "")


def test_a_difference_is_exit_3_and_is_put_into_words(shell: Shell, query: Query) -> None:
    Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    query("UPDATE users SET name = 'another' WHERE name = 'user 2'")
    done = shell.run("verify", to=True)
    assert done.returncode == 3
    assert "1 different" in done.stdout
    assert "name: string 'another', was string 'user 2'" in done.stdout
    report = json.loads(shell.run("verify", "--json", to=True).stdout)
    assert report["verified"] == {"equal": 4, "different": 1, "missing": 0, "extra": 0}
    assert set(report["collections"][0]) == COLLECTION | {"differences"}


def test_export_prints_canonical_extended_json_and_writes_bson(
    rejected: tuple[Shell, bytes],
) -> None:
    shell, raw = rejected
    done = shell.run("export", "users", to=True)
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        ["users: 5 documents, 0 rejects"],
    )
    assert [json_util.loads(line) for line in done.stdout.splitlines()] == USERS
    assert json.loads(done.stdout.splitlines()[2])["items"] == [{"n": {"$numberInt": "2"}}]
    written = shell.run("export", "--format", "bson", "--out", "back", "--json", to=True)
    assert json.loads(written.stdout) == [
        {
            "name": "users",
            "documents": 5,
            "rejects": 1,
            "texts": 0,
            "skipped": 0,
            "problems": [],
            "is_series": False,
        }
    ]
    assert (shell.folder / "back" / "app" / "users.bson").read_bytes().endswith(raw)
    again = shell.run("export", "--format", "bson", "--out", "back", to=True)
    assert (again.returncode, again.stdout) == (2, "")


def test_what_is_no_document_is_not_exported_and_exit_3_says_so(shell: Shell) -> None:
    write_dump(shell.folder / "app", {"users": [*USERS, b"\xff" * 9]})
    Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    assert shell.run("export", "users", to=True).returncode == 0
    done = shell.run("export", "--format", "bson", "--out", "back", to=True)
    assert done.returncode == 3
    assert "users: not exported: 9 bytes at offset" in done.stderr


def test_a_reader_of_an_export_may_go_away(shell: Shell) -> None:
    write_dump(
        shell.folder / "app", {"users": [{"_id": n, "text": "x" * 1000} for n in range(2000)]}
    )
    Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    command = (
        f"{sys.executable} -m assise export users --to {shlex.quote(shell.target)} | head -n 1"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=shell.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stderr, json.loads(done.stdout)["_id"]) == ("", {"$numberInt": "0"})


def test_repair_shows_asks_and_writes(shell: Shell, query: Query) -> None:
    Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    assert "nothing to repair" in shell.run("verify", "--repair", to=True).stdout
    query("DELETE FROM users WHERE name = 'user 2'")
    asked = shell.run("verify", "--repair", to=True, stdin="y\n")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert (
        "not confirmed, nothing was repaired:\n"
        "users 65b9f0a0-0000-8000-8000-000002000000: is missing\nuser_items 65b9" in asked.stderr
    )
    query("UPDATE users SET name = 'another' WHERE name = 'user 3'")
    edited = shell.run("verify", "--repair", "--yes", to=True)
    assert (edited.returncode, edited.stdout) == (1, "")
    assert (
        "users: 1 row changed since the load\n"
        "`--dry-run` shows it. To discard it, name each table: `--replace users`" in edited.stderr
    )
    shown = shell.run("verify", "--repair", "--dry-run", "--json", to=True)
    report = json.loads(shown.stdout)
    assert (shown.returncode, {*report}, {*report["repair"]}) == (
        1,
        REPORT | {"repair"},
        {"tables", "mends", "is_done"},
    )
    assert report["repair"]["mends"][0]["source"] == "user 3"
    sampled = shell.run("verify", "--sample", "2", "--json", to=True)
    assert (sampled.returncode, json.loads(sampled.stdout)["sample"]) == (3, 2)
    done = shell.run("verify", "--repair", "--yes", "--replace", "users", to=True)
    assert (done.returncode, done.stdout.splitlines()[-2:]) == (
        0,
        ["users: 2 rows written, 0 removed", "user_items: 1 row written, 0 removed"],
    )
    assert query("SELECT name FROM users ORDER BY id") == [(f"user {n}",) for n in range(5)]


def test_undo_drops_what_was_loaded_and_refuses_what_was_edited(shell: Shell, query: Query) -> None:
    Project(shell.folder, to=shell.target).migrate(shell.folder / "app", confirm=confirm)
    refused = shell.run("undo", to=True, stdin="y\n")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "not confirmed, nothing was dropped: " in refused.stderr
    query("UPDATE users SET name = 'another' WHERE name = 'user 2'")
    edited = shell.run("undo", "--yes", to=True)
    assert (edited.returncode, edited.stdout) == (1, "")
    assert (
        "users: 1 row changed\nTo discard them, name each table: `--replace users`" in edited.stderr
    )
    shown = shell.run("undo", "--dry-run", "--json", to=True)
    (users, _) = json.loads(shown.stdout)["tables"]
    assert users == {
        "name": "users",
        "rows": 5,
        "changed": 1,
        "deleted": 0,
        "additions": [],
        "is_gone": False,
        "is_born": False,
    }
    assert shown.returncode == 1
    assert shell.run("undo", "--dry-run", "--replace", "users", to=True).returncode == 0
    assert query("SELECT count(*) FROM users") == [(5,)]
    done = shell.run("undo", "--yes", "--replace", "users", to=True)
    assert done.returncode == 0
    functions = ("_new_objectid", "objectid_to_uuid", "uuid_to_objectid")
    dropped = ", ".join(f"function {name}" for name in functions)
    assert f"dropped as well: {dropped}, schema assise" in done.stdout
    assert query(TABLES) == []
    again = shell.run("undo", "--yes", "--json", to=True)
    assert (again.returncode, json.loads(again.stdout)["tables"]) == (0, [])
    assert "there is nothing to undo" in again.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nonsense"], 2, "No such command"),
        (["load", "--nonsense"], 2, "No such option"),
        (["migrate"], 2, "there is no manifest"),
        (["infer", "app", "--ids", "x"], 2, "--ids"),
        (["infer", "nowhere"], 1, "does not exist"),
        (
            ["infer", "app", "-o", "nowhere/x.yaml"],
            1,
            "nowhere/x.yaml cannot be written: No such file or directory",
        ),
        (["load", "app", "-f", "n" * 300 + ".yaml"], 1, "File name too long"),
        (
            ["migrate", "app", "-f", "nowhere/x.yaml"],
            1,
            "nowhere/x.yaml cannot be written: No such file or directory",
        ),
        (["migrate", "app", "-f", "nowhere/"], 2, "nowhere does not exist"),
        (["load", "app"], 2, "there is no manifest"),
        (["verify"], 2, "there is no manifest"),
        (["export", "users"], 2, "there is no manifest"),
        (["export"], 2, "one collection at a time"),
        (["export", "users", "--out", "x"], 2, "one collection at a time"),
        (["export", "--format", "bson"], 2, "needs a folder"),
        (["undo"], 2, "there is no manifest"),
        (["verify", "--repair", "--sample", "5"], 2, "--repair compares every document"),
        (["verify", "--yes"], 2, "belong to --repair"),
        (["schema", "sql"], 2, "there is no manifest"),
        (["pg", "url"], 2, "there is no manifest"),
        (["load", "-f", "broken.yaml"], 2, "broken.yaml:2: colour"),
        (["load", "-f", "unset.yaml"], 2, "NO_SUCH_VARIABLE is not set"),
        (["migrate", "app", "--to", "nonsense"], 2, "not a PostgreSQL URL"),
        (["infer", "app", "--paths", "0"], 2, "whole number"),
        (["verify", "-f", "away.yaml"], 1, "nowhere.invalid"),
    ],
)
def test_errors_are_plain_lines_with_a_remedy_and_a_code(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    write_dump(tmp_path / "app", {"users": USERS})
    (tmp_path / "broken.yaml").write_text("assise: 1\ncolour: red\nname: a\ntables: {}\n")
    (tmp_path / "unset.yaml").write_text(
        "assise: 1\nname: a\npostgres: ${NO_SUCH_VARIABLE}\ntables: {}\n"
    )
    (tmp_path / "away.yaml").write_text(
        "assise: 1\nname: a\npostgres: postgresql://u:s3cr3t@nowhere.invalid/x\ntables: {}\n"
    )
    done = Shell(tmp_path, "").run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "s3cr3t" not in done.stderr
    assert "bytes read" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(tmp_path: Path, command: str) -> None:
    done = Shell(tmp_path, "").run(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert Shell(tmp_path, "").run(*command.split(), "-h").stdout == done.stdout
    assert "list[str]" not in done.stdout
    assert re.search(rf"Examples:\n(?:  .*\n)*?  .*assise {command}\b", done.stdout), done.stdout


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_list_of_commands_is_cut_nowhere_and_no_wider_than_the_terminal(
    tmp_path: Path, columns: int
) -> None:
    shell = Shell(tmp_path, "")
    for words in ([], ["pg"], ["load"]):
        text = shell.run(*words, "--help", COLUMNS=str(columns)).stdout
        assert "..." not in text.replace("[ARGS]...", "")
        assert max(map(len, text.splitlines())) <= min(columns, 80)
    assert "url." in shell.run("--help", COLUMNS=str(columns)).stdout


def test_help_and_version_need_no_project(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "")
    version = (
        r"assise [0-9]+\.[0-9]+\.[0-9]+\ndocuments: (native: assise-native [0-9.]+|in Python: .*)\n"
    )
    assert re.fullmatch(version, shell.run("--version").stdout)
    off = shell.run("--version", ASSISE_NATIVE="0").stdout
    assert "documents: in Python: " in off
    text = shell.run("--help").stdout
    assert all(command.split()[0] in text for command in COMMANDS)
    assert shell.files() == []


def test_schema_sql_creates_the_tables_that_a_load_creates(shell: Shell, query: Query) -> None:
    assert shell.run("infer", "app", "--ids", "uuid").returncode == 0
    done = shell.run("schema", "sql")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(shell.run("schema", "sql", "--json").stdout) == {"sql": done.stdout}
    query(done.stdout)
    by_hand = read_catalog(query)
    assert len(by_hand) == 14
    query("INSERT INTO users (name) VALUES ('x')")
    query("INSERT INTO user_items (user_id, position) SELECT id, 0 FROM users")
    query("DELETE FROM users")
    assert query("SELECT count(*) FROM user_items") == [(0,)]
    query("DROP TABLE users, user_items CASCADE; DROP FUNCTION _new_objectid")
    assert shell.run("load", "app", "--yes", to=True).returncode == 0
    assert read_catalog(query) == by_hand


def read_catalog(query: Query) -> list[tuple[object, ...]]:
    """Columns, constraints and functions of schema public."""
    return query("""
        SELECT c.relname::text, a.attname::text, format_type(atttypid, atttypmod), attnotnull,
            pg_get_expr(adbin, adrelid), a.attcollation::int
        FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
        LEFT JOIN pg_attrdef AS d ON adrelid = c.oid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
        UNION ALL SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid),
            convalidated, NULL, NULL
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f')
        UNION ALL SELECT proname::text, prosrc, provolatile::text, proisstrict, NULL, NULL
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        ORDER BY 1, 2, 3""")


def test_a_reader_that_goes_away_ends_the_command_quietly(tmp_path: Path) -> None:
    write_dump(
        tmp_path / "app",
        {
            "users": [
                {
                    "_id": n,
                    f"field {n}": n,
                    **{f"f{n}_{i}": i for i in range(50)},
                }
                for n in range(50)
            ]
        },
    )
    argv = [sys.executable, "-m", "assise", "infer", "app", "-o", "-"]
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    process = subprocess.Popen(
        argv,
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    log = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert "Error" not in log
    assert "Traceback" not in log


def test_the_embedded_server_from_its_start_to_its_end(embedded: Shell) -> None:
    before = json.loads(embedded.run("pg", "status", "--json").stdout)
    assert set(before) == {
        "running",
        "pid",
        "version",
        "socket_folder",
        "data_folder",
        "size_bytes",
        "programs",
    }
    assert before["running"] is False
    done = embedded.run("migrate", "app", PGHOST="nowhere.invalid", PGDATABASE="other")
    assert done.returncode == 0, done.stderr
    assert "next: assise pg shell" in done.stderr
    counted = embedded.run(
        "pg",
        "shell",
        stdin="\\pset tuples_only on\n\\pset format unaligned\nSELECT count(*) FROM users;\n",
    )
    assert (counted.returncode, counted.stdout.splitlines()[-1]) == (0, "5")
    url = embedded.run("pg", "url").stdout.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchall() == [(5,)]


@pytest.mark.parametrize(("version", "is_told"), [("15.18 (Debian 15)", True), ("99.1", False)])
def test_the_servers_own_clients_are_named_where_those_of_the_system_are_too_old(
    embedded: Shell, tmp_path: Path, version: str, is_told: bool
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pg_dump").write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}'\n")
    (programs / "pg_dump").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    embedded.run("migrate", "app")
    for noun in ("url", "status"):
        done = embedded.run("pg", noun, "--json", PATH=path)
        assert done.returncode == 0
        json.loads(done.stdout)
        own = json.loads(embedded.run("pg", "status", "--json").stdout)["programs"]
        said = "too old for this server; the server's own psql and pg_dump 18"
        assert (said in done.stderr, own in done.stderr) == (is_told, is_told)
        assert (Path(own) / "pg_dump").exists()


def test_the_embedded_server_starts_and_stops(embedded: Shell) -> None:
    started = embedded.run("pg", "start")
    assert (started.returncode, started.stdout) == (0, "")
    assert json.loads(embedded.run("pg", "status", "--json").stdout)["running"] is True
    for _ in range(2):
        assert embedded.run("pg", "stop").returncode == 0
    lines = [line.split() for line in embedded.run("pg", "status").stdout.splitlines()]
    assert lines[0] == ["running", "no"]
    assert "pid" not in [name for name, _ in lines]


def test_a_stdout_that_cannot_be_written_is_an_error_of_one_line(shell: Shell) -> None:
    shell.run("migrate", "app", "--yes", to=True)
    for words in ("export users", "verify", "schema sql", "rejects users 0"):
        with Path("/dev/full").open("w") as full:
            argv = [
                sys.executable,
                "-m",
                "assise",
                *words.split(),
                *(["--to", shell.target] if words != "schema sql" else []),
            ]
            done = subprocess.run(
                argv,
                cwd=shell.folder,
                env=environ(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        expected = (
            "no reject"
            if words == "rejects users 0"
            else "error: stdout cannot be written: No space left on device"
        )
        assert expected in done.stderr
        assert (
            done.returncode != 0,
            "Traceback" in done.stderr,
            "Exception ignored" in done.stderr,
        ) == (True, False, False), done.stderr


def test_a_ctrl_c_in_a_destructor_stops_the_command(tmp_path: Path) -> None:
    write_dump(tmp_path / "app", {"users": USERS})
    trap = """
import os, signal, sys, time
from assise import cli
from assise.infer.profile import Profile

class Trap:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def merge(self, other):
    Trap()
    time.sleep(60)

Profile.merge = merge
sys.argv[1:] = ["infer", "app", "-o", "-"]
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", trap],
        cwd=tmp_path,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")


def environ() -> dict[str, str]:
    """With a stdout that is written when it is flushed."""
    return {**os.environ, "PYTHONPATH": SOURCES, "PYTHONUNBUFFERED": ""}


def test_an_empty_url_is_no_server(shell: Shell) -> None:
    for to in ("", " "):
        done = shell.run("migrate", "app", "--yes", "--to", to)
        assert (done.returncode, done.stderr.splitlines()[-2]) == (
            2,
            "error: the URL of the target is empty",
        )
    text = (shell.folder / "assise.yaml").read_text()
    (shell.folder / "assise.yaml").write_text(
        re.sub("(?m)^postgres: .*$", "postgres: ${MY_URL}", text)
    )
    done = shell.run("verify", MY_URL="", PGHOST="127.0.0.1")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: the URL of the target is empty",
    )


def test_next_names_the_manifest(shell: Shell) -> None:
    done = shell.run("infer", "app", "-o", "my own.yaml")
    assert "next: assise load app -f 'my own.yaml'" in done.stderr
    done = shell.run("load", "app", "-f", "my own.yaml", "--yes", to=True)
    assert "next: assise verify -f 'my own.yaml'" in done.stderr
    done = shell.run("migrate", "app", "-f", "my own.yaml", "--yes", to=True)
    assert "next: assise verify --to … -f 'my own.yaml'" in done.stderr


def test_a_manifest_with_a_server_of_its_own_has_no_embedded_one(shell: Shell) -> None:
    shell.run("infer", "app")
    text = (shell.folder / "assise.yaml").read_text()
    (shell.folder / "assise.yaml").write_text(
        text.replace("postgres: embedded", "postgres: postgresql://db.internal/app")
    )
    for verb in ("shell", "url"):
        done = shell.run("pg", verb)
        assert (done.returncode, done.stderr.splitlines()[0]) == (
            2,
            "error: the manifest's target is your own server",
        )


def test_a_database_that_is_asked_for_by_name_is_not_made(embedded: Shell) -> None:
    embedded.run("infer", "app")
    done = embedded.run("pg", "shell", "-d", "nosuch", stdin="SELECT 1")
    assert (done.returncode, 'database "nosuch" does not exist' in done.stderr) == (2, True)


def test_rejects_of_what_is_not_loaded_are_an_error(shell: Shell) -> None:
    shell.run("infer", "app")
    for words in (["rejects"], ["rejects", "users", "0"]):
        done = shell.run(*words, to=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert "nothing of 'app' is loaded" in done.stderr


def test_a_manifest_that_cannot_be_written_is_an_error_of_one_line(shell: Shell) -> None:
    (shell.folder / "file").write_text("")
    done = shell.run("infer", "app", "-o", "file/x.yaml")
    assert (done.returncode, "cannot be written: Not a directory" in done.stderr) == (1, True)
    assert shell.run("infer", "app", "-o", "x" * 250 + ".yaml").returncode == 0
