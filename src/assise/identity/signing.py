"""Keys that tokens are signed with: one that is given, or those that an issuer publishes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from assise.errors import KeysError, TokenError, UsageError
from assise.extras import load
from assise.postgres.rest import LOOPBACK

MAX_SET_BYTES = 64 << 10
FETCH_EVERY_S = 5.0
"""Keys are fetched at most once in this time, whatever tokens say."""

FRESH_S, STALE_S = 600.0, 3_600.0
"""Keys are fetched again after the one, and go on without an answer until the other."""

TIMEOUT_S = 5.0
MIN_SECRET_BYTES = 32
MAX_UNNAMED = 4
"""Keys of one algorithm that a token without a name is tried with, as while they rotate."""

_CURVES = {("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


MIN_RSA_BITS = 2_048
"""What RS256 asks of a key (RFC 7518, 3.3): a shorter one can be factored."""


class SigningKey(NamedTuple):
    """A key and the one algorithm that it is for."""

    algorithm: str
    key: Any


class Keys(Protocol):
    """Where the key of a token is found."""

    async def find(self, key_id: str | None, algorithm: str) -> Sequence[SigningKey]:
        """The key of this name; where there is no name, those that it may be.

        Raises:
            TokenError: there is none. KeysError: the keys cannot be had now.
        """

    async def close(self) -> None:
        """Close connections."""


@dataclass(frozen=True)
class OneKey:
    """A key that is given."""

    key: SigningKey

    async def find(self, key_id: str | None, algorithm: str) -> Sequence[SigningKey]:
        """The key, whatever its name."""
        del key_id, algorithm
        return [self.key]

    async def close(self) -> None:
        """There is nothing to close."""


def is_safe(url: str) -> bool:
    """Whether nobody between can change what a URL gives: by https, or on this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    is_here = parts.scheme == "http" and parts.hostname in LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or is_here)


def read_secret(text: str) -> OneKey:
    """The key of HS256.

    Raises:
        UsageError: it is so short that it can be guessed.
    """
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise UsageError(
            f"identity: secret has fewer than {MIN_SECRET_BYTES} bytes",
            remedy="Make one with: openssl rand -base64 32",
        )
    return OneKey(SigningKey("HS256", text.encode()))


def read_public_key(text: str) -> OneKey:
    """The key in a PEM text: RSA is for RS256, P-256 for ES256, Ed25519 for EdDSA.

    Raises:
        UsageError: it is none of them, or so short that it can be factored.
    """
    serialization = load("cryptography.hazmat.primitives.serialization", extra="api")
    try:
        key = serialization.load_pem_public_key(text.strip().encode())
    except (ValueError, TypeError) as error:
        remedy = "Give a public key that begins with -----BEGIN PUBLIC KEY-----."
        raise UsageError("identity: public_key is no key in PEM", remedy=remedy) from error
    name = type(key).__name__.lower()
    curve = getattr(getattr(key, "curve", None), "name", "")
    if "rsa" in name:
        if key.key_size < MIN_RSA_BITS:
            raise UsageError(
                f"identity: public_key has {key.key_size} bits, fewer than {MIN_RSA_BITS:,}",
                remedy=f"Sign tokens with an RSA key of {MIN_RSA_BITS:,} bits or more.",
            )
        return OneKey(SigningKey("RS256", key))
    if curve == "secp256r1":
        return OneKey(SigningKey("ES256", key))
    if "ed25519" in name:
        return OneKey(SigningKey("EdDSA", key))
    raise UsageError(
        "identity: public_key is of a kind that is not taken",
        remedy="Give an RSA key, or one of P-256 or Ed25519.",
    )


def read_key_set(text: bytes) -> list[tuple[str | None, SigningKey]]:
    """The keys of a JWKS (RFC 7517), which may have names; others' kinds are passed over.

    Raises:
        ValueError: it is no set of keys.
    """
    jwt = load("jwt", extra="api")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no keys")
    keys = []
    for entry in listed:
        algorithm = _find_algorithm(entry) if isinstance(entry, dict) else None
        if algorithm is not None and entry.get("use", "sig") == "sig":
            try:
                key = jwt.PyJWK(entry, algorithm).key
            except jwt.PyJWTError:
                continue
            if algorithm == "RS256" and key.key_size < MIN_RSA_BITS:
                continue
            name = entry.get("kid")
            keys.append((None if name is None else str(name), SigningKey(algorithm, key)))
    return keys


def _find_algorithm(entry: Mapping[str, object]) -> str | None:
    """The algorithm that a published key is for; None where it is not one of ours."""
    kind = entry.get("kty")
    found = "RS256" if kind == "RSA" else _CURVES.get((str(kind), str(entry.get("crv"))))
    return found if entry.get("alg", found) == found else None


@dataclass
class PublishedKeys:
    """The keys that an issuer publishes at a URL, fetched when they are needed first.

    Callers that need them at the same time wait for one answer.
    """

    url: str
    clock: Callable[[], float] = monotonic
    fetches: int = 0
    _keys: list[tuple[str | None, SigningKey]] = field(default_factory=list)
    _asked_at: float | None = None
    _got_at: float | None = None
    _fetching: asyncio.Task[bool] | None = None
    _client: Any = None

    async def find(self, key_id: str | None, algorithm: str) -> Sequence[SigningKey]:
        """The key of this name, or those of the algorithm; an unknown name is asked for at most once in five seconds.

        Raises:
            TokenError: the issuer has no such key. KeysError: it cannot be asked now.
        """
        age = None if self._got_at is None else self.clock() - self._got_at
        if age is None or age >= STALE_S:
            await self._fetch()
        elif age >= FRESH_S and self._may_ask():
            self._begin()
        found = self._pick(key_id, algorithm)
        if not found and age is not None and age < STALE_S:
            await self._fetch()
            found = self._pick(key_id, algorithm)
        if not found:
            raise TokenError("the token is signed with a key that its issuer does not have")
        return found

    async def close(self) -> None:
        """Close the connection to the issuer."""
        if self._fetching is not None:
            self._fetching.cancel()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _pick(self, key_id: str | None, algorithm: str) -> Sequence[SigningKey]:
        named = [each for name, each in self._keys if key_id in {None, name}]
        fitting = [each for each in named if each.algorithm == algorithm]
        return [*fitting, *named][:1] if key_id is not None else fitting[:MAX_UNNAMED]

    def _may_ask(self) -> bool:
        return self._asked_at is None or self.clock() - self._asked_at >= FETCH_EVERY_S

    def _begin(self) -> asyncio.Task[bool]:
        """Begin to fetch, or join those who wait."""
        if self._fetching is None or self._fetching.done():
            self._asked_at = self.clock()
            self._fetching = asyncio.create_task(self._ask())
        return self._fetching

    async def _fetch(self) -> None:
        is_going_on = self._fetching is not None and not self._fetching.done()
        if not is_going_on and not self._may_ask():
            rest_s = FETCH_EVERY_S - (self.clock() - (self._asked_at or 0.0))
            raise KeysError(
                "the key of the token is not known yet", retry_after_s=max(1, round(rest_s))
            )
        # A caller that is cancelled leaves the others waiting for the same answer.
        if not await asyncio.shield(self._begin()):
            raise KeysError(
                "the keys of the issuer of tokens cannot be had", retry_after_s=int(FETCH_EVERY_S)
            )

    async def _ask(self) -> bool:
        httpx = load("httpx", extra="api")
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False)
        self.fetches += 1
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client.stream("GET", self.url) as answer:
                answer.raise_for_status()
                text = b""
                async for part in answer.aiter_bytes():
                    text += part
                    if len(text) > MAX_SET_BYTES:
                        return False
            keys = read_key_set(text)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError):
            return False
        self._keys, self._got_at = keys, self.clock()
        return True
