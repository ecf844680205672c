"""A client of one database of a server, and its errors in our words.

No command is repeated by the client: a reply that was lost says nothing of the command, and
redis-py 8 would send an INCR twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha1
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from assise.errors import RedisError, UsageError
from assise.extras import load

if TYPE_CHECKING:
    from redis.asyncio import Redis

Command = bytes | str | int | float
SCHEMES = ("redis", "rediss", "unix")


def describe_redis(url: str) -> str:
    """The server of a URL, without user, password and options.

    >>> describe_redis("rediss://me:secret@redis.example.org:6380/1?ssl_cert_reqs=none")
    'rediss://redis.example.org:6380/1'
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        place = f"{host}:{parts.port}" if parts.port else host
    except ValueError:
        return "the URL of Redis"
    if parts.scheme not in SCHEMES:
        return "the URL of Redis"
    return f"{parts.scheme}://{place}{parts.path}"


def find_fault(url: str) -> str | None:
    """Why a URL cannot be used; None where it can. Nothing of the URL is in the text.

    redis-py takes a database that is no number as number 0.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "it is no URL"
    if parts.scheme not in SCHEMES:
        return f"it begins with none of {', '.join(f'{each}://' for each in SCHEMES)}"
    if parts.scheme == "unix":
        return None if parts.path else "it has no path"
    try:
        parts.port  # noqa: B018 - a property that raises
    except ValueError:
        return "its port is no number up to 65,535"
    database = parts.path.strip("/")
    return "its database is no number" if database and not database.isdecimal() else None


class Script:
    """A script in Lua, with the digest by which a server knows it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Client:
    """A client, which connects when it is asked first.

    Args:
        timeout_s: for a connection, and for each answer.
        size: connections at most.
        database: the number of the database, before that of the URL.
        check: is called before each command, when a connection is free for it.

    Raises:
        MissingExtraError: the extra `redis` is not installed.
        UsageError: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        size: int,
        database: int | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        module = load("redis.asyncio", extra="redis")
        self.target = describe_redis(url)
        if fault := find_fault(url):
            raise UsageError(f"{self.target} cannot be used: {fault}", remedy=_WRITE)
        try:
            parts = load("redis.asyncio.connection", extra="redis").parse_url(url)
            given = {name: each for name, each in parts.items() if name not in _OWN}
            given |= _make_settings(timeout_s)
            if database is not None:
                given["db"] = database
            pool = module.ConnectionPool(**given)
            self.native: Redis = module.Redis(connection_pool=pool)
        except (ValueError, TypeError) as error:
            said = f"{self.target} cannot be used: {type(error).__name__}"
            raise UsageError(said, remedy=_WRITE) from error
        self._execute: Callable[..., Awaitable[Any]] = self.native.execute_command
        self._check, self._size, self._running = check, size, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def ask(self, *command: Command) -> Any:  # noqa: ANN401 - what a command answers
        """The answer to a command; errors are those of the driver, and of `check`."""
        while self._running >= self._size:
            await self._wait()
        self._running += 1
        try:
            self._check()
            return await self._execute(*command)
        finally:
            self._running -= 1
            self._wake()

    async def _wait(self) -> None:
        """Wait for a connection; asyncio's semaphore costs a tenth of a command."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # It may have been woken already: then the next one is.
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Command]) -> Any:  # noqa: ANN401 - what a script answers
        """Run a script; the server gets its text only where it does not know it yet."""
        rest = (len(keys), *keys, *arguments)
        try:
            return await self.ask("EVALSHA", script.digest, *rest)
        except load("redis.exceptions", extra="redis").NoScriptError:
            return await self.ask("EVAL", script.text, *rest)

    async def disconnect(self) -> None:
        """Close the connections that are not in use; the next command opens a new one."""
        await self.native.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close all connections for good."""
        await self.native.aclose()
        await self.native.connection_pool.disconnect()


_WRITE = "Write redis://host:6379/0, rediss://… or unix:///path.sock."
_OWN = frozenset({"max_connections", "timeout", "retry_on_timeout", "retry_on_error"})
"""What the options of a URL may not say: they would bring retries back."""


def _make_settings(timeout_s: float) -> dict[str, object]:
    retry = load("redis.asyncio.retry", extra="redis").Retry
    backoff = load("redis.backoff", extra="redis").NoBackoff
    return {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": retry(backoff(), 0),
        "health_check_interval": 0,
        "decode_responses": False,
        # Nothing is asked of the server when a connection begins: many begin at once.
        "protocol": 2,
        "driver_info": None,
    }


@cache
def list_lost() -> tuple[type[Exception], ...]:
    """The errors that say that a server did not answer."""
    errors = load("redis.exceptions", extra="redis")
    return (errors.ConnectionError, errors.TimeoutError, OSError, TimeoutError)


@cache
def list_failures() -> tuple[type[Exception], ...]:
    """The errors that a command may raise: no answer, a refusal, or an embedded server's start."""
    return (RedisError, *list_lost(), load("redis.exceptions", extra="redis").RedisError)


@contextmanager
def translated(target: str) -> Iterator[None]:
    """Turn errors of the driver into `RedisError`.

    Raises:
        RedisError: the server cannot be reached, or refused something.
    """
    try:
        yield
    except list_failures() as error:
        raise explain(error, target) from error


_SIGN_IN = "Check user and password of its URL."
_RIGHTS = "Let its user run this command on these keys: ACL SETUSER."
_REPLICA = "It is a replica: give the URL of the main server."
_FULL = "It is full: raise maxmemory; a cache needs maxmemory-policy allkeys-lru."
_REMEDIES = {
    "AuthenticationError": _SIGN_IN,
    "AuthenticationWrongNumberOfArgsError": _SIGN_IN,
    "AuthorizationError": _SIGN_IN,
    "NoPermissionError": _RIGHTS,
    "ReadOnlyError": _REPLICA,
    "OutOfMemoryError": _FULL,
    "BusyLoadingError": "It reads its file after a start: wait.",
}
_SAID = {
    "WRONGPASS": _SIGN_IN,
    "NOAUTH": _SIGN_IN,
    "-READONLY": _REPLICA,
    "-OOM": _FULL,
    "-NOPERM": _RIGHTS,
    "ACL failure": _RIGHTS,
    "DB index": "It has fewer databases: write another number, or raise `databases`.",
}
"""What a text says whose class does not: Redis before 7 puts errors of scripts into another one."""


def explain(error: Exception, target: str) -> RedisError:
    """What an error of a command means.

    A connection that the server refused is one that was lost, for redis-py.
    """
    if isinstance(error, RedisError):
        return error
    cause = error.__cause__
    if isinstance(cause, load("redis.exceptions", extra="redis").RedisError):
        error = cause
    name, text = type(error).__name__, str(error)
    remedy = next((_SAID[code] for code in _SAID if code in text), _REMEDIES.get(name, ""))
    if isinstance(error, list_lost()) and not remedy:
        said = "does not answer in time" if "imeout" in name else "cannot be reached"
        return RedisError(f"{target} {said}", remedy="Check that it runs, and its URL.")
    return RedisError(f"{target} refused: {text}", remedy=remedy)
