"""Random changes and questions of fifty users; each finds exactly what brute force finds."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from operator import mul
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from tests.search.asking import Session, sign_in
from tests.search.library import USERS, draw_text, make_documents
from tests.search.meaning.words import WordEmbedder, embed_text

from assise.search.meaning.embedder import write_vector
from assise.search.meaning.passages import compose

ACTS = ["insert", "write", "give", "delete", "hide", "show", "drain"]
ASK = (
    'SELECT "table", key, score, cosine, keyword, passages, next'
    " FROM search_by_meaning(%s, %s, %s, %s, %s, %s, %s) ORDER BY place"
)


class MeaningFuzz:
    """Questions and changes on one database, beside a model of what its rows are.

    `fresh` are the rows whose passages are those of their text: others are found by words alone.
    """

    def __init__(
        self, database: str, drain: Callable[[], object], *, questions: int, seed: int
    ) -> None:
        self.database, self.drain = database, drain
        self.questions, self.chance = questions, random.Random(seed)
        self.embedder = WordEmbedder()
        documents = make_documents()
        self.books = {each["_id"]: {**each, "deleted": False} for each in documents["books"]}
        self.signs = {each["_id"]: each for each in documents["signs"]}
        self.fresh = {*self.books}
        self.done = Counter[str]()
        self.touched = 0

    def run(self) -> None:
        """Run all of them.

        Raises:
            AssertionError: something else was found than there is.
        """
        with ExitStack() as stack:
            sessions = {
                role: stack.enter_context(sign_in(self.database, role=role))
                for role in ("app", "admin")
            }
            for number in range(self.questions):
                if number % 2 == 0:
                    self.change(sessions["admin"])
                role = "admin" if self.chance.random() < 0.1 else "app"
                asker = self.chance.choice([self.chance.randrange(USERS), self.touched])
                user = None if role == "admin" else asker
                begin(sessions[role], user)
                self.ask(sessions[role], user)
                sessions[role].rollback()

    def change(self, session: Session) -> None:
        """A change that is committed, here and in the model."""
        begin(session, None)
        act = self.chance.choice(ACTS)
        key = self.chance.choice([*self.books])
        book = self.books[key]
        if act == "drain":
            session.rollback()
            self.drain()
            self.fresh = {*self.books}
        elif act == "insert":
            key = max(self.books) + 1
            texts = {name: draw_text(self.chance, 0, 30) for name in ("title", "text")}
            user = self.chance.randrange(USERS)
            self.books[key] = {**texts, "userId": user, "size": 1, "deleted": False}
            statement = (
                "INSERT INTO books (id, user_id, size, title, text) VALUES (%s, %s, 1, %s, %s)"
            )
            session.execute(statement, [key, user, *texts.values()])
        elif act == "write":
            book["text"] = draw_text(self.chance, 0, 30)
            session.execute("UPDATE books SET text = %s WHERE id = %s", [book["text"], key])
            self.fresh.discard(key)
        elif act == "give":
            book["userId"] = self.chance.randrange(USERS)
            session.execute("UPDATE books SET user_id = %s WHERE id = %s", [book["userId"], key])
        elif act == "delete":
            del self.books[key]
            self.fresh.discard(key)
            session.execute("DELETE FROM books WHERE id = %s", [key])
        else:
            book["deleted"] = act == "hide"
            function = "delete" if act == "hide" else "restore"
            session.execute(f"SELECT books_{function}(%s)", [key])
        session.commit()
        self.touched = self.books.get(key, book)["userId"]
        self.done[act] += 1

    def ask(self, session: Session, user: int | None) -> None:
        """A question by meaning and by both."""
        question = draw_text(self.chance, 1, 6)
        tables = self.chance.choice([["books"], ["signs"], ["books", "signs"]])
        size = (
            self.chance.randrange(7) if tables == ["books"] and self.chance.random() < 0.3 else None
        )
        filters = {} if size is None else {"size": size}
        (vector,) = self.embedder.embed([question], "query")
        said = (question, tables, user, filters)
        expected = self.rank([*vector], tables, user, size)

        def fetch(method: str, limit: int = 10, cursor: str | None = None) -> list[Any]:
            options = Jsonb({"method": method})
            values = [
                question,
                write_vector(vector),
                tables,
                limit,
                Jsonb(filters),
                cursor,
                options,
            ]
            return session.execute(ASK, values).fetchall()

        found = fetch("semantic")
        assert len(found) == min(10, len(expected)), said
        for (table, key, _, cosine, *_), (best, *_) in zip(found, expected, strict=False):
            assert abs(cosine - best) < 0.002, said
            assert abs(cosine - dict(named(expected))[table, tuple(key)]) < 0.002, said
        both = fetch("hybrid", 20)
        for table, key, *_, passages, _ in both:
            assert self.is_visible(table, key[0], user, size), said
            assert passages is None or table == "signs" or key[0] in self.fresh, said
        if len(both) > 7 and self.chance.random() < 0.3:
            cursor = both[6][-1]
            assert [row[:3] for row in fetch("hybrid", 13, cursor)] == [
                row[:3] for row in both[7:]
            ], said
        assert [row[2] for row in both] == sorted((row[2] for row in both), reverse=True)
        self.done[f"{len(tables)} {bool(filters)} {user is None}"] += 1

    def rank(
        self, vector: list[float], tables: list[str], user: int | None, size: int | None
    ) -> list[tuple[float, str, tuple[Any, ...]]]:
        """The rows that are seen and embedded, the nearest first."""
        rows = [
            (table, key, row)
            for table, all_of_them in (("books", self.books), ("signs", self.signs))
            for key, row in all_of_them.items()
            if table in tables and (table == "signs" or key in self.fresh)
        ]
        found = []
        for table, key, row in rows:
            names = ("title", "text") if table == "books" else ("name", "text")
            text = compose(row[name] for name in names)
            if text and self.is_visible(table, key, user, size):
                cosine = sum(map(mul, vector, embed_text(text)))
                found.append((cosine, table, (key,)))
        return sorted(found, reverse=True)

    def is_visible(self, table: str, key: object, user: int | None, size: int | None) -> bool:
        """Whether a user sees a row."""
        if table == "signs":
            return True
        book = self.books.get(int(str(key)))
        is_there = book is not None and not book["deleted"]
        is_own = book is not None and user in {None, book["userId"]}
        return is_there and is_own and (book is None or size in {None, book["size"]})


def named(
    ranked: list[tuple[float, str, tuple[Any, ...]]],
) -> list[tuple[tuple[str, tuple[Any, ...]], float]]:
    """Cosines by table and key."""
    return [((table, key), cosine) for cosine, table, key in ranked]


def begin(session: psycopg.Connection[Any], user: int | None) -> None:
    """Begin a transaction of a user."""
    setting = "SELECT set_config('app.user_id', %s, true)"
    session.execute(setting, ["" if user is None else str(user)])
