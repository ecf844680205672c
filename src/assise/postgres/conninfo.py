"""Connection strings, as people may see them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from assise.errors import UsageError
from assise.postgres.environment import EMBEDDED

_SECRETS = {
    "password",
    "sslpassword",
    "passfile",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
}
_PLACE = ("user", "host", "dbname")
"""What is shown of an embedded server, where the rest is always the same."""


def describe(conninfo: str) -> str:
    """A connection string as a URL without its password, for people, manifests and ledgers.

    Raises:
        UsageError: it is no connection string of libpq.
    """
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise UsageError(
            "this is not a PostgreSQL URL or connection string",
            remedy="Write postgresql://user@host/database.",
        ) from error
    shown = {key: str(value) for key, value in parts.items() if value is not None}
    for secret in _SECRETS:
        shown.pop(secret, None)
    if shown.get("fallback_application_name") == EMBEDDED:
        shown = {name: value for name, value in shown.items() if name in _PLACE}
    user, host = shown.pop("user", ""), shown.pop("host", "")
    port, database = shown.pop("port", ""), shown.pop("dbname", "")
    if "@" in host[1:] + database or not re.fullmatch("[0-9,]*", port):
        raise UsageError(
            "this PostgreSQL URL has an invalid host or port",
            remedy="In a user or password write @ as %40, : as %3A and / as %2F.",
        )
    address = f"{quote(user)}@" if user else ""
    if host and not set(host) & set("/,@:[]%"):
        address += host
    elif host:
        shown = {"host": host, **shown}
    if port:
        address += f":{port}"
    query = f"?{urlencode(shown, quote_via=quote)}" if shown else ""
    return f"postgresql://{address}/{quote(database)}{query}"


def list_variables(conninfo: str) -> list[str]:
    """The variables of the environment, such as PGSERVICE, that add to a connection string.

    That of the user is left out: libpq does not say whether it has the name from there.
    """
    given = conninfo_to_dict(conninfo)
    return [
        option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar and option.val is not None and option.val != option.compiled
        if option.keyword.decode() not in {"user", *given}
    ]


def sign_in_as(conninfo: str, user: str) -> str:
    """A connection string of the same database for another user, without a password."""
    parts = {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}
    parts.pop("password", None)
    return make_conninfo(**{**parts, "user": user})
