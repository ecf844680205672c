"""The variables of the environment that libpq reads, kept from connections to embedded servers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from psycopg import pq

from assise.settings import without_variable

EMBEDDED = "assise-embedded"
"""The `fallback_application_name` of the conninfo of an embedded server."""

# What libpq does without a variable, where an empty text is no value.
_UNSET = {
    "connect_timeout": "0",
    "sslcertmode": "allow",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}


def undo_variables() -> dict[str, str]:
    """Return the options that a PG variable of the environment sets, with libpq's own defaults."""
    return {
        (name := option.keyword.decode()): _UNSET.get(name, (option.compiled or b"").decode())
        for option in pq.Conninfo.get_defaults()
        if option.envvar
        and option.val != option.compiled
        and option.keyword not in {b"service", b"dbname"}
    }


def without_service(conninfo: str) -> AbstractContextManager[None]:
    """Hide the service of the environment while a connection to an embedded server is opened.

    libpq looks it up, and fails where there is none of that name, whatever the options say.
    """
    return without_variable("PGSERVICE") if EMBEDDED in conninfo else nullcontext()
