"""Analytics: events, and the tables whose rows are users, revenue, projects and deployments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from assise.manifest.expressions import check_expression
from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import is_keep
from assise.manifest.sections.servers import check_on_main
from assise.wording import nearest, show

PROPERTY_TYPES = ("text", "int", "number", "bool", "uuid", "timestamp", "json")
_EVENT = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PATH = re.compile(r"(/[A-Za-z0-9_-]+){1,5}")
_ORIGIN = re.compile(r"\*|https?://[^/\s?#]+")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Events(Keyed):
    """How long events are kept, where they go too, and the application's own with their properties.

    Variables in `forward` are not replaced yet.
    """

    keep: str | None = None
    forward: dict[str, str] = Field(default_factory=dict)
    own: dict[str, dict[str, str]] = Field(default_factory=dict)


class Capture(Keyed):
    """The routes that PostHog's SDKs send to: their keys, path, and the origins of pages.

    Variables in `keys` are not replaced yet.
    """

    keys: tuple[str, ...] = Field(default=())
    path: str = "/ingest"
    origins: tuple[str, ...] = Field(default=())


class CreatedRows(Keyed):
    """A table whose rows are counted, and the column that says when each was made."""

    table: str
    created: str


class Deployments(Keyed):
    """A table of deployments: when each was, and the expression that says whether it succeeded."""

    table: str
    at: str
    ok: str


class Rates(Keyed):
    """A table of exchange rates: the day, the currency, and what one unit of it is worth."""

    table: str
    day: str
    currency: str
    rate: str


class Revenue(Keyed):
    """A table of subscriptions or invoices and its columns; `report` is the currency of sums.

    `unit` says whether amounts are in cents (minor) or not; by default whole numbers are.
    """

    table: str
    customer: str
    amount: str
    currency: str
    interval: str
    started: str
    quantity: str | None = None
    ended: str | None = None
    status: str | None = None
    report: str = "USD"
    kind: Literal["subscriptions", "invoices"] = "subscriptions"
    unit: Literal["minor", "major"] | None = None
    rates: Rates | None = None


class Analytics(Keyed):
    """What is counted, in the days of `timezone`."""

    timezone: str = "UTC"
    events: Events = Field(default_factory=Events)
    capture: Capture | None = None
    users: CreatedRows | None = None
    revenue: Revenue | None = None
    projects: CreatedRows | None = None
    conversations: CreatedRows | None = None
    messages: CreatedRows | None = None
    deployments: Deployments | None = None


def _check(place: Place, analytics: Analytics, tables: Tables) -> Iterator[Problem]:
    if not _is_zone(analytics.timezone):
        remedy = "Write a name of the IANA database, such as Europe/Paris."
        yield Problem((*place, "timezone"), "is no time zone", show(analytics.timezone), remedy)
    yield from _check_events((*place, "events"), analytics.events)
    if analytics.capture is not None:
        yield from _check_capture((*place, "capture"), analytics.capture)
    for name in ("users", "projects", "conversations", "messages"):
        rows: CreatedRows | None = getattr(analytics, name)
        if rows is not None:
            yield from _check_columns((*place, name), rows, ("created",), tables)
    if (deployments := analytics.deployments) is not None:
        at = (*place, "deployments")
        yield from _check_columns(at, deployments, ("at",), tables)
        if deployments.table in tables:
            columns = list_columns(deployments.table, tables)
            yield from check_expression((*at, "ok"), deployments.ok, columns)
    if (revenue := analytics.revenue) is not None:
        yield from _check_revenue((*place, "revenue"), revenue, tables)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError):
        return False
    return True


def _check_events(place: Place, events: Events) -> Iterator[Problem]:
    if events.keep is not None and not is_keep(events.keep):
        remedy = "Write a number and days, weeks, months or years: 25 months."
        yield Problem((*place, "keep"), "is no time to keep events", show(events.keep), remedy)
    for name in events.forward:
        if name not in {"posthog", "host"}:
            remedy = (
                "Write posthog: KEY, and host: https://eu.i.posthog.com for the project in Europe."
            )
            at = (*place, "forward", name)
            yield Problem(at, "is not a place that events go to", show(name), remedy)
    for name, properties in events.own.items():
        at = (*place, "own", name)
        if not _EVENT.fullmatch(name):
            remedy = "Write small letters, digits and _, such as template_forked."
            yield Problem(at, "is no name of an event", show(name), remedy)
        for key, kind in properties.items():
            if kind not in PROPERTY_TYPES:
                remedy = nearest(kind, PROPERTY_TYPES)
                yield Problem((*at, key), "is no type of a property", show(kind), remedy)


def _check_capture(place: Place, capture: Capture) -> Iterator[Problem]:
    if not capture.keys:
        remedy = "Give the keys that SDKs send: keys: [${CAPTURE_KEY}]."
        yield Problem((*place, "keys"), "has no key", remedy=remedy)
    if not _PATH.fullmatch(capture.path):
        remedy = "Write a path such as /ingest."
        yield Problem((*place, "path"), "is no path", show(capture.path), remedy)
    for i, origin in enumerate(capture.origins):
        if not _ORIGIN.fullmatch(origin):
            remedy = "Write scheme and host, such as https://app.example.org, or *."
            yield Problem((*place, "origins", str(i)), "is no origin", show(origin), remedy)


def _check_columns(
    place: Place,
    rows: CreatedRows | Deployments | Revenue | Rates,
    names: tuple[str, ...],
    tables: Tables,
) -> Iterator[Problem]:
    if rows.table not in tables:
        remedy = nearest(rows.table, tables)
        yield Problem((*place, "table"), "names no table", show(rows.table), remedy)
        return
    columns = list_columns(rows.table, tables)
    for name in names:
        column = getattr(rows, name)
        if column is not None and column not in columns:
            message = f"is not a column of {show(rows.table)}"
            yield Problem((*place, name), message, show(column), nearest(column, columns))
    yield from check_on_main((*place, "table"), rows.table, tables)


_WORDS = {
    "interval": re.compile(r"([1-9]\d{0,2} )?(day|week|month|quarter|year)s?"),
    "currency": _CURRENCY,
}
"""What stands for all rows, where no column has this name."""

_REVENUE = ("customer", "amount", "currency", "interval", "quantity", "started", "ended", "status")


def _check_revenue(place: Place, revenue: Revenue, tables: Tables) -> Iterator[Problem]:
    words = {name for name, word in _WORDS.items() if word.fullmatch(getattr(revenue, name))}
    columns = tuple(name for name in _REVENUE if name not in words)
    yield from _check_columns(place, revenue, columns, tables)
    if not _CURRENCY.fullmatch(revenue.report):
        remedy = "Write three letters, such as EUR."
        yield Problem((*place, "report"), "is no currency", show(revenue.report), remedy)
    if revenue.rates is not None:
        names = ("day", "currency", "rate")
        yield from _check_columns((*place, "rates"), revenue.rates, names, tables)


def _write(place: Place, analytics: Analytics, tables: Tables) -> object:
    del place, tables
    return analytics.model_dump(mode="json", exclude_unset=True)


_TEXT: dict[str, Schema] = {"type": "string"}
_TEXTS: dict[str, Schema] = {"type": "array", "items": _TEXT}
_BY_NAME: dict[str, Schema] = {"type": "object", "additionalProperties": _TEXT}


def _object(*names: str, **properties: Mapping[str, Schema]) -> dict[str, Schema]:
    given: dict[str, Schema] = {**dict.fromkeys(names, _TEXT)}
    given |= {name: dict(schema) for name, schema in properties.items()}
    return {"type": "object", "additionalProperties": False, "properties": given}


ANALYTICS = Key(
    "analytics",
    "manifest",
    help="timezone: whose days are counted; events: {keep, forward: {posthog: KEY}, own: {NAME:"
    " {PROPERTY: TYPE}}}; capture: {keys, path, origins} of PostHog's SDKs; users, projects,"
    " conversations and messages: {table, created}; deployments: {table, at, ok: EXPRESSION}; revenue: {table, customer,"
    " amount, currency, interval, quantity, started, ended, status, report, rates: {table, day,"
    " currency, rate}}",
    affects="schema",
    type=Analytics,
    check=_check,
    schema=_object(
        "timezone",
        events=_object(
            "keep",
            forward=_BY_NAME,
            own={"type": "object", "additionalProperties": _BY_NAME},
        ),
        capture=_object("path", keys=_TEXTS, origins=_TEXTS),
        users=_object("table", "created"),
        projects=_object("table", "created"),
        conversations=_object("table", "created"),
        messages=_object("table", "created"),
        deployments=_object("table", "at", "ok"),
        revenue=_object(
            "table",
            *_REVENUE,
            "report",
            "kind",
            "unit",
            rates=_object("table", "day", "currency", "rate"),
        ),
    ),
    is_secret=True,
    written=_write,
    default="no events are kept",
)
KEYS = (ANALYTICS,)
