"""A library with access rules: its manifest and documents, drawn with a seed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.dumps import write_dump

USERS = 50
WORDS = [f"w{n}" for n in range(300)]
MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, name: text}
  books:
    collection: books
    primary_key: id
    access: {owner: user_id}
    soft_delete: true
    search: {title: title, body: [text, notes], language: simple}
    columns:
      id: {type: int4, from: _id}
      user_id: {type: int4, from: userId}
      title: text
      text: text
      notes: text
      size: int4
      tags: "text[]"
  pages:
    parent: books
    from: pages.*
    primary_key: [book_id, position]
    access: {through: books}
    search: {body: text, language: simple}
    columns: {text: text}
  signs:
    collection: signs
    primary_key: id
    access: {public: read}
    search: {title: name, body: text, language: simple, weights: {name: 3}}
    columns: {id: {type: text, from: _id}, name: text, text: text}
"""


def draw_text(chance: random.Random, low: int, high: int) -> str:
    """Words with a long tail: some stand in most texts, most in a few."""
    count = chance.randint(low, high)
    return " ".join(WORDS[min(int(chance.paretovariate(0.6)) - 1, 299)] for _ in range(count))


def make_documents(seed: int = 1, books: int = 400) -> dict[str, list[dict[str, Any]]]:
    """The documents of all collections."""
    chance = random.Random(seed)
    texts = [draw_text(chance, 0, 60) for _ in range(books)]
    return {
        "users": [{"_id": n, "name": f"user {n}"} for n in range(USERS)],
        "books": [
            {
                "_id": n,
                "userId": chance.randrange(USERS),
                "title": draw_text(chance, 1, 4),
                "text": texts[n // 2 * 2] if n % 10 == 1 else texts[n],
                "notes": draw_text(chance, 0, 5),
                "size": n % 7,
                "tags": [f"t{n % 3}"],
                "pages": [{"text": draw_text(chance, 1, 20)} for _ in range(n % 3)],
            }
            for n in range(books)
        ],
        "signs": [
            {"_id": f"s{n}", "name": draw_text(chance, 1, 3), "text": draw_text(chance, 3, 30)}
            for n in range(60)
        ],
    }


def write_library(folder: Path) -> Path:
    """Write the dump."""
    return write_dump(folder / "app", make_documents())
