"""Callers: the user, the tenant and the roles that a request has by its token."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args
from uuid import UUID

from assise.errors import ForbiddenError, TokenError, UsageError
from assise.identity import development
from assise.identity.signing import (
    Keys,
    PublishedKeys,
    is_safe,
    read_public_key,
    read_secret,
)
from assise.identity.tokens import Claims, Verifier
from assise.manifest.model import Manifest
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.identity import IDENTITY, Identity
from assise.manifest.sections.postgres import RoleName
from assise.schema.guards import find_guards
from assise.settings import expand

FindUser = Callable[[str], Awaitable[list[str]]]
"""Gives the keys of the users whose matched column has a value."""

SEND = "Send the header Authorization: Bearer TOKEN."

_INT_BITS = {"int2": 15, "int4": 31, "int8": 63}


class Caller(NamedTuple):
    """Whose request it is; nobody's where `user_id` is None."""

    user_id: str | None = None
    tenant_id: str | None = None
    roles: frozenset[RoleName] = frozenset()


NOBODY = Caller()


@dataclass
class Callers:
    """Finds who calls.

    folder: `.assise`, where tokens of the development issuer are taken; None where they are not.
    """

    manifest: Manifest
    find_user: FindUser
    folder: Path | None = None

    async def find(self, authorization: str | None) -> Caller:
        """The caller by the header `Authorization` of a request; nobody where there is none.

        Raises:
            TokenError: the header proves nobody. ForbiddenError: it is a key of the server.
            KeysError: the issuer's keys cannot be had now. TargetError: the user was looked for
            in the database, which cannot be asked.
        """
        if authorization is None:
            return NOBODY
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenError("the header Authorization has no bearer token", remedy=SEND)
        identity = IDENTITY.of(self.manifest) or Identity()
        token = token.strip()
        if self._development is not None and development.is_own(token):
            return self._read_development(await self._development.verify(token) or {})
        if self._verifier is None:
            raise TokenError("nobody's tokens are taken: the manifest has no identity")
        claims = await self._verifier.verify(token)
        if claims is None:
            return NOBODY
        user = await self._find_user(claims, identity)
        tenant = _read_claim(claims, identity.tenant) if identity.tenant else None
        is_tenant = isinstance(tenant, str | int) and "\0" not in str(tenant)
        if identity.tenant and not is_tenant:
            raise TokenError(f"the token has no claim {identity.tenant}")
        return Caller(user, None if tenant is None else str(tenant), _read_roles(claims, identity))

    def check(self) -> None:
        """Check that the manifest's `identity` can be used.

        Raises:
            UsageError: a variable of it is not set, or its key is none.
        """
        _ = self._verifier

    async def close(self) -> None:
        """Close the connections to the issuer."""
        if verifier := vars(self).get("_verifier"):
            await verifier.keys.close()

    @cached_property
    def _verifier(self) -> Verifier | None:
        identity = IDENTITY.of(self.manifest)
        if identity is None:
            return None
        issuer = _expand(identity.issuer)
        if identity.is_supabase:
            issuer = _join_slashes(issuer)
        return Verifier(issuer, _expand(identity.audience), _keys(identity))

    @cached_property
    def _development(self) -> Verifier | None:
        return development.make_verifier(self.folder) if self.folder else None

    async def _find_user(self, claims: Claims, identity: Identity) -> str:
        value = claims.get(identity.user)
        is_key = isinstance(value, str | int) and not isinstance(value, bool)
        if not is_key or str(value) == "":
            raise TokenError(f"the token has no claim {identity.user}")
        text = str(value)
        if "@" in text:
            raise TokenError(f"the claim {identity.user} is an e-mail, which is no key of a user")
        if identity.match is None:
            return self._check_user(text)
        table, column = identity.matched or ("", "")
        found = await self.find_user(
            _check_key(text, list_columns(table, self.manifest.tables)[column])
        )
        if len(found) != 1:
            raise TokenError("no user has this token's claim, or several have it")
        return found[0]

    def _read_development(self, claims: Claims) -> Caller:
        roles = claims.get("roles")
        tenant = claims.get("tenant")
        names = roles if isinstance(roles, list) else []
        return Caller(
            self._check_user(str(claims.get("sub", ""))),
            None if tenant is None else str(tenant),
            _known_roles(names),
        )

    def _check_user(self, text: str) -> str:
        """The key of a user as its columns hold it.

        Raises:
            TokenError: no column of users can hold it.
        """
        for kind in self._user_types:
            text = _check_key(text, kind)
        return text

    @cached_property
    def _user_types(self) -> frozenset[str]:
        """The types of the columns that rules compare with the user."""
        types = set()
        for guard in find_guards(self.manifest).values():
            columns = list_columns(guard.table, self.manifest.tables)
            for link in guard.links:
                columns |= {copy.column: copy.type for copy in link.copies}
            for each in guard.read:
                if each.setting == "user" and each.groups is None:
                    types.add(columns[each.column])
        return frozenset(types)


def _check_key(text: str, kind: str) -> str:
    try:
        text.encode()
        if kind == "uuid":
            return str(UUID(text))
        if kind in _INT_BITS and not (text.isascii() and -(1 << _INT_BITS[kind]) <= int(text)):
            raise ValueError(text)
        if kind in _INT_BITS and int(text) >= 1 << _INT_BITS[kind]:
            raise ValueError(text)
    except ValueError:
        message = f"the user of the token is no {kind}, as keys of users are here"
        raise TokenError(
            message, remedy="Write identity: {match: TABLE.COLUMN}: where its claim stands."
        ) from None
    if "\0" in text:
        raise TokenError("the user of the token holds a NUL")
    return text


def _keys(identity: Identity) -> Keys:
    if identity.jwks is not None:
        url = _expand(identity.jwks)
        if identity.is_supabase:
            url = _join_slashes(url)
        if not is_safe(url):
            raise UsageError(
                "identity: jwks is no URL with https: who stands between could give other keys",
                remedy="Give the URL of the issuer's keys; it begins with https://. Only on this"
                " machine http:// is taken.",
            )
        return PublishedKeys(url)
    if identity.secret is not None:
        secret = _expand(identity.secret)
        if not secret:
            raise UsageError(
                f"identity: secret is empty: {identity.secret} is not set",
                remedy="Set the variable to the secret that your issuer signs tokens with. A new one:"
                " openssl rand -base64 32",
            )
        return read_secret(secret)
    return read_public_key(_expand(identity.public_key or ""))


def _expand(text: str) -> str:
    try:
        return expand(text)
    except UsageError as error:
        raise UsageError(f"identity: {error.message}", remedy=error.remedy) from None


def _join_slashes(url: str) -> str:
    """The URL of a project, which people write with a slash at its end or without."""
    return re.sub("(?<!:)/+", "/", url)


def _read_claim(claims: Claims, path: str) -> object:
    """A claim by its name, or by names with dots between them: `app_metadata.role`."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _read_roles(claims: Claims, identity: Identity) -> frozenset[RoleName]:
    if identity.roles is None:
        return frozenset()
    found = _read_claim(claims, identity.roles.claim)
    names = found if isinstance(found, list) else [found]
    mapped = identity.roles.map
    return _known_roles(mapped[name] for name in names if isinstance(name, str) and name in mapped)


def _known_roles(names: Iterable[object]) -> frozenset[RoleName]:
    return frozenset(cast("RoleName", name) for name in names if name in get_args(RoleName))


def check_role(caller: Caller, role: RoleName) -> None:
    """Check that a caller may have sessions of a role.

    Raises:
        TokenError: nobody calls. ForbiddenError: the token does not have the role.
    """
    if caller.user_id is None:
        raise TokenError("a token is needed", remedy=SEND)
    if role != "app" and role not in caller.roles:
        raise ForbiddenError(f"the role {role} is needed")
