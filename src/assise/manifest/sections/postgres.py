"""The servers that tables are on, and the URLs that the roles of an application sign in with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, get_args

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show

RoleName = Literal["app", "auth", "readonly", "worker", "admin"]
"""The roles that sessions of an application may have."""

ELSEWHERE = ("app", "admin")
"""Those that they may have on a server beside `main`."""

_URL = re.compile(r"postgres(ql)?://.+", re.DOTALL)
_REST = re.compile(r"https?://[^\s/]+/?")
_NAME = "[a-z][a-z0-9_]{0,39}"


class Urls(Keyed):
    """The URLs of a server: that of Assise's own commands, of the roles, and of a replica.

    Variables in them are not replaced yet. Through the replica's URL the role `app` signs in.
    """

    url: str = "embedded"
    app: str | None = None
    replica: str | None = None
    worker: str | None = None
    admin: str | None = None
    readonly: str | None = None
    auth: str | None = None


class FurtherServer(Keyed):
    """A further server, whose tables say `on:` with its name: its URLs as those of `main`.

    `rest` is the address of a Supabase project, whose tables are then read by its REST interface,
    and `service_key` the key that sees all rows there.
    """

    url: str = "embedded"
    app: str | None = None
    admin: str | None = None
    rest: str | None = None
    service_key: str | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it is reached by PostgreSQL's protocol too, not by the REST interface alone."""
        return self.rest is None or "url" in self.model_fields_set


class Postgres(Keyed):
    """The servers of a project; a text stands for `{main: {url: …}}`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, FurtherServer] = Field(init=False)

    main: Urls

    @property
    def others(self) -> Mapping[str, FurtherServer]:
        """The servers beside `main`, by their names."""
        return self.__pydantic_extra__

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, value: object) -> object:
        return {"main": {"url": value}} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _shorten(self, write: SerializerFunctionWrapHandler) -> object:
        return self.main.url if self.is_short else write(self)

    @property
    def is_short(self) -> bool:
        """Whether it says no more than the URL of the commands."""
        return self.main == Urls(url=self.main.url) and not self.others

    def find(self, server: str) -> Urls | FurtherServer:
        """The URLs of a server by its name."""
        return self.main if server == "main" else self.others[server]


EMBEDDED = Postgres(main=Urls())


def _check_postgres(place: Place, postgres: Postgres, tables: Tables) -> Iterator[Problem]:
    del tables
    main = (*place, "main")
    yield from _check_urls(main, postgres.main, place if postgres.is_short else (*main, "url"))
    for name, server in postgres.others.items():
        at = (*place, name)
        if not re.fullmatch(_NAME, name):
            remedy = "Begin with a letter a-z; then letters, digits and _, at most 40 in all."
            yield Problem(at, "cannot be the name of a server", show(name), remedy)
        yield from _check_urls(at, server, (*at, "url"))
        yield from _check_rest(at, server)


def _check_urls(place: Place, server: Urls | FurtherServer, at: Place) -> Iterator[Problem]:
    if server.url != "embedded":
        remedy = "Write embedded, postgresql://user@host/database, or ${VARIABLE}."
        yield from _check_url(at, server.url, "is neither embedded nor a URL", remedy)
    for name in (*get_args(RoleName), "replica"):
        remedy = "Write postgresql://user@host/database, or ${VARIABLE}."
        url = getattr(server, name, None)
        yield from _check_url((*place, name), url, "is no URL", remedy)


def _check_rest(place: Place, server: FurtherServer) -> Iterator[Problem]:
    if server.rest is None:
        if server.service_key is not None:
            remedy = "Give rest: ${SUPABASE_URL} too, or remove the key."
            yield Problem((*place, "service_key"), "belongs to rest", remedy=remedy)
    elif not _REST.fullmatch(server.rest) and "${" not in server.rest:
        remedy = "Write https://PROJECT.supabase.co, or ${VARIABLE}."
        yield Problem((*place, "rest"), "is no address of HTTP", remedy=remedy)


def _check_url(place: Place, url: str | None, message: str, remedy: str) -> Iterator[Problem]:
    if url is not None and not _URL.fullmatch(url) and "${" not in url:
        yield Problem(place, message, remedy=remedy)


def _write_postgres(place: Place, postgres: Postgres, tables: Tables) -> object:
    del place, tables
    return postgres.model_dump(exclude_unset=True)


_TEXT: dict[str, Schema] = {"type": "string"}


def _describe(names: Iterable[str]) -> dict[str, Schema]:
    properties: dict[str, Schema] = {name: dict(_TEXT) for name in names}
    return {"type": "object", "additionalProperties": False, "properties": properties}


POSTGRES = Key(
    "postgres",
    "manifest",
    help="embedded, or a URL; or {main: {url, app, replica, worker, admin, readonly, auth}} with"
    " the URLs of roles too, and beside main further servers by name, for tables with `on`: of"
    " those url, app and admin, the only roles there, and rest and service_key, to read them by Supabase's REST interface; ${VAR} and"
    " ${VAR:-default} are replaced by environment variables when a command connects",
    affects="nothing",
    check=_check_postgres,
    schema={
        "anyOf": [
            dict(_TEXT),
            {
                "type": "object",
                "additionalProperties": _describe(FurtherServer.model_fields),
                "required": ["main"],
                "properties": {"main": _describe(Urls.model_fields)},
            },
        ]
    },
    is_secret=True,
    written=_write_postgres,
)
KEYS = (POSTGRES,)
