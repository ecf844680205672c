"""Tokens verified: JSON Web Tokens (RFC 7519) of one issuer, for one audience."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

from assise.errors import ForbiddenError, TokenError
from assise.extras import load
from assise.identity.signing import Keys, SigningKey

LEEWAY_S = 30
"""How far the clocks of issuer and application may be apart."""

MAX_BYTES = 16 << 10
ANON, SERVICE = "anon", "service_role"
"""Roles of Supabase's own keys: the one is no user, the other would see all rows."""

MAX_KNOWN = 1_000
"""Tokens whose signature is not computed again."""

_OPTIONS = {"require": ["exp"], "verify_aud": False, "verify_iss": False, "verify_iat": False}
Claims = dict[str, Any]


@dataclass(frozen=True)
class Verifier:
    """Verifies tokens by the keys of their issuer."""

    issuer: str
    audience: str
    keys: Keys
    _verified: OrderedDict[str, tuple[SigningKey, Claims]] = field(default_factory=OrderedDict)

    async def verify(self, token: str) -> Claims | None:
        """The claims of a token; None where it is Supabase's key of nobody.

        Raises:
            TokenError: it proves nobody. ForbiddenError: it is Supabase's key of the server.
            KeysError: the keys cannot be had now.
        """
        if len(token) > MAX_BYTES:
            raise TokenError("the token is too long")
        header = _read_header(token)
        algorithm, key_id = str(header.get("alg")), header.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise TokenError("the token is malformed")
        keys = await self.keys.find(key_id, algorithm)
        if algorithm != keys[0].algorithm:
            raise TokenError("the token is signed with an algorithm that is not its key's")
        claims = self._check_signatures(token, keys)
        role = claims.get("role")
        if role == SERVICE:
            raise ForbiddenError(
                "the service key is for servers: it is taken from no request",
                remedy="Send the token of a user.",
            )
        if role == ANON:
            return None
        if claims.get("iss") != self.issuer:
            raise TokenError("the token is of another issuer")
        audience = claims.get("aud")
        if self.audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenError("the token is for another audience")
        return claims

    def _check_signatures(self, token: str, keys: Sequence[SigningKey]) -> Claims:
        """The claims of a token that one of the keys has signed."""
        *others, last = keys
        for key in others:
            try:
                return self._check_signature(token, key)
            except TokenError as error:
                if not isinstance(error.__cause__, load("jwt", extra="api").InvalidSignatureError):
                    raise
        return self._check_signature(token, last)

    def _check_signature(self, token: str, key: SigningKey) -> Claims:
        """The claims of a token whose signature and time are right.

        The same bytes and the same key have the same signature: it is computed once.
        """
        known = self._verified.get(token)
        if known is not None and known[0] is key and int(known[1]["exp"]) > time() - LEEWAY_S:
            return known[1]
        jwt = load("jwt", extra="api")
        try:
            claims: Claims = jwt.decode(
                token, key.key, algorithms=[key.algorithm], leeway=LEEWAY_S, options=_OPTIONS
            )
        except (jwt.PyJWTError, RecursionError) as error:
            raise TokenError(_explain(jwt, error)) from error
        self._verified[token] = (key, claims)
        if len(self._verified) > MAX_KNOWN:
            self._verified.popitem(last=False)
        return claims


def _read_header(token: str) -> Claims:
    """The header of a token, of which nothing is verified."""
    text = token.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise TokenError("the token is malformed")
    return header


def _explain(jwt: Any, error: Exception) -> str:  # noqa: ANN401 - a module that may be absent
    reasons = {
        jwt.ExpiredSignatureError: "the token has expired",
        jwt.ImmatureSignatureError: "the token is not valid yet",
        jwt.MissingRequiredClaimError: "the token has no end",
        jwt.InvalidSignatureError: "the signature of the token is wrong",
    }
    return reasons.get(type(error), "the token is malformed")
