"""Rows of two servers put together: those of the second are read by their keys.

PostgreSQL cannot join them, and they are not of one snapshot: the second is read a moment later.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Literal, NamedTuple, Protocol
from uuid import UUID

from assise.errors import TargetError, UsageError
from assise.manifest.model import Manifest, Table
from assise.manifest.sections.servers import FALLBACK, KEY, MAIN, ON
from assise.postgres.pool import Arguments, RolePool, is_gone
from assise.postgres.rest import Rest
from assise.postgres.rights import Rights
from assise.schema.sql import select_by_keys
from assise.wording import nearest

BATCH = 1_000
"""Keys that one query asks for."""

WAIT_S = 2.0
"""How long a server may take where its rows may be missing."""

PAUSE_S = 5.0
"""How long a server that did not answer is not asked again where its rows may be missing."""

_LOG = logging.getLogger(__name__)

PlainRow = dict[str, Any]
RowKey = int | str
"""A key as it is compared here: a UUID by its number, whose hash takes a fifth of the time."""

RowsByKey = dict[RowKey, PlainRow]
KnownRows = dict[RowKey | None, PlainRow | None]
"""Rows that were asked for; None where there is none."""
IfDown = Literal["error", "partial"]

_NO_KEY = (type(None), None)
"""What rows have in common that have no key."""


class Merged(NamedTuple):
    """The rows, each with one of the other table; whether its server was down; keys without a row.

    Keys that a server was not asked for, because it is down, are not among the missing.
    """

    rows: list[PlainRow]
    partial: bool
    missing: list[object]


class Wanted(NamedTuple):
    """What is read of a table: some of its columns, and its one key."""

    name: str
    table: Table
    columns: tuple[str, ...]

    @property
    def server(self) -> str:
        """The server that has the table."""
        return ON.of(self.table) or MAIN

    @property
    def key(self) -> tuple[str, str]:
        """The name of the key column, and its type."""
        name = self.table.primary_key[0]
        return name, self.table.columns[name].type

    @property
    def read(self) -> dict[str, str]:
        """The columns that are asked for, the key among them, with their types."""
        names = (*self.columns, self.table.primary_key[0])
        return {name: self.table.columns[name].type for name in names}

    def write_array(self, keys: Sequence[RowKey]) -> object:
        """Keys as the server reads an array of them."""
        if self.key[1] == "uuid":
            return f"{{{','.join([f'{key:032x}' for key in keys])}}}"
        return keys

    def by_key(self, rows: list[PlainRow]) -> RowsByKey:
        """Rows by their keys, without the key where it is not asked for."""
        name, kind = self.key
        keys = [row[name] for row in rows]
        if kind == "uuid":
            keys = [key.int for key in keys]
        if name not in self.columns:
            for row in rows:
                del row[name]
        return dict(zip(keys, rows, strict=True))


ReadMain = Callable[[str, Arguments], Awaitable[list[PlainRow]]]
"""Gives the rows of a query on the server `main` as one caller sees them."""


class RowReader(Protocol):
    """Reads rows of one server with the rights of one caller."""

    async def read(self, wanted: Wanted, keys: Sequence[RowKey]) -> RowsByKey:
        """The rows of a table that have these keys, and that the caller may see.

        Raises:
            TargetError: the server does not answer, or refuses.
        """


@dataclass(frozen=True)
class PoolReader:
    """Reads by PostgreSQL's protocol, by one query for each thousand keys."""

    pool: RolePool
    rights: Rights

    async def read(self, wanted: Wanted, keys: Sequence[RowKey]) -> RowsByKey:
        """The rows of a table that have these keys, and that the caller may see.

        Raises:
            TargetError: the server does not answer, or refuses.
        """
        query = select_by_keys(wanted.name, *wanted.key, columns=wanted.read)
        starts = range(0, len(keys), BATCH)
        batches = [[wanted.write_array(keys[start : start + BATCH])] for start in starts]
        return wanted.by_key(await self.pool.read(self.rights, query, batches))


@dataclass(frozen=True)
class RestReader:
    """Reads by the REST interface of Supabase; without a user's token it sees all rows."""

    rest: Rest
    token: str | None

    async def read(self, wanted: Wanted, keys: Sequence[RowKey]) -> RowsByKey:
        """The rows of a table that have these keys, and that the caller may see.

        Raises:
            TargetError: the server does not answer, or refuses.
        """
        key, kind = wanted.key
        if kind == "uuid":
            keys = [str(UUID(int=int(each))) for each in keys]
        rows = await self.rest.fetch(wanted.name, key, keys, columns=wanted.read, token=self.token)
        return wanted.by_key(rows)


@dataclass
class Loader:
    """Reads rows of other tables for one request, with the rights of its user, each of them once.

    It keeps what it has read: it is never shared between users. `asked_again` has the time from
    which on a server is asked again that was down.
    """

    manifest: Manifest
    open_reader: Callable[[str], RowReader]
    read_main: ReadMain
    asked_again: dict[str, float]
    _read: dict[tuple[str, ...], KnownRows] = field(default_factory=dict)

    async def fetch(self, query: str, parameters: Arguments = ()) -> list[PlainRow]:
        """All rows of a query on the server `main`, in a transaction that only reads.

        All of it is one message, so that the server is waited for once; psycopg writes the
        parameters into the query.

        Raises:
            TargetError: the server does not answer, or refuses. UsageError: it is more than one
            statement.
        """
        return await self.read_main(query, parameters)

    async def merge(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        key: str,
        into: str,
        table: str,
        columns: Sequence[str] | None = None,
        if_down: IfDown = "error",
    ) -> Merged:
        """Copies of rows, each with the row of `table` that has its `key`, under the name `into`.

        A key without a row, or with one that the user may not see, gets the `fallback` of the
        table; a row whose key is None gets None.

        Args:
            columns: those of the other table that are read; all of them without it.
            if_down: where the server of the table does not answer: an error, or the fallback for
                each key that was not read before, and `partial`.

        Raises:
            UsageError: there is no such table, column or key.
            TargetError: the server does not answer, or refuses.
        """
        wanted = _find_wanted(self.manifest, table, columns)
        listed = [*rows]
        marks, firsts = _mark(listed, key, wanted.name)
        keys = _read_keys(wanted, firsts)
        known = self._read.setdefault((table, *wanted.columns), {})
        is_whole = await self._read_new(wanted, keys.values(), known, if_down)
        fallback, missing = _write_fallback(wanted), []
        values: dict[object, PlainRow | None] = {_NO_KEY: None}
        for mark, each in keys.items():
            found = values[mark] = known.get(each)
            if found is None:
                values[mark] = fallback(firsts[mark])
                if is_whole or each is None or each in known:
                    missing.append(firsts[mark])
        merged: list[PlainRow] = [*map(dict, listed)]
        for row, found in zip(merged, map(values.__getitem__, marks), strict=True):
            row[into] = None if found is None else found.copy()
        return Merged(merged, not is_whole, [*dict.fromkeys(missing)])

    async def _read_new(
        self, wanted: Wanted, keys: Iterable[RowKey | None], known: KnownRows, if_down: IfDown
    ) -> bool:
        """Read the rows of the keys that are not known yet; False where the server is down.

        Raises:
            TargetError: the server does not answer, or refuses.
        """
        unread = [each for each in dict.fromkeys(keys) if each is not None and each not in known]
        read = await self._ask(wanted, unread, if_down) if unread else {}
        if read is None:
            return False
        for each in unread:
            known[each] = read.get(each)
        return True

    async def _ask(
        self, wanted: Wanted, keys: Sequence[RowKey], if_down: IfDown
    ) -> RowsByKey | None:
        """The rows of these keys; None where the server does not answer, and that is allowed.

        Raises:
            TargetError: the server does not answer, or refuses.
        """
        if if_down == "error":
            return await self.open_reader(wanted.server).read(wanted, keys)
        if monotonic() < self.asked_again.get(wanted.server, 0):
            return None
        try:
            async with asyncio.timeout(WAIT_S):
                return await self.open_reader(wanted.server).read(wanted, keys)
        except TimeoutError:
            reason = f"no answer in {WAIT_S:g} s"
        except TargetError as error:
            if not is_gone(error):
                raise
            reason = error.message
        self.asked_again[wanted.server] = monotonic() + PAUSE_S
        _LOG.warning("the server %s is not asked for %g s: %s", wanted.server, PAUSE_S, reason)
        return None


def _find_wanted(manifest: Manifest, name: str, columns: Sequence[str] | None) -> Wanted:
    table = manifest.tables.get(name)
    if table is None:
        message = f"{name!r} is not a table of the manifest"
        raise UsageError(message, remedy=nearest(name, manifest.tables))
    key = table.columns.get(table.primary_key[0])
    if len(table.primary_key) != 1 or key is None or key.type not in _READERS:
        raise UsageError(
            f"rows of {name!r} cannot be read by one key",
            remedy=f"Name a table whose key is one column, of type {', '.join(_READERS)}.",
        )
    for column in columns or ():
        if column not in table.columns:
            message = f"{column!r} is not a column of {name!r}"
            raise UsageError(message, remedy=nearest(column, table.columns))
    return Wanted(name, table, tuple(table.columns if columns is None else columns))


def _mark(
    rows: Sequence[Mapping[str, Any]], key: str, table: str
) -> tuple[Sequence[object], dict[object, object]]:
    """What is the same for rows with the same `key`, row by row; and the key of each.

    That is a UUID's number, or the type and value of anything else.

    Raises:
        UsageError: a row has no such key, or none that can be compared.
    """
    try:
        raws = [row[key] for row in rows]
    except KeyError:
        lacking = next(row for row in rows if key not in row)
        message = f"a row has no {key!r}, by which rows of {table!r} are found"
        raise UsageError(message, remedy=nearest(key, lacking)) from None
    marks = [raw.int if type(raw) is UUID else (type(raw), raw) for raw in raws]
    try:
        return marks, dict(zip(marks, raws, strict=True))
    except TypeError:
        kind = next(type(raw).__name__ for raw in raws if not isinstance(raw, Hashable))
        message = f"a row has a {kind} in {key!r}, which is no key of {table!r}"
        raise UsageError(message, remedy="Give a text, a number or a UUID there.") from None


def _read_keys(wanted: Wanted, firsts: Mapping[object, object]) -> dict[object, RowKey | None]:
    """The keys as the table has them; None where it can have none like that."""
    read = _READERS[wanted.key[1]]
    is_uuid = wanted.key[1] == "uuid"
    return {
        mark: mark if is_uuid and type(mark) is int else read(raw)
        for mark, raw in firsts.items()
        if raw is not None
    }


def _read_uuid(value: object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _number_uuid(value: object) -> int | None:
    found = _read_uuid(value)
    return None if found is None else found.int


def _read_int(value: object, *, bits: int) -> int | None:
    text = str(value)
    number = int(text) if re.fullmatch("-?[0-9]{1,19}", text) else None
    limit = 1 << (bits - 1)
    return number if number is not None and -limit <= number < limit else None


def _read_text(value: object) -> str | None:
    """The text, where a server can hold it: without NUL and without half of a pair of UTF-16."""
    text = str(value)
    is_held = "\0" not in text and text == text.encode(errors="ignore").decode()
    return text if is_held else None


_READERS: Mapping[str, Callable[[object], RowKey | None]] = {
    "uuid": _number_uuid,
    "int4": partial(_read_int, bits=32),
    "int8": partial(_read_int, bits=64),
    "text": _read_text,
}
"""Types of keys, and how a key of that type is read from a value."""


def _write_fallback(wanted: Wanted) -> Callable[[object], PlainRow | None]:
    """What gives a key without a row its values: None where the table declares none."""
    declared = FALLBACK.of(wanted.table)
    if declared is None:
        return lambda _key: None
    values = {name: declared.get(name) for name in wanted.columns}
    makers = {name: _VALUES.get(wanted.table.columns[name].type, str) for name in values}

    def make(key: object) -> PlainRow:
        found: PlainRow = {}
        for name, text in values.items():
            filled = text and text.replace(KEY, str(key))
            found[name] = None if filled is None else makers[name](filled)
        return found

    return make


_VALUES: Mapping[str, Callable[[str], object]] = {
    "bool": lambda text: text == "true",
    "int4": partial(_read_int, bits=32),
    "int8": partial(_read_int, bits=64),
    "uuid": _read_uuid,
}
"""How a declared value becomes one of its column's type; the others stay texts."""
