"""What a user sees of a table, by which policies, and how the server finds it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from typing import NamedTuple

from assise.access.check import Gap, find_gaps
from assise.errors import UsageError
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.postgres.queries import Queries
from assise.postgres.rights import Rights
from assise.postgres.sync import open_session
from assise.schema.access import AccessRules
from assise.schema.sql import quote, quote_table
from assise.wording import nearest
from assise.workspace import LoadedTables, Workspace

QUERIES = Queries("assise.access")
SHOWN = 5
"""Rows whose keys are shown."""


class Policy(NamedTuple):
    """A policy of the application's role: which rows it shows or changes, and which it writes."""

    name: str
    command: str
    using: str | None
    check: str | None


@dataclass(frozen=True)
class Explanation:
    """What a user sees of a table: `rows` of `of`, the keys of the first ones, and the plan."""

    table: str
    policies: list[Policy]
    plan: list[str]
    rows: int
    of: int
    first: list[str]

    def as_json(self) -> dict[str, object]:
        """The facts as `--json` prints them."""
        policies = [policy._asdict() for policy in self.policies]
        return {**asdict(self), "policies": policies}


@dataclass(frozen=True)
class AccessVerbs:
    """The verbs of `assise access`; `open_tables` connects to the tables of the finished load."""

    workspace: Workspace
    open_tables: Callable[[], AbstractContextManager[tuple[Connection, LoadedTables]]]

    def check(self) -> list[Gap]:
        """Everything that goes around the rules, or that they leave out, each with a remedy.

        Raises:
            UsageError: nothing is loaded, or the manifest has no roles.
        """
        with self.open_tables() as (connection, tables):
            return find_gaps(connection, tables)

    def explain(
        self, table: str, *, user_id: object = None, tenant_id: object = None
    ) -> Explanation:
        """Say what a user sees of a table, by which policies, and how the server finds it.

        Raises:
            UsageError: the table has no rule, or the role `app` no URL.
        """
        with self.open_tables() as (connection, tables):
            rules = AccessRules(tables.manifest, tables.schema)
            if table not in rules.guards:
                raise UsageError(
                    f"table {table!r} has no rule", remedy=nearest(table, rules.guards)
                )
            parameters = {"table": quote_table(tables.schema, table), "app": rules.name_all("app")}
            policies = connection.fetch(Policy, QUERIES["policies"], parameters)
            total = connection.scalar(f"SELECT count(*) FROM {parameters['table']}")  # noqa: S608
        rights = self.workspace.rights(tables.manifest, "app")
        rights = rights._replace(user_id=user_id, tenant_id=tenant_id)
        see = partial(Explanation, table, policies, of=int(str(total)))
        if not (rules.guards[table].read or rules.guards[table].is_public):
            return see(plan=["The application has no right to read it."], rows=0, first=[])
        return self._look(rights, rules, table, see)

    def _look(
        self, rights: Rights, rules: AccessRules, table: str, see: Callable[..., Explanation]
    ) -> Explanation:
        """Ask as the application does."""
        place = quote_table(rules.schema, table)
        columns = [quote(column) for column in rules.manifest.tables[table].primary_key]
        key, keys = ", ".join(f"{column}::text" for column in columns), ", ".join(columns)
        first = f"SELECT concat_ws(', ', {key}) AS key FROM {place} ORDER BY {keys} LIMIT {SHOWN}"  # noqa: S608
        conninfo = self.workspace.login(rules.manifest, "app")
        with open_session(conninfo, describe(conninfo), rights) as session:
            plan = session.fetch(f"EXPLAIN SELECT {keys} FROM {place}")  # noqa: S608
            return see(
                plan=[str(row["QUERY PLAN"]) for row in plan],
                rows=session.fetch_value(f"SELECT count(*) FROM {place}"),  # noqa: S608
                first=[str(row["key"]) for row in session.fetch(first)],
            )
