"""Search by meaning in a large table: times and recall of the graph and of the exact scan.

    python benchmarks/meaning_scale.py COLLECTION [--rows 1000000] [--queries 100] [--keep FOLDER]

COLLECTION is a folder with corpus.jsonl. The first 5,000 of its texts, 120 characters of each, are
embedded by `local`; the vectors of the table are made of these: one of 1,000 topics, which are real
vectors, plus noise with the covariance of the real ones. One client, warm; the query's own embedding
is left out. User 1 owns 50,000 rows, user 2 owns 100,000. Beside each time stands what the server's
processors worked for it. With --keep what is made stays in FOLDER: a run that was stopped goes on, and
later ones measure only. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from struct import pack
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from bson import encode

from assise.postgres.asking import answer
from assise.postgres.connection import Connection
from assise.project import Project
from assise.search.chat.contexts import LIMIT, PER_ROW, choose_contexts
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.embedder import write_vector
from assise.search.meaning.keep import open_builder
from assise.search.meaning.local import DIMENSIONS, LocalEmbedder
from assise.search.meaning.retrieve import retrieve
from assise.search.meaning.verbs import Embedders
from assise.search.query import Embedding, Request
from meaning import KeptEmbedder

MANIFEST = """assise: 1
name: bench
postgres: embedded
roles: {prefix: bench}
tables:
  docs:
    collection: docs
    primary_key: id
    access: {owner: user_id}
    search: {body: text, language: en}
    embed: [text]
    columns: {id: {type: int4, from: _id}, user_id: int4, text: text}
    indexes: [user_id]
"""
OWNED = {1: 50_000, 2: 100_000}
BATCH = 10_000
Session = psycopg.Connection[tuple[Any, ...]]
Matrix = npt.NDArray[np.float32]
ASK = """SELECT key ->> 0 FROM search_by_meaning('', %s, NULL, 10, '{}', NULL, '{"method": "semantic"}')"""


def say(what: str, figure: object) -> None:
    print(f"{what:<45} {figure}", flush=True)


def read_worked_s(pid: int) -> float:
    """How long a process has been on a processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def read_all_worked_s(pid: int) -> float:
    """How long the children of a process have worked, those that have ended too."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(stat.parent.name) == pid:
            ticks += int(fields[13]) + int(fields[14])
        elif int(fields[1]) == pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def make_vectors(real: Matrix, rows: int, seed: int) -> Iterator[Matrix]:
    """Made vectors of length 1, `BATCH` at a time."""
    chance = np.random.default_rng(seed)
    topics = real[chance.integers(0, len(real), 1_000)]
    covariance = np.cov(real.T) + 1e-6 * np.eye(DIMENSIONS)
    root = np.linalg.cholesky(covariance).astype(np.float32)
    for begin in range(0, rows, BATCH):
        count = min(BATCH, rows - begin)
        noise = chance.standard_normal((count, DIMENSIONS)).astype(np.float32) @ root.T
        found = topics[chance.integers(0, len(topics), count)] + 0.7 * noise
        yield found / np.linalg.norm(found, axis=1, keepdims=True)


def make_texts(begin: int) -> list[str]:
    """`BATCH` texts of eight words of 20,000, a few of them frequent."""
    chances = np.random.default_rng(begin).random((BATCH, 8))
    words = np.minimum((1 - chances) ** (-1 / 0.7), 20_000).astype(int)
    return [" ".join(f"w{word}" for word in row) for row in words.tolist()]


def find_owner(number: int, rows: int) -> int:
    """Who owns a row."""
    place = (number * 7919) % rows
    return 1 if place < OWNED[1] else 2 if place < OWNED[1] + OWNED[2] else 3 + number % 1000


@dataclass(frozen=True)
class Bench:
    """What is made in a folder, step by step."""

    project: Project
    collection: Path
    rows: int

    @property
    def folder(self) -> Path:
        return self.project.path.parent

    @cached_property
    def real(self) -> Matrix:
        """The real vectors, at most 5,000."""
        lines = (self.collection / "corpus.jsonl").read_text().splitlines()[:5_000]
        texts = [f"{each['title']}\n{each['text']}"[:120] for each in map(json.loads, lines)]
        embedder = KeptEmbedder(self.folder / "real.vectors")
        found = embedder.embed(texts, "passage")
        embedder.close()
        return np.array(found, dtype=np.float32)

    @contextmanager
    def step(self, name: str) -> Iterator[bool]:
        """Whether a step is still to be made; its times are told, and that it is made is kept."""
        file = self.folder / f"{name}.made"
        if file.exists():
            yield False
            return
        (pid,) = (self.folder / ".assise").rglob("postmaster.pid")
        postmaster = int(pid.read_text().split()[0])
        started, worked = perf_counter(), read_all_worked_s(postmaster)
        yield True
        wall, spent = perf_counter() - started, read_all_worked_s(postmaster) - worked
        say(f"{name} made", f"{wall:.0f} s, the server worked {spent:.0f} s")
        file.touch()

    def make(self) -> None:
        """The table with its rows, their passages, and the graph over them."""
        if not self.project.path.exists():
            dump = self.folder / "dump"
            dump.mkdir()
            (dump / "docs.bson").write_bytes(encode({"_id": -1, "user_id": 0, "text": "first"}))
            self.project.path.write_text(MANIFEST)
            self.project.migrate(dump, confirm=lambda _question: True)
        self.project.embedded.start()
        with self.project.search.open_tables() as (connection, tables):
            plain = open_builder(connection, tables, Embedders(self.folder))
            embedder = LocalEmbedder()
            builder = PassageBuilder(connection, plain.tables, Using(embedder, '"local"'), {})
            builder.build()
            embedder.close()
            place = str(connection.execute("SELECT place FROM _meaning_models")[0][0])
            with psycopg.connect(connection.conninfo, autocommit=True) as session:
                with self.step("rows") as is_new:
                    if is_new:
                        self.copy_rows(session)
                _ = self.real  # it takes minutes, which are none of the server's
                with self.step("passages") as is_new:
                    if is_new:
                        self.copy_passages(session, place)
            with self.step("graph") as is_new:
                if is_new:
                    builder.tidy(is_changed=True)
            tell_graph(connection, place)

    def copy_rows(self, session: Session) -> None:
        session.execute("TRUNCATE docs")
        session.execute("ALTER TABLE docs DISABLE TRIGGER USER")
        with session.cursor().copy("COPY docs (id, user_id, text) FROM STDIN") as writer:
            for begin in range(0, self.rows, BATCH):
                for number, text in enumerate(make_texts(begin)[: self.rows - begin], begin):
                    writer.write_row((number, find_owner(number, self.rows), text))
        session.execute("ALTER TABLE docs ENABLE TRIGGER USER")
        session.execute("VACUUM ANALYZE docs")

    def copy_passages(self, session: Session, place: str) -> None:
        """Copy them in PostgreSQL's binary form, and make their indexes when all are there."""
        session.execute(f"TRUNCATE {place}".encode())
        indexes = session.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = %s::regclass AND NOT indisunique",
            [place],
        ).fetchall()
        for name, _ in indexes:
            session.execute(f"DROP INDEX {name}".encode())
        columns = "(source, key, number, first, last, hash, scope, v)"
        statement = f"COPY {place} {columns} FROM STDIN (FORMAT binary)"
        with session.cursor().copy(statement.encode()) as writer:
            writer.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for batch, matrix in enumerate(make_vectors(self.real, self.rows, 1)):
                begin = batch * BATCH
                halves = matrix.astype(">f2")
                for number, text in enumerate(make_texts(begin)[: len(matrix)], begin):
                    scope = f'"docs"{find_owner(number, self.rows)}'
                    vector = pack("!hh", DIMENSIONS, 0) + halves[number - begin].tobytes()
                    values = (
                        b"docs",
                        b"\1" + f"[{number}]".encode(),  # jsonb, version 1
                        bytes(4),
                        bytes(4),
                        pack("!i", len(text)),
                        sha256(text.encode()).digest(),
                        scope.encode(),
                        vector,
                    )
                    fields = (pack("!i", len(each)) + each for each in values)
                    writer.write(pack("!h", len(values)) + b"".join(fields))
            writer.write(pack("!h", -1))
        session.execute("SET maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            session.execute(definition.encode())
        session.execute(f"VACUUM ANALYZE {place}".encode())

    def measure(self, queries: int) -> None:
        """Print the times of queries, and how many of the ten best the graph finds."""
        (matrix,) = make_vectors(self.real, queries, 1_000)
        asked = [write_vector(each.tolist()) for each in matrix]
        sessions = (("all rows", None), ("50,000 rows", 1), ("100,000 rows", 2))
        with psycopg.connect(self.project.embedded.conninfo("bench"), autocommit=True) as session:
            session.execute("SET jit = off")
            for name, user in sessions:
                graph, near = measure(session, ask_as(session, user, 50_000), asked)
                exact, best = measure(session, ask_as(session, user, 10**9), asked[:20])
                shares = [len(a & b) / 10 for a, b in zip(near, best, strict=False)]
                say(f"{name}, as the query chooses", graph)
                say(f"{name}, one by one", exact)
                say(f"{name}, recall@10", f"{statistics.fmean(shares):.3f}")
        with self.step("words") as is_new:
            if is_new:
                self.project.search.build()
        for name, user in sessions:
            say(f"{name}, contexts of a question", self.measure_contexts(asked, user))

    def measure_contexts(self, vectors: Sequence[str], user: int | None) -> str:
        """The times of finding the contexts of a question, by both."""
        model, texts = LocalEmbedder().model.full_name, make_texts(0)
        role = "admin" if user is None else "app"
        with self.project.search.open_asker(user_id=user, role=role) as asker:
            (found,) = asker.session.fetch("SELECT pg_backend_pid() AS pid", {})
            clock = Clock(int(found["pid"]))
            for number, vector in enumerate([*vectors, *vectors]):
                asked = Embedding(model, vector)
                question = texts[number % len(vectors) * 31]
                request = Request(question, ["docs"], 2 * LIMIT, method="hybrid", vector=asked)
                with clock.count():
                    asking = retrieve(asker.manifest, request, per_row=PER_ROW)
                    contexts = choose_contexts(answer(asking, asker.session.fetch).passages)
                assert contexts
        return clock.tell(skip=len(vectors))


class Clock:
    """Times of calls, and how long a server's process worked for each."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.times, self.worked = list[float](), list[float]()

    @contextmanager
    def count(self) -> Iterator[None]:
        worked, started = read_worked_s(self.pid), perf_counter()
        yield
        self.times.append((perf_counter() - started) * 1000)
        self.worked.append((read_worked_s(self.pid) - worked) * 1000)

    def tell(self, skip: int = 0) -> str:
        """Median and 95th percentile of both, without the first calls."""
        said = []
        for name, found in (("", self.times), ("worked ", self.worked)):
            cuts = statistics.quantiles(found[skip:], n=20)
            said.append(f"{name}p50 {cuts[9]:7.1f} p95 {cuts[-1]:7.1f} ms")
        return "   ".join(said)


def tell_graph(connection: Connection, place: str) -> None:
    near = place.rpartition(".")[2].strip('"') + "_near"
    size = connection.scalar(
        "SELECT pg_relation_size(oid) / 1000000 FROM pg_class WHERE relname = %(near)s",
        {"near": near},
    )
    say("the graph (m 16, ef_construction 100), MB", size)


def ask_as(session: Session, user: int | None, exact: int) -> Callable[[str], list[str]]:
    """Search as a user, or as an administrator; up to `exact` rows one by one."""
    session.execute("RESET ROLE")
    session.execute(f"SET ROLE bench_{'admin' if user is None else 'app'}".encode())
    session.execute("SELECT set_config('app.user_id', %s, false)", [str(user or "")])
    session.execute("SELECT set_config('search.exact_rows', %s, false)", [str(exact)])
    return lambda vector: [str(key) for (key,) in session.execute(ASK, [vector])]


def measure(
    session: Session, call: Callable[[str], list[str]], vectors: Sequence[str]
) -> tuple[str, list[set[str]]]:
    """The times of the second run of each query, and what it finds."""
    clock, found = Clock(session.info.backend_pid), []
    for vector in vectors:
        call(vector)
        with clock.count():
            keys = call(vector)
        found.append({*keys})
    return clock.tell(), found


def main() -> None:
    """Fill a table and print the times of queries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="assise-bench-") as passing:
        folder = options.keep or Path(passing)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        bench = Bench(Project(folder), options.collection, options.rows)
        try:
            bench.make()
            bench.measure(options.queries)
        finally:
            bench.project.workspace.embedded.stop(immediate=True)


if __name__ == "__main__":
    main()
