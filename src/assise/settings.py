"""The settings of the main job, what settings may hold, and the only reader of the environment.

`load.chunk_bytes` is `--chunk-bytes` on the command line and `ASSISE_LOAD_CHUNK_BYTES` in the
environment. A part has a tuple of settings of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any, Generic, TypeVar

from assise.errors import UsageError
from assise.wording import nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Kind(Generic[T]):
    """What a setting holds: its name with an article, and how text is read and written."""

    noun: str
    parse: Callable[[str], T | None]
    show: Callable[[T], str] = str


@dataclass(frozen=True)
class Setting(Generic[T]):
    """A value that users may set; `minimum` and `maximum` are allowed themselves."""

    name: str
    default: T
    help: str
    kind: Kind[T]
    minimum: T | None = None
    maximum: T | None = None

    @property
    def variable(self) -> str:
        """The environment variable of this setting."""
        return "ASSISE_" + self.name.replace(".", "_").upper()

    @property
    def option(self) -> str:
        """The option of this setting on the command line."""
        return "--" + self.name.rpartition(".")[2].replace("_", "-")

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.minimum is None or self.maximum is None:
            return self.kind.noun
        low, high = map(self.kind.show, (self.minimum, self.maximum))
        return f"{self.kind.noun} from {low} to {high}"


def parse_duration(text: str) -> timedelta | None:
    """Read a duration as PostgreSQL's interval input does, without months, years and signs.

    >>> parse_duration("5 minutes"), parse_duration("1h 30s")
    (datetime.timedelta(seconds=300), datetime.timedelta(seconds=3630))
    """
    parts = _DURATION_PART.findall(text)
    if not parts or _DURATION_PART.sub("", text).strip():
        return None
    total = timedelta()
    for number, unit in parts:
        length = _UNITS.get(unit.lower())
        if length is None:
            return None
        total += float(number) * length
    return total


def show_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it.

    >>> show_duration(timedelta(minutes=5))
    '300 s'
    """
    return f"{duration.total_seconds():f}".rstrip("0").rstrip(".") + " s"


def _parse_int(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def _parse_bool(text: str) -> bool | None:
    return _BOOLEANS.get(text.lower())


_DURATION_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) *([A-Za-z]+)")
_NAMES = {
    "ms millisecond milliseconds": timedelta(milliseconds=1),
    "s sec secs second seconds": timedelta(seconds=1),
    "m min mins minute minutes": timedelta(minutes=1),
    "h hour hours": timedelta(hours=1),
    "d day days": timedelta(days=1),
    "w week weeks": timedelta(weeks=1),
}
_UNITS = {name: length for names, length in _NAMES.items() for name in names.split()}
_BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "off", "0"), False
)

WHOLE = Kind("a whole number", _parse_int, "{:,}".format)
TEXT = Kind("a text", str)
BOOLEAN = Kind("true or false", _parse_bool, lambda value: str(value).lower())
DURATION = Kind("a duration such as 30s or 5 minutes", parse_duration, show_duration)

CHUNK_BYTES = Setting(
    "load.chunk_bytes",
    4 << 20,
    "source bytes of one chunk, that is of one transaction",
    WHOLE,
    1,
    1 << 28,
)
WORKERS = Setting(
    "workers",
    0,
    "workers; 0 is one for each core, at most 8, fewer where the source is small",
    WHOLE,
    0,
    64,
)
INFER_PATHS = Setting(
    "infer.paths",
    20_000,
    "paths of one collection that infer profiles at most",
    WHOLE,
    1,
    10_000_000,
)
NATIVE = Setting(
    "native",
    default=True,
    help="whether documents go through assise-native, where it is installed",
    kind=BOOLEAN,
)
POOL_SIZE = Setting(
    "app.pool_size",
    10,
    "connections of one role that an application holds at most",
    WHOLE,
    1,
    1_000,
)
POOL_TIMEOUT = Setting(
    "app.pool_timeout_ms",
    10_000,
    "milliseconds that a session waits for a free connection",
    WHOLE,
    10,
    3_600_000,
)
STATEMENT_TIMEOUT = Setting(
    "app.statement_timeout_ms",
    30_000,
    "milliseconds after which the server ends a statement of a session; 0 is never",
    WHOLE,
    0,
    86_400_000,
)
BODY_BYTES = Setting(
    "api.body_bytes", 1 << 20, "bytes of the body of a request at most", WHOLE, 1, 1 << 28
)
TIMEOUT = Setting(
    "api.timeout_ms",
    30_000,
    "milliseconds that a request may take, with its wait for a connection",
    WHOLE,
    10,
    3_600_000,
)
CONCURRENCY = Setting(
    "api.concurrency", 500, "requests at a time in one process; more get 503", WHOLE, 1, 100_000
)
STOP = Setting(
    "api.stop_s", 30, "seconds that running requests have when the server stops", WHOLE, 1, 3_600
)
CACHE_OFF = Setting(
    "cache.off",
    default=False,
    help="whether every call goes past the cache: for tests",
    kind=BOOLEAN,
)
CACHE_TIMEOUT = Setting(
    "cache.timeout_ms",
    250,
    "milliseconds that a call waits for Redis, before calls go past the cache until it answers",
    WHOLE,
    1,
    60_000,
)
CACHE_SIZE = Setting(
    "cache.pool_size",
    8,
    "connections to one server of Redis that an application holds at most",
    WHOLE,
    1,
    10_000,
)
MONGO_MAX_POOL_SIZE = Setting(
    "mongo.max_pool_size",
    100,
    "connections to each member of MongoDB that a process of an application holds at most",
    WHOLE,
    1,
    10_000,
)
MONGO_MIN_POOL_SIZE = Setting(
    "mongo.min_pool_size",
    10,
    "connections to each member of MongoDB that are kept open",
    WHOLE,
    0,
    10_000,
)
MONGO_MAX_IDLE = Setting(
    "mongo.max_idle_ms",
    45_000,
    "milliseconds after which an idle connection to MongoDB is closed; 0 is never",
    WHOLE,
    0,
    86_400_000,
)
MONGO_WAIT_QUEUE = Setting(
    "mongo.wait_queue_ms",
    5_000,
    "milliseconds that an operation waits for a free connection to MongoDB",
    WHOLE,
    1,
    3_600_000,
)
MONGO_SELECTION = Setting(
    "mongo.selection_ms",
    5_000,
    "milliseconds in which a member of MongoDB must be found that can answer",
    WHOLE,
    1,
    3_600_000,
)
MONGO_HEARTBEAT = Setting(
    "mongo.heartbeat_ms",
    10_000,
    "milliseconds between two looks at each member of MongoDB",
    WHOLE,
    500,
    3_600_000,
)
MONGO_TIMEOUT = Setting(
    "mongo.timeout_ms",
    30_000,
    "milliseconds that MongoDB has for a reply; 0 is any time",
    WHOLE,
    0,
    86_400_000,
)
MONGO_SETTINGS = (
    MONGO_MAX_POOL_SIZE,
    MONGO_MIN_POOL_SIZE,
    MONGO_MAX_IDLE,
    MONGO_WAIT_QUEUE,
    MONGO_SELECTION,
    MONGO_HEARTBEAT,
    MONGO_TIMEOUT,
)
SECRET = Setting(
    "secret",
    "",
    "what cursors are signed with, the same in each process: 32 characters or more; without it one"
    " is drawn, and cursors end with the process",
    TEXT,
)
TOKEN = Setting("token", "", "the token of the user whose rights `assise mcp` has", TEXT)
SPOOL_BYTES = Setting(
    "analytics.spool_bytes",
    64 << 20,
    "bytes of events that wait on disk at most, while PostgreSQL cannot be reached",
    WHOLE,
    1,
    1 << 40,
)
ENVIRONMENT = Setting(
    "analytics.environment", "", "where events happen, such as production: a property of each", TEXT
)
RELEASE = Setting(
    "analytics.release", "", "the release of the application: a property of each event", TEXT
)
SETTINGS: tuple[Setting[Any], ...] = (
    CHUNK_BYTES,
    WORKERS,
    INFER_PATHS,
    NATIVE,
    POOL_SIZE,
    POOL_TIMEOUT,
    STATEMENT_TIMEOUT,
    BODY_BYTES,
    TIMEOUT,
    CONCURRENCY,
    STOP,
    *MONGO_SETTINGS,
    CACHE_OFF,
    CACHE_TIMEOUT,
    CACHE_SIZE,
    SPOOL_BYTES,
    ENVIRONMENT,
    RELEASE,
)
"""Those that may be given by name; secrets come from the environment alone."""


def check_names(given: Iterable[str]) -> None:
    """Refuse a setting that does not exist.

    Raises:
        UsageError: it names the setting, and those that there are.
    """
    names = [setting.name for setting in SETTINGS]
    for name in given:
        if name not in names:
            raise UsageError(f"there is no setting {name!r}", remedy=nearest(name, names))


def read_setting(
    setting: Setting[T], given: object = None, *, environ: Mapping[str, str] = os.environ
) -> T:
    """Return the value of a setting: as given, from the environment, or its default.

    Raises:
        UsageError: the value is of another kind, or lies outside the setting's bounds.
    """
    if given is None:
        name, text = setting.variable, environ.get(setting.variable, "").strip()
        if not text:
            return setting.default
    else:
        name, text = setting.option, _show_given(given)
    value = setting.kind.parse(text)
    if value is None or not _is_within(setting, value):
        what = f"{name} is {text!r}: {setting.help}"
        raise UsageError(what, remedy=f"Give {setting.allowed}.")
    return value


def _show_given(given: object) -> str:
    return show_duration(given) if isinstance(given, timedelta) else str(given)


def _is_within(setting: Setting[Any], value: object) -> bool:
    low, high = setting.minimum, setting.maximum
    return (low is None or low <= value) and (high is None or high >= value)


def environment_without(prefix: str) -> dict[str, str]:
    """The environment for another program, without the variables that begin with `prefix`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefix)}


@contextmanager
def without_variable(name: str) -> Iterator[None]:
    """Hide a variable from the libraries of this process; one thread at a time."""
    with _hiding:
        value = os.environ.pop(name, None)
        try:
            yield
        finally:
            if value is not None:
                os.environ[name] = value


_hiding = Lock()


def count_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:[^}$]|\$(?!\{))*))?\}")


def expand(text: str, *, environ: Mapping[str, str] = os.environ) -> str:
    """`text` with every `${VAR}` and `${VAR:-default}` replaced, in one pass; `$${` is a `${`.

    Raises:
        UsageError: a variable without a default is not set, or a `${` does not close.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if name is None:
            return "${"
        found = environ.get(name)
        if found or (found is not None and default is None):
            return found
        if default is None:
            raise UsageError(
                f"the environment variable {name} is not set",
                remedy=f"Set {name}, or write ${{{name}:-a default}}.",
            )
        return default

    if "${" in _VARIABLE.sub(" ", text):
        remedy = "Write ${NAME} or ${NAME:-default}; a literal ${ is $${."
        raise UsageError("${…: this is not a variable", remedy=remedy)
    return _VARIABLE.sub(value, text)


def escape_variables(text: str) -> str:
    """`text` so that `expand` gives it back: each `${` is written as `$${`."""
    return text.replace("${", "$${")
