"""App: what an application holds, and asks for sessions with the rights of its users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Literal, Self

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.access import ROLES
from assise.postgres.conninfo import describe, sign_in_as
from assise.postgres.pool import RolePool, Session
from assise.postgres.rights import Rights
from assise.schema.roles import role_name
from assise.settings import POOL_SIZE, POOL_TIMEOUT, STATEMENT_TIMEOUT
from assise.workspace import Workspace, find_manifest

RoleName = Literal["app", "auth", "readonly", "worker", "admin"]


class App:
    """The data layer of an application; for one event loop.

    Args:
        manifest: path of `assise.yaml`, or the folder that it lies in.
        urls: for each role the URL that its sessions connect with. On the embedded server none is
            needed.
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
        self._timeout_ms = self.workspace.setting(STATEMENT_TIMEOUT)

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
        return self._pool(role).session(Rights(user_id, tenant_id, self._timeout_ms))

    def user_session(self, find_user: Callable[..., object], *, role: RoleName = "app") -> object:
        """A dependency of FastAPI: a session of the user that the dependency `find_user` gives.

        The session is committed before the response is sent.
        """
        depends = import_module("fastapi").Depends

        async def open_session(user: object = depends(find_user)) -> AsyncIterator[Session]:
            async with self.session(user_id=user, role=role) as session:
                yield session

        return depends(open_session, scope="function")

    def _pool(self, role: RoleName) -> RolePool:
        if role not in self._pools:
            conninfo = self._conninfo(role)
            self._pools[role] = RolePool(
                conninfo,
                describe(conninfo),
                size=self.workspace.setting(POOL_SIZE),
                timeout_ms=self.workspace.setting(POOL_TIMEOUT),
            )
        return self._pools[role]

    def _conninfo(self, role: RoleName) -> str:
        if role in self.urls:
            return self.urls[role]
        manifest = self.workspace.manifest()
        roles = ROLES.of(manifest)
        if roles is None:
            raise UsageError(
                f"{self.workspace.path} has no roles, so that no login has rules",
                remedy="Write roles: {prefix: NAME}, and access: on its tables.",
            )
        if not self.workspace.is_embedded(manifest):
            raise UsageError(
                f"role {role} has no URL",
                remedy=f"Give App the URL of {role_name(roles.prefix, role)}:"
                f" urls={{{role!r}: …}}.",
            )
        return self._embedded(manifest, role_name(roles.prefix, role))

    def _embedded(self, manifest: Manifest, user: str) -> str:
        embedded = self.workspace.embedded
        if not embedded.is_running():
            embedded.start()
        return sign_in_as(embedded.conninfo(manifest.name), user)
