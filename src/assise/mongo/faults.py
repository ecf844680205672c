"""Errors of pymongo, translated: what happened, where, and what to do."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from struct import error as StructError

from bson.errors import BSONError
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from assise.errors import AssiseError, SourceError

AGAIN = "The same command continues where it stopped."

UNAUTHORIZED = 13

_NOT_TAKEN = "Check --query, the options of the URL, and that the server is MongoDB 4.2 or later."

_REMEDIES = {
    2: _NOT_TAKEN,
    9: _NOT_TAKEN,
    13: "Grant the user the role `read` on the database, or leave the collection out with --skip.",
    18: "Check user and password; a user of another database needs ?authSource=admin in the URL.",
    8000: "Check user and password of the Atlas user, and that this address may connect.",
    26: "Check the name of the database in the URL.",
    43: f"The server has given up a cursor. {AGAIN}",
    50: f"The operation took longer than the limit in the URL. {AGAIN}",
    59: "Check that the server is MongoDB 4.2 or later.",
    189: f"Another member becomes primary. {AGAIN}",
    10107: f"The member is not primary any more. {AGAIN}",
    11600: f"The server is shutting down. {AGAIN}",
}
"""Codes of MongoDB's errors (src/mongo/base/error_codes.yml) and what to do."""

_TELLS = (
    ("CERTIFICATE_VERIFY_FAILED", "Name the certificate of its authority: tlsCAFile=FILE."),
    ("certificate", "Check the TLS options of the URL: tls, tlsCAFile, tlsCertificateKeyFile."),
    ("SSL", "Check whether the server speaks TLS: tls=true or tls=false in the URL."),
    ("Connection refused", "Check host and port, and that the server runs."),
    ("Name or service not known", "Check the name of the host in the URL."),
    ("nodename nor servname", "Check the name of the host in the URL."),
    ("checking out a connection", "Raise mongo.max_pool_size, or make the queries shorter."),
    ("timed out", f"Check that this machine may reach the server. {AGAIN}"),
    ("No replica set members", "Check replicaSet and readPreference in the URL."),
    ("connection closed", f"The server has closed the connection. {AGAIN}"),
)
"""Words in the message of a connection that failed, and what to do."""

_DNS = "Check the name in the URL; without SRV records write mongodb://HOST:PORT in place of mongodb+srv://."
_NOISE = re.compile(
    r" Refer to docstring\.| ?\(configured timeouts: [^)]*\)|, Timeout: .*|, full error: .*",
    re.DOTALL,
)


@contextmanager
def translated(
    place: str,
    secrets: Collection[str],
    *,
    error_class: type[AssiseError] = SourceError,
    remedies: Mapping[int, str] = {},
) -> Iterator[None]:
    """Translate pymongo's errors to one of ours that names the place; no secret is shown.

    `remedies` are by the codes of errors, before those of a source; that of 0 is for all others.
    """
    try:
        yield
    except PyMongoError as error:
        message, remedy = _translate(error, place, secrets)
        code = error.code if isinstance(error, OperationFailure) else None
        remedy = remedies.get(0, remedy) if remedy == AGAIN else remedy
        raise error_class(message, remedy=remedies.get(code or -1, remedy)) from error
    except (BSONError, LookupError, StructError) as error:
        message = f"{place}: a reply of the server cannot be read: {_clean(str(error), secrets)}"
        raise error_class(message, remedy=AGAIN) from error
    except (OSError, ValueError, TypeError, UserWarning) as error:
        # Options of the URL that pymongo does not check: a file that is not there, an unknown word.
        message = f"{place}: {_clean(str(error), secrets)}"
        raise error_class(message, remedy=_find_remedy_of_url(message)) from error


def _translate(error: PyMongoError, place: str, secrets: Collection[str]) -> tuple[str, str]:
    """Say what happened, and what to do."""
    message = _clean(str(error), secrets)
    if isinstance(error, OperationFailure | NotPrimaryError):
        details = error.details if isinstance(error.details, Mapping) else {}
        code = error.code if isinstance(error, OperationFailure) else details.get("code")
        named = f" (code {code})" if code else ""
        remedy = _REMEDIES.get(code or 0, AGAIN)
        return f"{place}: {message}{named}", remedy
    if isinstance(error, ServerSelectionTimeoutError):
        return f"{place} cannot be reached: {message}", _find_remedy(message)
    if isinstance(error, AutoReconnect):
        return f"{place}: the connection was lost: {message}", _find_remedy(message)
    if isinstance(error, ConfigurationError):
        return f"{place} is not usable: {message}", _find_remedy_of_url(message)
    return f"{place}: {message}", _find_remedy(message)


def _find_remedy(message: str) -> str:
    return next((remedy for tell, remedy in _TELLS if tell in message), AGAIN)


def _find_remedy_of_url(message: str) -> str:
    if "DNS" in message or "SRV" in message.upper() or "nameserver" in message:
        return _DNS
    if "escaped" in message or "key=value" in message:
        return "Check the URL: in a password write @ as %40, / as %2F and ? as %3F."
    return "Check the URL and its options."


def _clean(message: str, secrets: Collection[str]) -> str:
    message = " ".join(_NOISE.sub("", message).split())
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "…")
    return message[:500]
