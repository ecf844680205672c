"""The server that the tables are on, and the URLs that the roles of an application sign in with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, get_args

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem

RoleName = Literal["app", "auth", "readonly", "worker", "admin"]
"""The roles that sessions of an application may have."""

_URL = re.compile(r"postgres(ql)?://.+", re.DOTALL)


class Urls(Keyed):
    """The URLs of a server: that of Assise's own commands, those of the roles, and that of a replica.

    Variables in them are not replaced yet. Through the replica's URL the role `app` signs in.
    """

    url: str = "embedded"
    app: str | None = None
    replica: str | None = None
    worker: str | None = None
    admin: str | None = None
    readonly: str | None = None
    auth: str | None = None


class Postgres(Keyed):
    """The servers of a project; a text stands for `{main: {url: …}}`."""

    main: Urls

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
        return self.main == Urls(url=self.main.url)


EMBEDDED = Postgres(main=Urls())


def _check_postgres(place: Place, postgres: Postgres, tables: Tables) -> Iterator[Problem]:
    del tables
    main = (*place, "main")
    at = place if postgres.is_short else (*main, "url")
    if postgres.main.url != "embedded":
        remedy = "Write embedded, postgresql://user@host/database, or ${VARIABLE}."
        yield from _check_url(at, postgres.main.url, "is neither embedded nor a URL", remedy)
    for name in (*get_args(RoleName), "replica"):
        remedy = "Write postgresql://user@host/database, or ${VARIABLE}."
        yield from _check_url((*main, name), getattr(postgres.main, name), "is no URL", remedy)


def _check_url(place: Place, url: str | None, message: str, remedy: str) -> Iterator[Problem]:
    if url is not None and not _URL.fullmatch(url) and "${" not in url:
        yield Problem(place, message, remedy=remedy)


def _write_postgres(place: Place, postgres: Postgres, tables: Tables) -> object:
    del place, tables
    return postgres.model_dump(exclude_unset=True)


_TEXT: dict[str, Schema] = {"type": "string"}
_SERVER: dict[str, Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {name: dict(_TEXT) for name in Urls.model_fields},
}

POSTGRES = Key(
    "postgres",
    "manifest",
    help="embedded, or a URL; or {main: {url, app, replica, worker, admin, readonly, auth}} with"
    " the URLs of roles too; ${VAR} and ${VAR:-default} are replaced by environment variables"
    " when a command connects",
    affects="nothing",
    check=_check_postgres,
    schema={
        "anyOf": [
            dict(_TEXT),
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["main"],
                "properties": {"main": _SERVER},
            },
        ]
    },
    is_secret=True,
    written=_write_postgres,
)
KEYS = (POSTGRES,)
