"""Access rules of a manifest as SQL: policies, the keys that children copy, triggers, grants.

Everything that a policy, a trigger or an index calls lies in the schema of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from assise.manifest.model import Manifest
from assise.manifest.names import list_schemas
from assise.manifest.sections.access import ROLES as PREFIX
from assise.manifest.sections.access import Members
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import DELETED_TYPE, SOFT_DELETE, is_ours
from assise.schema.computed import list_formulas
from assise.schema.copies import (
    list_triggers,
    name_copy,
    name_move,
    write_copy,
    write_fill,
    write_move,
)
from assise.schema.deletion import Deletion, are_null, list_below
from assise.schema.guards import Condition, Guard, Link, find_guards, groups_name
from assise.schema.managed import Managed
from assise.schema.matching import find_match
from assise.schema.policies import list_grants, list_policies
from assise.schema.requests import make_requests
from assise.schema.resources import Resource, find_resource
from assise.schema.roles import (
    ROLE_SETTING,
    ROLES,
    WRITING,
    admit_loader,
    describe_roles,
    ensure_role,
    role_name,
)
from assise.schema.rule_indexes import list_rule_indexes
from assise.schema.sql import quote, quote_table, quote_text
from assise.schema.stamps import BODY, HEAD, list_stamped, list_stamps, name_stamp

SETTINGS = {"user": "app.user_id", "tenant": "app.tenant_id"}
"""The settings of a session that rules read."""

PINNED = "SET search_path = pg_catalog, pg_temp"


def quote_setting(setting: Literal["user", "tenant"], kind: str) -> str:
    """The value of a setting; NULL where the session has none. It is read once a statement."""
    return f"(select nullif(current_setting('{SETTINGS[setting]}', true), '')::{kind})"


@dataclass(frozen=True)
class AccessRules:
    """The access rules of a manifest whose tables are in `schema`."""

    manifest: Manifest
    schema: str

    @property
    def prefix(self) -> str:
        """The beginning of the names of roles; empty where the manifest has none."""
        roles = PREFIX.of(self.manifest)
        return roles.prefix if roles else ""

    @property
    def has_rules(self) -> bool:
        """Whether anything is made at all."""
        return PREFIX.of(self.manifest) is not None

    @property
    def has_roles(self) -> bool:
        """Whether there are roles of ours: one owns what is made."""
        return self.has_rules and not self.is_forced

    @property
    def is_forced(self) -> bool:
        """Whether there are no roles: rules then bind the owner too, who is the only login."""
        roles = PREFIX.of(self.manifest)
        return roles is not None and roles.are_none

    @property
    def owner(self) -> str:
        """The role that owns the tables."""
        return role_name(self.prefix, "owner")

    def name_all(self, *names: str) -> list[str]:
        """The names that roles have in the server; none where there are no roles."""
        return [role_name(self.prefix, name) for name in names] if self.has_roles else []

    @cached_property
    def guards(self) -> dict[str, Guard]:
        """The resolved rule of each table that has one."""
        return find_guards(self.manifest)

    @cached_property
    def links(self) -> list[Link]:
        """What children copy, parents before their children."""
        return [link for guard in self.guards.values() for link in guard.links if link.copies]

    @cached_property
    def woven(self) -> dict[str, dict[str, str]]:
        """What COPY writes of parents' rows: child table -> column -> that of the parent's row.

        The documents of the child's rows have it; other copies are filled.
        """
        tables, found = self.manifest.layout.tables, dict[str, dict[str, str]]()
        for link in self.links:
            if link.child in tables and tables[link.child].parent == link.parent:
                known = {*tables[link.parent].names, *found.get(link.parent, ())}
                columns = {each.column: each.source for each in link.copies}
                kept = {name: source for name, source in columns.items() if source in known}
                found[link.child] = kept
        return {table: columns for table, columns in found.items() if columns}

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """The tables that are served over HTTP."""
        found = (find_resource(self.manifest, guard) for guard in self.guards.values())
        return {each.table: each for each in found if each is not None}

    def predicate(self, table: str, conditions: Sequence[Condition]) -> str:
        """The text of a policy: which rows the session's user or tenant may have."""
        types = self.types(table)
        texts = []
        for condition in conditions:
            column, kind = quote(condition.column), types[condition.column]
            if condition.groups is None:
                texts.append(f"{column} = {quote_setting(condition.setting, kind)}")
            else:
                function = quote_table(self.schema, groups_name(condition.groups))
                kind = self.types(condition.groups.table)[condition.groups.group]
                texts.append(f"{column} = any ((select {function}())::{kind}[])")
        return " or ".join(texts) or "false"

    def types(self, table: str) -> dict[str, str]:
        """The columns of a table with their types, those too that it copies."""
        types = list_columns(table, self.manifest.tables)
        guard = self.guards.get(table)
        types |= dict.fromkeys(guard.hidden if guard else (), DELETED_TYPE)
        for link in guard.links if guard else ():
            types |= {copy.column: copy.type for copy in link.copies}
        return types

    def list_objects(self) -> list[Managed]:
        """Everything, in the order in which it is made; without roles formulas and times alone."""
        made = [*self.list_own_columns(), *self._list_owners(), *self._list_requests()]
        made += [*self._list_functions(), *list_triggers(self), *list_stamps(self)]
        if not self.has_rules:
            return made
        return [
            *made,
            *list_rule_indexes(self),
            *list_policies(self),
            *list_grants(self),
        ]

    def list_fills(self) -> list[str]:
        """The UPDATE of each child table `c` that copies its parent's columns; it ends in WHERE."""
        return [write_fill(self, link) for link in self.links]

    @cached_property
    def deletions(self) -> list[Deletion]:
        """The functions of tables whose rows are deleted softly."""
        hidden = {name: guard.hidden for name, guard in self.guards.items()}
        found = []
        for name, guard in self.guards.items():
            deletion = SOFT_DELETE.of(self.manifest.tables[name])
            if deletion is not None:
                types, column = self.types(name), deletion.column
                key = {each: types[each] for each in self.manifest.tables[name].primary_key}
                above = [each for each in guard.hidden if each != column]
                below = [*list_below(name, column, links=self.links, hidden=hidden)]
                may_write = f"(({self.predicate(name, guard.write)}) OR {self.sees_all})"
                found.append(Deletion(self.schema, name, key, column, above, below, may_write))
        return found

    @property
    def sees_all(self) -> str:
        """Whether no rule binds who calls a function of ours, which runs as the owner."""
        caller = "coalesce(nullif(current_setting('role', true), 'none'), session_user::text)"
        names = [self.owner, *self.list_unbound()]
        roles = " OR ".join(f"pg_has_role({caller}, {quote_text(name)}, 'USAGE')" for name in names)
        return f"(select {roles})"

    def list_unbound(self) -> list[str]:
        """The roles that see and write all rows."""
        unbound = [role for role in ROLES if role.rows == "all" and role.privileges == WRITING]
        return [role_name(self.prefix, role.name) for role in unbound]

    def live(self, table: str, row: str = "") -> str:
        """That a row is not deleted, as a further condition; empty where rows never are."""
        guard = self.guards.get(table)
        return f" AND {are_null(guard.hidden, row)}" if guard and guard.hidden else ""

    def list_own_columns(self) -> Iterator[Managed]:
        """The columns of ours: formulas, when rows were deleted, and what children copy."""
        for formula in list_formulas(self.manifest, self.schema):
            yield Managed("column", formula.table, formula.name, formula.create, formula.drop)
        for each in self.deletions:
            if is_ours(each.table, self.manifest.tables):
                yield self._column(each.table, each.column, DELETED_TYPE)
        for link in self.links:
            for copy in link.copies:
                yield self._column(link.child, copy.column, copy.type)

    def _column(self, table: str, name: str, kind: str) -> Managed:
        place, column = quote_table(self.schema, table), quote(name)
        create = f"ALTER TABLE {place} ADD COLUMN {column} {kind}"
        drop = f"ALTER TABLE IF EXISTS {place} DROP COLUMN IF EXISTS {column}"
        return Managed("column", table, name, create, drop)

    def _list_owners(self) -> Iterator[Managed]:
        for name in self.manifest.tables if self.has_roles else ():
            create = f"ALTER TABLE {quote_table(self.schema, name)} OWNER TO {quote(self.owner)}"
            yield Managed("owner", name, self.owner, create, "")

    def _list_requests(self) -> Iterator[Managed]:
        if any(each.posts for each in self.resources.values()):
            yield make_requests(self)

    def _list_functions(self) -> Iterator[Managed]:
        for members in self.list_members():
            types = list_columns(members.table, self.manifest.tables)
            user, group = types[members.user], types[members.group]
            table = quote_table(self.schema, members.table)
            body = (
                f"SELECT array(SELECT m.{quote(members.group)} FROM {table} AS m"
                f" WHERE m.{quote(members.user)} = {quote_setting('user', user)}"
                f"{self.live(members.table, 'm')})"
            )
            language, arguments = "sql", ""
            if self.is_forced:
                language, arguments = "plpgsql", f"OUT _groups {group}[]"
                body = self.block(f"_groups := ({body});", "")
            head = f"RETURNS {group}[] LANGUAGE {language} STABLE SECURITY DEFINER"
            yield self._function(groups_name(members), head, body, arguments)
        for link in self.links:
            head = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            yield self._function(name_copy(link), head, write_copy(self, link))
            yield self._function(name_move(link), head, write_move(self, link))
        for table in list_stamped(self):
            yield self._function(name_stamp(table), HEAD, BODY)
        if match := find_match(self):
            yield self._function(*match, "claim text")
        head = "RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER"
        for each in self.deletions:
            delete, restore = each.names
            yield self._function(delete, head, each.delete(), each.arguments)
            yield self._function(restore, head, each.restore(), each.arguments)

    @property
    def schemas(self) -> list[str]:
        """The schemas of the tables."""
        return list(dict.fromkeys([self.schema, *list_schemas(self.manifest.tables)]))

    def admit_owner(self) -> list[str]:
        """The statements that let the owner make tables and functions in these schemas."""
        owner = quote(self.owner)
        return [f"GRANT USAGE, CREATE ON SCHEMA {quote(name)} TO {owner}" for name in self.schemas]

    def list_members(self) -> list[Members]:
        guards = self.guards.values()
        found = (each.groups for guard in guards for each in (*guard.read, *guard.write))
        return list(dict.fromkeys(members for members in found if members is not None))

    def _function(self, name: str, head: str, body: str, arguments: str = "") -> Managed:
        function = f"{quote_table(self.schema, name)}({arguments})"
        statements = [f"CREATE FUNCTION {function} {head} {PINNED} AS {quote_text(body)}"]
        if self.has_roles:
            statements.append(f"ALTER FUNCTION {function} OWNER TO {quote(self.owner)}")
        statements.append(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        return Managed(
            "function", "", name, ";\n".join(statements), f"DROP FUNCTION IF EXISTS {function}"
        )

    def block(self, statements: str, end: str) -> str:
        """A body in PL/pgSQL. A forced owner sees all rows while it runs, and then what it saw."""
        if not self.is_forced:
            return f"BEGIN {statements} {end} END"
        setting = quote_text(ROLE_SETTING)
        return (
            f"DECLARE _role text := coalesce(current_setting({setting}, true), '');"
            f" BEGIN PERFORM set_config({setting}, 'owner', true); {statements}"
            f" PERFORM set_config({setting}, _role, true); {end} END"
        )


def access_script(manifest: Manifest, schema: str) -> list[str]:
    """The roles and all objects as statements, behind a table of the roles in comments."""
    rules = AccessRules(manifest, schema)
    if not rules.has_roles:
        return [managed.create for managed in rules.list_objects()]
    roles = [ensure_role(rules.prefix, role) for role in ROLES]
    head = "\n".join([*describe_roles(rules.prefix), roles[0]])
    return [
        head,
        *roles[1:],
        admit_loader(rules.prefix),
        *rules.admit_owner(),
        *(managed.create for managed in rules.list_objects()),
    ]
