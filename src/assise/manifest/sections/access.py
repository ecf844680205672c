"""Access rules: which rows of a table a user or a tenant may read and write, and the roles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import field_validator, model_validator

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.references import list_foreign_keys
from assise.wording import nearest, show

ID_TYPES = frozenset({"uuid", "text", "int2", "int4", "int8"})
"""Types of the columns that rules compare with the user, the tenant or a group."""

MAX_PREFIX = 50
_PREFIX = "[a-z][a-z0-9_]*"


class Members(Keyed):
    """The table that says which user belongs to which group: its columns `user` and `group`.

    The ruled table has a column of the name `group` too.
    """

    table: str
    user: str
    group: str


class Access(Keyed):
    """Conditions, of which one must hold; a list of them stands for `any`.

    What stands in `read` or `write` counts only there. A rule inside of another one has conditions
    alone: the schema of the key sees to that. The text `none` stands for `nobody`.
    """

    owner: str | None = None
    tenant: str | None = None
    through: str | None = None
    members: Members | None = None
    public: Literal["read"] | None = None
    any: tuple[Access, ...] | None = None
    nobody: Literal[True] | None = None
    read: Access | None = None
    write: Access | None = None
    to: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_list(cls, value: object) -> object:
        if value == "none":
            return {"nobody": True}
        return {"any": value} if isinstance(value, list) else value

    @field_validator("to", mode="before")
    @classmethod
    def _list_roles(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    def list_entries(self, place: Place = ()) -> Iterator[tuple[Place, Access]]:
        """Each group of conditions with its place in the manifest."""
        yield place, self
        for i, entry in enumerate(self.any or ()):
            yield (*place, "any", str(i)), entry

    def list_rules(self, place: Place = ()) -> Iterator[tuple[Place, Access]]:
        """The rule itself, then those of `read` and `write`."""
        yield place, self
        for name, rule in (("read", self.read), ("write", self.write)):
            if rule is not None:
                yield (*place, name), rule


class Roles(Keyed):
    """The roles of the database: their names begin with `prefix`, or there are none."""

    prefix: str = ""
    are_none: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, value: object) -> object:
        return {"are_none": True} if value == "none" else value


def _check_access(place: Place, access: Access, tables: Tables) -> Iterator[Problem]:
    is_empty = True
    for at, rule in access.list_rules(place):
        for inner, entry in rule.list_entries(at):
            is_empty = is_empty and not _has_condition(entry)
            yield from _check_entry(inner, entry, tables)
            if entry.public and at != place and at[-1] == "write":
                remedy = "Remove it: what everybody may read, nobody may write for that."
                yield Problem((*inner, "public"), "is no rule for writing", remedy=remedy)
    if is_empty and not access.nobody:
        remedy = "Give owner, tenant, through, members or public: read."
        yield Problem(place, "has no condition", remedy=remedy)
    for i, role in enumerate(access.to or ()):
        if not re.fullmatch(r"[^\0]{1,63}", role) or role.startswith("pg_") or role == "public":
            remedy = "Name a role of the server, such as authenticated."
            yield Problem((*place, "to", str(i)), "cannot be given rows", show(role), remedy)


def _has_condition(entry: Access) -> bool:
    conditions = (entry.owner, entry.tenant, entry.through, entry.members, entry.public)
    return any(each is not None for each in conditions)


def _check_entry(place: Place, entry: Access, tables: Tables) -> Iterator[Problem]:
    name = place[1]
    for key, column in (("owner", entry.owner), ("tenant", entry.tenant)):
        if column is not None:
            yield from _check_column((*place, key), column, name, tables)
    if entry.members is not None:
        yield from _check_members((*place, "members"), entry.members, tables)
    if entry.through is not None:
        yield from _check_through((*place, "through"), entry.through, tables)


def _check_column(place: Place, column: str, name: str, tables: Tables) -> Iterator[Problem]:
    types = list_columns(name, tables)
    if column not in types:
        message = f"is not a column of {show(name)}"
        yield Problem(place, message, show(column), nearest(column, types))
    elif types[column] not in ID_TYPES:
        message = f"is of type {types[column]}, which holds no id"
        remedy = f"Give the column one of the types {', '.join(sorted(ID_TYPES))}."
        yield Problem(place, message, show(column), remedy)


def _check_members(place: Place, members: Members, tables: Tables) -> Iterator[Problem]:
    if members.table not in tables:
        remedy = nearest(members.table, tables)
        message = "is not a table of this manifest"
        yield Problem((*place, "table"), message, show(members.table), remedy)
        return
    yield from _check_column((*place, "user"), members.user, members.table, tables)
    yield from _check_column((*place, "group"), members.group, members.table, tables)
    yield from _check_column((*place, "group"), members.group, place[1], tables)
    ours, theirs = list_columns(place[1], tables), list_columns(members.table, tables)
    one, other = ours.get(members.group), theirs.get(members.group)
    if one and other and one != other:
        message = f"is of type {one} here, and of {other} in {show(members.table)}"
        remedy = "Give both columns one type."
        yield Problem((*place, "group"), message, show(members.group), remedy)


def find_pairs(name: str, above: str, tables: Tables) -> list[tuple[tuple[str, str], ...]]:
    """The ways from rows of a table to a row of another: pairs of its columns and the other's."""
    table = tables[name]
    if table.parent == above:
        return [tuple(zip(table.primary_key, tables[above].primary_key, strict=False))]
    return [
        tuple(zip(key.columns, key.target.columns, strict=False))
        for key in list_foreign_keys(name, tables)
        if key.target.table == above
    ]


def _list_above(name: str, tables: Tables) -> set[str]:
    """The tables that the rule of a table goes through, as far as the first that does not."""
    found, todo = set[str](), [name]
    while todo:
        access = ACCESS.of(tables[todo.pop()])
        for at, rule in access.list_rules() if access else ():
            for _, entry in rule.list_entries(at):
                if entry.through in tables and entry.through not in found:
                    found.add(str(entry.through))
                    todo.append(str(entry.through))
    return found


def _check_through(place: Place, through: str, tables: Tables) -> Iterator[Problem]:
    if through not in tables:
        remedy = nearest(through, tables)
        yield Problem(place, "is not a table of this manifest", show(through), remedy)
        return
    ways = find_pairs(place[1], through, tables)
    if not ways:
        message = "is neither the parent of this table nor one that a column references"
        remedy = f"Write references: {through} at the column that holds its key."
        yield Problem(place, message, show(through), remedy)
    elif len(ways) > 1:
        remedy = "Keep one of its references, or give this table an owner."
        yield Problem(place, f"is referenced {len(ways)} times", show(through), remedy)
    elif ACCESS.of(tables[through]) is None:
        remedy = f"Give {show(through)} its own access."
        yield Problem(place, "has no access rule", show(through), remedy)
    elif place[1] in _list_above(through, tables) | {through}:
        remedy = "Let each rule end at an owner, a tenant, members or public: read."
        yield Problem(place, "leads back to this table", show(through), remedy)


def _check_roles(place: Place, roles: Roles, tables: Tables) -> Iterator[Problem]:
    del tables
    if roles.are_none:
        return
    prefix, at = roles.prefix, (*place, "prefix")
    if not re.fullmatch(_PREFIX, prefix) or len(prefix) > MAX_PREFIX or prefix.startswith("pg_"):
        remedy = (
            "Begin with a letter a-z, not with pg_; then letters, digits and _,"
            f" at most {MAX_PREFIX} in all."
        )
        yield Problem(at, "cannot begin the names of roles", show(prefix), remedy)


def _write_access(place: Place, access: Access, tables: Tables) -> object:
    del place, tables
    return "none" if access.nobody else access.model_dump(mode="json", exclude_none=True)


def _write_roles(place: Place, roles: Roles, tables: Tables) -> object:
    del place, tables
    return "none" if roles.are_none else {"prefix": roles.prefix}


_TEXT: Mapping[str, Schema] = {"type": "string"}
_ENTRY: dict[str, Schema] = {
    "owner": dict(_TEXT),
    "tenant": dict(_TEXT),
    "through": dict(_TEXT),
    "members": {
        "type": "object",
        "additionalProperties": False,
        "required": ["table", "user", "group"],
        "properties": {name: dict(_TEXT) for name in ("table", "user", "group")},
    },
    "public": {"const": "read"},
}


def _object(properties: dict[str, Schema]) -> dict[str, Schema]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


_NONE: dict[str, Schema] = {"const": "none"}
_LIST: dict[str, Schema] = {"type": "array", "items": _object(_ENTRY)}
_RULE: dict[str, Schema] = {"anyOf": [_object({**_ENTRY, "any": _LIST}), _LIST]}
_NAMES: dict[str, Schema] = {"anyOf": [dict(_TEXT), {"type": "array", "items": dict(_TEXT)}]}
_ALL: dict[str, Schema] = {**_ENTRY, "any": _LIST, "read": _RULE, "write": _RULE, "to": _NAMES}

ACCESS = Key(
    "access",
    "table",
    help="who may see which rows: owner or tenant with a column, through: the parent, members,"
    " public: read; of several one must hold; read and write where they differ; to: further roles;"
    " or none: no user sees any",
    affects="schema",
    type=Access,
    check=_check_access,
    schema={"anyOf": [_object(_ALL), _LIST, _NONE]},
    written=_write_access,
    default="no rows for the application's login, if there are roles",
)
ROLES = Key(
    "roles",
    "manifest",
    help="the roles that the rules are for: prefix begins their names, such as NAME_app;"
    " none where the server lets you make none",
    affects="schema",
    type=Roles,
    check=_check_roles,
    schema={"anyOf": [{**_object({"prefix": dict(_TEXT)}), "required": ["prefix"]}, _NONE]},
    written=_write_roles,
    default="no roles and no rules",
)
KEYS = (ROLES, ACCESS)
