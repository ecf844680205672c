"""What search makes in a database: it is the owner's, users call some of it, and rows note changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assise.schema.access import AccessRules
from assise.schema.managed import Managed, drop_of
from assise.schema.roles import role_name
from assise.schema.search.searched import Searched
from assise.schema.sql import quote, quote_table

_EVENTS = {
    "INSERT": "REFERENCING NEW TABLE AS added ",
    "UPDATE": "REFERENCING NEW TABLE AS added OLD TABLE AS gone ",
    "DELETE": "REFERENCING OLD TABLE AS gone ",
    "TRUNCATE": "",
}


def has_owner(rules: AccessRules) -> bool:
    """Whether there is a role that owns what is made."""
    return rules.has_rules and not rules.is_forced


def own(rules: AccessRules, what: str) -> list[str]:
    """The statement that gives something to the owner, if there is one."""
    return [f"ALTER {what} OWNER TO {quote(rules.owner)}"] if has_owner(rules) else []


def make_function(rules: AccessRules, name: str, arguments: str, text: str) -> Managed:
    """A function of the owner, which nobody else may call yet; `text` creates it."""
    function = f"{quote_table(rules.schema, name)}({arguments})"
    create = [
        text,
        *own(rules, f"FUNCTION {function}"),
        f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
    ]
    return Managed("function", "", name, ";\n".join(create), f"DROP FUNCTION IF EXISTS {function}")


def grant_functions(rules: AccessRules, functions: Mapping[str, str]) -> Iterator[Managed]:
    """The grants of functions, by name with their arguments, to the application and its admins."""
    if not has_owner(rules):
        return
    for name, arguments in functions.items():
        function = f"{quote_table(rules.schema, name)}({arguments})"
        for role in ("app", "admin"):
            to = quote(role_name(rules.prefix, role))
            create = f"GRANT EXECUTE ON FUNCTION {function} TO {to}"
            yield Managed("grant", "", f"{name} {role}", create, "")


def list_triggers(table: Searched, function: str, *, before: str = "") -> Iterator[Managed]:
    """The triggers that call a function of a table after changes; `before` begins their names."""
    for event, tables in _EVENTS.items():
        name = table.bare(f"{before}{event.lower()}")
        create = (
            f"CREATE TRIGGER {quote(name)} AFTER {event} ON {table.place} {tables}"
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table.quoted(function)}()"
        )
        drop = drop_of("TRIGGER", name, table.place)
        yield Managed("trigger", table.name, name, create, drop)
