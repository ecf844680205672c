"""The dirt of real data: one document in eighteen of each collection carries one piece of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import cast

import bson
from bson import Decimal128

from documents import Document, email_of

Change = Callable[[object, int], object]
"""The value that takes the place of one in document n."""

EVERY, FIRST = 18, 3
MISSING = object()
MARK = "\ue000\ue001\ue002"
LATIN_1 = "déjà créé".encode("latin-1")
"""Bytes that replace the mark, of the same length, after encoding: bson writes UTF-8 alone."""


def change_kind(value: object, _n: int) -> object:
    """What another version of the application wrote there."""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, str):
        return int(value) if value.isdigit() else [{"type": "text", "text": value}]
    return f"{value:.2f} €".replace(".", ",")


def spell_again(_value: object, n: int) -> object:
    """The address of the user before, who comes again and types it otherwise."""
    return email_of(n - 1).title() if n % 4 == 3 else email_of(n - 1).upper()


def to_iso(value: object, _n: int) -> object:
    """A date as JSON.stringify writes it."""
    return f"{cast('dt.datetime', value):%Y-%m-%dT%H:%M:%S.000Z}"


CHANGES: dict[str, Change] = {
    "e-mail in another case": spell_again,
    "mixed kinds": change_kind,
    "date as text": to_iso,
    "id as text": lambda value, _: str(value),
    "Decimal128": lambda value, _: Decimal128(f"{value:.2f}"),
    "null": lambda _value, _: None,
    "missing": lambda _value, _: MISSING,
    "NUL": lambda value, _: f"{value}\0",
    "emoji": lambda value, n: f"{value} {'🚀🥐🎉💥'[n % 4]}",
    "invalid UTF-8": lambda value, _: f"{value} ({MARK})",
}

DIRT: dict[str, tuple[tuple[str, str], ...]] = {
    "users": (
        ("e-mail in another case", "email"),
        ("mixed kinds", "phone"),
        ("e-mail in another case", "email"),
        ("date as text", "last_login"),
        ("e-mail in another case", "email"),
        ("null", "full_name"),
    ),
    "projects": (
        ("id as text", "user_id"),
        ("invalid UTF-8", "description"),
        ("date as text", "updated_at"),
        ("NUL", "files.content"),
        ("missing", "description"),
        ("emoji", "name"),
        ("mixed kinds", "tags"),
        ("null", "description"),
        ("invalid UTF-8", "files.content"),
    ),
    "conversations": (
        ("emoji", "messages.content"),
        ("NUL", "messages.content"),
        ("mixed kinds", "messages.content"),
        ("invalid UTF-8", "messages.content"),
        ("date as text", "messages.created_at"),
    ),
    "invoices": (
        ("Decimal128", "amount"),
        ("date as text", "created_at"),
        ("mixed kinds", "amount"),
        ("id as text", "user_id"),
        ("missing", "currency"),
        ("null", "tax_percent"),
    ),
    "templates": (
        ("Decimal128", "price"),
        ("emoji", "name"),
        ("mixed kinds", "price"),
        ("null", "description"),
    ),
    "deployments": (
        ("NUL", "log"),
        ("emoji", "commit_message"),
        ("invalid UTF-8", "commit_message"),
        ("missing", "region"),
        ("null", "region"),
        ("id as text", "project_id"),
        ("mixed kinds", "duration_ms"),
    ),
}
"""Collection -> kinds of dirt and where, in turn."""


def is_dirty(n: int) -> bool:
    """Whether document n of a collection carries dirt."""
    return n % EVERY == FIRST


def spoil(document: Document, collection: str, n: int) -> str:
    """Put into document n what is its turn; the kind of dirt. In an array it hits one element."""
    turns = DIRT[collection]
    kind, path = turns[n // EVERY % len(turns)]
    *front, last = path.split(".")
    for key in front:
        elements = cast("list[Document]", document[key])
        document = elements[n % len(elements)]
    value = CHANGES[kind](document.pop(last), n)
    if value is not MISSING:
        document[last] = value
    return kind


def encode(document: Document) -> bytes:
    """The document as BSON, with bytes that are not UTF-8 where the mark stands."""
    return bson.encode(document).replace(MARK.encode(), LATIN_1)


def find_habits(document: Document) -> Iterator[str]:
    """Usual dirt: numbers as JavaScript writes them, keys that are data, a file too large."""
    for field in ("amount", "plan_amount", "refunded_amount", "price", "duration_ms"):
        if isinstance(document.get(field), int):
            yield "whole number among doubles"
    if document.get("usage"):
        yield "map keyed by date"
    if any(
        cast("int", file["size_bytes"]) > 10_000_000
        for file in cast("list[Document]", document.get("files", []))
    ):
        yield "12 MB document"
