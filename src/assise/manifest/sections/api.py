"""Resources: the tables that an application serves over HTTP, and which columns of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import field_validator

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.access import ACCESS, Access
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.computed import list_generated
from assise.manifest.sections.constraints import DEFAULT
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.wording import nearest, show

EXTRA = "_extra"
UPDATED = "updated_at"
STAMPS = ("created_at", UPDATED)
"""Points in time that are nobody's to write over HTTP, beside those with the default now()."""

_NAME = "[A-Za-z_][A-Za-z0-9_-]*"


class Api(Keyed):
    """What may be done with the rows of a table over HTTP, by columns.

    `read` without a list is every column but `_extra` and those that are personal; the key is
    always among them. `filter` has columns that anybody may filter by, whatever that costs.
    """

    read: Literal["all"] | tuple[str, ...] | None = None
    create: tuple[str, ...] | None = None
    update: tuple[str, ...] | None = None
    delete: bool = False
    restore: bool = False
    filter: tuple[str, ...] = ()

    @field_validator("read", mode="before")
    @classmethod
    def _list_columns(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


def list_rule_columns(access: Access) -> Iterator[str]:
    """The columns of a table that its own rule compares with the user or the tenant."""
    for _, rule in access.list_rules():
        for _, entry in rule.list_entries():
            yield from (each for each in (entry.owner, entry.tenant) if each is not None)


def is_stamp(name: str, table: str, tables: Tables) -> bool:
    """Whether a column says when a row was written."""
    column = tables[table].columns.get(name)
    is_moment = column is not None and column.type.startswith("timestamptz")
    return is_moment and column is not None and (name in STAMPS or DEFAULT.of(column) == "now()")


def _is_written(access: Access) -> bool:
    """Whether some rule lets a user write rows."""
    rules = [rule for place, rule in access.list_rules() if place != ("read",)]
    entries = [entry for rule in rules for _, entry in rule.list_entries()]
    return any(each.owner or each.tenant or each.members or each.through for each in entries)


def _check_api(place: Place, api: Api, tables: Tables) -> Iterator[Problem]:
    name = place[1]
    table, access = tables[name], ACCESS.of(tables[name])
    if not re.fullmatch(rf"({_NAME}\.)?{_NAME}", name):
        remedy = "Begin with a letter a-z or _; then letters, digits, _ and -."
        yield Problem(place, f"{show(name)} cannot stand in a path", remedy=remedy)
    if access is None or access.nobody:
        remedy = "Give the table access: whose rows are whose."
        yield Problem(place, "needs a rule of access", remedy=remedy)
        return
    if api.read is None:
        remedy = "Write read: all, or list columns."
        yield Problem((*place, "read"), "is missing", remedy=remedy)
    deletion = SOFT_DELETE.of(table)
    known = {*list_columns(name, tables), EXTRA, *([deletion.column] if deletion else [])}
    lists = {"read": () if api.read == "all" else api.read, "filter": api.filter}
    lists |= {"create": api.create, "update": api.update}
    for key, names in lists.items():
        yield from _check_names((*place, key), names or (), known)
    forbidden = {**dict.fromkeys(table.primary_key, "is the key"), EXTRA: "is kept by Assise"}
    forbidden |= dict.fromkeys(list_rule_columns(access), "says whose the row is")
    forbidden |= {deletion.column: "is written by delete and restore"} if deletion else {}
    forbidden |= {
        each: "says when the row was written" for each in known if is_stamp(each, name, tables)
    }
    forbidden |= dict.fromkeys(list_generated(name, tables), "is computed by the server")
    for key in ("create", "update"):
        for i, each in enumerate(lists[key] or ()):
            if each in forbidden:
                remedy = "Remove it: a request may not write it."
                yield Problem((*place, key, str(i)), forbidden[each], show(each), remedy)
    for key in ("create", "update", "delete", "restore"):
        if getattr(api, key) and not _is_written(access):
            remedy = "Remove it, or give the rule of access more than what may be read."
            yield Problem((*place, key), "is for rows that no user may write", remedy=remedy)
    if api.restore and deletion is None:
        remedy = "Write soft_delete: true, or remove it."
        yield Problem((*place, "restore"), "needs soft_delete", remedy=remedy)


def _check_names(place: Place, names: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    names = [*names]
    for i, name in enumerate(names):
        if name not in known:
            message = "is not a column of this table"
            yield Problem((*place, str(i)), message, show(name), nearest(name, known))
        elif name in names[:i]:
            yield Problem((*place, str(i)), "occurs twice", show(name), "Keep one of them.")


def _write(place: Place, api: Api, tables: Tables) -> object:
    del place, tables
    return api.model_dump(mode="json", exclude_unset=True)


_LIST: dict[str, Schema] = {"type": "array", "items": {"type": "string"}}
_FLAG: dict[str, Schema] = {"type": "boolean"}
_PROPERTIES: dict[str, Schema] = {
    "read": {"anyOf": [{"const": "all"}, _LIST]},
    "create": _LIST,
    "update": _LIST,
    "delete": _FLAG,
    "restore": _FLAG,
    "filter": _LIST,
}
API = Key(
    "api",
    "table",
    help="what may be done with its rows over HTTP, under /api/TABLE: read: all, or columns;"
    " create and update: columns; delete and restore: true; filter: columns that anybody may"
    " filter by. The role NAME_app has no more rights than these",
    affects="schema",
    type=Api,
    check=_check_api,
    schema={"type": "object", "additionalProperties": False, "properties": _PROPERTIES},
    written=_write,
    default="not served",
)
KEYS = (API,)
