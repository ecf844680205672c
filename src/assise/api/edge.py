"""What surrounds each request: its id, its line in the log, its metrics, and its limits."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TextIO
from uuid import uuid4

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from assise.api.health import LIVE
from assise.api.problems import make_problem
from assise.app import App, Asgi, Scope, Send
from assise.errors import AssiseError
from assise.manifest.sections.analytics import ANALYTICS
from assise.manifest.sections.http import HTTP, Http
from assise.monitor.verbs import MetricSample
from assise.postgres.rights import REQUEST_ID
from assise.settings import CONCURRENCY, TIMEOUT

ID_HEADER = "x-request-id"
METRICS = "/metrics"
SHOWN_HEADERS = ("etag", "location", "retry-after", "x-request-id", "assise-position")
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class _Samples(Collector):
    """What an application measures beside requests, as it is when it is asked."""

    def __init__(self, list_samples: Callable[[], Iterable[MetricSample]]) -> None:
        self._list_samples = list_samples

    def collect(self) -> Iterator[Metric]:
        """The figures by name."""
        found: dict[str, GaugeMetricFamily] = {}
        for sample in self._list_samples():
            names = [*sample.labels]
            family = found.setdefault(
                sample.name, GaugeMetricFamily(sample.name, sample.help, labels=names)
            )
            family.add_metric([*sample.labels.values()], sample.value)
        yield from found.values()


class Metrics:
    """What is counted of requests, in a registry of its own."""

    def __init__(self, list_samples: Callable[[], Iterable[MetricSample]] = tuple) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "assise_http_requests",
            "Requests by method, route and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "assise_http_seconds",
            "Seconds of a request by method and route",
            ["method", "route"],
            registry=self.registry,
        )
        self.running = Gauge(
            "assise_http_running", "Requests that are being answered", registry=self.registry
        )
        self.registry.register(_Samples(list_samples))


@dataclass
class Edge:
    """A middleware around the whole application."""

    application: Asgi
    timeout_s: float
    concurrency: int
    metrics: Metrics = field(default_factory=Metrics)
    cross: Callable[[Asgi], Asgi] = field(default=lambda application: application)
    log: Any = field(default_factory=lambda: make_log(sys.stderr))
    running: int = 0

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:  # noqa: ANN401 - of ASGI
        """Answer a request."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
        elif scope["path"] == METRICS and scope["method"] in {"GET", "HEAD"}:
            text = generate_latest(self.metrics.registry)
            await Response(text, media_type=CONTENT_TYPE_LATEST)(scope, receive, send)
        else:
            await _Exchange(self, scope, receive, send).run()


@dataclass
class _Exchange:
    """One request and its answer."""

    edge: Edge
    scope: Scope
    receive: Any
    send: Send
    status: int = 0

    async def run(self) -> None:
        begun = perf_counter()
        self.id = _find_id(self.scope)
        request = REQUEST_ID.set(self.id)
        self.edge.running += 1
        self.edge.metrics.running.set(self.edge.running)
        failure = ""
        try:
            if self.edge.running > self.edge.concurrency and self.scope["path"] != LIVE:
                await self._refuse(
                    503, "too many requests are being answered", {"Retry-After": "1"}
                )
            else:
                async with asyncio.timeout(self.edge.timeout_s):
                    await self.edge.application(self.scope, self.receive, self._send)
        except TimeoutError:
            failure = "timeout"
            await self._refuse(504, "the request took too long")
        except Exception as error:  # noqa: BLE001 - the last one who can answer
            failure = describe(error)
            await self._refuse(500, "something failed here")
        finally:
            REQUEST_ID.reset(request)
            self.edge.running -= 1
            self.edge.metrics.running.set(self.edge.running)
            self._note(perf_counter() - begun, failure)

    async def _send(self, message: Scope) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (ID_HEADER.encode(), self.id.encode())]
            message = {**message, "headers": headers}
        await self.send(message)

    async def _refuse(self, status: int, detail: str, headers: Mapping[str, str] = {}) -> None:
        """Answer with a problem, where nothing is answered yet."""
        if not self.status:
            answer = make_problem(status, detail, headers, request=self.id)
            await self.edge.cross(answer)(self.scope, self.receive, self._send)

    def _note(self, seconds: float, failure: str) -> None:
        """Count the request, and write its line: no query and no header, which may be secret."""
        route = getattr(self.scope.get("route"), "path", "none")
        method = self.scope["method"] if self.scope["method"] in METHODS else "other"
        self.edge.metrics.requests.labels(method, route, str(self.status)).inc()
        self.edge.metrics.seconds.labels(method, route).observe(seconds)
        facts = {"failure": failure} if failure else {}
        self.edge.log.info(
            "request",
            id=self.id,
            method=method,
            route=route,
            status=self.status,
            ms=round(seconds * 1000, 1),
            **facts,
        )


def describe(error: Exception) -> str:
    """A failure as the log has it: where it was, without the values of the request."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    said = error.message if isinstance(error, AssiseError) else ""
    return f"{type(error).__name__} at {place} {said}".strip()


def _find_id(scope: Scope) -> str:
    """The id that the request came with, where it is one; else a new one."""
    for name, value in scope["headers"]:
        if name == ID_HEADER.encode():
            found = value.decode("latin-1")
            if _ID.fullmatch(found):
                return str(found)
    return uuid4().hex


def make_log(file: TextIO) -> Any:  # noqa: ANN401 - structlog says no more
    """A log of JSON lines."""
    return structlog.wrap_logger(
        structlog.PrintLoggerFactory(file)(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )


def make_edge(app: App, application: Asgi) -> Edge:
    """What surrounds an application, by its manifest and its settings."""
    origins = (HTTP.of(app.manifest) or Http()).origins

    def cross(answering: Asgi) -> Asgi:
        """The same for pages of other origins, where the manifest names some."""
        if not origins:
            return answering
        crossing = CORSMiddleware(
            answering,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=SHOWN_HEADERS,
            max_age=600,
        )
        return _except_capture(app, answering, crossing)

    setting = app.workspace.setting
    metrics = Metrics(app.monitor.list_samples)
    limits = setting(TIMEOUT) / 1000, setting(CONCURRENCY)
    return Edge(cross(application), *limits, metrics, cross)


def _except_capture(app: App, application: Asgi, crossing: Asgi) -> Asgi:
    """An application that answers other origins; the routes of capture have origins of their own."""
    analytics = ANALYTICS.of(app.manifest)
    if analytics is None or analytics.capture is None:
        return crossing
    path = f"{analytics.capture.path}/"

    async def choose(scope: Scope, receive: object, send: Send) -> None:
        is_capture = scope["type"] == "http" and scope["path"].startswith(path)
        await (application if is_capture else crossing)(scope, receive, send)

    return choose
