"""How long something takes: counts by buckets of a tenth more each, so that nothing grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, log

GROWTH = 1.1
SMALLEST_MS = 0.001
"""Everything below counts as this."""

WARN_MS = 500.0
"""A call that takes so long is slow."""


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that half, 95 and 99 of a hundred stay under, to a twentieth; how many in all.

    slow: how many took half a second or longer.
    """

    count: int
    errors: int
    slow: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float


@dataclass
class Histogram:
    """Counts by bucket; `us` is the sum in microseconds."""

    buckets: Counter[int] = field(default_factory=Counter)
    errors: int = 0
    slow: int = 0
    us: int = 0

    def add(self, ms: float, *, is_error: bool = False) -> None:
        """Count one more."""
        self.buckets[floor(log(max(ms, SMALLEST_MS) / SMALLEST_MS) / log(GROWTH))] += 1
        self.errors += is_error
        self.slow += ms >= WARN_MS
        self.us += round(ms * 1000)

    def find(self, share: float) -> float:
        """The milliseconds that this share stays under; 0 where nothing was counted."""
        wanted, seen = share * self.buckets.total(), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                # The middle of the bucket: at most a twentieth off.
                return float(SMALLEST_MS * GROWTH ** (bucket + 0.5))
        return 0.0

    def summarize(self) -> Percentiles:
        """The figures that people look at."""
        count = self.buckets.total()
        mean = self.us / 1000 / count if count else 0.0
        return Percentiles(
            count, self.errors, self.slow, self.find(0.5), self.find(0.95), self.find(0.99), mean
        )

    def as_numbers(self) -> dict[str, int]:
        """Whole numbers by name, which can be added up."""
        named = {f"b{bucket}": count for bucket, count in self.buckets.items()}
        return {**named, "errors": self.errors, "slow": self.slow, "us": self.us}

    def merge(self, numbers: Mapping[str, int]) -> None:
        """Add what `as_numbers` gave."""
        for name, number in numbers.items():
            match name:
                case "errors":
                    self.errors += number
                case "slow":
                    self.slow += number
                case "us":
                    self.us += number
                case _:
                    self.buckets[int(name[1:])] += number
