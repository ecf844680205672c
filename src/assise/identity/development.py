"""The development issuer: tokens of any user, taken on this machine alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import time

from assise.errors import UsageError
from assise.extras import load
from assise.identity.signing import OneKey, SigningKey
from assise.identity.tokens import Verifier

ISSUER = "assise-development"
LIFETIME_S = 12 * 3_600
FILE = "identity.key"


def read_key(folder: Path) -> bytes:
    """The key of the issuer, in the folder `.assise`; it is made when it is missing.

    Raises:
        UsageError: it cannot be read or written.
    """
    path = folder / FILE
    try:
        folder.mkdir(exist_ok=True)
        with suppress(FileExistsError), open(path, "x", opener=_open_privately) as file:
            file.write(secrets.token_urlsafe(48))
        return path.read_bytes().strip()
    except OSError as error:
        remedy = "Make the folder writable for the user who runs the command."
        raise UsageError(f"{path}: {error.strerror}", remedy=remedy) from error


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def make_token(
    folder: Path, user: str, *, tenant: str | None = None, roles: Sequence[str] = ()
) -> str:
    """A token of a user, for twelve hours.

    Raises:
        UsageError: the user is empty.
    """
    if not user:
        raise UsageError("the user is empty", remedy="Give the key of a row of users.")
    now = int(time())
    claims = {"iss": ISSUER, "aud": ISSUER, "sub": user, "iat": now, "exp": now + LIFETIME_S}
    claims |= {"tenant": tenant} if tenant is not None else {}
    claims |= {"roles": [*roles]} if roles else {}
    token: str = load("jwt", extra="api").encode(claims, read_key(folder), algorithm="HS256")
    return token


def is_own(token: str) -> bool:
    """Whether a token names this issuer; nothing of it is verified."""
    jwt = load("jwt", extra="api")
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, RecursionError):
        return False
    return bool(claims.get("iss") == ISSUER)


def make_verifier(folder: Path) -> Verifier:
    """What takes tokens of this issuer."""
    return Verifier(ISSUER, ISSUER, OneKey(SigningKey("HS256", read_key(folder))))
