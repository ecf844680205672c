"""How many connections an application keeps to MongoDB, and for how long; no driver is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assise.errors import UsageError

OPTIONS: Mapping[str, str] = {
    "max_pool_size": "maxPoolSize",
    "min_pool_size": "minPoolSize",
    "max_idle_ms": "maxIdleTimeMS",
    "wait_queue_ms": "waitQueueTimeoutMS",
    "selection_ms": "serverSelectionTimeoutMS",
    "heartbeat_ms": "heartbeatFrequencyMS",
    "timeout_ms": "socketTimeoutMS",
}
"""The names of a pool's settings -> those of pymongo."""


@dataclass(frozen=True)
class PoolSizes:
    """What an application's client is opened with.

    given: settings of which somebody has said a value; they go before the options of the URL, which
        go before `others`.
    """

    url: str = field(repr=False)
    database: str | None
    given: Mapping[str, int]
    others: Mapping[str, int]

    def list_options(self) -> dict[str, int | None]:
        """The options of pymongo's client; those that the URL has are left to it.

        Raises:
            UsageError: more connections are to be kept open than may be.
        """
        written = self.url.partition("?")[2].lower()
        is_written = {name: f"{OPTIONS[name].lower()}=" in written for name in OPTIONS}
        sizes = {name: size for name, size in self.others.items() if not is_written[name]}
        sizes.update(self.given)
        low, high = sizes.get("min_pool_size", 0), sizes.get("max_pool_size")
        if high is not None and low > high:
            if "min_pool_size" in self.given:
                raise UsageError(
                    f"mongo.min_pool_size is {low:,}, above mongo.max_pool_size, {high:,}",
                    remedy="Lower the one, or raise the other.",
                )
            sizes["min_pool_size"] = high
        is_endless = {"max_idle_ms", "timeout_ms"}
        return {
            OPTIONS[name]: None if name in is_endless and not value else value
            for name, value in sizes.items()
        }
