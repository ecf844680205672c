"""Tokens verified: JSON Web Tokens (RFC 7519) of one issuer, for one audience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assise.errors import ForbiddenError, TokenError
from assise.extras import load
from assise.identity.signing import Keys

LEEWAY_S = 30
"""How far the clocks of issuer and application may be apart."""

MAX_BYTES = 16 << 10
ANON, SERVICE = "anon", "service_role"
"""Roles of Supabase's own keys: the one is no user, the other would see all rows."""

Claims = dict[str, Any]


@dataclass(frozen=True)
class Verifier:
    """Verifies tokens by the keys of their issuer."""

    issuer: str
    audience: str
    keys: Keys

    async def verify(self, token: str) -> Claims | None:
        """The claims of a token; None where it is Supabase's key of nobody.

        Raises:
            TokenError: it proves nobody. ForbiddenError: it is Supabase's key of the server.
            KeysError: the keys cannot be had now.
        """
        if len(token) > MAX_BYTES:
            raise TokenError("the token is too long")
        jwt = load("jwt", extra="api")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise TokenError("the token is malformed") from error
        algorithm, key_id = str(header.get("alg")), header.get("kid")
        if key_id is not None and not isinstance(key_id, str):
            raise TokenError("the token is malformed")
        key = await self.keys.find(key_id, algorithm)
        if algorithm != key.algorithm:
            raise TokenError("the token is signed with an algorithm that is not its key's")
        options = {
            "require": ["exp"],
            "verify_aud": False,
            "verify_iss": False,
            "verify_iat": False,
        }
        try:
            claims: Claims = jwt.decode(
                token, key.key, algorithms=[key.algorithm], leeway=LEEWAY_S, options=options
            )
        except jwt.PyJWTError as error:
            raise TokenError(_explain(jwt, error)) from error
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


def _explain(jwt: Any, error: Exception) -> str:  # noqa: ANN401 - a module that may be absent
    reasons = {
        jwt.ExpiredSignatureError: "the token has expired",
        jwt.ImmatureSignatureError: "the token is not valid yet",
        jwt.MissingRequiredClaimError: "the token has no end",
        jwt.InvalidSignatureError: "the signature of the token is wrong",
    }
    return reasons.get(type(error), "the token is malformed")
