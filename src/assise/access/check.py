"""What goes around the rules of a manifest: one query a check, and what to do about each finding."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

from assise.access.rules import DEFINED, PART
from assise.errors import UsageError
from assise.manifest.names import split_table
from assise.manifest.sections.analytics import ANALYTICS
from assise.manifest.sections.personal import PERSONAL
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.schema.access import AccessRules
from assise.schema.copies import count_unfilled, write_fill
from assise.schema.roles import ROLES, role_name
from assise.schema.search.objects import list_search_functions
from assise.schema.sql import quote, quote_table
from assise.wording import count_of
from assise.workspace import LoadedTables

FOLDER = files("assise.access").joinpath("checks")
CHECKS = (
    "table_without_rules",
    "rule_not_applied",
    "rule_altered",
    "policy_of_others",
    "view_around_rules",
    "function_around_rules",
    "grant_around_rules",
    "membership_around_rules",
    "personal_column_shown",
)
"""The checks in their order: each is a file of SQL with three columns, object, says and remedy."""

UNFILLED = "copy_not_filled"
"""The check of what children copy, which compares rows: a query for each child table."""


@dataclass(frozen=True)
class Gap:
    """Something that goes around the rules, or that they leave out: the check, what, the remedy."""

    check: str
    object: str
    says: str
    remedy: str


def read_check(name: str) -> tuple[str, str]:
    """What a check finds, in a sentence, and its query."""
    head, _, query = FOLDER.joinpath(f"{name}.sql").read_text(encoding="utf-8").partition("\n")
    return head.removeprefix("-- "), query.strip()


def find_gaps(connection: Connection, tables: LoadedTables) -> list[Gap]:
    """Everything that goes around the rules of loaded tables.

    Raises:
        UsageError: the manifest has no roles, and so no rules.
    """
    rules = AccessRules(tables.manifest, tables.schema)
    if not rules.has_rules:
        raise UsageError(
            f"{tables.name!r} has no roles, so that no login has rules",
            remedy="Write roles: {prefix: NAME}, and access: on its tables.",
        )
    parameters = {**_parameters(rules), "load": tables.name}
    found = list[Gap]()
    is_defined = bookkeeping.find_version(connection, PART) >= DEFINED
    for name in CHECKS:
        if name == "rule_altered" and not is_defined:
            continue
        _, query = read_check(name)
        found += connection.fetch(partial(Gap, name), query, parameters)
    return [*found, *_list_unfilled(connection, rules)]


def _list_unfilled(connection: Connection, rules: AccessRules) -> Iterator[Gap]:
    """The child tables in which keys of the rule are not those of the parents."""
    for link in rules.links:
        count = int(str(connection.scalar(count_unfilled(rules, link))))
        if count:
            says = f"{count_of(count, 'row')} without the key that {link.parent} has"
            yield Gap(UNFILLED, link.child, f"has {says}", f"{write_fill(rules, link)};")


def _parameters(rules: AccessRules) -> dict[str, object]:
    """What the queries of the checks are about."""
    objects = rules.list_objects()
    searching = list_search_functions(rules.manifest, rules.schema)
    made = [each.name for each in objects if each.kind == "function"]
    policies = [(each.table, each.name) for each in objects if each.kind == "policy"]
    to = [name for guard in rules.guards.values() for name in guard.to]
    staff = [role.name for role in ROLES if role.rows == "all"]
    return {
        "schema": rules.schema,
        "schemas": [quote(name) for name in rules.schemas],
        "tables": [quote_table(rules.schema, name) for name in rules.manifest.tables],
        "ruled": [quote_table(rules.schema, name) for name in rules.guards],
        "bound": [*dict.fromkeys([*rules.name_all("app", "auth"), *to])],
        "staff": rules.name_all(*staff),
        "owner": rules.owner,
        "loader": role_name(rules.prefix, "loader"),
        "reader": role_name(rules.prefix, "readonly"),
        "functions": json.dumps([*_split(rules.schema, [*made, *searching])]),
        "policies": json.dumps(
            [[quote_table(rules.schema, table), name] for table, name in policies]
        ),
        "personal": json.dumps([*_list_hidden(rules)]),
        "is_forced": rules.is_forced,
        "tracker": role_name(rules.prefix, "app") if ANALYTICS.of(rules.manifest) else None,
    }


def _list_hidden(rules: AccessRules) -> Iterator[tuple[str, str]]:
    """The columns that readers do not see: table and column."""
    for name, table in rules.manifest.tables.items():
        personal = [each for each, column in table.columns.items() if PERSONAL.of(column)]
        extra = rules.manifest.extra_of(name)
        if personal:
            place = quote_table(rules.schema, name)
            yield from ((place, column) for column in filter(None, (*personal, extra)))


def _split(schema: str, functions: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The schema of each function, quoted, and its name in it."""
    for function in functions:
        own, name = split_table(function)
        yield quote(own or schema), name
