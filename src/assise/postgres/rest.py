"""Rows of a Supabase project by its REST interface, which is PostgREST.

Reads alone. https://docs.postgrest.org/en/stable/references/api/tables_views.html
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import starmap
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from assise.errors import TargetError, UsageError
from assise.extras import load
from assise.manifest.names import split_table
from assise.postgres.pool import UnansweredError

if TYPE_CHECKING:
    import httpx

BATCH = 100
"""Keys of one request: they stand in its URL, of which gateways take some thousand bytes."""

AT_ONCE = 4
"""Requests that wait for the server at the same time, for one merge."""

MAX_BYTES = 16 << 20
"""The largest answer that is read."""

TIMEOUT_S = 10.0

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PLAIN = re.compile("[a-z_][a-z0-9_]*")
_CODE = re.compile(r"^[A-Za-z0-9_]{1,20}\Z")

ReadCell = Callable[[Any], object]


@dataclass
class Rest:
    """The REST interface of a project: its address, and the key that sees all rows."""

    address: str
    service_key: str = field(repr=False)
    _client: httpx.AsyncClient | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.address)
            _ = parts.port
        except ValueError as error:
            remedy = "Write https://PROJECT.supabase.co."
            raise UsageError(f"{self.address} is no address", remedy=remedy) from error
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise UsageError(
                f"{self.address} is not https: the service key could be read on the way",
                remedy="Write https://PROJECT.supabase.co.",
            )
        if not re.fullmatch(r"[\x21-\x7e]+", self.service_key):
            raise UsageError(
                f"{self.address} has no service key, or one that no header can hold",
                remedy="Write service_key: ${SUPABASE_SERVICE_KEY} beside rest.",
            )

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def fetch(
        self,
        table: str,
        key: str,
        keys: Sequence[object],
        *,
        columns: Mapping[str, str],
        token: str | None = None,
    ) -> list[dict[str, Any]]:
        """The columns of the rows that have these keys, with values as psycopg gives them.

        Args:
            columns: their names and types, the key among them.
            token: that of a user, who sees what the rules of the project show; without it, the
                service key sees all rows.

        Raises:
            TargetError: the server does not answer, or refuses.
        """
        schema, name = split_table(table)
        selected = ",".join(starmap(_select, columns.items()))
        headers = {"apikey": self.service_key}
        headers["Authorization"] = f"Bearer {token or self.service_key}"
        if schema is not None:
            headers["Accept-Profile"] = schema
        slots = asyncio.Semaphore(AT_ONCE)

        async def ask(batch: Sequence[object]) -> list[dict[str, Any]]:
            listed = ",".join(map(_quote_value, batch))
            query = {"select": selected, _quote_name(key): f"in.({listed})"}
            async with slots:
                return await self._get(f"/rest/v1/{quote(name, safe='')}", query, headers)

        starts = range(0, len(keys), BATCH)
        batches = [keys[start : start + BATCH] for start in starts]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(ask(batch)) for batch in batches]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors.exceptions[0].__cause__
        readers = {name: _READERS.get(kind, _keep) for name, kind in columns.items()}
        try:
            rows = [_read_row(row, readers) for task in tasks for row in task.result()]
            if any(row[key] is None for row in rows):
                raise ValueError(key)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise TargetError(
                f"{self.address}: a value of {table} is not of the type that the manifest says",
                remedy="Give its columns the types that they have there.",
            ) from error
        return rows

    async def is_up(self) -> bool:
        """Whether anything answers, whatever it thinks of the request."""
        httpx = load("httpx", extra="api")
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S)
        url = f"{self.address.rstrip('/')}/rest/v1/"
        try:
            answer = await self._client.head(url, headers={"apikey": self.service_key})
        except httpx.HTTPError:
            return False
        return bool(answer.status_code < 500)

    async def _get(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        httpx = load("httpx", extra="api")
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S)
        url, body = f"{self.address.rstrip('/')}{path}", bytearray()
        try:
            async with self._client.stream("GET", url, params=query, headers=headers) as answer:
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > MAX_BYTES:
                        raise TargetError(f"{self.address}: an answer of over {MAX_BYTES:,} bytes")
        except httpx.HTTPError as error:
            # Neither its text nor its request is shown: they may hold the key.
            reason = type(error).__name__
            raise TargetError(
                f"{self.address} does not answer: {reason}",
                remedy="Check the address, and whether the project is paused.",
            ) from UnansweredError(reason)
        return _read_answer(self.address, answer.status_code, bytes(body))


def _read_answer(address: str, status: int, body: bytes) -> list[dict[str, Any]]:
    """The rows of an answer.

    Raises:
        TargetError: it is none of a PostgREST that has found the table.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    is_list = status == 200 and isinstance(found, list)
    if is_list and {dict}.issuperset(map(type, found)):
        return found  # type: ignore[no-any-return]
    code = str(found.get("code", "")) if isinstance(found, dict) else ""
    said = ", ".join([f"HTTP {status}", *_CODE.findall(code)])
    if status >= 500 or status == 429:
        raise TargetError(f"{address} does not answer: {said}") from UnansweredError(said)
    remedy = "Check that the table is there, and that its schema is exposed."
    if status in {401, 403}:
        remedy = "Check the service key, and for a user the token and the grants of the table."
    raise TargetError(f"{address} refuses: {said}", remedy=remedy)


def _read_row(row: Mapping[str, Any], readers: Mapping[str, ReadCell]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for alias, read in readers.items():
        value = row.get(alias)
        found[alias] = None if value is None else read(value)
    return found


def _select(name: str, kind: str) -> str:
    """A column as it is selected; a number that JSON would round comes as text."""
    cast = "::text" if kind.startswith("numeric") else ""
    return f"{_quote_name(name)}{cast}"


def _quote_name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else _quote_value(name)


def _quote_value(value: object) -> str:
    """A value in a list, or a name, in double quotes."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _keep(value: object) -> object:
    return value


_READERS: Mapping[str, ReadCell] = {
    "uuid": UUID,
    "timestamptz": datetime.fromisoformat,
    "date": date.fromisoformat,
    "numeric": Decimal,
    "float8": float,
}
"""How a value of JSON becomes what psycopg gives for a type; the others are the same in both."""
