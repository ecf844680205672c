"""Every kind of change goes up, down and up with data, beside writers whose statements fit both forms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changes import HARD, PLAIN, PREFIX, RENAMED, RULED, RULES, VIEWED, Change
from tests.revisions.changing import change, check_same, revise
from tests.scenes.commands import wait_until

from assise.postgres.steps import LOCK_TIMEOUT_S
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
WRITES = (
    "INSERT INTO users (id, name, email) VALUES (gen_random_uuid(), 'w', gen_random_uuid())",
    (
        "INSERT INTO orders (id, user_id, price) SELECT gen_random_uuid(), u.id, 1 FROM users AS u"
        " WHERE name = 'w' AND NOT EXISTS (SELECT FROM orders WHERE user_id = u.id) LIMIT 1"
    ),
    "UPDATE users SET name = 'w' WHERE id = (SELECT id FROM users WHERE name = 'w' LIMIT 1)",
    (
        "UPDATE orders SET price = price WHERE state = 'new' AND user_id = (SELECT user_id FROM orders"
        " WHERE state = 'new' LIMIT 1)"
    ),
    "SELECT count(*) FROM users JOIN orders ON orders.user_id = users.id",
)
OF_A_USER = (
    f"SELECT set_config('role', '{PREFIX}_app', true), set_config('app.user_id', '{{}}', true)",
    "UPDATE users SET name = name",
    "UPDATE orders SET price = price",
    "SELECT 1 / count(*) FROM users",
    "SELECT 1 / count(*) FROM orders",
)
ROWS = """SELECT (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM users AS t WHERE name <> 'w'),
    (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM orders AS t WHERE state = 'new' AND price = 9.5)"""


class Writer:
    """Runs statements again and again; keeps the longest wait and what failed."""

    def __init__(self, database: str, statements: Sequence[str]) -> None:
        self.database, self.statements = database, statements
        self.longest_s, self.rounds = 0.0, 0
        self.failed: list[psycopg.Error] = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            while not self.is_over.is_set() and not self.failed:
                began = monotonic()
                try:
                    with connection.transaction():
                        for statement in self.statements:
                            connection.execute(statement.encode())
                except psycopg.Error as error:
                    self.failed.append(error)
                self.longest_s = max(self.longest_s, monotonic() - began)
                self.rounds += 1


@contextmanager
def writing(database: str, *kinds: Sequence[str]) -> Iterator[list[Writer]]:
    writers = [Writer(database, statements) for statements in kinds]
    for writer in writers:
        writer.thread.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.is_over.set()
            writer.thread.join()


@contextmanager
def reporting(database: str, seconds: float) -> Iterator[None]:
    """A report that reads the tables in one transaction, behind which locks queue up."""
    if not seconds:
        yield
        return
    is_over, is_begun = threading.Event(), threading.Event()

    def report() -> None:
        with psycopg.connect(database) as other:
            for name in ("users", "orders", "order_lines", "parts"):
                if other.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,):
                    other.execute(f"SELECT count(*) FROM {name}".encode())
            is_begun.set()
            is_over.wait(seconds)

    thread = threading.Thread(target=report)
    thread.start()
    assert is_begun.wait(60)
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def prepare(shop: Project, changes: Sequence[Change], *, is_ruled: bool) -> None:
    """Bring the database to what the manifest says before the changes."""
    folder = shop.path.parent / "sql"
    folder.mkdir()
    for each in changes:
        for name, text in each.files.items():
            (folder / f"{name}.sql").write_text(text)
    edits = dict.fromkeys([*(RULED if is_ruled else ()), *(e for c in changes for e in c.before)])
    for old, new in edits:
        change(shop, old, new)
    if edits:
        revise(shop, "before")
        shop.revisions().apply()


def check_changes(
    shop: Project,
    query: Query,
    changes: Sequence[Change],
    *,
    is_ruled: bool = False,
    report_s: float = 0,
) -> None:
    """Apply changes as one revision, take it back and apply it again, beside writers."""
    database = str(shop.workspace.to)
    prepare(shop, changes, is_ruled=is_ruled)
    before = query(ROWS)
    for each in changes:
        for old, new in each.edits:
            change(shop, old, new)
        for name, text in each.changed.items():
            (shop.path.parent / "sql" / f"{name}.sql").write_text(text)
    gone = [name for each in changes for name in each.gone]
    assert revise(shop, "next", drop=tuple(gone))
    ((user,),) = query("SELECT user_id FROM orders ORDER BY id LIMIT 1")
    kinds: list[Sequence[str]] = [WRITES]
    kinds += [tuple(text.replace("{}", str(user)) for text in OF_A_USER)] if is_ruled else []
    verbs = shop.revisions(confirm=confirm)
    with writing(database, *kinds) as writers:
        for verb in (verbs.apply, verbs.revert, verbs.apply):
            with reporting(database, report_s):
                assert verb(drop=gone).steps
            if verb.__name__ == "revert":
                assert verbs.status().drift.is_empty
                assert query(ROWS) == before
            for writer in writers:
                rounds = writer.rounds
                wait_until(lambda w=writer, n=rounds: w.failed or w.rounds > n + 1, "a round")  # type: ignore[misc]
    for writer in writers:
        assert writer.failed == []
        assert writer.longest_s < LOCK_TIMEOUT_S + 0.2
    check_same(shop)
    assert query("SELECT count(*) >= 300 FROM orders") == [(True,)]
    assert query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    assert query("SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == [(0,)]


def test_columns_keys_indexes_and_tables_at_once(shop: Project, query: Query) -> None:
    check_changes(shop, query, PLAIN)


def test_views_and_files_at_once(shop: Project, query: Query) -> None:
    check_changes(shop, query, VIEWED[1:])


def test_rules_at_once(shop: Project, query: Query) -> None:
    check_changes(shop, query, RULES, is_ruled=True)


@pytest.mark.soak
@pytest.mark.parametrize("each", [*PLAIN, *VIEWED, RENAMED], ids=lambda each: each.name)
def test_each_by_itself_beside_a_report(shop: Project, query: Query, each: Change) -> None:
    check_changes(shop, query, [each], report_s=3)


@pytest.mark.soak
@pytest.mark.parametrize("each", [*RULES, HARD], ids=lambda each: each.name)
def test_each_rule_by_itself_beside_a_report(shop: Project, query: Query, each: Change) -> None:
    check_changes(shop, query, [each], is_ruled=True, report_s=3)
