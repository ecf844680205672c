"""What every command promises, walked along the tree of commands.

`--json` parses, `--dry-run` changes nothing, the examples of the help run, exit codes are 0 to 3,
and help imports no part.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from psycopg.conninfo import conninfo_to_dict
from tests.analytics.selling import MANIFEST, SUBSCRIPTIONS
from tests.dumps import write_dump
from tests.identity.supabase import make_supabase, write_manifest
from tests.servers.mongo import MongoServer

import assise
from assise.cli.nouns import NOUNS, list_commands, load_command
from assise.parts import PARTS
from assise.postgres.cluster import find_binaries
from assise.project import Project

SOURCES = str(Path(assise.__file__).resolve().parents[1])
BASH = shutil.which("bash") or "/bin/bash"
COMMANDS = dict(list_commands())
OPTIONS = {
    name: {option for each in command.params for option in each.opts}
    for name, command in COMMANDS.items()
}
SERVER = "postgresql://me@db.internal/app"
MONGO = "mongodb://localhost:27017/app"
HURRIED = f"'{MONGO}?serverSelectionTimeoutMS=200'"
BEFORE_A_LOAD = {"migrate", "infer", "load"}
METRICS = (
    *("active", "retention", "funnel", "trend", "lifecycle", "dashboard", "check"),
    *("cohorts", "sessions", "churn", "import", "erase"),
)
WITH_RULES = {
    *("access check", "access explain", "worker", "serve", "partitions run", "partitions status"),
    *("audit log", "audit check", "audit head"),
    *(
        *(f"analytics {verb}" for verb in METRICS),
        "search query",
        "search explain",
        "search eval",
        "search build",
        "search status",
        "search check",
        "search report",
        "search suggest",
        "search embed",
        "search ask",
    ),
}
ON_MONGODB = [name for name in COMMANDS if name.startswith("mongo ")]
WITH_REVISIONS = {f"schema {verb}" for verb in "apply revert status lint mark".split()}
RULES = """assise: 1
name: app
roles: {prefix: contract}
search_log: {}
analytics: {timezone: Europe/Paris}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns:
      id: {type: uuid, from: _id}
      name: text
  projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    audit: true
    soft_delete: {keep: 30 days}
    search: {title: name}
    embed: [name]
    columns:
      id: {type: uuid, from: _id}
      name: text
      user_id: {type: uuid, from: user, references: users}
  payments:
    primary_key: [id, at]
    columns: {id: uuid, at: {type: timestamptz, default: now()}}
    partition: {by: at, ahead: 3}
"""
CALLED = re.compile(r"assise [^|>)]+")
ENDLESS = {"assise worker", "assise serve --port 0"}
"""Examples that run until Ctrl-C."""
REFUSED = {
    "assise undo": "not confirmed",
    "assise search eval --clicks 30 --in projects": "no hit was opened",
    "assise rejects users 1024 > one.bson": "users has no reject at offset 1024",
    "assise migrate mongodb://localhost:27017/app": "cannot be reached",
    "assise migrate users.json --name app": "users.json does not exist",
}
"""Examples that need a person, a certain dump, or a MongoDB."""
EVENT = '{"event": "signup", "distinct_id": "u1", "timestamp": "2026-01-02T03:04:05Z"}\n'
HEAVY = {"psycopg", "pydantic", "pymongo", "bson", "ruamel", "rich", "assise.project"}
USER = {"_id": ObjectId("507f1f77bcf86cd799430007"), "name": "Anna"}
CATALOG = """SELECT relname::text, relkind::text, pg_relation_size(oid),
        CASE WHEN current_database() = %s THEN reltuples END
    FROM pg_class WHERE oid >= 16384 ORDER BY 1, 2"""
"""The server counts the rows of other tests' databases when it likes: autovacuum."""


@dataclass
class Place:
    """A folder with a dump, an embedded server that runs, and `assise` on the path."""

    folder: Path
    database: str

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell, without a terminal; that there is no MongoDB is seen soon."""
        script = script.replace(SERVER, shlex.quote(self.database)).replace(MONGO, HURRIED)
        environ = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": SOURCES,
            "COLUMNS": "80",
        }
        done = subprocess.run(
            [BASH, "-c", script],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        assert done.returncode in {0, 1, 2, 3}
        return done

    def stop(self, line: str) -> None:
        """Run a line until it has done something, then stop it with Ctrl-C."""
        # The shell of `run` would not pass the signal on.
        # A signal that comes while the command starts may end no more than its start: it comes again.
        again = "(while kill -INT $pid; do sleep 5; done) > /dev/null 2>&1 &"
        begun = "until [ -s said ]; do sleep 0.1; done"
        script = f"{line} 2> said & pid=$!; {begun}; {again} wait $pid"
        done = self.run(f"set -m; {script}")
        assert done.returncode == 0, (self.folder / "said").read_text()

    def state(self) -> tuple[object, ...]:
        """Every file outside the cluster, and all tables of the server's databases."""
        files = {
            str(path): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and ".assise/postgres" not in str(path)
        }
        embedded = Project(self.folder).embedded
        with psycopg.connect(embedded.conninfo("postgres")) as connection:
            names = [row[0] for row in connection.execute("SELECT datname FROM pg_database")]
        own = conninfo_to_dict(self.database)["dbname"]
        tables = {}
        for name in set(names) - {"template0"}:
            with psycopg.connect(embedded.conninfo(name)) as connection:
                tables[name] = connection.execute(CATALOG, [own]).fetchall()
        return files, tables


@pytest.fixture
def place(
    short_folder: Path,
    database: str,
    use_embedded_server: Callable[[Path], None],
    warm_program: str,
) -> Place:
    folder = short_folder / f"contract-{os.urandom(3).hex()}"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "assise").write_text(warm_program)
    (folder / "bin" / "assise").chmod(0o755)
    for name, program in {"psql": find_binaries() / "psql", "less": Path("/bin/cat")}.items():
        (folder / "bin" / name).symlink_to(program)
    users = [{"_id": ObjectId(bytes([101, *bytes(10), n])), "name": f"u{n}"} for n in range(50)]
    write_dump(folder / "dump" / "app", {"users": [*users, users[3]]})
    use_embedded_server(folder)
    return Place(folder, database)


def list_examples(name: str) -> list[str]:
    """The examples of a command's help."""
    lines = (COMMANDS[name].epilog or "").splitlines()
    return [line.strip() for line in lines[2:]]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ON_MONGODB])
def test_a_command_keeps_what_all_promise(name: str, place: Place) -> None:
    check_promises(name, place)


@pytest.mark.contract
@pytest.mark.parametrize("name", ON_MONGODB)
def test_a_command_on_mongodb_keeps_what_all_promise(
    name: str, place: Place, mongo: MongoServer
) -> None:
    mongo.answer_truly()
    mongo.client.drop_database("contract")
    head = f'assise: 1\nname: app\nmongo: "{mongo.url}contract"\ntables: {{}}\n'
    (place.folder / "assise.yaml").write_text(f"{head}collections:\n  users: {{indexes: [name]}}\n")
    mongo.client.contract.users.insert_one(dict(USER))
    plan = {"queryPlanner": {"winningPlan": {"stage": "COLLSCAN"}}}
    (place.folder / "plan.json").write_text(json.dumps(plan))
    mongo.answer("explain", plan)
    mongo.answer("profile", {"was": 0, "slowms": 100, "sampleRate": 1.0})
    check_promises(name, place)
    mongo.answer_truly()
    mongo.client.drop_database("contract")


def check_promises(name: str, place: Place) -> None:
    """Run the examples of a command's help, on what it needs, and look at what it says."""
    examples = list_examples(name)
    assert examples
    assert all(f"assise {name}" in line for line in examples)
    project = Project(place.folder)
    if name == "load":
        project.write_manifest(project.infer(place.folder / "dump" / "app"))
    elif name in WITH_RULES:
        dump = place.folder / "ruled"
        write_dump(dump, {"users": [USER], "projects": [{"_id": ObjectId(), "user": USER["_id"]}]})
        project.path.write_text(RULES)
        project.migrate(dump)
        (place.folder / "events.jsonl").write_text(EVENT)
        (place.folder / "events.jsonl.gz").write_bytes(gzip.compress(EVENT.encode()))
        (place.folder / "queries.tsv").write_text("q1\tapp\n")
        (place.folder / "judgements.tsv").write_text(
            f"q1\t{'0' * 8}-0000-0000-0000-{'0' * 12}\t1\n"
        )
    elif name == "analytics revenue":
        project.path.write_text(MANIFEST.replace("apptest", "contract"))
        sold = {"users": [], "subscriptions": SUBSCRIPTIONS[:3], "invoices": [], "rates": []}
        project.migrate(write_dump(place.folder / "sold", sold))
    elif name.startswith(("cache", "redis")):
        project.path.write_text(f"{RULES}redis: embedded\n")
    elif name == "identity repair":
        make_supabase(place.database)
        write_manifest(place.folder, main=place.database, auth=place.database)
    elif name not in BEFORE_A_LOAD | {*ON_MONGODB}:
        project.migrate(place.folder / "dump" / "app")
    if name in WITH_REVISIONS:
        project.revisions().revise("start")
    if "--dry-run" in OPTIONS[name]:
        before = place.state()
        call = CALLED.findall(examples[0])[0]
        more = " --repair" if name == "verify" else ""
        done = place.run(f"{call}{more} --dry-run")
        assert done.returncode in {0, 3}, done.stderr
        assert place.state() == before
    for line in examples:
        if name == "infer":
            project.path.unlink(missing_ok=True)
        if line in ENDLESS:
            place.stop(line)
            continue
        done = place.run(line)
        if line in REFUSED:
            assert REFUSED[line] in done.stderr
        else:
            assert done.returncode in {0, 3}, (line, done.stderr)
    if "--json" in OPTIONS[name]:
        call = CALLED.findall(examples[-1])[0].strip()
        if name == "infer":
            project.path.unlink()
        done = place.run(call if "--json" in call else f"{call} --json")
        if name == "export":
            assert "is not overwritten" in done.stderr
            done = place.run(f"{call} --json --out again")
        refused = REFUSED.get(examples[-1])
        assert refused is None or refused in done.stderr
        assert refused is not None or json.loads(done.stdout) is not None, done.stderr


def test_the_list_of_commands_says_what_each_says_itself() -> None:
    for name, noun in NOUNS.items():
        assert " ".join((load_command(name).help or "").split()) == noun.help


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["-h"], []])
def test_help_and_version_import_no_part(words: list[str]) -> None:
    script = f"""
import sys
from assise.cli import main
sys.argv[1:] = {words!r}
try:
    main()
except SystemExit as error:
    assert error.code in {{0, 2}}
print("modules:", *sys.modules)
"""
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    text, _, names = done.stdout.partition("modules:")
    assert (text or done.stderr).startswith("assise " if words == ["--version"] else "Usage:")
    assert not HEAVY & {*names.split()}
    assert ("typer" in names.split()) is (words != ["--version"])


def test_a_project_imports_no_part_before_a_verb_is_called() -> None:
    script = "import sys, assise.project; print(*sys.modules)"
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("assise.")}
    parts = {f"assise.{part.name}" for part in PARTS} | {"assise.parts", "assise.infer"}
    assert "assise.workspace" in ours
    assert not parts & ours
