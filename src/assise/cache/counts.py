"""What a process counts of its cached functions."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class Counts:
    """Calls of one cached function.

    hits: answered by the cache. loads: calls of the function itself. waits: calls that waited for
    the load of another. bypassed: calls while the cache was away or off. unstored: loads that were
    not stored, as something was invalidated meanwhile, or Redis refused. load_s: seconds in the
    function; bytes: what was stored.
    """

    hits: int = 0
    loads: int = 0
    waits: int = 0
    bypassed: int = 0
    unstored: int = 0
    load_s: float = 0.0
    bytes: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of calls that the cache answered; None without calls."""
        calls = self.hits + self.loads
        return self.hits / calls if calls else None

    def list_new(self, before: Counts) -> dict[str, int]:
        """What was counted since: whole numbers, the seconds as `load_us`."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        found = {name: value - getattr(before, name) for name, value in found.items()}
        found["load_us"] = round(found.pop("load_s") * 1e6)
        return {name: int(value) for name, value in found.items() if value}
