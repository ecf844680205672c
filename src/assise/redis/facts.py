"""What a server of Redis says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assise.redis.client import Client, translated


@dataclass(frozen=True)
class ServerFacts:
    """A server: bytes of memory, the bytes that it may use (0: no limit), and what it evicts.

    role: `master`, or `slave` for a replica. policy: empty where the user may not ask.
    """

    version: str
    role: str
    used: int
    limit: int
    policy: str
    evicted: int
    keys: int

    @property
    def evicts(self) -> bool:
        """Whether keys may go before their time."""
        return self.policy not in {"noeviction", ""}


async def read_facts(client: Client) -> ServerFacts:
    """Ask a server.

    Raises:
        RedisError: it does not answer, or refuses.
    """
    with translated(client.target):
        info: dict[str, Any] = await client.native.info("everything")
        keys = int(await client.ask("DBSIZE"))
    version = info.get("valkey_version") or info.get("redis_version") or "?"
    return ServerFacts(
        version=str(version),
        role=str(info.get("role", "?")),
        used=int(info.get("used_memory", 0)),
        limit=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "")),
        evicted=int(info.get("evicted_keys", 0)),
        keys=keys,
    )
