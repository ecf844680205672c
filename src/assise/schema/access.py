"""Access rules of a manifest as SQL: policies, the keys that children copy, triggers, grants.

Everything that a policy, a trigger or an index calls lies in the schema of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from assise.manifest.model import Manifest
from assise.manifest.sections.access import ROLES as PREFIX
from assise.manifest.sections.access import Members
from assise.manifest.sections.columns import list_columns
from assise.schema.guards import Condition, Guard, Link, find_guards, is_of_users, make_name
from assise.schema.roles import ROLES, WRITING, Role, create_role, describe_roles, role_name
from assise.schema.sql import quote, quote_list, quote_text

SETTINGS = {"user": "app.user_id", "tenant": "app.tenant_id"}
"""The settings of a session that rules read."""

ManagedKind = Literal[
    "column", "owner", "function", "trigger", "index", "security", "policy", "grant"
]
PINNED = "SET search_path = pg_catalog, pg_temp"


class Managed(NamedTuple):
    """Something that the rules need in the database, and how it is made and taken away.

    `table` is empty where it belongs to no table. What a statement makes has this kind and name in
    the catalog.
    """

    kind: ManagedKind
    table: str
    name: str
    create: str
    drop: str


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
    def owner(self) -> str:
        """The role that owns the tables."""
        return role_name(self.prefix, "owner")

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
                function = quote(self.schema, _groups_name(condition.groups))
                texts.append(f"{column} = any (array(select {function}()))")
        return " or ".join(texts) or "false"

    def types(self, table: str) -> dict[str, str]:
        """The columns of a table with their types, those too that it copies."""
        types = list_columns(table, self.manifest.tables)
        guard = self.guards.get(table)
        for link in guard.links if guard else ():
            types |= {copy.column: copy.type for copy in link.copies}
        return types

    def list_objects(self) -> list[Managed]:
        """Everything, in the order in which it is made."""
        if not self.prefix:
            return []
        return [
            *self._list_columns(),
            *self._list_owners(),
            *self._list_functions(),
            *self._list_triggers(),
            *self._list_indexes(),
            *self._list_policies(),
            *self._list_grants(),
        ]

    def list_fills(self) -> list[tuple[str, str]]:
        """Each child table with the UPDATE that copies its parent's columns; `{where}` is open."""
        return [(link.child, self._fill(link)) for link in self.links]

    def _fill(self, link: Link) -> str:
        child, parent = (quote(self.schema, name) for name in (link.child, link.parent))
        sets = ", ".join(f"{quote(copy.column)} = p.{quote(copy.source)}" for copy in link.copies)
        old = ", ".join(f"c.{quote(copy.column)}" for copy in link.copies)
        new = _list_sources(link, "p")
        same = _join_pairs(link, "c", "p")
        return (
            f"UPDATE {child} AS c SET {sets} FROM {parent} AS p"
            f" WHERE {same} AND ({old}) IS DISTINCT FROM ({new})"
        )

    def _list_columns(self) -> Iterator[Managed]:
        for link in self.links:
            table = quote(self.schema, link.child)
            for copy in link.copies:
                column = quote(copy.column)
                create = f"ALTER TABLE {table} ADD COLUMN {column} {copy.type}"
                drop = f"ALTER TABLE IF EXISTS {table} DROP COLUMN IF EXISTS {column}"
                yield Managed("column", link.child, copy.column, create, drop)

    def _list_owners(self) -> Iterator[Managed]:
        for name in self.manifest.tables:
            create = f"ALTER TABLE {quote(self.schema, name)} OWNER TO {quote(self.owner)}"
            yield Managed("owner", name, self.owner, create, "")

    def _list_functions(self) -> Iterator[Managed]:
        for members in self._list_members():
            user = list_columns(members.table, self.manifest.tables)[members.user]
            group = list_columns(members.table, self.manifest.tables)[members.group]
            table = quote(self.schema, members.table)
            body = (
                f"SELECT m.{quote(members.group)} FROM {table} AS m"
                f" WHERE m.{quote(members.user)} = {quote_setting('user', user)}"
            )
            head = f"RETURNS SETOF {group} LANGUAGE sql STABLE SECURITY DEFINER"
            yield self._function(_groups_name(members), head, body)
        for link in self.links:
            head = "RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            yield self._function(
                make_name("_copy", link.child, link.parent), head, self._copy(link)
            )
            yield self._function(
                make_name("_move", link.child, link.parent), head, self._move(link)
            )

    def _list_members(self) -> list[Members]:
        guards = self.guards.values()
        found = (each.groups for guard in guards for each in (*guard.read, *guard.write))
        return list(dict.fromkeys(members for members in found if members is not None))

    def _function(self, name: str, head: str, body: str) -> Managed:
        function = f"{quote(self.schema, name)}()"
        statements = [
            f"CREATE FUNCTION {function} {head} {PINNED} AS {quote_text(body)}",
            f"ALTER FUNCTION {function} OWNER TO {quote(self.owner)}",
            f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
        ]
        return Managed(
            "function", "", name, ";\n".join(statements), f"DROP FUNCTION IF EXISTS {function}"
        )

    def _copy(self, link: Link) -> str:
        """The body of the trigger of a child: the parent's key, which nobody changes meanwhile."""
        sources = _list_sources(link, "p")
        columns = ", ".join(f"NEW.{quote(copy.column)}" for copy in link.copies)
        given = " AND ".join(f"NEW.{quote(own)} IS NOT NULL" for own, _ in link.pairs)
        message = quote_text(f"{link.child} has a row without its row in {link.parent}")
        return (
            f"BEGIN SELECT {sources} INTO {columns} FROM {quote(self.schema, link.parent)} AS p"
            f" WHERE {_join_pairs(link, 'NEW', 'p')} FOR KEY SHARE;"
            f" IF NOT FOUND AND {given} THEN"
            f" RAISE foreign_key_violation USING MESSAGE = {message}; END IF;"
            " RETURN NEW; END"
        )

    def _move(self, link: Link) -> str:
        """The body of the trigger of a parent: its children go with it."""
        sets = ", ".join(f"{quote(copy.column)} = NEW.{quote(copy.source)}" for copy in link.copies)
        child = quote(self.schema, link.child)
        return f"BEGIN UPDATE {child} AS c SET {sets} WHERE {_join_pairs(link, 'c', 'NEW')}; RETURN NULL; END"

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
        return Managed("trigger", table, name, create, _drop("TRIGGER", name, place))

    def _list_indexes(self) -> Iterator[Managed]:
        """Indexes for rules; a parent's is unique, so that its key is locked when it changes.

        An UPDATE of a column of a unique index waits for FOR KEY SHARE, and holds it up.
        """
        wanted: dict[tuple[str, tuple[str, ...]], str] = {}
        for link in self.links:
            own = tuple(parent for _, parent in link.pairs)
            key = dict.fromkeys([*own, *(copy.source for copy in link.copies)])
            wanted[link.parent, tuple(key)] = "UNIQUE "
        for guard in self.guards.values():
            for condition in (*guard.read, *guard.write):
                wanted.setdefault((guard.table, (condition.column,)), "")
        for members in self._list_members():
            wanted.setdefault((members.table, (members.user, members.group)), "")
        for (table, columns), unique in wanted.items():
            if not unique and columns == self.manifest.tables[table].primary_key[: len(columns)]:
                continue
            name = make_name("_access", table, *columns)
            place = quote(self.schema, table)
            create = f"CREATE {unique}INDEX {quote(name)} ON {place} ({quote_list(columns)})"
            drop = f"DROP INDEX IF EXISTS {quote(self.schema, name)}"
            yield Managed("index", table, name, create, drop)

    def _list_policies(self) -> Iterator[Managed]:
        for guard in self.guards.values():
            table = quote(self.schema, guard.table)
            create = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
            # Behind the policies and grants that a change takes away, in the same transaction.
            drop = f"ALTER TABLE IF EXISTS {table} DISABLE ROW LEVEL SECURITY"
            yield Managed("security", guard.table, guard.table, create, drop)
            write = self.predicate(guard.table, guard.write)
            read = "true" if guard.is_public else self.predicate(guard.table, guard.read)
            roles = [role_name(self.prefix, "app"), *guard.to]
            yield self._policy(guard.table, "app_read", "SELECT", roles, f"USING ({read})")
            if guard.write:
                yield from self._list_writing(guard.table, roles, write)
            for role in ROLES:
                if role.rows == "all" or (
                    role.rows == "users" and is_of_users(self.manifest, guard.table)
                ):
                    command = "SELECT" if role.privileges == "SELECT" else "ALL"
                    names = [role_name(self.prefix, role.name)]
                    yield self._policy(guard.table, role.name, command, names, "USING (true)")

    def _list_writing(self, table: str, roles: Sequence[str], write: str) -> Iterator[Managed]:
        checks = {
            "INSERT": f"WITH CHECK ({write})",
            "UPDATE": f"USING ({write}) WITH CHECK ({write})",
            "DELETE": f"USING ({write})",
        }
        for command, text in checks.items():
            yield self._policy(table, f"app_{command.lower()}", command, roles, text)

    def _policy(
        self, table: str, name: str, command: str, roles: Iterable[str], text: str
    ) -> Managed:
        place = quote(self.schema, table)
        create = (
            f"CREATE POLICY {quote(name)} ON {place} FOR {command} TO {quote_list(roles)} {text}"
        )
        return Managed("policy", table, name, create, _drop("POLICY", name, place))

    def _list_grants(self) -> Iterator[Managed]:
        schema = quote(self.schema)
        to = [name for guard in self.guards.values() for name in guard.to]
        names = [role_name(self.prefix, role.name) for role in ROLES if role.privileges]
        for name in dict.fromkeys([*names, *to]):
            yield _grant("", name, f"USAGE ON SCHEMA {schema}", name)
        for members in self._list_members():
            function = f"{quote(self.schema, _groups_name(members))}()"
            for name in dict.fromkeys([role_name(self.prefix, "app"), *to]):
                yield _grant(
                    "", f"{_groups_name(members)} {name}", f"EXECUTE ON FUNCTION {function}", name
                )
        for table in self.manifest.tables:
            for role in ROLES:
                if _may_use(role, self.manifest, table):
                    yield self._table_grant(
                        table, role.privileges, role_name(self.prefix, role.name)
                    )
            guard = self.guards.get(table)
            for name in guard.to if guard else ():
                yield self._table_grant(table, _app_privileges(self.guards[table]), name)
            if guard:
                app = role_name(self.prefix, "app")
                yield self._table_grant(table, _app_privileges(self.guards[table]), app)

    def _table_grant(self, table: str, privileges: str, name: str) -> Managed:
        return _grant(table, name, f"{privileges} ON TABLE {quote(self.schema, table)}", name)


def access_script(manifest: Manifest, schema: str) -> list[str]:
    """The roles and all objects as statements, behind a table of the roles in comments."""
    rules = AccessRules(manifest, schema)
    if not rules.prefix:
        return []
    roles = [create_role(rules.prefix, role) for role in ROLES]
    head = "\n".join([*describe_roles(rules.prefix), roles[0]])
    owner, loader = (quote(role_name(rules.prefix, name)) for name in ("owner", "loader"))
    return [
        head,
        *roles[1:],
        f"GRANT {owner} TO {loader}",
        f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {owner}",
        *(managed.create for managed in rules.list_objects()),
    ]


def _may_use(role: Role, manifest: Manifest, table: str) -> bool:
    return role.rows == "all" or (role.rows == "users" and is_of_users(manifest, table))


def _app_privileges(guard: Guard) -> str:
    return WRITING if guard.write else "SELECT"


def _drop(kind: str, name: str, table: str) -> str:
    """The DROP of a trigger or a policy."""
    return f"DROP {kind} IF EXISTS {quote(name)} ON {table}"


def _list_sources(link: Link, row: str) -> str:
    return ", ".join(f"{row}.{quote(copy.source)}" for copy in link.copies)


def _join_pairs(link: Link, child: str, parent: str) -> str:
    pairs = link.pairs
    return " AND ".join(f"{parent}.{quote(p)} = {child}.{quote(c)}" for c, p in pairs)


def _grant(table: str, name: str, what: str, to: str) -> Managed:
    role = quote(to)
    return Managed("grant", table, name, f"GRANT {what} TO {role}", f"REVOKE {what} FROM {role}")


def _groups_name(members: Members) -> str:
    return make_name("_groups", members.table, members.user, members.group)
