"""What children copy of their parents as SQL: filled once, then kept right by triggers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from assise.manifest.names import split_table
from assise.manifest.sections.deletion import is_ours
from assise.schema.deletion import are_null, join_pairs, name_deleted_index
from assise.schema.guards import Link, make_place
from assise.schema.managed import Managed, drop_of
from assise.schema.sql import equate, qualify, quote, quote_list, quote_table, quote_text

if TYPE_CHECKING:
    from assise.schema.access import AccessRules


def name_copy(link: Link) -> str:
    """The trigger of a child that copies what its parent has, and the function of that."""
    return make_place("_copy", link.child, link.child, link.parent)


def name_move(link: Link) -> str:
    """The trigger of a parent that brings its children what it has now, and its function."""
    return make_place("_move", link.parent, link.child, link.parent)


def write_fill(rules: AccessRules, link: Link) -> str:
    """The statement that copies what is missing."""
    child = quote_table(rules.schema, link.child)
    parent = quote_table(rules.schema, link.parent)
    old, new = _list("c", link.copied), _list("p", link.sources)
    sets, same = _assign(link, "p"), join_pairs(link, "c", "p")
    return (
        f"UPDATE {child} AS c SET {sets} FROM {parent} AS p"
        f" WHERE {same} AND ({old}) IS DISTINCT FROM ({new})"
    )


def count_unfilled(rules: AccessRules, link: Link) -> str:
    """How many rows of a child have not what they copy of their parents."""
    child, parent = quote_table(rules.schema, link.child), quote_table(rules.schema, link.parent)
    old, new = _list("c", link.copied), _list("p", link.sources)
    return (
        f"SELECT count(*) FROM {child} AS c JOIN {parent} AS p ON {join_pairs(link, 'c', 'p')}"
        f" WHERE ({old}) IS DISTINCT FROM ({new})"
    )


def list_clears(rules: AccessRules, made: Iterable[Managed]) -> list[str]:
    """The UPDATE of each column of ours that comes to say when rows were deleted by themselves.

    Under the rules that have made its index it did so before; under others it may be a copy.
    """
    known = {(each.table, each.name) for each in made}
    found = []
    for each in rules.deletions:
        is_new = (each.table, name_deleted_index(each.table)) not in known
        if is_new and is_ours(each.table, rules.manifest.tables):
            table, column = quote_table(rules.schema, each.table), quote(each.column)
            found.append(f"UPDATE {table} AS c SET {column} = NULL WHERE {column} IS NOT NULL")
    return found


def list_linked(rules: AccessRules) -> list[str]:
    """The tables, as SQL names them, that copy columns or whose columns are copied."""
    names = [name for link in rules.links for name in (link.parent, link.child)]
    return [quote_table(rules.schema, name) for name in dict.fromkeys(names)]


def _list(row: str, columns: Iterable[str]) -> str:
    return ", ".join(qualify(row, columns))


def _assign(link: Link, parent: str) -> str:
    """The SET of an UPDATE that copies a parent's row."""
    return ", ".join(equate(map(quote, link.copied), qualify(parent, link.sources)))


def write_copy(rules: AccessRules, link: Link) -> str:
    """The body of the trigger of a child: the parent's key, which nobody changes meanwhile.

    Who sees all rows is refused a row without its parent by the foreign key alone.
    A row that stays with its parent does not wait for it: who has locked the parent may change this
    row next, and then brings what is newer.
    """
    sources, columns = _list("p", link.sources), _list("NEW", link.copied)
    own_key = qualify("NEW", link.own_key)
    given = " AND ".join(f"{name} IS NOT NULL" for name in own_key)
    parent, same = quote_table(rules.schema, link.parent), join_pairs(link, "NEW", "p")
    message = quote_text(f"{link.child} has a row without its row in {link.parent}")
    # Repair writes the orphans that are kept, for which it lifts the foreign key.
    is_free = rules.sees_all
    if rules.is_forced:
        child = quote_text(quote_table(rules.schema, link.child))
        is_free = f"(_role = 'owner' OR NOT row_security_active({child}))"
    old, new = _list("OLD", link.own_key), _list("NEW", link.own_key)
    select = f"SELECT {sources} INTO {columns} FROM {parent} AS p WHERE {same}"
    return rules.block(
        f"IF TG_OP = 'UPDATE' AND ({old}) IS NOT DISTINCT FROM ({new}) THEN {select};"
        f" ELSE {select} FOR KEY SHARE; IF NOT FOUND THEN"
        f" {_refuse(f'{given} AND NOT {is_free}', message)} END IF;"
        f"{_refuse_deleted(rules, link)} END IF;",
        "RETURN NEW;",
    )


def _refuse_deleted(rules: AccessRules, link: Link) -> str:
    """The statement that keeps new rows from a parent that is deleted."""
    hidden = rules.guards[link.parent].hidden
    copied = [copy.column for copy in link.copies if copy.source in hidden]
    if not copied:
        return ""
    message = quote_text(f"{link.child} has a row whose row in {link.parent} is deleted")
    refuse = _refuse(f"NOT {rules.sees_all}", message)
    return f" IF NOT ({are_null(copied, 'NEW')}) THEN {refuse} END IF;"


def _refuse(condition: str, message: str) -> str:
    """The statement that refuses a row.

    It stands inside of an IF that holds for few rows: a condition with a subquery is a query.
    """
    return f"IF {condition} THEN RAISE foreign_key_violation USING MESSAGE = {message}; END IF;"


def write_move(rules: AccessRules, link: Link) -> str:
    """The body of the trigger of a parent: its children go with it."""
    child, same = quote_table(rules.schema, link.child), join_pairs(link, "c", "NEW")
    update = f"UPDATE {child} AS c SET {_assign(link, 'NEW')} WHERE {same};"
    return rules.block(update, "RETURN NULL;")


def list_triggers(rules: AccessRules) -> Iterator[Managed]:
    for link in rules.links:
        watched = [*link.own_key, *link.copied]
        name = name_copy(link)
        when = f"BEFORE INSERT OR UPDATE OF {quote_list(dict.fromkeys(watched))}"
        yield make_trigger(rules, link.child, name, when, "")
        old, new = _list("OLD", link.sources), _list("NEW", link.sources)
        changed = f" WHEN (({old}) IS DISTINCT FROM ({new}))"
        name = name_move(link)
        yield make_trigger(rules, link.parent, name, "AFTER UPDATE", changed)


def make_trigger(rules: AccessRules, table: str, name: str, when: str, condition: str) -> Managed:
    """A trigger and the function of its name."""
    place, function = (quote_table(rules.schema, each) for each in (table, name))
    bare = split_table(name)[1]
    create = (
        f"CREATE TRIGGER {quote(bare)} {when} ON {place} FOR EACH ROW{condition}"
        f" EXECUTE FUNCTION {function}()"
    )
    return Managed("trigger", table, bare, create, drop_of("TRIGGER", bare, place))
