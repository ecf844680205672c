"""A table that follows Supabase's `auth.users`, as SQL: table, trigger, and who sees which row.

Columns of `auth.users` are copied whenever they change. What is read inside its metadata, which
users may write themselves, is copied once: later it is the application's own.

Source of the trigger: https://supabase.com/docs/guides/auth/managing-user-data
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assise.manifest.model import Column, Manifest, Table
from assise.manifest.names import split_table
from assise.manifest.sections.access import ACCESS
from assise.manifest.sections.access import ROLES as PREFIX
from assise.manifest.sections.constraints import DEFAULT, NOT_NULL
from assise.manifest.sections.servers import MIRROR, USER_COLUMNS
from assise.schema.constraints import write_default
from assise.schema.managed import Managed, drop_of
from assise.schema.roles import WRITING, mark_role, role_name
from assise.schema.sql import equate, quote, quote_list, quote_table, quote_text

USERS = quote("auth", "users")
CREATED, CHANGED = "on_auth_user_created", "on_auth_user_changed"
CALLERS = "authenticated"
"""The role that Supabase's own interfaces have for whoever has signed in."""

LOCK_TIMEOUT = "2s"
"""How long a sign-up waits for a lock on the mirror, before the copy is counted as failed."""

CALLER = "(select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid"
"""The user of the token, as PostgREST and sessions of ours hand it over; it is read once."""

_FUNCTION = """CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '{lock_timeout}' AS $mirror$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {table} AS c ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO NOTHING;
    ELSE
        {update};
    END IF;
    RETURN NULL;
EXCEPTION WHEN others THEN
    -- A sign-up never fails for this: not even where the failure cannot be noted.
    BEGIN
        INSERT INTO assise.mirror_failure ("table", user_id, state, message)
        VALUES ({name}, NEW.id, SQLSTATE, SQLERRM);
    EXCEPTION WHEN others THEN
        RAISE WARNING '%: %', {name}, SQLERRM;
    END;
    RETURN NULL;
END
$mirror$"""


@dataclass(frozen=True)
class Mirror:
    """The mirror of a manifest on one server."""

    name: str
    table: Table
    prefix: str

    @property
    def place(self) -> str:
        """The table, as SQL names it."""
        return quote_table("public", self.name)

    @property
    def names(self) -> tuple[str, str]:
        """The schema of the table, and its name there."""
        schema, name = split_table(self.name)
        return schema or "public", name

    @property
    def key(self) -> str:
        """The column that holds the id of the user."""
        return self.table.primary_key[0]

    @property
    def function(self) -> str:
        """The function of the triggers, as SQL names it."""
        schema, name = self.names
        return quote(schema, f"{name}_from_auth")

    @property
    def copied(self) -> dict[str, Column]:
        """The columns that read something of `auth.users`."""
        columns = self.table.columns.items()
        return {name: each for name, each in columns if each.path[0] in USER_COLUMNS}

    @property
    def followed(self) -> dict[str, Column]:
        """The columns, but for the key, that are copied whenever they change."""
        found = dict(self.copied)
        for name, column in self.copied.items():
            if name == self.key or len(column.path) > 1:
                del found[name]
        return found

    @property
    def roles(self) -> list[str]:
        """The logins of the application on this server; none where the manifest has no roles."""
        return [role_name(self.prefix, name) for name in ("app", "admin")] if self.prefix else []

    def list_values(self, row: str) -> list[str]:
        """What the copied columns have of a row of `auth.users`."""
        return [_read(column, row) for column in self.copied.values()]

    def create_table(self) -> str:
        """The table: its rows go with the users."""
        lines = [f"    {each}" for each in self._list_columns()]
        return f"CREATE TABLE IF NOT EXISTS {self.place} (\n" + ",\n".join(lines) + "\n)"

    def _list_columns(self) -> Iterator[str]:
        for name, column in self.table.columns.items():
            default = DEFAULT.of(column)
            line = f"{quote(name)} {column.type}"
            if name == self.key:
                line += f" PRIMARY KEY REFERENCES {USERS} (id) ON DELETE CASCADE"
            elif default is not None:
                line += f" DEFAULT {write_default(default, column.type)}"
            yield f"{line} NOT NULL" if NOT_NULL.of(column) else line

    def list_objects(self) -> list[Managed]:
        """What stands around the table, in the order in which it is made."""
        return [self._make_function(), *self._make_triggers(), *self._make_rules()]

    def create_role(self, name: str) -> str:
        """The statements that make a login; its password is for an administrator to give."""
        return f"CREATE ROLE {quote(name)} LOGIN;\n{mark_role(name)}"

    def backfill(self) -> str:
        """Copy the users of an array of ids that have no row yet; how many."""
        values, columns = ", ".join(self.list_values("u")), quote_list(self.copied)
        return _counted(
            f"INSERT INTO {self.place} ({columns}) SELECT {values}"
            f" FROM {USERS} AS u WHERE u.id = ANY (%s::uuid[])"
            f" ON CONFLICT ({quote(self.key)}) DO NOTHING"
        )

    def missing(self) -> str:
        """The next ids, behind one, of users without a row."""
        return (
            f"SELECT u.id::text FROM {USERS} AS u WHERE u.id > %s::uuid AND NOT EXISTS"
            f" (SELECT FROM {self.place} AS c WHERE c.{quote(self.key)} = u.id)"
            " ORDER BY u.id LIMIT %s"
        )

    def count_missing(self) -> str:
        """How many users have no row, how many rows differ, and how many have no user."""
        key = f"c.{quote(self.key)}"
        differs = self._differs("u") or "false"
        return (
            f"SELECT count(*) FILTER (WHERE {key} IS NULL),"
            f" count(*) FILTER (WHERE {key} IS NOT NULL AND u.id IS NOT NULL AND ({differs})),"
            f" count(*) FILTER (WHERE u.id IS NULL)"
            f" FROM {USERS} AS u FULL JOIN {self.place} AS c ON {key} = u.id"
        )

    def correct(self) -> str:
        """Write again what is followed and differs; how many rows. Something is followed."""
        update = self._update("u", f" FROM {USERS} AS u")
        return _counted(f"{update} AND ({self._differs('u')})")

    def _update(self, row: str, source: str = "") -> str:
        values = [_read(each, row) for each in self.followed.values()]
        pairs = ", ".join(equate(map(quote, self.followed), values))
        where = f"c.{quote(self.key)} = {row}.id"
        return f"UPDATE {self.place} AS c SET {pairs}{source} WHERE {where}"

    def _differs(self, row: str) -> str:
        return " OR ".join(
            f"c.{quote(name)} IS DISTINCT FROM {_read(each, row)}"
            for name, each in self.followed.items()
        )

    def _make_function(self) -> Managed:
        create = _FUNCTION.format(
            function=self.function,
            lock_timeout=LOCK_TIMEOUT,
            table=self.place,
            columns=quote_list(self.copied),
            values=", ".join(self.list_values("NEW")),
            key=quote(self.key),
            update=self._update("NEW") if self.followed else "NULL",
            name=quote_text(self.name),
        )
        name = f"{self.names[1]}_from_auth"
        revoke = f"REVOKE ALL ON FUNCTION {self.function}() FROM PUBLIC"
        drop = f"DROP FUNCTION IF EXISTS {self.function}()"
        return Managed("function", "", name, f"{create};\n{revoke}", drop)

    def _make_triggers(self) -> Iterator[Managed]:
        # Who may make triggers on auth.users may not drop them: they are replaced.
        call = f"EXECUTE FUNCTION {self.function}()"
        create = f"CREATE OR REPLACE TRIGGER {CREATED} AFTER INSERT ON {USERS} FOR EACH ROW {call}"
        yield Managed("trigger", "auth.users", CREATED, create, drop_of("TRIGGER", CREATED, USERS))
        followed = self.followed.values()
        sources = dict.fromkeys(quote(each.path[0]) for each in followed)
        if sources:
            differs = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in sources)
            create = (
                f"CREATE OR REPLACE TRIGGER {CHANGED} AFTER UPDATE OF {', '.join(sources)}"
                f" ON {USERS} FOR EACH ROW WHEN ({differs}) {call}"
            )
            yield Managed(
                "trigger", "auth.users", CHANGED, create, drop_of("TRIGGER", CHANGED, USERS)
            )

    def _make_rules(self) -> Iterator[Managed]:
        name, table = self.name, self.place
        create = f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
        drop = f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
        yield Managed("security", name, name, create, drop)
        is_ruled = ACCESS.of(self.table) is not None
        callers = [CALLERS, *self.roles[:1]] if is_ruled else []
        admins, listed = self.roles[1:], quote_list(callers)
        own = f"{quote(self.key)} = {CALLER}"
        policies = {
            "own_row": (callers, f"FOR SELECT TO {listed} USING ({own})"),
            "all_rows": (admins, f"TO {quote_list(admins)} USING (true)"),
        }
        for policy, (to, text) in policies.items():
            drop = drop_of("POLICY", policy, table)
            create = f";\nCREATE POLICY {policy} ON {table} {text}" if to else ""
            yield Managed("policy", name, policy, f"{drop}{create}", drop)
        for role in (CALLERS, *self.roles):
            yield self._grant("ALL", role, is_revoked=True)
        schema = quote(self.names[0])
        privileges_of = dict.fromkeys(callers, "SELECT") | dict.fromkeys(admins, WRITING)
        for role, privileges in privileges_of.items():
            what = f"USAGE ON SCHEMA {schema} TO {quote(role)}"
            yield Managed("grant", "", role, f"GRANT {what}", "")
            yield self._grant(privileges, role)

    def _grant(self, privileges: str, role: str, *, is_revoked: bool = False) -> Managed:
        what = f"{privileges} ON TABLE {self.place}"
        grantee = quote(role)
        revoke = f"REVOKE {what} FROM {grantee}"
        create = revoke if is_revoked else f"GRANT {what} TO {grantee}"
        return Managed("grant", self.name, role, create, revoke)


def find_mirror(manifest: Manifest, server: str) -> Mirror | None:
    """The mirror on a server; None where there is none."""
    roles = PREFIX.of(manifest)
    prefix = roles.prefix if roles else ""
    tables = manifest.on(server).tables.items()
    mirrors = [Mirror(name, each, prefix) for name, each in tables if MIRROR.of(each)]
    return mirrors[0] if mirrors else None


def mirror_script(mirror: Mirror, bookkeeping: str) -> str:
    """Everything as SQL, for Supabase's editor; `bookkeeping` makes the table of failures."""
    statements = [
        *(mirror.create_role(name) for name in mirror.roles),
        bookkeeping,
        mirror.create_table(),
        *(each.create for each in mirror.list_objects()),
    ]
    ended = (f"{each.rstrip().removesuffix(';')};\n" for each in statements)
    return "\n".join(ended)


def _counted(statement: str) -> str:
    return f"WITH done AS ({statement} RETURNING 1) SELECT count(*) FROM done"


def _read(column: Column, row: str) -> str:
    """What a column has of a row of `auth.users`: whether there is a time, where it is a bool."""
    source, *inside = column.path
    value = f"{row}.{quote(source)}"
    if inside:
        keys = ", ".join(quote_text(key) for key in inside)
        value = f"jsonb_extract_path_text({value}, {keys})"
        return value if column.type == "text" else f"({value})::{column.type}"
    if column.type == "bool":
        return f"({value} IS NOT NULL)"
    return value if column.type == USER_COLUMNS[source] else f"{value}::{column.type}"
