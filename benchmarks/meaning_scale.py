"""Search by meaning in a large table: times and recall of the graph and of the exact scan.

    python benchmarks/meaning_scale.py VECTORS [--rows 1000000] [--queries 100] [--keep FOLDER]

VECTORS is a file that `meaning.py relevance` keeps. Vectors are made: one of 1,000 topics, which are
real vectors, plus noise with the covariance of the real ones. One client, warm; the query's own
embedding is left out. User 1 owns 50,000 rows, user 2 owns 100,000. With --keep the table stays in
FOLDER, and is measured again there. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from bson import encode

from assise.postgres.asking import answer
from assise.project import Project
from assise.search.chat.contexts import LIMIT, PER_ROW, choose_contexts
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.embedder import write_vector
from assise.search.meaning.keep import open_builder
from assise.search.meaning.local import DIMENSIONS, LocalEmbedder
from assise.search.meaning.retrieve import retrieve
from assise.search.meaning.verbs import Embedders
from assise.search.query import Embedding, Request

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
Session = psycopg.Connection[tuple[Any, ...]]
Matrix = npt.NDArray[np.float32]
ASK = """SELECT key ->> 0 FROM search_by_meaning('', %s, NULL, 10, '{}', NULL, '{"method": "semantic"}')"""


def read_vectors(file: Path) -> Matrix:
    """The real vectors, at most 5,000."""
    size = 32 + 4 * DIMENSIONS
    data = file.read_bytes()
    rows = [data[at + 32 : at + size] for at in range(0, len(data) - size + 1, size)]
    return np.frombuffer(b"".join(rows[:5_000]), dtype=np.float32).reshape(-1, DIMENSIONS)


def make_vectors(real: Matrix, rows: int, seed: int) -> Iterator[Matrix]:
    """Made vectors of length 1, 10,000 at a time."""
    chance = np.random.default_rng(seed)
    topics = real[chance.integers(0, len(real), 1_000)]
    covariance = np.cov(real.T) + 1e-6 * np.eye(DIMENSIONS)
    root = np.linalg.cholesky(covariance).astype(np.float32)
    for begin in range(0, rows, 10_000):
        count = min(10_000, rows - begin)
        noise = chance.standard_normal((count, DIMENSIONS)).astype(np.float32) @ root.T
        found = topics[chance.integers(0, len(topics), count)] + 0.7 * noise
        yield found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(project: Project, real: Matrix, rows: int) -> None:
    """Load a table with a row, copy the others and their passages, and build the graph."""
    dump = project.path.parent / "dump"
    dump.mkdir()
    (dump / "docs.bson").write_bytes(encode({"_id": -1, "user_id": 0, "text": "first"}))
    project.path.write_text(MANIFEST)
    project.migrate(dump, confirm=lambda _question: True)
    with project.search.open_tables() as (connection, tables):
        plain = open_builder(connection, tables, Embedders(project.path.parent))
        embedder = LocalEmbedder()
        builder = PassageBuilder(connection, plain.tables, Using(embedder, '"local"'), {})
        builder.build()
        embedder.close()
        (place,) = connection.execute("SELECT place FROM _meaning_models")[0]
        started = perf_counter()
        with psycopg.connect(connection.conninfo, autocommit=True) as session:
            session.execute("ALTER TABLE docs DISABLE TRIGGER USER")
            with session.cursor().copy("COPY docs (id, user_id, text) FROM STDIN") as writer:
                for number in range(rows):
                    writer.write_row((number, find_owner(number, rows), make_text(number)))
            columns = "(source, key, number, first, last, hash, scope, v)"
            statement = f"COPY {place} {columns} FROM STDIN"
            number = 0
            with session.cursor().copy(statement.encode()) as writer:
                for matrix in make_vectors(real, rows, 1):
                    for vector in matrix:
                        scope = f'"docs"{find_owner(number, rows)}'
                        text, written = make_text(number), write_vector(vector.tolist())
                        hashed = sha256(text.encode()).digest()
                        row = ("docs", f"[{number}]", 0, 0, len(text), hashed, scope, written)
                        writer.write_row(row)
                        number += 1
            session.execute("ALTER TABLE docs ENABLE TRIGGER USER")
            session.execute(f"VACUUM ANALYZE {place}".encode())
            session.execute("VACUUM ANALYZE docs")
        say("rows and vectors written, seconds", f"{perf_counter() - started:.0f}")
        started = perf_counter()
        builder.tidy(is_changed=True)
        say("the graph (m 16, ef_construction 100), seconds", f"{perf_counter() - started:.0f}")
        near = str(place).rpartition(".")[2].strip('"') + "_near"
        size = connection.scalar(
            "SELECT pg_relation_size(oid) / 1000000 FROM pg_class WHERE relname = %(near)s",
            {"near": near},
        )
        say("the graph, MB (maintenance_work_mem 256 MB)", size)
    started = perf_counter()
    project.search.build()
    say("the index of words, seconds", f"{perf_counter() - started:.0f}")


def make_text(number: int) -> str:
    """Eight words of 20,000, a few of them frequent."""
    chance = random.Random(number)
    words = (min(int(chance.paretovariate(0.7)), 20_000) for _ in range(8))
    return " ".join(f"w{word}" for word in words)


def find_owner(number: int, rows: int) -> int:
    """Who owns a row."""
    place = (number * 7919) % rows
    return 1 if place < OWNED[1] else 2 if place < OWNED[1] + OWNED[2] else 3 + number % 1000


def ask_as(session: Session, user: int | None, exact: int) -> Callable[[str], list[str]]:
    """Search as a user, or as an administrator; up to `exact` rows one by one."""
    session.execute("RESET ROLE")
    session.execute(f"SET ROLE bench_{'admin' if user is None else 'app'}".encode())
    session.execute("SELECT set_config('app.user_id', %s, false)", [str(user or "")])
    session.execute("SELECT set_config('search.exact_rows', %s, false)", [str(exact)])
    return lambda vector: [str(key) for (key,) in session.execute(ASK, [vector])]


def measure(call: Callable[[str], list[str]], vectors: Sequence[str]) -> tuple[str, list[set[str]]]:
    """The median and the 95th percentile of the second run of each query, and what it finds."""
    times, found = [], []
    for vector in vectors:
        call(vector)
        started = perf_counter()
        found.append({*call(vector)})
        times.append((perf_counter() - started) * 1000)
    cuts = statistics.quantiles(times, n=20)
    return f"p50 {statistics.median(times):7.1f}   p95 {cuts[-1]:7.1f} ms", found


def measure_contexts(project: Project, vectors: Sequence[str], user: int | None) -> str:
    """The median and the 95th percentile of finding the contexts of a question, by both."""
    times = []
    model = LocalEmbedder().model.full_name
    with project.search.open_asker(user_id=user, role="admin" if user is None else "app") as asker:
        for number, vector in enumerate([*vectors, *vectors]):
            question = make_text(number % len(vectors) * 31)
            asked = Embedding(model, vector)
            request = Request(question, ["docs"], 2 * LIMIT, method="hybrid", vector=asked)
            started = perf_counter()
            found = answer(retrieve(asker.manifest, request, per_row=PER_ROW), asker.session.fetch)
            assert choose_contexts(found.passages)
            times.append((perf_counter() - started) * 1000)
    warm = times[len(vectors) :]
    cuts = statistics.quantiles(warm, n=20)
    return f"p50 {statistics.median(warm):7.1f}   p95 {cuts[-1]:7.1f} ms"


def say(what: str, figure: object) -> None:
    print(f"{what:<55} {figure}", flush=True)


def main() -> None:
    """Fill a table and print the times of queries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    real = read_vectors(options.vectors)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="assise-bench-") as passing:
        folder = options.keep or Path(passing)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        project, filled = Project(folder), folder / "filled"
        try:
            if not filled.exists():
                fill(project, real, options.rows)
                filled.touch()
            project.embedded.start()
            (matrix,) = make_vectors(real, options.queries, 1_000)
            asked = [write_vector(each.tolist()) for each in matrix]
            with psycopg.connect(project.embedded.conninfo("bench"), autocommit=True) as session:
                session.execute("SET jit = off")
                for name, user in (("all rows", None), ("50,000 rows", 1), ("100,000 rows", 2)):
                    graph, near = measure(ask_as(session, user, 50_000), asked)
                    exact, best = measure(ask_as(session, user, 10**9), asked[:20])
                    shares = [len(a & b) / 10 for a, b in zip(near, best, strict=False)]
                    say(f"{name}, as the query chooses", graph)
                    say(f"{name}, one by one", exact)
                    say(f"{name}, recall@10", f"{statistics.fmean(shares):.3f}")
                    contexts = measure_contexts(project, asked, user)
                    say(f"{name}, contexts of a question", contexts)
        finally:
            project.workspace.embedded.stop(immediate=True)


if __name__ == "__main__":
    main()
