"""Random queries and changes of fifty users; each finds exactly what brute force finds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from tests.search.asking import PLANS, STATISTICS, WEIGHTS, Session, sign_in
from tests.search.library import USERS, draw_text, make_documents
from tests.search.oracle import Key, Statistics, count_words

Books = dict[int, dict[str, Any]]
COLUMNS = ("title", "text", "notes")


class Fuzz:
    """Queries and changes on one database, beside a model of what its rows are."""

    def __init__(self, database: str, *, queries: int, seed: int) -> None:
        self.database, self.queries, self.chance = database, queries, random.Random(seed)
        documents = make_documents()
        self.books: Books = {each["_id"]: {**each, "deleted": False} for each in documents["books"]}
        self.signs = documents["signs"]
        self.done = Counter[str]()

    def run(self) -> None:
        """Run all of them.

        Raises:
            AssertionError: something else was found than there is.
        """
        with ExitStack() as stack:
            sessions = {
                (role, plan): stack.enter_context(sign_in(self.database, role=role, plan=plan))
                for role in ("app", "admin")
                for plan in PLANS
            }
            for number in range(self.queries):
                if number % 3 == 0:
                    self._change(sessions["admin", "rows"])
                role = "admin" if self.chance.random() < 0.1 else "app"
                plan = self.chance.choice([*PLANS])
                user = None if role == "admin" else self.chance.randrange(USERS)
                session = sessions[role, plan]
                _begin(session, user, plan)
                self._search(session, user)
                session.rollback()
                self.done[f"{role} {plan}"] += 1

    def _change(self, session: Session) -> None:
        """A change that is committed, here and in the model."""
        _begin(session, None, "rows")
        key = self.chance.choice([*self.books])
        book = self.books[key]
        act = self.chance.choice(["insert", "write", "give", "delete", "hide", "show"])
        if act == "insert":
            key = max(self.books) + 1
            book = {name: draw_text(self.chance, 0, 30) for name in COLUMNS}
            book |= {
                "userId": self.chance.randrange(USERS),
                "size": 1,
                "pages": [],
                "deleted": False,
            }
            self.books[key] = book
            statement = "INSERT INTO books (id, user_id, size, title, text, notes)"
            values = [key, book["userId"], *(book[name] for name in COLUMNS)]
            session.execute(f"{statement} VALUES (%s, %s, 1, %s, %s, %s)", values)
        elif act == "write":
            book["text"] = draw_text(self.chance, 0, 30)
            session.execute("UPDATE books SET text = %s WHERE id = %s", [book["text"], key])
        elif act == "give":
            book["userId"] = self.chance.randrange(USERS)
            session.execute("UPDATE books SET user_id = %s WHERE id = %s", [book["userId"], key])
        elif act == "delete":
            del self.books[key]
            session.execute("DELETE FROM books WHERE id = %s", [key])
        else:
            book["deleted"] = act == "hide"
            function = "delete" if act == "hide" else "restore"
            session.execute(f"SELECT books_{function}(%s)", [key])
        session.commit()
        self.done[act] += 1

    def _search(self, session: Session, user: int | None) -> None:
        query = draw_text(self.chance, 1, 6)
        tables = self.chance.choice([["books"], ["pages"], ["signs"], ["books", "pages", "signs"]])
        size = (
            self.chance.randrange(7) if tables == ["books"] and self.chance.random() < 0.3 else None
        )
        filters = {} if size is None else {"size": size}
        statement = 'SELECT "table", key, score FROM search(%s, %s, 10, %s) ORDER BY place'
        found = session.execute(statement, [query, tables, Jsonb(filters)]).fetchall()
        expected = self._rank(query, tables, user, size)
        best = expected[0][0] if expected else 1
        said = (query, tables, user, filters)
        assert [(table, tuple(key)) for table, key, _ in found] == [
            (table, key) for _, table, key in expected
        ], said
        for (*_, score), (share, *_) in zip(found, expected, strict=True):
            assert abs(score - share / best) <= 0.0101, said

    def _rank(
        self, query: str, tables: list[str], user: int | None, size: int | None
    ) -> list[tuple[float, str, Key]]:
        """The best ten rows: their share of what is possible, the table and the key."""
        words = Counter(query.split())
        hits = []
        for table in tables:
            statistics: Statistics = STATISTICS[table]
            possible = statistics.possible(words)
            for key, row in self._list_rows(table, user, size):
                if score := round(statistics.score(row, words), 5):
                    hits.append((round(score / possible, 10), table, key))
        return sorted(hits, key=lambda hit: (-hit[0], *hit[1:]))[:10]

    def _list_rows(
        self, table: str, user: int | None, size: int | None
    ) -> Iterator[tuple[Key, Mapping[str, int]]]:
        if table == "signs":
            for each in self.signs:
                texts = {name: each[name] for name in ("name", "text")}
                yield (each["_id"],), count_words(texts, WEIGHTS)
            return
        for key, book in self.books.items():
            is_own = user is None or book["userId"] == user
            if book["deleted"] or not is_own or size not in {None, book["size"]}:
                continue
            if table == "books":
                yield (key,), count_words({name: book[name] for name in COLUMNS})
            else:
                for n, page in enumerate(book["pages"]):
                    yield (key, n), count_words({"text": page["text"]})


def _begin(session: psycopg.Connection[Any], user: int | None, plan: str) -> None:
    settings = {"app.user_id": "" if user is None else str(user), "search.max_rows": PLANS[plan]}
    for name, value in settings.items():
        session.execute("SELECT set_config(%s, %s, true)", [name, value])
