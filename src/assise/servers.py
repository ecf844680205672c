"""What an application holds open: a pool for each role and server, the replica, REST interfaces."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from assise.manifest.model import Manifest
from assise.manifest.sections.postgres import RoleName
from assise.manifest.sections.servers import MAIN
from assise.postgres.conninfo import describe
from assise.postgres.pool import RolePool, Watch
from assise.postgres.replica import READS_MAIN, WAIT_MS, Replica
from assise.postgres.rest import Rest
from assise.postgres.rights import Rights
from assise.settings import POOL_SIZE, POOL_TIMEOUT
from assise.workspace import Workspace


@dataclass
class Servers:
    """The servers of a manifest, each connected to when it is needed first.

    Args:
        urls: for each role, and `replica`, the URL before that of the manifest; on another server
            `auth.app`.
        find_watch: what commits on the server `main` are watched by.
    """

    workspace: Workspace
    urls: MutableMapping[str, str]
    find_watch: Callable[[], Watch | None]
    _pools: dict[tuple[str, RoleName], RolePool] = field(default_factory=dict)
    _rights: dict[tuple[str, RoleName], Rights] = field(default_factory=dict)
    _rests: dict[str, Rest | None] = field(default_factory=dict)
    _replica: Replica | None = None

    async def close(self) -> None:
        """Close all connections; they are opened again when they are needed."""
        for pool in (*self._pools.values(), self._replica, *self._rests.values()):
            if pool is not None:
                await pool.close()
        self._pools.clear()
        self._rests.clear()
        self._replica = None

    @cached_property
    def whole_manifest(self) -> Manifest:
        """The manifest with the tables of all servers, as it was when it was read first."""
        return self.workspace.whole_manifest()

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest with the tables of the server `main`."""
        return self.whole_manifest.on(MAIN)

    def find_rest(self, server: str) -> Rest | None:
        """The REST interface of a server; None where it has a connection."""
        if server not in self._rests:
            found = self.workspace.rest(self.manifest, server)
            self._rests[server] = Rest(*found) if found else None
        return self._rests[server]

    def find_rights(self, role: RoleName, *, on: str = MAIN) -> Rights:
        """The rights of a role, of nobody yet.

        Raises:
            UsageError: there is no such role or server.
        """
        if (on, role) not in self._rights:
            self._rights[on, role] = self.workspace.rights(self.manifest, role, on=on)
        return self._rights[on, role]

    def find_pool(self, role: RoleName, *, on: str = MAIN) -> RolePool:
        """The pool of a role.

        Raises:
            UsageError: there is no such role or server, or it has no URL.
        """
        if (on, role) not in self._pools:
            given = self.urls.get(role if on == MAIN else f"{on}.{role}")
            conninfo = given or self.workspace.login(self.manifest, role, on=on)
            timeout_ms = self.workspace.setting(POOL_TIMEOUT)
            # Who sees all rows of another server may go around its rules.
            is_bound = on == MAIN or role == "app"
            others = self.find_rights(role, on=on).others
            pool = self._make_pool(conninfo, timeout_ms, is_bound=is_bound, others=others)
            pool.watch = self.find_watch() if on == MAIN else None
            self._pools[on, role] = pool
        return self._pools[on, role]

    def list_pools(self) -> list[tuple[RoleName, RolePool]]:
        """The pools that have been asked for, with their roles."""
        return [(role, pool) for (_, role), pool in self._pools.items()]

    def _make_pool(
        self,
        conninfo: str,
        timeout_ms: int,
        *,
        is_bound: bool = True,
        others: Sequence[str] = (),
    ) -> RolePool:
        return RolePool(
            conninfo,
            describe(conninfo),
            size=self.workspace.setting(POOL_SIZE),
            timeout_ms=timeout_ms,
            has_replica=bool(self._replica_url),
            is_bound=is_bound,
            others=others,
        )

    @cached_property
    def _replica_url(self) -> str:
        url = self.urls.get("replica")
        return url or self.workspace.role_url(self.manifest, "replica")

    def find_replica(self, main: RolePool) -> Replica | None:
        """The replica of the server `main`; None where there is none, or it may not be asked."""
        if READS_MAIN.get():
            return None
        if self._replica is None and self._replica_url:
            others = self.find_rights("app").others
            pool = self._make_pool(self._replica_url, WAIT_MS, others=others)
            self._replica = Replica(pool, main)
        return self._replica
