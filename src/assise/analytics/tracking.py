"""Tracking: what an application says has happened, spooled at once and kept a moment later."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from uuid import UUID

from assise.analytics.event import Event, as_parameters, write_properties
from assise.analytics.groups import GroupCommit
from assise.analytics.spool import BATCH, Spool
from assise.analytics.store import Kept, insert
from assise.analytics.tables import QUERIES
from assise.errors import AssiseError
from assise.postgres.pool import OpenSession
from assise.settings import ENVIRONMENT, RELEASE, SPOOL_BYTES
from assise.workspace import Workspace

LIBRARY = "assise"
"""The property `$lib` of events that an application tracks by us: their ids are users."""

DRAIN_S, MAX_WAIT_S = 1.0, 30.0
"""How long events stay in the spool, and how long an outage is waited for at most."""

_CONTEXT: ContextVar[Mapping[str, str] | None] = ContextVar("tracked", default=None)


@contextmanager
def within(*, request_id: str = "", session: str = "") -> Iterator[None]:
    """Events that are tracked in this block have this request and session."""
    given = {"request_id": request_id, "session": session}
    token = _CONTEXT.set({name: text for name, text in given.items() if text})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def make_uuid(now_s: float) -> UUID:
    """A uuid of version 7 (RFC 9562): it sorts by time, to the millisecond."""
    milliseconds = int(now_s * 1000) & (1 << 48) - 1
    random = secrets.randbits(74)
    high, low = random >> 62, random & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


class Tracking:
    """What keeps an application's events; for one event loop."""

    def __init__(self, workspace: Workspace, open_session: OpenSession) -> None:
        self.workspace, self._open_session = workspace, open_session
        self._draining: asyncio.Task[None] | None = None
        self._common: Mapping[str, str] | None = None
        self._spool: Spool | None = None
        self._groups = GroupCommit(self._insert)

    @property
    def spool(self) -> Spool:
        """The spool beside the manifest."""
        if self._spool is None:
            folder = self.workspace.path.parent / ".assise" / "events"
            self._spool = Spool(folder, self.workspace.setting(SPOOL_BYTES))
        return self._spool

    def make(
        self,
        event: str,
        *,
        user_id: object = None,
        properties: Mapping[str, object] = {},
        session: str | None = None,
        at: dt.datetime | None = None,
    ) -> Event:
        """An event of now, with what is known of release, environment, request and session."""
        if self._common is None:
            given = {"environment": self.workspace.setting(ENVIRONMENT)}
            given["release"] = self.workspace.setting(RELEASE)
            self._common = {name: text for name, text in given.items() if text}
        now, found = time.time(), dict(_CONTEXT.get() or {})
        session = session or found.pop("session", None)
        moment = at or dt.datetime.fromtimestamp(now, dt.UTC)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        whole = {"$lib": LIBRARY, **self._common, **found, **properties}
        person = "" if user_id is None else str(user_id)
        text = write_properties(whole)
        return Event(make_uuid(now), str(event), person, moment, "", text, session)

    def write(self, event: str, **fields: object) -> tuple[str, dict[str, object]]:
        """The statement that keeps an event in a transaction, and its parameters."""
        made = self.make(event, **fields)  # type: ignore[arg-type]
        return QUERIES["track"], as_parameters([made])

    def track(
        self,
        event: str,
        *,
        user_id: object = None,
        properties: Mapping[str, object] = {},
        session: str | None = None,
        at: dt.datetime | None = None,
    ) -> UUID:
        """Keep an event, whether PostgreSQL can be reached or not; it is on disk at once.

        Raises:
            SpoolError: the spool is full or cannot be written.
        """
        made = self.make(event, user_id=user_id, properties=properties, session=session, at=at)
        self.spool.append(made)
        self._drain_soon()
        return made.uuid

    async def keep(self, events: Sequence[Event]) -> None:
        """Keep events in the database, or on disk while it cannot be reached.

        Raises:
            SpoolError: the spool is full or cannot be written.
        """
        try:
            await self._groups.keep(events)
        except AssiseError as error:
            self.workspace.log(f"events go to the spool: {error.message}")
            await asyncio.to_thread(self.spool.append, *events)
            self._drain_soon()

    def _drain_soon(self) -> None:
        with suppress(RuntimeError):  # without an event loop the worker drains the spool
            if self._draining is None or self._draining.done():
                self._draining = asyncio.get_running_loop().create_task(self._drain_on())

    async def _drain_on(self) -> None:
        """Keep what is spooled, until nothing is left."""
        wait_s = DRAIN_S
        while True:
            await asyncio.sleep(wait_s)
            try:
                await self.drain()
            except AssiseError as error:
                self.workspace.log(f"events wait in the spool: {error.message}")
                wait_s = min(wait_s * 2, MAX_WAIT_S)
                continue
            wait_s = DRAIN_S
            if not self.spool.list_segments():
                return

    async def drain(self) -> int:
        """Keep what is spooled now; how many events were new.

        Raises:
            TargetError: the server cannot be reached; nothing is lost.
        """
        self.spool.rotate()
        kept = 0
        for path in self.spool.list_segments():
            with self.spool.take(path) as segment:
                if segment is not None:
                    kept += await self._keep(segment.events)
        return kept

    async def _keep(self, events: list[Event]) -> int:
        kept = 0
        for start in range(0, len(events), BATCH):
            kept += (await self._insert(events[start : start + BATCH])).kept
        return kept

    async def _insert(self, events: Sequence[Event]) -> Kept:
        async with self._open_session() as session:
            return await insert(session, events)

    async def close(self) -> None:
        """Keep what can be kept now; the rest stays in the spool."""
        if self._draining is None:
            return
        self._draining.cancel()
        with suppress(asyncio.CancelledError):
            await self._draining
        self._draining = None
        with suppress(AssiseError):
            await self.drain()
