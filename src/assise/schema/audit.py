"""The log of who changed which row, as SQL: its tables, and the triggers that write it.

A statement writes its lines with one trigger, from transition tables. All of it lies in the schema of
the tables and needs nothing of ours. What a column marked `personal:` held, or `_extra`, is never
written: only that it changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import NamedTuple

from assise.manifest.model import Manifest
from assise.manifest.sections.audit import AUDIT, AUDIT_LOG, LOG_NAME, SEAL_NAME
from assise.manifest.sections.personal import PERSONAL
from assise.manifest.sections.revisions import WAS
from assise.schema.access import AccessRules
from assise.schema.guards import make_place
from assise.schema.managed import Managed, drop_of
from assise.schema.partitions import Partitioning, list_partitionings
from assise.schema.roles import role_name
from assise.schema.sql import equate, qualify, quote, quote_table, quote_text

_EVENTS = {
    "INSERT": "REFERENCING NEW TABLE AS added ",
    "UPDATE": "REFERENCING OLD TABLE AS gone NEW TABLE AS added ",
    "DELETE": "REFERENCING OLD TABLE AS gone ",
    "TRUNCATE": "",
}
_BODY = "-- body --\n"
"""What stands before the body of a function, which is quoted: a name may hold any other mark."""

_PART = re.compile(r"\{(\w+)\}")
_BY_BYTES = ("citext", "numeric")
"""Types of which two values may be equal and not the same."""


class AuditedColumns(NamedTuple):
    """The columns of an audited table: their types, its key, and those whose values are hidden."""

    types: Mapping[str, str]
    key: Sequence[str]
    hidden: Sequence[str]


def list_audited(manifest: Manifest) -> list[str]:
    """The tables whose changes are logged."""
    return [name for name, table in manifest.tables.items() if AUDIT.of(table)]


def partition_log(schema: str) -> Partitioning:
    """How the log is cut: by months, of which none is dropped without a look at its seals."""
    return Partitioning(schema, LOG_NAME, "at")


def partition_kept_log(manifest: Manifest, schema: str) -> Partitioning | None:
    """How the log is cut, and how long its months are kept; None where that is for ever."""
    log = AUDIT_LOG.of(manifest)
    if log is None or not list_audited(manifest):
        return None
    return replace(partition_log(schema), keep=log.keep, then=log.then)


def list_cut(manifest: Manifest, schema: str) -> list[Partitioning]:
    """How the tables are cut that are: those of a manifest, and the log."""
    logs = [partition_log(schema)] if list_audited(manifest) else []
    return [*list_partitionings(manifest, schema), *logs]


def name_function(table: str) -> str:
    """The function that writes the lines of a table."""
    return make_place("_audit", table)


def list_audit_objects(manifest: Manifest, schema: str) -> list[Managed]:
    """What the log needs in the database; nothing where no table is audited."""
    if not list_audited(manifest):
        return []
    return [*_AuditObjects(AccessRules(manifest, schema)).list_objects()]


def write_function(
    manifest: Manifest,
    schema: str,
    function: Managed,
    *,
    table: str,
    types: Mapping[str, str],
    key: Sequence[str],
) -> Managed:
    """The function of a table as it must be for the columns and the key that the table has now.

    While a revision is under way the manifest does not know some of them yet, or no more. What the
    `function` hides stays hidden, under another name too.
    """
    rules = AccessRules(manifest, schema)
    entry = manifest.tables.get(table)
    known = rules.types(table) if entry else {}
    columns = entry.columns if entry else {}
    extra = manifest.extra_of(table) if entry else None

    def was_hidden(name: str) -> bool:
        text = quote_text(f"THEN {quote_text(name)} END").removeprefix("E")
        return text[1:-1] in function.create

    def hides(name: str) -> bool:
        if name in columns:
            return PERSONAL.of(columns[name]) is not None
        later = [new for new, column in columns.items() if WAS.of(column) == name]
        return name == extra or any(map(was_hidden, [name, *later])) or any(map(hides, later))

    found = {name: kind for name, kind in known.items() if name in types}
    found |= {name: kind for name, kind in types.items() if name not in known}
    hidden = [name for name in [*columns, *types] if name in types and hides(name)]
    facts = AuditedColumns(found, key, [*dict.fromkeys(hidden)])
    create = _AuditObjects(rules).write_function(table, facts)
    return function._replace(create=create)


@dataclass(frozen=True)
class _AuditObjects:
    rules: AccessRules

    def list_objects(self) -> Iterator[Managed]:
        schema = self.rules.schema
        for name in (LOG_NAME, SEAL_NAME):
            place = quote(schema, name)
            kind = name.removeprefix("audit_")
            parts = {
                kind: place,
                "index_key": quote(f"{name}_key_idx"),
                "index_xid": quote(f"{name}_xid_idx"),
            }
            yield Managed("table", "", name, _fill(_read(kind), parts), _drop_empty(place))
        for name in (LOG_NAME, SEAL_NAME) if self._has_roles else ():
            place = quote(schema, name)
            owned = [*self._own(f"TABLE {place}"), *self._grant(f"SELECT ON {place}")]
            yield Managed("grant", "", name, ";\n".join(owned), "SELECT")
        for table in list_audited(self.rules.manifest):
            yield from self._list_of(table)

    def _list_of(self, table: str) -> Iterator[Managed]:
        name = name_function(table)
        function, place = (quote_table(self.rules.schema, each) for each in (name, table))
        create = self.write_function(table, self._find_columns(table))
        yield Managed("function", "", name, create, f"DROP FUNCTION IF EXISTS {function}()")
        for event, tables in _EVENTS.items():
            trigger = f"_audit_{event.lower()}"
            create_trigger = (
                f"CREATE TRIGGER {trigger} AFTER {event} ON {place} {tables}"
                f"FOR EACH STATEMENT {self._except_loader()}EXECUTE FUNCTION {function}()"
            )
            yield Managed(
                "trigger", table, trigger, create_trigger, drop_of("TRIGGER", trigger, place)
            )

    def write_function(self, table: str, columns: AuditedColumns) -> str:
        """The function that writes the lines of a table with these columns, in place of another."""
        function = quote_table(self.rules.schema, name_function(table))
        head, body = _read("table").split(_BODY)
        parts = {"function": function, **self._describe(table, columns)}
        made = _fill(head, parts) + quote_text(_fill(body, parts))
        create = [made, *self._own(f"FUNCTION {function}()")]
        return ";\n".join([*create, f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"])

    def _find_columns(self, table: str) -> AuditedColumns:
        """Those that the manifest says."""
        entry, extra = self.rules.manifest.tables[table], self.rules.manifest.extra_of(table)
        personal = [name for name, column in entry.columns.items() if PERSONAL.of(column)]
        hidden = [*personal, *([extra] if extra else [])]
        return AuditedColumns(self.rules.types(table), entry.primary_key, hidden)

    def _describe(self, table: str, columns: AuditedColumns) -> dict[str, str]:
        """The pieces of the function of one table."""
        types, key, hidden = columns
        seen = {name: kind for name, kind in types.items() if name not in hidden}
        names = {"o": qualify("o", hidden), "n": qualify("n", hidden)}
        log = quote(self.rules.schema, LOG_NAME)
        return {
            "log": log,
            "log_text": quote_text(log),
            "name": quote_text(table),
            "hidden": f"ARRAY[{', '.join(map(quote_text, hidden))}]::text[]",
            "old_key": _pair(key, "o"),
            "new_key": _pair(key, "n"),
            "old_first": f"o.{quote(key[0])}",
            "new_first": f"n.{quote(key[0])}",
            "same_key": " AND ".join(equate(qualify("o", key), qualify("n", key))),
            "old": _list_changed("o", seen),
            "new": _list_changed("n", seen),
            "old_hidden": _list_hidden(hidden, [f"{each} IS NOT NULL" for each in names["o"]]),
            "new_hidden": _list_hidden(hidden, [f"{each} IS NOT NULL" for each in names["n"]]),
            "changed_hidden": _list_hidden(
                hidden,
                [
                    f"{old}::text IS DISTINCT FROM {new}::text"
                    for old, new in zip(names["o"], names["n"], strict=True)
                ],
            ),
        }

    @property
    def _has_roles(self) -> bool:
        return self.rules.has_rules and not self.rules.is_forced

    def _own(self, what: str) -> list[str]:
        return [f"ALTER {what} OWNER TO {quote(self.rules.owner)}"] if self._has_roles else []

    def _grant(self, what: str) -> list[str]:
        admin = quote(role_name(self.rules.prefix, "admin"))
        return [f"GRANT {what} TO {admin}"] if self._has_roles else []

    def _except_loader(self) -> str:
        """The loads and repairs of a login of their own are no changes of the application."""
        if not self._has_roles:
            return ""
        loader = quote_text(role_name(self.rules.prefix, "loader"))
        return f"WHEN (session_user <> {loader}) "


def _drop_empty(place: str) -> str:
    """Drop a table in which there is nothing: a log outlives what it tells of."""
    body = f"BEGIN IF NOT EXISTS (SELECT FROM {place}) THEN DROP TABLE {place}; END IF; END"
    return f"DO {quote_text(body)}"


def _pair(key: Sequence[str], row: str) -> str:
    return ", ".join(f"{quote_text(name)}, {row}.{quote(name)}" for name in key)


def _list_changed(row: str, types: Mapping[str, str]) -> str:
    """The columns of a row that a statement has changed, as an object.

    One text is made of all and read once, which costs least where few of many columns change; jsonb
    is not written and read again.
    """
    texts = [_text_of(row, name, kind) for name, kind in types.items() if kind != "jsonb"]
    objects = [_object_of(row, name) for name, kind in types.items() if kind == "jsonb"]
    return " || ".join([f"('{{' || concat_ws(',', NULL{''.join(texts)}) || '}}')::jsonb", *objects])


def _text_of(row: str, name: str, kind: str) -> str:
    cast = "::text" if kind.startswith(_BY_BYTES) else ""
    old, new = (f"{each}.{quote(name)}{cast}" for each in ("o", "n"))
    head = quote_text(f"{json.dumps(name, ensure_ascii=False)}:")
    value = f"coalesce(to_json({row}.{quote(name)})::text, 'null')"
    return f", CASE WHEN {old} IS DISTINCT FROM {new} THEN {head} || {value} END"


def _object_of(row: str, name: str) -> str:
    old, new = (f"{each}.{quote(name)}" for each in ("o", "n"))
    made = f"jsonb_build_object({_pair([name], row)})"
    return f"CASE WHEN {old} IS DISTINCT FROM {new} THEN {made} ELSE '{{}}' END"


def _list_hidden(names: Sequence[str], conditions: Sequence[str]) -> str:
    """The hidden columns that fulfil their condition; NULL where none does."""
    if not names:
        return "NULL::text[]"
    pairs = zip(names, conditions, strict=True)
    cases = ", ".join(f"CASE WHEN {when} THEN {quote_text(name)} END" for name, when in pairs)
    return f"nullif(array_remove(ARRAY[{cases}]::text[], NULL), '{{}}')"


def _read(name: str) -> str:
    folder = files("assise.schema").joinpath("audit_sql")
    return folder.joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()


def _fill(text: str, parts: dict[str, str]) -> str:
    return _PART.sub(lambda part: parts[part[1]], text)
