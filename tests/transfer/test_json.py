"""JSON on its way through the server: the same rows as from BSON, guesses told, rejects kept."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import bson
import psycopg
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.json_util import (
    CANONICAL_JSON_OPTIONS,
    LEGACY_JSON_OPTIONS,
    RELAXED_JSON_OPTIONS,
    dumps,
)
from tests.dumps import confirm, write_dump
from tests.oracle.walk import frames
from tests.peers.dialects import UnwritableError, write_canonical
from tests.scenes.commands import SOURCES, Scene, read_state
from tests.scenes.databases import Databases
from tests.scenes.memory import LIMIT_MB, MEASURE
from tests.scenes.moments import after_chunks
from tests.scenes.readback import Target
from tests.scenes.undisturbed import Undisturbed, count_rows

from assise.documents.dialects.rules import Rules
from assise.errors import ChangedError
from assise.mongo import json_file
from assise.mongo.source import SourceOptions
from assise.postgres.connection import Connection
from assise.project import Project
from assise.transfer.kept_rejects import page_rejects
from assise.transfer.ledger import find_load

USERS: list[dict[str, object]] = [
    {
        "_id": ObjectId(f"65b9f0a0{n:016x}"),
        "name": f"Zoé {n}",
        "count": n,
        "large": Int64((1 << 40) + n),
        "price": n + 0.5,
        "exact": Decimal128(f"{n}.10"),
        "born": datetime(2001, 2, 3, 4, 5, n % 60, 678_000, tzinfo=UTC),
        "tags": ["a", f"{n}"],
        "items": [{"n": m, "at": Timestamp(n, m)} for m in range(n % 3)],
        "bytes": Binary(bytes([n % 256]), 5),
        "pattern": Regex("^a", "i"),
        "maybe": None if n % 2 else True,
        "in": {"deep": {"x": n}},
    }
    for n in range(400)
]
OPTIONS = {
    "canonical": CANONICAL_JSON_OPTIONS,
    "relaxed": RELAXED_JSON_OPTIONS,
    "legacy": LEGACY_JSON_OPTIONS,
}
SETTINGS = {"load.chunk_bytes": 16 << 10}


def write_shell(document: dict[str, object]) -> str:
    """A document as the mongo shell prints it, for the kinds of USERS."""
    return _write(document)


def _write(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} : {_write(each)}" for key, each in value.items()) + " }"
        case list():
            return "[ " + ", ".join(map(_write, value)) + " ]"
        case ObjectId():
            return f'ObjectId("{value}")'
        case Int64():
            return f'NumberLong("{value}")'
        case Decimal128():
            return f"NumberDecimal('{value}')"
        case datetime():
            return f'ISODate("{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z")'
        case Timestamp():
            return f"Timestamp({value.time}, {value.inc})"
        case Binary():
            return f'BinData({value.subtype}, "{_base64(value)}")'
        case Regex():
            return f"/{value.pattern}/i"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _base64(content: bytes) -> str:
    (text,) = bson.json_util._json_convert([content])  # noqa: SLF001
    return str(json.loads(dumps(text))["$binary"]["base64"])


def read_rows(conninfo: str, project: Project) -> dict[str, list[object]]:
    """The rows of every table, as text."""
    with Target(conninfo) as target:
        return {
            table: [*target.run(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')]
            for table in sorted(project.manifest.tables)
        }


@pytest.fixture(scope="module")
def from_bson(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, list[object]], str]]:
    """The rows of USERS from BSON, and the manifest."""
    with databases.create_template(tmp_path_factory.mktemp("bson")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.migrate(write_dump(template.folder / "app", {"users": USERS}), confirm=confirm)
        yield (
            read_rows(template.conninfo, project),
            (template.folder / "assise.yaml").read_text(),
        )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("dialect", [*OPTIONS, "shell"])
def test_rows_are_those_of_bson(
    dialect: str,
    workers: int,
    from_bson: tuple[dict[str, list[object]], str],
    tmp_path: Path,
    database: str,
) -> None:
    rows, manifest = from_bson
    if dialect == "shell":
        lines = [write_shell(user) for user in USERS]
    else:
        lines = [dumps(user, json_options=OPTIONS[dialect]) for user in USERS]
    (tmp_path / "app").mkdir()
    if workers == 1:
        content = "\n".join(lines)
    else:
        content = f"[{', '.join(lines)}]"
    (tmp_path / "app" / "users.json").write_text(content, encoding="utf-8")
    (tmp_path / "assise.yaml").write_text(manifest)
    settings = {**SETTINGS, "workers": workers}
    project = Project(tmp_path, to=database, settings=settings)
    report = project.migrate(tmp_path / "app", confirm=confirm)
    assert (report.exit_code, report.documents, report.loaded) == (0, 400, 400)
    assert report.verified is not None
    assert report.verified.equal == 400
    assert read_rows(database, project) == rows


def test_infer_gives_the_manifest_of_bson(
    from_bson: tuple[dict[str, list[object]], str], tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    lines = [dumps(user, json_options=CANONICAL_JSON_OPTIONS) for user in USERS]
    (tmp_path / "app" / "users.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    project = Project(tmp_path)
    project.write_manifest(project.infer(tmp_path / "app"))
    written = (tmp_path / "assise.yaml").read_text()
    assert written.split("tables:")[1] == from_bson[1].split("tables:")[1]


BROKEN = [
    '{"_id": 1, "big": 100000000000000000000, "zero": -0}',
    '{"_id": 1}',
    '{"_id": {"$oid": 5}}',
    '{"_id": 2, "at": {"$date": "2024-07-01T12:00:00"}}',
    '{"_id": 3',
    '{"_id": 4}',
]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "things.jsonl"
    path.write_text("\n".join(BROKEN))
    return path


def test_rejects_are_counted_by_reason_and_exported_as_text(
    broken: Path, tmp_path: Path, database: str
) -> None:
    lines: list[str] = []
    project = Project(tmp_path, to=database, log=lines.append)
    report = project.migrate(broken, confirm=confirm)
    assert (report.documents, report.loaded, report.rejected) == (6, 2, 4)
    assert report.verified is not None
    assert report.verified.is_clean
    assert [(each.offset, int(each.reason)) for each in project.rejects()] == [
        (53, 2), (64, 1), (85, 1), (136, 1),
    ]  # fmt: skip
    assert "--zone" in project.rejects()[2].detail
    [done] = project.export_folder(tmp_path / "out")
    assert (done.documents, done.rejects, done.texts, done.skipped) == (2, 1, 3, 0)
    out = tmp_path / "out" / "things"
    texts = (out / "things.rejects.jsonl").read_text().splitlines()
    assert texts == [BROKEN[2], BROKEN[3], BROKEN[4]]
    assert len(bson.decode_all((out / "things.bson").read_bytes())) == 3
    for told in (
        "things: integers of more than 64 bits, read as doubles: 1",
        "things: integers -0, read as doubles: 1",
    ):
        assert lines.count(told) == 1
    assert report.collections[0].guesses == {
        "integers of more than 64 bits, read as doubles": 1,
        "integers -0, read as doubles": 1,
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_guesses_of_many_chunks_are_told_once(workers: int, tmp_path: Path, database: str) -> None:
    path = tmp_path / "things.jsonl"
    path.write_text("".join(f'{{"_id": {n}, "zero": -0}}\n' for n in range(3_000)))
    said = list[str]()
    settings = {**SETTINGS, "workers": workers, "load.chunk_bytes": 4096}
    project = Project(tmp_path, to=database, log=said.append, settings=settings)
    report = project.migrate(path, confirm=confirm)
    guess = "integers -0, read as doubles"
    assert report.collections[0].guesses == {guess: 3_000}
    assert [line for line in said if guess in line] == [f"things: {guess}: 3,000"]
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) > 9 FROM assise.chunk").fetchone() == (True,)


@pytest.mark.parametrize(
    ("count", "size", "pages"), [(2, 1 << 20, [2, 2, 1]), (9, 20, [2, 2, 1]), (9, 1 << 20, [5])]
)
def test_rejects_are_read_in_pages(
    count: int, size: int, pages: list[int], tmp_path: Path, database: str
) -> None:
    """A page ends after a number of them, or of bytes; each of these has 10."""
    lines = [f'{{"a{n:04}": ' + "}" for n in range(5)]
    (tmp_path / "things.jsonl").write_text("\n".join(['{"_id": 1}', *lines]))
    project = Project(tmp_path, to=database)
    assert project.migrate(tmp_path / "things.jsonl", confirm=confirm).rejected == 5
    taken = list[int]()
    with Connection(database) as connection:
        load = find_load(connection, "things")
        assert load
        found = list[bytes]()
        for page in page_rejects(connection, load, "things", count=count, size=size):
            taken.append(len(page))
            found += [raw for *_, raw in page]
    assert taken == pages
    assert found == [line.encode() for line in lines]


def test_the_zone_is_kept_for_verification(broken: Path, tmp_path: Path, database: str) -> None:
    project = Project(tmp_path, to=database)
    options = SourceOptions(zone="Europe/Paris")
    report = project.migrate(broken, options, confirm=confirm)
    assert report.rejected == 3
    again = Project(tmp_path, to=database).verify()
    assert again.verified is not None
    assert (again.verified.equal, again.verified.is_clean) == (3, True)
    with Target(database) as target:
        [(at,)] = target.run("SELECT at FROM things WHERE id = 2")
    assert at == b"2024-07-01 10:00:00+00"


def test_verify_finds_a_changed_row(broken: Path, tmp_path: Path, database: str) -> None:
    project = Project(tmp_path, to=database)
    project.migrate(broken, confirm=confirm)
    with Target(database) as target:
        target.run("UPDATE things SET big = 7 WHERE id = 1")
    verified = project.verify().verified
    assert verified is not None
    assert (verified.equal, verified.different) == (1, 1)
    assert project.repair(replace=["things"], confirm=confirm).is_done
    verified = project.verify().verified
    assert verified is not None
    assert verified.is_clean


def test_what_the_load_reads_wrong_is_found_by_the_other_reader(
    broken: Path, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever reader the load has, verify has one of its own."""
    for name in ("read_exactly", "read_document"):
        monkeypatch.setattr(json_file, name, partial(read_wrong, getattr(json_file, name)))
    report = Project(tmp_path, to=database).migrate(broken, confirm=confirm)
    assert report.verified is not None
    assert (report.verified.equal, report.verified.different) == (1, 1)
    assert report.exit_code == 3


def read_wrong(read: Callable[..., bytes], text: bytes, rules: Rules) -> bytes:
    """Read a document as a reader with a fault in its numbers does."""
    return read(text.replace(b"100000000000000000000", b"100000000000000065536"), rules)


@pytest.mark.parametrize(
    ("sign", "kept"),
    [
        ('{"$date": 5}', ("v1", {"v1": [11, "$date with a number"]})),
        ('{"$numberInt": "5"}', ("v2", {"v2": [11, "$numberInt"]})),
        ("5", ("v2", {})),
    ],
)
def test_the_dialect_of_a_file_is_kept_in_the_ledger(
    sign: str, kept: tuple[str, object], tmp_path: Path, database: str
) -> None:
    path = tmp_path / "things.jsonl"
    path.write_text(f'{{"_id": 1}}\n{{"_id": 2, "a": {sign}}}\n')
    Project(tmp_path, to=database).migrate(path, confirm=confirm)
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT survey->>'dialect', survey->'signs' FROM assise.collection"
        )
        assert found.fetchall() == [kept]


@pytest.mark.parametrize("is_line", [True, False])
def test_a_changed_file_is_told(is_line: bool, tmp_path: Path, database: str) -> None:
    path = tmp_path / "things.json"
    lines = [f'{{"_id": {n}}}' for n in range(10, 60)]
    path.write_text("\n".join(lines) if is_line else f"[{','.join(lines)}]")
    project = Project(tmp_path, to=database, settings={"load.chunk_bytes": 64})
    project.migrate(path, confirm=confirm)
    path.write_text(path.read_text().replace('"_id": 40', '"_id": 99'))
    with pytest.raises(ChangedError, match="has changed since it was loaded"):
        project.verify()


def test_ids_that_look_like_object_ids_are_told_in_a_comment(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("\n".join(f'{{"_id": "{n:024x}"}}' for n in range(9)))
    (tmp_path / "b.json").write_text('{"_id": "507f1f77bcf86cd799439011"}\n{"_id": "x"}')
    project = Project(tmp_path)
    project.write_manifest(project.infer(tmp_path))
    written = (tmp_path / "assise.yaml").read_text()
    assert written.count("which look like ObjectIds that were written as text") == 1
    assert (
        "9 documents, _id: string, which look like ObjectIds that were written as text" in written
    )


def large_string() -> Iterator[bytes]:
    yield b'{"_id": 1, "t": "' + b"x" * ((16 << 20) - 100) + b'"}\n{"_id": 2}\n'


def large_array() -> Iterator[bytes]:
    yield b'{"_id": 1, "t": ['
    for n in range(300_000):
        yield b'%b{"$numberDouble": "%d.5"}' % (b", " * bool(n), n)
    yield b']}\n{"_id": 2}\n'


def too_large() -> Iterator[bytes]:
    yield b'{"_id": 1}\n{"_id": 2, "t": "'
    for _ in range(70):
        yield b"x" * (1 << 20)
    yield b'"}\n{"_id": 3}\n'


def many_in_an_array() -> Iterator[bytes]:
    yield b"["
    yield b",".join(b'{"_id": %d}' % n for n in range(60_000))
    yield b"]"


def tiny_rejects(count: int) -> Callable[[], Iterator[bytes]]:
    """Make lines that are no documents, each of which is a reject."""

    def make() -> Iterator[bytes]:
        yield b'{"_id": 1}\n'
        yield from [b'{"a": }\n' * 1_000] * (count // 1_000)
        yield b'{"_id": 2}\n'

    return make


def flood(byte: bytes) -> Callable[[], Iterator[bytes]]:
    """Make a file of 100 MB of one byte between two documents."""

    def make() -> Iterator[bytes]:
        yield b'{"_id": 1}\n'
        yield from [byte * (1 << 20)] * 100
        yield b'\n{"_id": 2}\n'

    return make


@pytest.mark.parametrize(
    ("make", "loaded"),
    [
        (large_string, 2),
        (large_array, 2),
        pytest.param(too_large, 2, marks=pytest.mark.soak),
        (many_in_an_array, 60_000),
        pytest.param(flood(b" "), 2, marks=pytest.mark.soak),
        pytest.param(flood(b"\n"), 2, marks=pytest.mark.soak),
        (flood(b"{"), 2),
        pytest.param(tiny_rejects(1_000_000), 2, marks=pytest.mark.soak),
    ],
)
def test_memory(
    make: Callable[[], Iterator[bytes]], loaded: int, tmp_path: Path, database: str
) -> None:
    with (tmp_path / "things.json").open("wb") as file:
        file.writelines(make())
    arguments = ["migrate", "things.json", "--to", database, "--yes", "--json", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-m", "assise", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["loaded"] == loaded, done.stderr
    assert int(done.stderr.splitlines()[-1]) / 1024 < LIMIT_MB


@pytest.fixture(params=["lines, one worker", "lines, two workers", "a packed array"])
def scene(
    undisturbed: Undisturbed, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> Iterator[Scene]:
    """An empty target, the manifest of the undisturbed run, and its whole documents as JSON."""
    (tmp_path / "assise.yaml").write_text(undisturbed.manifest)
    folder = tmp_path / "app"
    folder.mkdir()
    for file in undisturbed.dump.glob("*.bson"):
        data = file.read_bytes()
        parts = [data[p:q] for what, p, q in frames(data) if what == "document"]
        texts = [*filter(None, map(write_or_leave, parts))]
        if request.param == "a packed array":
            content = f"[{', '.join(texts)}]".encode()
            (folder / f"{file.stem}.json.gz").write_bytes(gzip.compress(content))
        else:
            (folder / f"{file.stem}.jsonl").write_text("\n".join(texts))
    workers = "2" if request.param == "lines, two workers" else "1"
    arguments = ["--to", database, "--yes", "--workers", workers]
    scene = Scene(tmp_path, folder, database, arguments)
    yield scene
    scene.close()


def write_or_leave(raw: bytes) -> str | None:
    """A document as canonical JSON; None where JSON cannot hold it."""
    try:
        return write_canonical(raw)
    except UnwritableError:
        return None


def test_a_load_of_json_goes_on_after_a_kill(scene: Scene, undisturbed: Undisturbed) -> None:
    after_chunks(5, "events")(scene)
    scene.command.end(signal.SIGKILL)
    chunks = "SELECT collection, start_offset, xid::text FROM assise.chunk"
    before = scene.ask(chunks)
    assert scene.ask("SELECT finished_at FROM assise.load") == [(None,)]
    done = scene.run("migrate")
    assert "Traceback" not in done.stderr
    assert set(before) <= set(scene.ask(chunks))
    report, state = json.loads(done.stdout), read_state(scene.conninfo)
    assert report["loaded"] == undisturbed.report["loaded"]
    assert report["documents"] == report["loaded"] + report["rejected"]
    assert report["verified"]["equal"] == report["loaded"]
    assert (report["verified"]["different"], report["verified"]["missing"]) == (0, 0)
    for name in filter(lambda each: each.startswith("rows of "), undisturbed.state):
        mine, expected = state[name], undisturbed.state[name]
        if "2" in scene.arguments and name != "rows of events":
            # Which of two equal keys is loaded first may differ.
            mine, expected = count_rows(mine), count_rows(expected)
        assert mine == expected, name
