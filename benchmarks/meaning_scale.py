"""Search by meaning in a large table: times and recall of the graph and of the exact scan.

    python benchmarks/meaning_scale.py VECTORS [--rows 1000000] [--queries 100]

VECTORS is a file that `meaning.py relevance` keeps. Vectors are made: one of 1,000 topics, which are
real vectors, plus noise with the covariance of the real ones. One client, warm; the query's own
embedding is left out. User 1 owns 50,000 rows, user 2 owns 100,000. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from bson import encode

from assise.project import Project
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.embedder import write_vector
from assise.search.meaning.keep import open_builder
from assise.search.meaning.local import DIMENSIONS, LocalEmbedder
from assise.search.meaning.verbs import Embedders

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
        with psycopg.connect(connection.conninfo, autocommit=True) as session:
            session.execute("ALTER TABLE docs DISABLE TRIGGER USER")
            with session.cursor().copy("COPY docs (id, user_id, text) FROM STDIN") as writer:
                for number in range(rows):
                    writer.write_row((number, find_owner(number, rows), "text"))
            columns = "(source, key, number, first, last, hash, scope, v)"
            statement = f"COPY {place} {columns} FROM STDIN"
            number = 0
            with session.cursor().copy(statement.encode()) as writer:
                for matrix in make_vectors(real, rows, 1):
                    for vector in matrix:
                        scope = f'"docs"{find_owner(number, rows)}'
                        key, hashed = f"[{number}]", number.to_bytes(8)
                        written = write_vector(vector.tolist())
                        writer.write_row(("docs", key, 0, 0, 4, hashed, scope, written))
                        number += 1
            session.execute("ALTER TABLE docs ENABLE TRIGGER USER")
            session.execute(f"VACUUM ANALYZE {place}".encode())
            session.execute("VACUUM ANALYZE docs")
        started = perf_counter()
        builder.tidy(is_changed=True)
        say("the graph (m 16, ef_construction 100), seconds", f"{perf_counter() - started:.0f}")


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


def say(what: str, figure: object) -> None:
    print(f"{what:<55} {figure}", flush=True)


def main() -> None:
    """Fill a table and print the times of queries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    options = parser.parse_args()
    real = read_vectors(options.vectors)
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="assise-bench-") as folder:
        Path(folder).chmod(0o755)
        project = Project(Path(folder))
        try:
            fill(project, real, options.rows)
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
        finally:
            project.workspace.embedded.stop(immediate=True)


if __name__ == "__main__":
    main()
