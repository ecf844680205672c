"""Identity: whose tokens are taken, by which keys, and which user a token stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import Field, model_validator

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.postgres import RoleName
from assise.manifest.sections.servers import check_on_main
from assise.wording import nearest, show

SUPABASE = "supabase"
_KEYS = ("jwks", "secret", "public_key")
_MATCHED = frozenset({"text", "citext", "uuid"})


class TokenRoles(Keyed):
    """The claim that holds a token's roles, and the role of the database for each that counts."""

    claim: str = "role"
    map: dict[str, str] = Field(default_factory=dict)


class Identity(Keyed):
    """Who issues tokens, for whom, and the claims that are read.

    Variables are not replaced yet. `match` is a table of users and the column of it that holds the
    claim `user`; without it the claim is the user's key.
    """

    issuer: str = ""
    audience: str = ""
    jwks: str | None = None
    secret: str | None = None
    public_key: str | None = None
    user: str = "sub"
    match: str | None = None
    tenant: str | None = None
    roles: TokenRoles | None = None
    is_supabase: bool = False

    @model_validator(mode="before")
    @classmethod
    def _name_supabase(cls, value: object) -> object:
        if value != SUPABASE:
            return value
        issuer = "${SUPABASE_URL}/auth/v1"
        keys = f"{issuer}/.well-known/jwks.json"
        facts = {"issuer": issuer, "audience": "authenticated", "jwks": keys}
        return {**facts, "is_supabase": True}

    @property
    def matched(self) -> tuple[str, str] | None:
        """The table and the column that the user's claim is looked for in."""
        table, _, column = (self.match or "").rpartition(".")
        return (table, column) if table else None


def _check(place: Place, identity: Identity, tables: Tables) -> Iterator[Problem]:
    given = [name for name in _KEYS if getattr(identity, name) is not None]
    if len(given) != 1:
        message = f"has {', '.join(given)}" if given else "has no key that tokens are signed with"
        yield Problem(place, message, remedy="Give one of jwks, secret and public_key.")
    for name in ("issuer", "audience"):
        if not getattr(identity, name):
            remedy = f"Give the {name} that tokens must name: others' tokens are refused by it."
            yield Problem((*place, name), "is missing", remedy=remedy)
    if identity.user in {"email", "preferred_username", "name"}:
        remedy = "Write sub: an e-mail or a name can become somebody else's."
        yield Problem((*place, "user"), "is no key of a user", show(identity.user), remedy)
    for role, name in (identity.roles.map if identity.roles else {}).items():
        if name not in get_args(RoleName):
            at, remedy = (*place, "roles", "map", role), nearest(name, get_args(RoleName))
            yield Problem(at, "is no role", show(name), remedy)
    if identity.match is not None:
        yield from _check_match((*place, "match"), identity, tables)


def _check_match(place: Place, identity: Identity, tables: Tables) -> Iterator[Problem]:
    name, column = identity.matched or ("", "")
    if name not in tables:
        remedy = "Write the table of users and its column, such as users.auth_id."
        yield Problem(place, "names no table", show(identity.match), remedy)
        return
    types = list_columns(name, tables)
    if column not in types:
        message = f"is not a column of {show(name)}"
        yield Problem(place, message, show(column), nearest(column, types))
    elif types[column] not in _MATCHED:
        message = f"is of type {types[column]}"
        yield Problem(place, message, show(column), "Give it the type text or uuid.")
    elif len(tables[name].primary_key) != 1:
        yield Problem(place, "names a table without a key of users", show(name), "Name another.")
    yield from check_on_main(place, name, tables)


def _write(place: Place, identity: Identity, tables: Tables) -> object:
    del place, tables
    return SUPABASE if identity.is_supabase else identity.model_dump(exclude_unset=True)


_TEXT: dict[str, Schema] = {"type": "string"}


def _object(properties: Mapping[str, Schema]) -> dict[str, Schema]:
    return {"type": "object", "additionalProperties": False, "properties": dict(properties)}


_ROLES: dict[str, Schema] = {
    "claim": _TEXT,
    "map": {"type": "object", "additionalProperties": _TEXT},
}
_NAMES = [name for name in Identity.model_fields if name not in {"roles", "is_supabase"}]
IDENTITY = Key(
    "identity",
    "manifest",
    help="whose tokens are taken: supabase, or {issuer, audience, jwks or secret or public_key},"
    " with user: the claim that is the user's key, match: TABLE.COLUMN that holds it instead,"
    " tenant: a claim, roles: {claim, map: {admin: admin}}; ${VAR} is replaced when it is used",
    affects="schema",
    type=Identity,
    check=_check,
    schema={
        "anyOf": [
            {"const": SUPABASE},
            _object({**dict.fromkeys(_NAMES, _TEXT), "roles": _object(_ROLES)}),
        ]
    },
    is_secret=True,
    written=_write,
    default="nobody is known",
)
KEYS = (IDENTITY,)
