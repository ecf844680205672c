"""App: what an application holds, and asks for sessions with the rights of its users."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from assise.analytics.tracking import Tracking
from assise.errors import RedisError, UsageError
from assise.extras import load
from assise.identity.callers import Callers, check_role
from assise.manifest.model import Manifest
from assise.manifest.sections.identity import IDENTITY
from assise.manifest.sections.postgres import RoleName
from assise.manifest.sections.redis import REDIS
from assise.manifest.sections.servers import MAIN
from assise.merge import IfDown, Loader, Merged, PoolReader, RestReader, RowReader
from assise.postgres import alchemy
from assise.postgres.pool import Arguments, Record, Session, WriteEvent
from assise.postgres.rights import Rights
from assise.schema.matching import call_match
from assise.search.meaning.verbs import Embedders
from assise.search.verbs import AppSearch
from assise.servers import Servers
from assise.wording import nearest
from assise.workspace import Workspace, find_manifest

if TYPE_CHECKING:
    from types import TracebackType

    from fastapi import APIRouter, FastAPI
    from sqlalchemy import Connection as OrmConnection
    from sqlalchemy.orm import Session as OrmSession
    from starlette.requests import HTTPConnection

    from assise.analytics.app import AppAnalytics
    from assise.cache.declared import AppRedis
    from assise.cache.outbox import Outbox
    from assise.cache.verbs import AppCache
    from assise.mongo.application import AppMongo
    from assise.monitor.verbs import AppMonitor, CacheFigures, PoolUse
    from assise.search.chat.verbs import AppChat

POSITION_HEADER = "assise-position"
Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]
Asgi = Callable[[Scope, Any, Send], Awaitable[None]]

_CALLER: ContextVar[Rights | None] = ContextVar("caller", default=None)
"""The rights of the session in whose block a task is."""

_OPEN: ContextVar[Sequence[Session]] = ContextVar("open", default=())
"""That session, where it may write. Tasks that outlive its block find it gone."""


def _find_open() -> Session | None:
    return next(iter(_OPEN.get()), None)


class _WithCaller(AbstractAsyncContextManager[Session]):
    """A session, in whose block its user is the caller.

    Not by `reset`: a framework may end the block in another context than it began in.
    """

    def __init__(
        self, rights: Rights, session: AbstractAsyncContextManager[Session], write_event: WriteEvent
    ) -> None:
        self._rights, self._session, self._write_event = rights, session, write_event
        self._held: list[Session] = []

    async def __aenter__(self) -> Session:
        opened = await self._session.__aenter__()
        opened.write_event = self._write_event
        self._before = _CALLER.get(), _OPEN.get()
        self._held += [] if self._rights.is_read_only else [opened]
        _CALLER.set(self._rights)
        _OPEN.set(self._held)
        return opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> bool | None:
        self._held.clear()
        _CALLER.set(self._before[0])
        _OPEN.set(self._before[1])
        return await self._session.__aexit__(kind, error, where)


def _check_token(server: str, role: RoleName, token: str | None) -> str | None:
    """The token that a server's REST interface is asked with; None for all rows.

    Raises:
        UsageError: only an administrator sees all rows; a user has no token.
    """
    if role == "admin":
        return None
    if not token or role != "app":
        raise UsageError(
            f"the server {server} is read by its REST interface, which asks for the user's token",
            remedy="Use app.loader(token=…); role='admin' sees all rows.",
        )
    return token


class App:
    """The data layer of an application; for one event loop.

    Args:
        manifest: path of `assise.yaml`, or the folder that it lies in.
        urls: for each role, and `replica`, the URL that its sessions connect with, before that of
            the manifest; on another server `auth.app`. On an embedded server none is needed.
        settings: values of `assise.settings.SETTINGS` by name, before those of the environment.

    Raises:
        UsageError: the manifest is not there, or a role or a setting is unknown.
    """

    def __init__(
        self,
        manifest: Path | str = ".",
        *,
        urls: Mapping[str, str] = {},
        settings: Mapping[str, object] = {},
    ) -> None:
        self.workspace = Workspace(find_manifest(manifest), settings=settings)
        for name in urls:
            role, known = name.rpartition(".")[2], (*get_args(RoleName), "replica")
            if role not in known:
                raise UsageError(f"urls: there is no role {name!r}", remedy=nearest(role, known))
        self.urls = dict(urls)
        self.servers = Servers(self.workspace, self.urls, self._find_watch)
        self._asked_again: dict[str, float] = {}
        self.takes_development_tokens = False
        self.tracking = Tracking(self.workspace, self.session)
        self.track = self.tracking.track

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Keep events that wait, and close all connections; a later session opens them again."""
        await self.tracking.close()
        opened = [vars(self).pop(name, None) for name in ("mongo", "callers")]
        opened += [vars(self).get(name) for name in ("monitor", "cache", "redis", "search")]
        for each in filter(None, opened):
            await each.close()
        await self.servers.close()

    @cached_property
    def router(self) -> APIRouter:
        """The routes of the manifest for one's own FastAPI: `web.include_router(app.router)`.

        Raises:
            MissingExtraError: the extra `api` is not installed.
        """
        router: APIRouter = load("assise.api.router", extra="api").make_router(self)
        return router

    @cached_property
    def callers(self) -> Callers:
        """Who calls, by the tokens of the manifest's `identity`."""
        folder = self.workspace.path.parent / ".assise"
        return Callers(
            self.manifest, self._find_user, folder if self.takes_development_tokens else None
        )

    async def _find_user(self, claim: str) -> list[str]:
        identity = IDENTITY.of(self.manifest)
        table, column = (identity and identity.matched) or ("", "")
        async with self.session(read_only=True) as session:
            rows = await session.fetch(call_match(table, column), [claim])
        return [str(row["key"]) for row in rows]

    @asynccontextmanager
    async def lifespan(self, _application: object) -> AsyncIterator[None]:
        """The lifespan of a FastAPI application: `FastAPI(lifespan=app.lifespan)`."""
        async with self:
            yield

    def session(
        self,
        *,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
        read_only: bool = False,
        position: str | None = None,
        on: str = MAIN,
        repeatable: bool = False,
        reason: str = "",
    ) -> AbstractAsyncContextManager[Session]:
        """One transaction with the rights of a user, as a context manager.

        It is committed at the end of the block, and rolled back by an exception. Without a user and
        a tenant it sees what everybody may see. Another role has another login, and its own pool.

        Where there is a replica, a session of the role `app` that is `read_only` reads from it:
        what was written up to `position`, the `position` of an earlier session.

        `on` is another server of the manifest: rules there read the claims of the user's token.
        One that is `repeatable` sees rows as they were at its first statement. The `reason` stands
        beside each change in the log of tables that are audited.

        Raises:
            UsageError: there is no such role or server, or it has no URL. TargetError: the server
            cannot be reached, no connection is free, or no rule binds the role.
            SerializationError: it is `repeatable`, and a row that it writes was changed meanwhile.
        """
        rights = self.servers.find_rights(role, on=on)._replace(
            user_id=user_id,
            tenant_id=tenant_id,
            is_read_only=read_only,
            is_repeatable=repeatable,
            reason=reason,
        )
        pool = self.servers.find_pool(role, on=on)
        if on != MAIN:
            return pool.session(rights)
        if read_only and role == "app" and (replica := self.servers.find_replica(pool)):
            session = replica.session(rights, position)
            return _WithCaller(rights, session, self.tracking.write)
        return _WithCaller(rights, pool.session(rights), self.tracking.write)

    async def merge(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        key: str,
        into: str,
        table: str,
        columns: Sequence[str] | None = None,
        role: RoleName = "app",
        if_down: IfDown = "error",
    ) -> Merged:
        """Copies of rows, each with a row of a table on another server: `Loader.merge`.

        It has the rights of the user of the session around it. With `role="admin"` it sees all
        rows, for routes that only administrators may call.

        Raises:
            UsageError: no session is open; or there is no such table, column or key.
            TargetError: the server does not answer, or refuses.
        """
        caller = _CALLER.get()
        if caller is None and role == "app":
            raise UsageError(
                "app.merge has no user: no session is open around it",
                remedy="Call it in the block of app.session(user_id=…), or use"
                " app.loader(user_id=…); role='admin' sees all rows.",
            )
        user = caller and caller.user_id
        tenant = caller and caller.tenant_id
        loader = self.loader(user_id=user, tenant_id=tenant, role=role)
        return await loader.merge(
            rows, key=key, into=into, table=table, columns=columns, if_down=if_down
        )

    def loader(
        self,
        *,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
        token: str | None = None,
    ) -> Loader:
        """What reads rows of other servers for one request, each of them once.

        Where a server is read by Supabase's REST interface, `token` is that of the user.

        Raises:
            UsageError: there is no such role.
        """
        self.servers.find_rights(role)

        def open_reader(server: str) -> RowReader:
            rest = self.servers.find_rest(server)
            if rest is not None:
                return RestReader(rest, _check_token(server, role, token))

            rights = self.servers.find_rights(role, on=server)._replace(
                user_id=user_id, tenant_id=tenant_id, is_read_only=True
            )
            return PoolReader(self.servers.find_pool(role, on=server), rights)

        async def read_main(query: str, parameters: Arguments) -> list[Record]:
            rights = self.servers.find_rights(role)._replace(
                user_id=user_id, tenant_id=tenant_id, is_read_only=True
            )
            return await self.servers.find_pool(role).read(rights, query, [parameters])

        return Loader(self.servers.whole_manifest, open_reader, read_main, self._asked_again)

    def user_loader(self, find_user: Callable[..., object], *, role: RoleName = "app") -> object:
        """A dependency of FastAPI: a loader of the request, with the rights of its user."""
        fastapi = import_module("fastapi")

        async def make(user: object = fastapi.Depends(find_user)) -> Loader:
            return self.loader(user_id=user, role=role)

        return fastapi.Depends(make)

    @cached_property
    def search(self) -> AppSearch:
        """Search of the tables that a user sees: `await app.search("…", user_id=…)`."""
        return AppSearch(self.manifest, self.session, Embedders(self.workspace.path.parent))

    @cached_property
    def chat(self) -> AppChat:
        """Answers from the rows that a user sees: `app.chat.ask("…", user_id=…)`."""
        found: AppChat = import_module("assise.search.chat.verbs").AppChat(
            self.manifest, self.search
        )
        return found

    @cached_property
    def analytics(self) -> AppAnalytics:
        """Metrics, and events by name: `await app.analytics.dashboard()`."""
        module = import_module("assise.analytics.app")
        found: AppAnalytics = module.AppAnalytics(
            self.tracking,
            self.session,
            lambda: self.manifest,
            read_performance=self._read_performance,
        )
        return found

    async def _read_performance(self) -> Mapping[str, float | None]:
        """What was measured, for the dashboard, which goes on without Redis."""
        try:
            return await self.monitor.performance_metrics()
        except RedisError:
            return {}

    @cached_property
    def mongo(self) -> AppMongo:
        """Collections that stay in MongoDB: `await app.mongo.page("projects", {…})`.

        Raises:
            UsageError: the manifest has no MongoDB, or a setting cannot be used.
        """
        module, manifest = load("assise.mongo.application"), self.workspace.whole_manifest()
        found: AppMongo = module.AppMongo(self.workspace.mongo_pool(manifest))
        if REDIS.of(manifest):
            found.after_write.append(module.invalidate_written(self.cache.invalidate))
        return found

    @cached_property
    def cache(self) -> AppCache:
        """The cache: `@app.cache("user_projects", ttl="5 minutes", tags=["projects:{user_id}"])`.

        Raises:
            UsageError: the manifest has no `redis`.
        """
        module = import_module("assise.cache.verbs")
        around = module.Surroundings(_CALLER.get, _find_open, self.session)
        cache: AppCache = module.AppCache(self.workspace, self.manifest, around)
        return cache

    def _find_watch(self) -> Outbox | None:
        """What each commit on the server `main` tells the cache."""
        return self.cache.outbox if REDIS.of(self.manifest) else None

    @cached_property
    def redis(self) -> AppRedis:
        """What stands at the keys of `redis_keys`: `app.redis.queue("emails")`."""
        module = import_module("assise.cache.declared")
        redis: AppRedis = module.AppRedis(self.workspace, self.manifest)
        return redis

    @cached_property
    def monitor(self) -> AppMonitor:
        """How long things take: `await app.monitor.measure("projects", load(user))`."""
        module = import_module("assise.monitor.verbs")

        def find_pools() -> list[PoolUse]:
            pools = self.servers.list_pools()
            return [module.PoolUse(role, *pool.count_used()) for role, pool in pools]

        def find_cache() -> CacheFigures | None:
            cache: AppCache | None = vars(self).get("cache")
            if cache is None:
                return None
            state = cache.store.breaker.is_open, cache.store.refused
            figures: CacheFigures = module.CacheFigures(*cache.count_calls(), *state)
            return figures

        hours = None
        if REDIS.of(self.manifest):
            prefix = import_module("assise.cache.verbs").read_prefix(self.manifest)
            hours = import_module("assise.cache.hours").RedisHours(self.redis, prefix)
        found: AppMonitor = module.AppMonitor(
            find_pools=find_pools, find_cache=find_cache, hours=hours
        )
        return found

    def user_session(
        self,
        find_user: Callable[..., object],
        *,
        role: RoleName = "app",
        read_only: bool = False,
    ) -> object:
        """A dependency of FastAPI: a session of the user that the dependency `find_user` gives.

        The session is committed before the response is sent. One that is read only reads what was
        written up to the position that the request's header `Assise-Position` has.
        """
        fastapi = import_module("fastapi")

        async def open_session(
            request: HTTPConnection, user: object = fastapi.Depends(find_user)
        ) -> AsyncIterator[Session]:
            position = request.headers.get(POSITION_HEADER)
            async with self.session(
                user_id=user, role=role, read_only=read_only, position=position
            ) as session:
                yield session
            request.scope.setdefault(POSITION_HEADER, []).append(session.position)

        open_session.__annotations__["request"] = import_module("fastapi.requests").HTTPConnection
        return fastapi.Depends(open_session, scope="function")

    def caller_session(self, *, role: RoleName = "app", read_only: bool = False) -> object:
        """A dependency of FastAPI: a session of whoever the token of the request stands for.

        Another role than `app` needs a token that has it. Errors are answered where the
        application has `app.add_problems(web)`.
        """
        fastapi = import_module("fastapi")

        async def open_session(request: HTTPConnection) -> AsyncIterator[Session]:
            caller = await self.callers.find(request.headers.get("authorization"))
            check_role(caller, role)
            user, tenant = caller.user_id, caller.tenant_id
            async with self.session(
                user_id=user, tenant_id=tenant, role=role, read_only=read_only
            ) as session:
                yield session
            request.scope.setdefault(POSITION_HEADER, []).append(session.position)

        open_session.__annotations__["request"] = import_module("fastapi.requests").HTTPConnection
        return fastapi.Depends(open_session, scope="function")

    def add_problems(self, web: FastAPI) -> None:
        """Let an application answer the errors of sessions and tokens as problem details."""
        load("assise.api.server", extra="api").add_problems(web)

    def send_positions(self, application: Asgi) -> Asgi:
        """A middleware that sends the header `Assise-Position` behind what a session has written.

        `FastAPI.add_middleware(app.send_positions)`; the browser sends the header back, and then
        reads what it wrote.
        """

        async def call(scope: Scope, receive: object, send: Send) -> None:
            positions: list[str | None] = []
            scope[POSITION_HEADER] = positions

            async def send_with_position(message: Scope) -> None:
                if message["type"] == "http.response.start":
                    found = [each.encode() for each in positions if each is not None]
                    headers = [(POSITION_HEADER.encode(), each) for each in found[-1:]]
                    message = {**message, "headers": [*message.get("headers", ()), *headers]}
                await send(message)

            await application(scope, receive, send_with_position)

        return call

    def set_rights(
        self, session: OrmSession, _transaction: object, connection: OrmConnection
    ) -> None:
        """A listener that gives SQLAlchemy's sessions the rights that their `info` names.

        `event.listen(Session, "after_begin", app.set_rights)`, with the `sessionmaker` or the class
        whose sessions are made as `Session(info={"user_id": …, "tenant_id": …})`.

        Raises:
            TargetError: rules do not bind the login of the session's engine.
        """
        alchemy.set_rights(session, connection, self.servers.find_rights("app"))

    async def is_up(self, server: str = MAIN) -> bool:
        """Whether a server of the manifest answers.

        Raises:
            TargetError: it does not.
        """
        if server != MAIN and not self.manifest.postgres.others[server].is_connected:
            rest = self.servers.find_rest(server)
            return rest is not None and await rest.is_up()
        async with self.session(read_only=True, on=server) as session:
            return bool(await session.fetch_value("SELECT true"))

    @property
    def manifest(self) -> Manifest:
        """The manifest with the tables of the server `main`, as it was when it was read first."""
        return self.servers.manifest
