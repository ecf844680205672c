"""`assise serve`: the application of a manifest in one process, until a signal."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import suppress
from ipaddress import ip_address
from types import FrameType

import uvicorn

from assise.api.server import make_application
from assise.app import App, Asgi
from assise.errors import AssiseError, UsageError
from assise.identity.development import make_token
from assise.manifest.sections.api import API
from assise.manifest.sections.identity import IDENTITY
from assise.progress import Log
from assise.schema.guards import is_of_users
from assise.schema.sql import quote, quote_table
from assise.settings import STOP

SHOWN_USERS = 3


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(app: App, *, host: str, port: int, is_development: bool, log: Log) -> None:
    """Serve an application until SIGINT or SIGTERM; requests that run are answered first.

    In development, on an address of this machine, tokens of the development issuer are taken: where
    it is asked for, and where the manifest has no other identity.

    Raises:
        UsageError: the address is taken, development is asked for on another machine's address, or
        a secret is not set. ManifestError: the manifest cannot be used.
    """
    has_identity = IDENTITY.of(app.manifest) is not None
    if is_development and not is_loopback(host):
        raise UsageError(
            f"--development takes tokens that this machine makes, and {host} is open to others",
            remedy="Serve on 127.0.0.1.",
        )
    app.takes_development_tokens = is_loopback(host) and (is_development or not has_identity)
    web = make_application(app)
    app.callers.check()
    listening = listen(host, port)
    if not any(API.of(table) for table in app.manifest.tables.values()):
        log("no table says `api:`: none is served, see docs/how-to/serve.md")
    told: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), listening:
        # uvicorn sends itself what it has caught. Before, what runs may swallow an interrupt.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        place = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        log(f"{place}/docs has every request, {place}/openapi.json too; Ctrl-C ends the server")
        if app.takes_development_tokens:
            for line in asyncio.run(describe_users(app)):
                log(line)
        if not told:
            uvicorn.Server(_configure(web, app.workspace.setting(STOP))).run(sockets=[listening])


def _configure(web: Asgi, stop_s: int) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=stop_s,
    )


def listen(host: str, port: int) -> socket.socket:
    """The socket of an address, for a server of asyncio.

    Raises:
        UsageError: the address is taken, or none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once on sockets that name their protocol; on others an answer of two parts waits
    # some 40 ms, until the client has acknowledged the first.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        remedy = "End what listens there, or give --host or --port another value."
        raise UsageError(f"{host}:{port}: {error.strerror}", remedy=remedy) from error
    listening.set_inheritable(True)
    return listening


async def describe_users(app: App) -> list[str]:
    """A token for each of the first users, for trying things out on this machine."""
    tables = [name for name in app.manifest.tables if is_of_users(app.manifest, name)]
    folder = app.workspace.path.parent / ".assise"
    lines = ["development: tokens of this machine are taken, and by nobody else"]
    try:
        users = await _find_users(app, tables)
        lines += [
            f"user {user}: Authorization: Bearer {make_token(folder, user)}" for user in users
        ]
    except AssiseError as error:
        lines.append(f"no users are known: {error.message}")
    await app.close()
    return [*lines, "assise identity token --user KEY makes one of another user"]


async def _find_users(app: App, tables: list[str]) -> list[str]:
    found: list[str] = []
    for name in tables[:1]:
        key = app.manifest.tables[name].primary_key[0]
        query = (
            f"SELECT {quote(key)}::text AS key FROM {quote_table(None, name)} ORDER BY 1 LIMIT %s"  # noqa: S608
        )
        async with app.session(role="readonly", read_only=True) as session:
            found += [str(row["key"]) for row in await session.fetch(query, [SHOWN_USERS])]
    return found
