"""The variables of the environment that libpq reads, kept from connections to embedded servers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from psycopg import pq

EMBEDDED = "assise-embedded"
"""The `fallback_application_name` of the conninfo of an embedded server."""

# What libpq does without a variable, where an empty text is no value.
_UNSET = {
    "connect_timeout": "0",
    "sslcertmode": "allow",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}
_SERVICE = "PGSERVICE"
_lock = Lock()


def undo_variables() -> dict[str, str]:
    """Return the options that a PG variable of the environment sets, with libpq's own defaults."""
    return {
        (name := option.keyword.decode()): _UNSET.get(name, (option.compiled or b"").decode())
        for option in pq.Conninfo.get_defaults()
        if option.envvar
        and option.val != option.compiled
        and option.keyword not in {b"service", b"dbname"}
    }


@contextmanager
def without_service(conninfo: str) -> Iterator[None]:
    """Hide the service of the environment while a connection to an embedded server is opened.

    libpq looks it up, and fails where there is none of that name, whatever the options say.
    """
    if EMBEDDED not in conninfo or _SERVICE not in os.environ:
        yield
        return
    with _lock:
        service = os.environ.pop(_SERVICE)
        try:
            yield
        finally:
            os.environ[_SERVICE] = service
