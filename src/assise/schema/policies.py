"""Access rules as policies and grants: which rows each role may see and write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from assise.manifest.model import Manifest
from assise.manifest.sections.personal import PERSONAL
from assise.schema.guards import Guard, groups_name, is_of_users
from assise.schema.managed import Managed, drop_of
from assise.schema.matching import find_match
from assise.schema.roles import ROLES, WRITING, Role, quote_role, role_name
from assise.schema.sql import quote, quote_list, quote_table

if TYPE_CHECKING:
    from assise.schema.access import AccessRules


def list_policies(rules: AccessRules) -> Iterator[Managed]:
    """Row level security of each ruled table, and its policies."""
    for guard in rules.guards.values():
        table, name = quote_table(rules.schema, guard.table), guard.table
        create = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        # Behind the policies and grants that a change takes away, in the same transaction.
        drop = f"ALTER TABLE IF EXISTS {table} DISABLE ROW LEVEL SECURITY"
        if rules.is_forced:
            name = f"{name} forced"
            create += ", FORCE ROW LEVEL SECURITY"
            drop += ", NO FORCE ROW LEVEL SECURITY"
        yield Managed("security", guard.table, name, create, drop)
        live = rules.live(guard.table)
        write = f"({rules.predicate(guard.table, guard.write)}){live}"
        read = "true" if guard.is_public else rules.predicate(guard.table, guard.read)
        to = _to(rules, "app", others=guard.to)
        using = f"USING (({read}){live})"
        yield _policy(rules, guard.table, "app_read", "SELECT", to, using)
        if guard.write:
            yield from _list_writing(rules, guard.table, to, write)
        for role in ROLES:
            if _shows_all(rules, role, guard.table):
                command = "SELECT" if role.privileges == "SELECT" else "ALL"
                rows = quote_role(role.name) if rules.is_forced else "true"
                text = f"USING ({rows}{live if role.rows == 'users' else ''})"
                yield _policy(rules, guard.table, role.name, command, _to(rules, role.name), text)


def _to(rules: AccessRules, *names: str, others: Iterable[str] = ()) -> str:
    """Whom a policy is for: roles, or in place of ours the one login."""
    ours = ["CURRENT_USER"] if rules.is_forced else map(quote, rules.name_all(*names))
    return ", ".join([*ours, *map(quote, others)])


def _shows_all(rules: AccessRules, role: Role, table: str) -> bool:
    if role.name == "owner":
        return rules.is_forced
    return _may_use(role, rules.manifest, table)


def _list_writing(rules: AccessRules, table: str, to: str, write: str) -> Iterator[Managed]:
    checks = {
        "INSERT": f"WITH CHECK ({write})",
        "UPDATE": f"USING ({write}) WITH CHECK ({write})",
        "DELETE": f"USING ({write})",
    }
    for command, text in checks.items():
        yield _policy(rules, table, f"app_{command.lower()}", command, to, text)


def _policy(rules: AccessRules, table: str, name: str, command: str, to: str, text: str) -> Managed:
    place = quote_table(rules.schema, table)
    create = f"CREATE POLICY {quote(name)} ON {place} FOR {command} TO {to} {text}"
    return Managed("policy", table, name, create, drop_of("POLICY", name, place))


def list_grants(rules: AccessRules) -> Iterator[Managed]:
    """What roles may do with schemas, functions and tables."""
    to = [name for guard in rules.guards.values() for name in guard.to]
    names = rules.name_all(*(role.name for role in ROLES if role.privileges))
    for schema in rules.schemas:
        for name in dict.fromkeys([*names, *to]):
            yield _grant("", name, f"USAGE ON SCHEMA {quote(schema)}", name)
    for each in rules.deletions:
        users = [role_name(rules.prefix, "app"), *rules.guards[each.table].to]
        for function, is_open in zip(each.names, _open_functions(rules, each.table), strict=True):
            for name in dict.fromkeys([*rules.list_unbound(), *(users if is_open else [])]):
                what = f"{quote_table(rules.schema, function)}({each.arguments})"
                yield _grant("", f"{function} {name}", f"EXECUTE ON FUNCTION {what}", name)
    if match := find_match(rules):
        for name in rules.name_all("app"):
            function = f"{quote_table(rules.schema, match[0])}(text)"
            yield _grant("", f"{match[0]} {name}", f"EXECUTE ON FUNCTION {function}", name)
    for members in rules.list_members():
        function = f"{quote_table(rules.schema, groups_name(members))}()"
        for name in dict.fromkeys([*rules.name_all("app"), *to]):
            yield _grant(
                "", f"{groups_name(members)} {name}", f"EXECUTE ON FUNCTION {function}", name
            )
    for table in rules.manifest.tables:
        for role in () if rules.is_forced else ROLES:
            if _may_use(role, rules.manifest, table):
                is_reader = role.name == "readonly"
                privileges = _reading(rules, table) if is_reader else role.privileges
                if privileges:
                    name = role_name(rules.prefix, role.name)
                    yield _table_grant(rules, table, privileges, name)
        guard = rules.guards.get(table)
        if guard and (guard.read or guard.is_public):
            for name in (*guard.to, *rules.name_all("app")):
                yield _table_grant(rules, table, _app_privileges(rules, guard), name)


def _reading(rules: AccessRules, table: str) -> str:
    """The privilege to read a table, without what it tells of people: in _extra may be all."""
    columns = rules.manifest.tables[table].columns
    personal = {name for name, column in columns.items() if PERSONAL.of(column) is not None}
    shown = [name for name in rules.types(table) if name not in personal]
    if not personal or not shown:
        return "SELECT" if shown else ""
    return f"SELECT ({quote_list(shown)})"


def _table_grant(rules: AccessRules, table: str, privileges: str, name: str) -> Managed:
    return _grant(table, name, f"{privileges} ON TABLE {quote_table(rules.schema, table)}", name)


def _may_use(role: Role, manifest: Manifest, table: str) -> bool:
    return role.rows == "all" or (role.rows == "users" and is_of_users(manifest, table))


def _app_privileges(rules: AccessRules, guard: Guard) -> str:
    """What users may do with a table: where it is served, with the columns of its resource."""
    if resource := rules.resources.get(guard.table):
        return ", ".join(resource.list_privileges())
    return WRITING if guard.write else "SELECT"


def _open_functions(rules: AccessRules, table: str) -> tuple[bool, bool]:
    """Whether users may delete rows softly, and restore them."""
    resource = rules.resources.get(table)
    return (True, True) if resource is None else (resource.api.delete, resource.api.restore)


def _grant(table: str, name: str, what: str, to: str) -> Managed:
    role = quote(to)
    return Managed("grant", table, name, f"GRANT {what} TO {role}", f"REVOKE {what} FROM {role}")
