"""What all resources of an application share: who calls, how often, and the tables' schema."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from time import monotonic, time
from typing import Any

from starlette.requests import Request

from assise.api.cursors import Cursors
from assise.api.problems import RateError
from assise.app import POSITION_HEADER, App
from assise.errors import ForbiddenError, KeysError, RequestError, TokenError, UsageError
from assise.extras import load
from assise.identity.callers import Caller
from assise.manifest.names import split_table
from assise.manifest.sections.http import HTTP, Http
from assise.postgres.pool import Session
from assise.schema.access import AccessRules
from assise.schema.resources import Resource
from assise.schema.serving import Statements
from assise.schema.sql import quote, quote_table
from assise.settings import BODY_BYTES, SECRET, read_setting

SEEN_ROWS = 10_000
"""A caller who sees no more rows of a table may filter and order it without an index."""

SEEN_S, SEEN_CALLERS = 60.0, 10_000
MIN_SECRET = 32
FIND_SCHEMA = """SELECT coalesce(
    (SELECT nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid = to_regclass(%(bare)s)),
    (SELECT name FROM unnest(current_schemas(false)) WITH ORDINALITY AS p (name, place) WHERE name <> 'assise' ORDER BY place LIMIT 1)
) AS name WHERE to_regclass(%(table)s) IS NOT NULL"""
"""The schema of the tables whose names give none, as they are found; where there are none, the first
in which tables are made."""


def make_cursors() -> Cursors:
    """What signs cursors.

    Raises:
        UsageError: the secret can be guessed.
    """
    secret = read_setting(SECRET)
    if secret and len(secret) < MIN_SECRET:
        raise UsageError(
            f"{SECRET.variable} has fewer than {MIN_SECRET} characters",
            remedy="Make one with: openssl rand -base64 32",
        )
    return Cursors(secret.encode() or secrets.token_bytes(32))


@dataclass
class Context:
    """What resources share, in one event loop.

    Raises:
        UsageError: the secret of cursors can be guessed.
    """

    app: App
    cursors: Cursors = field(default_factory=make_cursors)
    _seen: OrderedDict[tuple[str, Caller], tuple[float, bool]] = field(default_factory=OrderedDict)
    _statements: dict[str, Statements] = field(default_factory=dict)

    @cached_property
    def rules(self) -> AccessRules:
        """The rules of the manifest; the schema is asked for when a table is."""
        return AccessRules(self.app.manifest, "")

    @cached_property
    def body_bytes(self) -> int:
        """How long a body may be."""
        return self.app.workspace.setting(BODY_BYTES)

    async def read_body(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            RequestError: it is too long.
        """
        parts, size, limit = list[bytes](), 0, self.body_bytes
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise RequestError(f"the body has more than {limit:,} bytes", status=413)
        return b"".join(parts)

    @cached_property
    def _limit(self) -> Any:  # noqa: ANN401 - of a package that may be absent
        http = HTTP.of(self.app.manifest) or Http()
        if http.rate_limit is None:
            return None
        limits = load("limits", extra="api")
        storage = load("limits.aio.storage", extra="api").MemoryStorage()
        strategy = load("limits.aio.strategies", extra="api").FixedWindowRateLimiter(storage)
        return strategy, limits.parse(http.rate_limit.replace("/", " per "))

    async def find_caller(self, request: Request) -> Caller:
        """Whose request it is, counted.

        Raises:
            TokenError, ForbiddenError, KeysError: the token cannot be taken. RateError: it is one
            too many. TargetError: the database that knows the user cannot be asked.
        """
        try:
            caller = await self.app.callers.find(request.headers.get("authorization"))
        except (TokenError, ForbiddenError, KeysError):
            await self._count(_address(request))
            raise
        await self._count(caller.user_id or _address(request))
        return caller

    async def _count(self, who: str) -> None:
        if self._limit is None:
            return
        strategy, rate = self._limit
        if not await strategy.hit(rate, who):
            ends_at = (await strategy.get_window_stats(rate, who)).reset_time
            said = f"more than {rate.amount} requests in a {rate.GRANULARITY.name}"
            raise RateError(said, max(1, ceil(ends_at - time())))

    async def find_statements(self, session: Session, resource: Resource) -> Statements:
        """The statements of a resource, whose table is looked for once.

        Raises:
            UsageError: there is no such table.
        """
        found = self._statements.get(resource.table)
        if found is None:
            names = [resource.table, *self.rules.manifest.tables]
            bare = next((name for name in names if split_table(name)[0] is None), None)
            places = {"table": quote_table(None, resource.table), "bare": bare and quote(bare)}
            schema = await session.fetch_value(FIND_SCHEMA, places)
            if schema is None:
                remedy = "`assise migrate` loads what the manifest has."
                raise UsageError(f"table {resource.table} is not loaded", remedy=remedy)
            found = Statements(str(schema), resource, self.rules.resources)
            self._statements[resource.table] = found
        return found

    async def sees_few(self, session: Session, statements: Statements, caller: Caller) -> bool:
        """Whether a caller sees few enough rows of a table to filter it without an index."""
        key = (statements.resource.table, caller)
        known = self._seen.get(key)
        if known is not None and known[0] > monotonic():
            return known[1]
        count = await session.fetch_value(statements.count([], SEEN_ROWS + 1), {})
        self._seen[key] = (monotonic() + SEEN_S, count <= SEEN_ROWS)
        while len(self._seen) > SEEN_CALLERS:
            self._seen.popitem(last=False)
        return bool(count <= SEEN_ROWS)

    def session(
        self,
        request: Request,
        caller: Caller,
        *,
        read_only: bool = False,
        repeatable: bool = False,
    ) -> AbstractAsyncContextManager[Session]:
        """A session of the caller; one that only reads follows what the caller wrote."""
        return self.app.session(
            user_id=caller.user_id,
            tenant_id=caller.tenant_id,
            read_only=read_only,
            position=request.headers.get(POSITION_HEADER),
            repeatable=repeatable,
        )


def _address(request: Request) -> str:
    return f"address {request.client.host if request.client else ''}"
