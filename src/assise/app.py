"""App: what an application holds, and asks for sessions with the rights of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

from assise.manifest.sections.postgres import RoleName
from assise.postgres import alchemy
from assise.postgres.conninfo import describe
from assise.postgres.pool import RolePool, Session
from assise.postgres.rights import Rights
from assise.settings import POOL_SIZE, POOL_TIMEOUT
from assise.workspace import Workspace, find_manifest

if TYPE_CHECKING:
    from sqlalchemy import Connection as OrmConnection
    from sqlalchemy.orm import Session as OrmSession


class App:
    """The data layer of an application; for one event loop.

    Args:
        manifest: path of `assise.yaml`, or the folder that it lies in.
        urls: for each role the URL that its sessions connect with, before that of the manifest. On
            the embedded server none is needed.
        settings: values of `assise.settings.SETTINGS` by name, before those of the environment.
    """

    def __init__(
        self,
        manifest: Path | str = ".",
        *,
        urls: Mapping[RoleName, str] = {},
        settings: Mapping[str, object] = {},
    ) -> None:
        self.workspace = Workspace(find_manifest(manifest), settings=settings)
        self.urls = urls
        self._pools: dict[RoleName, RolePool] = {}
        self._rights: dict[RoleName, Rights] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; a later session opens them again."""
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()

    @asynccontextmanager
    async def lifespan(self, _application: object) -> AsyncIterator[None]:
        """The lifespan of a FastAPI application: `FastAPI(lifespan=app.lifespan)`."""
        async with self:
            yield

    def session(
        self, *, user_id: object = None, tenant_id: object = None, role: RoleName = "app"
    ) -> AbstractAsyncContextManager[Session]:
        """One transaction with the rights of a user, as a context manager.

        It is committed at the end of the block, and rolled back by an exception. Without a user and
        a tenant it sees what everybody may see. Another role has another login, and its own pool.

        Raises:
            UsageError: the role has no URL. TargetError: the server cannot be reached, no
            connection is free, or no rule binds the role.
        """
        rights = self._find_rights(role)._replace(user_id=user_id, tenant_id=tenant_id)
        return self._pool(role).session(rights)

    def user_session(self, find_user: Callable[..., object], *, role: RoleName = "app") -> object:
        """A dependency of FastAPI: a session of the user that the dependency `find_user` gives.

        The session is committed before the response is sent.
        """
        depends = import_module("fastapi").Depends

        async def open_session(user: object = depends(find_user)) -> AsyncIterator[Session]:
            async with self.session(user_id=user, role=role) as session:
                yield session

        return depends(open_session, scope="function")

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
            self._rights[role] = self.workspace.rights(role)
        return self._rights[role]

    def _pool(self, role: RoleName) -> RolePool:
        if role not in self._pools:
            conninfo = self.urls.get(role) or self.workspace.login(role)
            self._pools[role] = RolePool(
                conninfo,
                describe(conninfo),
                size=self.workspace.setting(POOL_SIZE),
                timeout_ms=self.workspace.setting(POOL_TIMEOUT),
            )
        return self._pools[role]
