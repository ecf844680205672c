"""Search in a large table: build, sizes, queries beside OR and ts_rank, and what inserts cost.

    python benchmarks/search.py [--rows 1000000] [--queries 100] [--data shared/data/search/scifact]
    python benchmarks/search.py --keep FOLDER    # the first call builds, and goes on where one was stopped
    python benchmarks/search.py --keep FOLDER    # each further call measures
    python benchmarks/search.py --rows 10000 --without-vector    # as on a server without pgvector

The rows are sentences of SciFact recombined, so that words keep their frequencies. One client,
warm, all in one run; every time is printed in milliseconds, and beside it the processor time of the
server's process, which means something on a busy machine too. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from bson import encode

from assise.project import Project
from assise.search.tables import QUERIES

MANIFEST = """assise: 1
name: bench
roles: {prefix: bench}
tables:
  docs:
    collection: docs
    primary_key: id
    access: {owner: user_id}
    search: {body: text, language: en}
    columns: {id: {type: int4, from: _id}, user_id: int4, text: text}
    indexes: [user_id]
"""
SHARES = {1: 0.5, 2: 0.1, 3: 0.01}
"""The share of the rows that a user owns; user 10 has 10,000 of them, user 11 has 1,000."""

Session = psycopg.Connection[tuple[Any, ...]]


def read_sentences(folder: Path) -> list[str]:
    """The sentences of the corpus."""
    texts = [json.loads(line)["text"] for line in (folder / "corpus.jsonl").open()]
    return [part.strip() for text in texts for part in text.split(". ") if len(part) > 40]


def owner_of(number: int, rows: int) -> int:
    """Who owns a row."""
    place = (number * 7919) % rows
    if place < min(10_000, rows // 20):
        return 10
    if place < min(11_000, rows // 10):
        return 11
    chance = (number * 104_729) % 1000 / 1000
    for user, share in SHARES.items():
        if chance < share:
            return user
        chance -= share
    return 100 + number % 1000


def draw_rows(sentences: Sequence[str], rows: int) -> Iterator[tuple[int, int, str]]:
    """Rows of four sentences each; a few sentences are in many rows."""
    chance = random.Random(1)
    last = len(sentences) - 1
    for number in range(rows):
        picked = [sentences[chance.randint(0, last)] for _ in range(3)]
        picked.append(sentences[min(last, int(chance.paretovariate(0.3)))])
        yield number, owner_of(number, rows), ". ".join(picked)


def make_queries(sentences: Sequence[str], count: int, words: tuple[int, int]) -> list[str]:
    """Words that stand together in a sentence."""
    chance = random.Random(2)
    found = []
    while len(found) < count:
        parts = [word for word in chance.choice(sentences).split() if len(word) > 3]
        size = chance.randint(*words)
        if len(parts) >= size:
            begin = chance.randint(0, len(parts) - size)
            found.append(" ".join(parts[begin : begin + size]))
    return found


def read_processor_ms(session: Session) -> float:
    """The processor time of a session's server process so far; 0 where Linux does not tell."""
    file = Path(f"/proc/{session.info.backend_pid}/schedstat")
    return int(file.read_text().split()[0]) / 1e6 if file.exists() else 0.0


def measure(session: Session, call: Callable[[str], object], queries: Sequence[str]) -> str:
    """The median and the 95th percentile of the second run of each query."""
    times, busy = [], []
    for query in queries:
        call(query)
        before, started = read_processor_ms(session), perf_counter()
        call(query)
        times.append((perf_counter() - started) * 1000)
        busy.append(read_processor_ms(session) - before)
    return f"{_cut(times)}   max {max(times):8.1f}   processor {_cut(busy)}"


def _cut(times: Sequence[float]) -> str:
    late = statistics.quantiles(times, n=20)[-1]
    return f"p50 {statistics.median(times):8.1f}   p95 {late:8.1f}"


def say(what: str, figure: object) -> None:
    print(f"{what:<58} {figure}", flush=True)


def fill(project: Project, sentences: Sequence[str], rows: int) -> None:
    """Load a table with a row, copy the others into it, and index all; goes on where it stopped."""
    dump = project.path.parent / "dump"
    dump.mkdir(exist_ok=True)
    (dump / "docs.bson").write_bytes(encode({"_id": -1, "user_id": 0, "text": "first"}))
    project.path.write_text(MANIFEST)
    project.load(dump)
    with psycopg.connect(project.embedded.conninfo("bench"), autocommit=True) as session:
        if not session.execute("SELECT FROM docs WHERE id >= 0 LIMIT 1").fetchall():
            copy = "COPY docs (id, user_id, text) FROM STDIN"
            with session.cursor().copy(copy) as writer:
                for row in draw_rows(sentences, rows):
                    writer.write_row(row)
            session.execute("VACUUM ANALYZE docs")
    started = perf_counter()
    project.search.build()
    say(f"build of {rows:,} rows, seconds", f"{perf_counter() - started:.0f}")
    with psycopg.connect(project.embedded.conninfo("bench"), autocommit=True) as session:
        make_baseline(session)


def make_baseline(session: Session) -> None:
    """A column of tsvectors with a GIN index, as many applications have it."""
    session.execute("DROP TABLE IF EXISTS plain")
    session.execute("CREATE TABLE plain (id int4 PRIMARY KEY, user_id int4, tsv tsvector)")
    session.execute("INSERT INTO plain SELECT id, user_id, to_tsvector('english', text) FROM docs")
    session.execute("CREATE INDEX ON plain USING gin (tsv)")
    session.execute("VACUUM ANALYZE")


RANKED = """SELECT id FROM plain, (SELECT replace(plainto_tsquery('english', %s)::text, '&', '|')::tsquery AS q) AS q
    WHERE tsv @@ q ORDER BY ts_rank(tsv, q, 1) DESC LIMIT 10"""
SIZES = """SELECT relname, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY pg_total_relation_size(oid) DESC LIMIT 9"""


def search_as(session: Session, user: int | None) -> Callable[[str], object]:
    """Search as a user, or as an administrator."""
    session.execute("RESET ROLE")
    session.execute(f"SET ROLE bench_{'admin' if user is None else 'app'}")
    session.execute("SELECT set_config('app.user_id', %s, false)", [str(user or "")])
    return lambda query: session.execute("SELECT * FROM search_docs(%s)", [query]).fetchall()


def measure_queries(session: Session, sentences: Sequence[str], count: int) -> None:
    session.execute("SET jit = off")
    for words in ((2, 3), (10, 10)):
        queries = make_queries(sentences, count, words)
        name = f"{words[0]} to {words[1]} words"
        say(f"{name}, all rows", measure(session, search_as(session, None), queries))
        for user, share in (
            (1, "50 %"),
            (2, "10 %"),
            (3, "1 %"),
            (10, "10,000 rows"),
            (11, "1,000 rows"),
        ):
            say(f"{name}, a user with {share}", measure(session, search_as(session, user), queries))
        session.execute("RESET ROLE")
        ranked = measure(
            session, lambda query: session.execute(RANKED, [query]).fetchall(), queries
        )
        say(f"{name}, OR and ts_rank", ranked)


def measure_suggestions(session: Session, sentences: Sequence[str], count: int) -> None:
    """Suggestions for the first letters of words, as they are typed behind another word."""
    pairs = [query.split() for query in make_queries(sentences, count, (2, 2))]
    typed = [" ".join([first, last[: 2 + n % 3]]) for n, (first, last) in enumerate(pairs)]
    statement = "SELECT * FROM search_suggest(%s)"

    def suggest(text: str) -> object:
        return session.execute(statement, [text]).fetchall()

    for user, shown in ((11, "1,000 rows"), (10, "10,000 rows"), (1, "50 %"), (None, "all rows")):
        search_as(session, user)
        say(f"suggestions, a user with {shown}", measure(session, suggest, typed))
    session.execute("RESET ROLE")


def measure_inserts(session: Session, sentences: Sequence[str]) -> None:
    """Single durable inserts, and 1,000 rows by one statement, beside a bare table."""
    session.execute("DROP TABLE IF EXISTS bare, texts")
    session.execute("DELETE FROM docs WHERE id < -1")
    session.execute("CREATE TABLE bare (id int4 PRIMARY KEY, user_id int4, text text)")
    texts = [". ".join(sentences[n : n + 7])[:1500] for n in range(0, 14_000, 7)]
    single: dict[str, list[tuple[float, float]]] = {"bare": [], "docs": []}
    for n, text in enumerate(texts[:400]):
        for table, times in single.items():
            insert = f"INSERT INTO {table} VALUES (%s, 5, %s)"
            times.append(_time(session, insert, [-10 - n, text]))
    for n, what in enumerate(("", ", processor")):
        bare, docs = (
            statistics.median(each[n] for each in times) * 1e3 for times in single.values()
        )
        figure = f"{bare:.0f}  {docs:.0f}  x {docs / max(bare, 1):.2f}"
        say(f"a durable insert, microseconds: bare, searched{what}", figure)
    session.execute(
        "CREATE TABLE texts AS SELECT n::int4 AS n, t FROM unnest(%s::text[]) WITH ORDINALITY AS u (t, n)",
        [texts[:1000]],
    )
    vectors = "SELECT count(length(to_tsvector('english', t))) FROM texts"
    many: dict[str, list[tuple[float, float]]] = {"vectors": [], "docs": []}
    for n in range(5):
        many["vectors"].append(_time(session, vectors))
        insert = f"INSERT INTO docs SELECT -{n + 1}0000 - n, 5, t FROM texts"
        many["docs"].append(_time(session, insert))
    for n, what in enumerate(("", ", processor")):
        plain, made = (statistics.median(each[n] for each in times) for times in many.values())
        figure = f"{plain:.0f}  {made:.0f}  x {made / max(plain, 1):.2f}"
        say(f"1,000 rows, ms: to_tsvector over them, INSERT … SELECT{what}", figure)


def _time(session: Session, statement: str, values: Sequence[object] = ()) -> tuple[float, float]:
    """How long a statement took, and for how long a processor was busy with it; milliseconds."""
    before, started = read_processor_ms(session), perf_counter()
    session.execute(statement, values or None)
    return (perf_counter() - started) * 1e3, read_processor_ms(session) - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    data = Path(os.environ.get("ASSISE_TEST_DATA", "../shared/data")) / "search" / "scifact"
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--without-vector", action="store_true", help="hide pgvector from search")
    parser.add_argument("--keep", type=Path, help="A folder for the server, used by later calls.")
    arguments = parser.parse_args()
    sentences = read_sentences(arguments.data)
    if arguments.without_vector:
        available = f"SELECT %(name)s <> 'vector' AND ({QUERIES['available']})"
        hidden = {"vector": "SELECT NULL LIMIT 0", "available": available}
        QUERIES._queries.update(hidden)  # noqa: SLF001
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        built = folder / "built"
        is_kept = built.exists()
        project = Project(folder)
        try:
            if is_kept:
                # The functions of an older checkout are made again; the index stays.
                project.load(folder / "dump")
            else:
                fill(project, sentences, arguments.rows)
                built.touch()
            if is_kept or not arguments.keep:
                measure_all(project, sentences, arguments.queries)
            else:
                say("built; call it again to measure", arguments.keep)
        finally:
            project.embedded.stop()


def measure_all(project: Project, sentences: Sequence[str], count: int) -> None:
    with psycopg.connect(project.embedded.conninfo("bench"), autocommit=True) as session:
        for name, size in session.execute(SIZES).fetchall():
            say(f"size of {name}", size)
        measure_queries(session, sentences, count)
        measure_suggestions(session, sentences, count)
        measure_inserts(session, sentences)


if __name__ == "__main__":
    main()
