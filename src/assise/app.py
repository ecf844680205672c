"""App: what an application holds, and asks for sessions with the rights of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.postgres import RoleName
from assise.postgres import alchemy
from assise.postgres.conninfo import describe
from assise.postgres.pool import RolePool, Session
from assise.postgres.replica import WAIT_MS, Replica
from assise.postgres.rights import Rights
from assise.settings import POOL_SIZE, POOL_TIMEOUT
from assise.wording import nearest
from assise.workspace import Workspace, find_manifest

if TYPE_CHECKING:
    from sqlalchemy import Connection as OrmConnection
    from sqlalchemy.orm import Session as OrmSession
    from starlette.requests import HTTPConnection

POSITION_HEADER = "assise-position"
Scope = MutableMapping[str, Any]
Send = Callable[[Scope], Awaitable[None]]
Asgi = Callable[[Scope, Any, Send], Awaitable[None]]


class App:
    """The data layer of an application; for one event loop.

    Args:
        manifest: path of `assise.yaml`, or the folder that it lies in.
        urls: for each role, and `replica`, the URL that its sessions connect with, before that of
            the manifest. On the embedded server none is needed.
        settings: values of `assise.settings.SETTINGS` by name, before those of the environment.

    Raises:
        UsageError: the manifest is not there, or a role or a setting is unknown.
    """

    def __init__(
        self,
        manifest: Path | str = ".",
        *,
        urls: Mapping[Literal[RoleName, "replica"], str] = {},
        settings: Mapping[str, object] = {},
    ) -> None:
        self.workspace = Workspace(find_manifest(manifest), settings=settings)
        for name in urls:
            if name not in (known := (*get_args(RoleName), "replica")):
                raise UsageError(f"urls: there is no role {name!r}", remedy=nearest(name, known))
        self.urls = urls
        self._pools: dict[RoleName, RolePool] = {}
        self._rights: dict[RoleName, Rights] = {}
        self._replica: Replica | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; a later session opens them again."""
        for pool in (*self._pools.values(), self._replica):
            if pool is not None:
                await pool.close()
        self._pools.clear()
        self._replica = None

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
    ) -> AbstractAsyncContextManager[Session]:
        """One transaction with the rights of a user, as a context manager.

        It is committed at the end of the block, and rolled back by an exception. Without a user and
        a tenant it sees what everybody may see. Another role has another login, and its own pool.

        Where there is a replica, a session of the role `app` that is `read_only` reads from it:
        what was written up to `position`, the `position` of an earlier session.

        Raises:
            UsageError: there is no such role, or it has no URL. TargetError: the server cannot be
            reached, no connection is free, or no rule binds the role.
        """
        rights = self._find_rights(role)._replace(
            user_id=user_id, tenant_id=tenant_id, is_read_only=read_only
        )
        pool = self._pool(role)
        if read_only and role == "app" and (replica := self._find_replica(pool)):
            return replica.session(rights, position)
        return pool.session(rights)

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
        alchemy.set_rights(session, connection, self._find_rights("app"))

    def _find_rights(self, role: RoleName) -> Rights:
        if role not in self._rights:
            self._rights[role] = self.workspace.rights(self._manifest, role)
        return self._rights[role]

    def _pool(self, role: RoleName) -> RolePool:
        if role not in self._pools:
            conninfo = self.urls.get(role) or self.workspace.login(self._manifest, role)
            timeout_ms = self.workspace.setting(POOL_TIMEOUT)
            self._pools[role] = self._make_pool(conninfo, timeout_ms, role)
        return self._pools[role]

    def _make_pool(self, conninfo: str, timeout_ms: int, role: RoleName = "app") -> RolePool:
        return RolePool(
            conninfo,
            describe(conninfo),
            size=self.workspace.setting(POOL_SIZE),
            timeout_ms=timeout_ms,
            has_replica=bool(self._replica_url),
            others=self._find_rights(role).others,
        )

    @cached_property
    def _manifest(self) -> Manifest:
        return self.workspace.manifest()

    @cached_property
    def _replica_url(self) -> str:
        url = self.urls.get("replica")
        return url or self.workspace.role_url(self._manifest, "replica")

    def _find_replica(self, main: RolePool) -> Replica | None:
        if self._replica is None and self._replica_url:
            self._replica = Replica(self._make_pool(self._replica_url, WAIT_MS), main)
        return self._replica
