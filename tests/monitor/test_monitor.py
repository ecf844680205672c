"""What is measured: percentiles, slow calls, alerts, hours that processes share, and /metrics."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.cache.servers import run_server, write_app

from assise.api.edge import Metrics
from assise.app import App
from assise.errors import UsageError
from assise.monitor import verbs
from assise.monitor.histogram import Histogram
from assise.monitor.verbs import AppMonitor, CacheFigures, PoolUse


def make_monitor(
    pools: list[PoolUse] | None = None, cache: CacheFigures | None = None
) -> AppMonitor:
    return AppMonitor(find_pools=lambda: pools or [], find_cache=lambda: cache, hours=None)


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_a_twentieth_off_at_most(seed: int) -> None:
    chance, histogram = random.Random(seed), Histogram()
    times = [chance.lognormvariate(2, 1.5) for _ in range(5_000)]
    for each in times:
        histogram.add(each)
    times.sort()
    found = histogram.summarize()
    for share, shown in ((0.5, found.p50_ms), (0.95, found.p95_ms), (0.99, found.p99_ms)):
        exact = times[round(share * len(times)) - 1]
        assert shown == pytest.approx(exact, rel=0.05)
    assert found.mean_ms == pytest.approx(sum(times) / len(times), rel=0.001)
    other = Histogram()
    other.merge(histogram.as_numbers())
    other.merge(histogram.as_numbers())
    assert (other.summarize().count, other.summarize().p95_ms) == (10_000, found.p95_ms)
    assert len(histogram.buckets) < 200


def test_what_is_measured_is_returned_and_errors_go_through() -> None:
    monitor = make_monitor()

    async def work(*, fails: bool) -> int:
        if fails:
            raise LookupError
        return 7

    async def all_of_it() -> None:
        assert await monitor.measure("work", work(fails=False)) == 7
        with pytest.raises(LookupError):
            await monitor.measure("work", work(fails=True))

    asyncio.run(all_of_it())
    assert monitor.summarize()["work"].count == 2
    found = asyncio.run(monitor.performance_metrics())
    assert (found["error_rate"], found["slow_queries"], found["cache_hit_rate"]) == (50, 0, None)


def test_slow_calls_and_alerts(caplog: pytest.LogCaptureFixture) -> None:
    pools = [PoolUse("app", 10, 10), PoolUse("admin", 9, 10)]
    monitor = make_monitor(pools, CacheFigures(59, 40, 1, is_open=True, refused=0))
    for ms in (499.9, 500, 999, 1_200):
        monitor.note("report", ms)
    found = [(each.name, each.ms, each.level) for each in monitor.slow]
    assert found == [
        ("report", 500, "warning"),
        ("report", 999, "warning"),
        ("report", 1_200, "alert"),
    ]
    assert caplog.messages == [f"report took {ms} ms" for ms in ("500", "999", "1200")]
    assert [alert.split(",")[0] for alert in monitor.list_alerts()] == [
        "report: 95 of 100 take up to 1",
        "the cache does not answer",
        "the cache answers 59% of the calls",
        "the pool of app uses 10 of 10 connections",
    ]
    assert make_monitor(cache=CacheFigures(60, 40, 0, is_open=False, refused=0)).list_alerts() == []
    for number in range(2_000):
        monitor.note(f"name {number}", 1_000)
    assert (len(monitor.histograms), len(monitor.slow)) == (verbs.NAMES + 1, verbs.SLOW_KEPT)


def test_figures_are_served_for_prometheus() -> None:
    pools = [PoolUse("app", 1, 10)]
    monitor = make_monitor(pools, CacheFigures(3, 1, 0, is_open=True, refused=2))
    monitor.note('odd "name"\n', 2)
    text = generate_latest(Metrics(monitor.list_samples).registry).decode()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["assise_monitor_calls", 'odd "name"\n'] == 1
    assert found["assise_monitor_ms", "0.95", 'odd "name"\n'] == pytest.approx(2, rel=0.05)
    assert found["assise_monitor_slow", 'odd "name"\n'] == 0
    assert found["assise_pool_size", "app"] == 10
    assert found["assise_cache_calls", "hits"] == 3
    assert found["assise_cache_breaker_state",] == 1


def test_hours_are_shared_by_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000 * 3_600.0

    async def measure(app: App, ms: float) -> None:
        async with app:
            app.monitor.note("projects", ms)

    async def read(app: App, hours: int) -> dict[str, tuple[int, float]]:
        async with app:
            found = await app.monitor.get_performance_stats(hours)
        return {name: (each.count, round(each.p50_ms)) for name, each in found.by_name.items()}

    with run_server(tmp_path, "data") as server:
        apps = [write_app(tmp_path / str(n), server.url, server.url) for n in range(2)]
        for hour, app, ms in [(0, apps[0], 10), (1, apps[1], 100), (1, apps[0], 100)]:
            monkeypatch.setattr("time.time", lambda hour=hour: now + hour * 3_600)
            asyncio.run(measure(app, ms))
        found = asyncio.run(read(apps[1], 1))
        assert [*found] == ["projects"]
        assert found["projects"][0] == 2
        assert found["projects"][1] == pytest.approx(100, rel=0.05)
        count, _ = asyncio.run(read(apps[1], 2))["projects"]
        assert count == 3
        with pytest.raises(UsageError, match="hours is 0"):
            asyncio.run(read(apps[0], 0))
