"""Access rules of a manifest as SQL: policies, the keys that children copy, triggers, grants.

Everything that a policy, a trigger or an index calls lies in the schema of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from assise.manifest.model import Manifest
from assise.manifest.sections.access import ROLES as PREFIX
from assise.manifest.sections.access import Members
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import DELETED_TYPE, SOFT_DELETE, is_ours
from assise.schema.deletion import Deletion, are_null, join_pairs, list_below, name_deleted_index
from assise.schema.guards import Condition, Guard, Link, find_guards, groups_name, make_name
from assise.schema.managed import Managed, drop_of
from assise.schema.policies import list_grants, list_policies
from assise.schema.roles import (
    ROLE_SETTING,
    ROLES,
    WRITING,
    admit_loader,
    create_role,
    describe_roles,
    role_name,
)
from assise.schema.rule_indexes import list_rule_indexes
from assise.schema.sql import quote, quote_list, quote_text

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
        return [] if self.is_forced else [role_name(self.prefix, name) for name in names]

    @cached_property
    def guards(self) -> dict[str, Guard]:
        """The resolved rule of each table that has one."""
        return find_guards(self.manifest)

    @cached_property
    def links(self) -> list[Link]:
        """What children copy, parents before their children."""
        return [link for guard in self.guards.values() for link in guard.links if link.copies]

    def predicate(self, table: str, conditions: Sequence[Condition]) -> str:
        """The text of a policy: which rows the session's user or tenant may have."""
        types = self.types(table)
        texts = []
        for condition in conditions:
            column, kind = quote(condition.column), types[condition.column]
            if condition.groups is None:
                texts.append(f"{column} = {quote_setting(condition.setting, kind)}")
            else:
                function = quote(self.schema, groups_name(condition.groups))
                texts.append(f"{column} = any (array(select {function}()))")
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
        """Everything, in the order in which it is made."""
        if not self.has_rules:
            return []
        return [
            *self._list_columns(),
            *self._list_owners(),
            *self._list_functions(),
            *self._list_triggers(),
            *list_rule_indexes(self),
            *list_policies(self),
            *list_grants(self),
        ]

    def list_fills(self) -> list[str]:
        """The UPDATE of each child table `c` that copies its parent's columns; it ends in WHERE."""
        return [self._fill(link) for link in self.links]

    def list_clears(self, made: Iterable[Managed]) -> list[str]:
        """The UPDATE of each column of ours that comes to say when rows were deleted by themselves.

        Under the rules that have made its index it did so before; under others it may be a copy.
        """
        known = {each.name for each in made}
        found = []
        for each in self.deletions:
            if name_deleted_index(each.table) not in known and self._is_ours(each.table):
                table, column = quote(self.schema, each.table), quote(each.column)
                found.append(f"UPDATE {table} AS c SET {column} = NULL WHERE {column} IS NOT NULL")
        return found

    def list_linked(self) -> list[str]:
        """The tables, as SQL names them, that copy columns or whose columns are copied."""
        names = [name for link in self.links for name in (link.parent, link.child)]
        return [quote(self.schema, name) for name in dict.fromkeys(names)]

    def _is_ours(self, table: str) -> bool:
        return is_ours(table, self.manifest.tables)

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
                below = [*list_below(name, column, self.links, hidden)]
                may_write = f"(({self.predicate(name, guard.write)}) OR {self._sees_all})"
                found.append(Deletion(self.schema, name, key, column, above, below, may_write))
        return found

    @property
    def _sees_all(self) -> str:
        """Whether no rule binds who calls a function of ours, which runs as the owner."""
        caller = "coalesce(nullif(current_setting('role', true), 'none'), session_user::text)"
        names = [self.owner, *self.list_unbound()]
        roles = " OR ".join(f"pg_has_role({caller}, {quote_text(name)}, 'USAGE')" for name in names)
        return f"(select {roles})"

    def list_unbound(self) -> list[str]:
        """The roles that see and write all rows."""
        unbound = [role for role in ROLES if role.rows == "all" and role.privileges == WRITING]
        return [role_name(self.prefix, role.name) for role in unbound]

    def live(self, table: str, prefix: str = "") -> str:
        """That a row is not deleted, as a further condition; empty where rows never are."""
        guard = self.guards.get(table)
        return f" AND {are_null(guard.hidden, prefix)}" if guard and guard.hidden else ""

    def _fill(self, link: Link) -> str:
        child, parent = (quote(self.schema, name) for name in (link.child, link.parent))
        sets = ", ".join(f"{quote(copy.column)} = p.{quote(copy.source)}" for copy in link.copies)
        old = ", ".join(f"c.{quote(copy.column)}" for copy in link.copies)
        new = _list_sources(link, "p")
        same = join_pairs(link, "c", "p")
        return (
            f"UPDATE {child} AS c SET {sets} FROM {parent} AS p"
            f" WHERE {same} AND ({old}) IS DISTINCT FROM ({new})"
        )

    def _list_columns(self) -> Iterator[Managed]:
        for each in self.deletions:
            if self._is_ours(each.table):
                yield self._column(each.table, each.column, DELETED_TYPE)
        for link in self.links:
            for copy in link.copies:
                yield self._column(link.child, copy.column, copy.type)

    def _column(self, table: str, name: str, kind: str) -> Managed:
        place, column = quote(self.schema, table), quote(name)
        create = f"ALTER TABLE {place} ADD COLUMN {column} {kind}"
        drop = f"ALTER TABLE IF EXISTS {place} DROP COLUMN IF EXISTS {column}"
        return Managed("column", table, name, create, drop)

    def _list_owners(self) -> Iterator[Managed]:
        for name in () if self.is_forced else self.manifest.tables:
            create = f"ALTER TABLE {quote(self.schema, name)} OWNER TO {quote(self.owner)}"
            yield Managed("owner", name, self.owner, create, "")

    def _list_functions(self) -> Iterator[Managed]:
        for members in self.list_members():
            user = list_columns(members.table, self.manifest.tables)[members.user]
            group = list_columns(members.table, self.manifest.tables)[members.group]
            table = quote(self.schema, members.table)
            body = (
                f"SELECT m.{quote(members.group)} FROM {table} AS m"
                f" WHERE m.{quote(members.user)} = {quote_setting('user', user)}"
                f"{self.live(members.table, 'm.')}"
            )
            language = "plpgsql" if self.is_forced else "sql"
            head = f"RETURNS SETOF {group} LANGUAGE {language} STABLE SECURITY DEFINER"
            if self.is_forced:
                body = self._block(f"RETURN QUERY {body};", "")
            yield self._function(groups_name(members), head, body)
        for link in self.links:
            head = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            yield self._function(
                make_name("_copy", link.child, link.parent), head, self._copy(link)
            )
            yield self._function(
                make_name("_move", link.child, link.parent), head, self._move(link)
            )
        head = "RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER"
        for each in self.deletions:
            delete, restore = each.names
            yield self._function(delete, head, each.delete(), each.arguments)
            yield self._function(restore, head, each.restore(), each.arguments)

    def list_members(self) -> list[Members]:
        guards = self.guards.values()
        found = (each.groups for guard in guards for each in (*guard.read, *guard.write))
        return list(dict.fromkeys(members for members in found if members is not None))

    def _function(self, name: str, head: str, body: str, arguments: str = "") -> Managed:
        function = f"{quote(self.schema, name)}({arguments})"
        statements = [
            f"CREATE FUNCTION {function} {head} {PINNED} AS {quote_text(body)}",
            *(
                []
                if self.is_forced
                else [f"ALTER FUNCTION {function} OWNER TO {quote(self.owner)}"]
            ),
            f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
        ]
        return Managed(
            "function", "", name, ";\n".join(statements), f"DROP FUNCTION IF EXISTS {function}"
        )

    def _copy(self, link: Link) -> str:
        """The body of the trigger of a child: the parent's key, which nobody changes meanwhile.

        A row that stays with its parent does not wait for it: who has locked the parent may change
        this row next, and then brings what is newer.
        """
        sources = _list_sources(link, "p")
        columns = ", ".join(f"NEW.{quote(copy.column)}" for copy in link.copies)
        given = " AND ".join(f"NEW.{quote(own)} IS NOT NULL" for own, _ in link.pairs)
        message = quote_text(f"{link.child} has a row without its row in {link.parent}")
        old, new = (", ".join(f"{row}.{quote(c)}" for c, _ in link.pairs) for row in ("OLD", "NEW"))
        select = (
            f"SELECT {sources} INTO {columns} FROM {quote(self.schema, link.parent)} AS p"
            f" WHERE {join_pairs(link, 'NEW', 'p')}"
        )
        return self._block(
            f"IF TG_OP = 'UPDATE' AND ({old}) IS NOT DISTINCT FROM ({new}) THEN {select};"
            f" ELSE {select} FOR KEY SHARE; IF NOT FOUND AND {given} THEN"
            f" RAISE foreign_key_violation USING MESSAGE = {message}; END IF;"
            f"{self._refuse_deleted(link)} END IF;",
            "RETURN NEW;",
        )

    def _refuse_deleted(self, link: Link) -> str:
        """The statement that keeps new rows from a parent that is deleted."""
        hidden = self.guards[link.parent].hidden
        copied = [copy.column for copy in link.copies if copy.source in hidden]
        if not copied:
            return ""
        message = quote_text(f"{link.child} has a row whose row in {link.parent} is deleted")
        return (
            f" IF NOT ({are_null(copied, 'NEW.')}) AND NOT {self._sees_all}"
            f" THEN RAISE foreign_key_violation USING MESSAGE = {message}; END IF;"
        )

    def _move(self, link: Link) -> str:
        """The body of the trigger of a parent: its children go with it."""
        sets = ", ".join(f"{quote(copy.column)} = NEW.{quote(copy.source)}" for copy in link.copies)
        child = quote(self.schema, link.child)
        update = f"UPDATE {child} AS c SET {sets} WHERE {join_pairs(link, 'c', 'NEW')};"
        return self._block(update, "RETURN NULL;")

    def _block(self, statements: str, end: str) -> str:
        """A body in PL/pgSQL. A forced owner sees all rows while it runs, and then what it saw."""
        if not self.is_forced:
            return f"BEGIN {statements} {end} END"
        setting = quote_text(ROLE_SETTING)
        return (
            f"DECLARE _role text := coalesce(current_setting({setting}, true), '');"
            f" BEGIN PERFORM set_config({setting}, 'owner', true); {statements}"
            f" PERFORM set_config({setting}, _role, true); {end} END"
        )

    def _list_triggers(self) -> Iterator[Managed]:
        for link in self.links:
            watched = [*(own for own, _ in link.pairs), *(copy.column for copy in link.copies)]
            name = make_name("_copy", link.child, link.parent)
            when = f"BEFORE INSERT OR UPDATE OF {quote_list(dict.fromkeys(watched))}"
            yield self._trigger(link.child, name, when, "")
            old, new = (_list_sources(link, row) for row in ("OLD", "NEW"))
            changed = f" WHEN (({old}) IS DISTINCT FROM ({new}))"
            name = make_name("_move", link.child, link.parent)
            yield self._trigger(link.parent, name, "AFTER UPDATE", changed)

    def _trigger(self, table: str, name: str, when: str, condition: str) -> Managed:
        place, function = quote(self.schema, table), quote(self.schema, name)
        create = (
            f"CREATE TRIGGER {quote(name)} {when} ON {place} FOR EACH ROW{condition}"
            f" EXECUTE FUNCTION {function}()"
        )
        return Managed("trigger", table, name, create, drop_of("TRIGGER", name, place))


def access_script(manifest: Manifest, schema: str) -> list[str]:
    """The roles and all objects as statements, behind a table of the roles in comments."""
    rules = AccessRules(manifest, schema)
    if not rules.has_rules:
        return []
    if rules.is_forced:
        return [managed.create for managed in rules.list_objects()]
    roles = [create_role(rules.prefix, role) for role in ROLES]
    head = "\n".join([*describe_roles(rules.prefix), roles[0]])
    return [
        head,
        *roles[1:],
        admit_loader(rules.prefix),
        f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {quote(rules.owner)}",
        *(managed.create for managed in rules.list_objects()),
    ]


def _list_sources(link: Link, row: str) -> str:
    return ", ".join(f"{row}.{quote(copy.source)}" for copy in link.copies)
