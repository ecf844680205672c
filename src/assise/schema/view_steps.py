"""The steps for views: each behind those that it reads, and with those of ours that read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from assise.schema.catalog import CatalogDifference, CatalogItem, Snapshot
from assise.schema.planned import PlannedStep
from assise.schema.sql import quote_text

_GRANT_AGAIN = "DO 'BEGIN EXECUTE current_setting(''assise.grants''); END'"
_COLUMNS = "\n-- columns: "
"""What stands behind the definition of a view in a snapshot: its columns, which no replacing changes."""


def plan_views(
    difference: CatalogDifference, before: Snapshot, after: Snapshot
) -> Iterator[PlannedStep]:
    """The steps for views that are new or changed, and for those dropped that would stand in the way."""
    old, new = _list_views(before), _list_views(after)
    changed = {item.id for _, item in difference.changed if item.kind == "view"}
    added = {item.id for item in difference.added if item.kind == "view"}
    gone = _find_gone(difference, before)
    remade = {item.id for item in gone}
    made = [item for item in order_views(new.values()) if item.id in changed | added | remade]
    if not remade:
        for item in made:
            back = _or_replace(old[item.id].create) if item.id in old else item.drop
            create = _or_replace(item.create) if item.id in old else item.create
            yield PlannedStep((create,), (back,))
        return
    unmade = [item for item in order_views(old.values()) if item.id in changed | remade]
    away = [item for item in made if item.id in remade | added]
    yield PlannedStep(
        tuple(_remake(gone, made, before, after)), tuple(_remake(away, unmade, after, before))
    )


def find_dropped(
    difference: CatalogDifference, before: Snapshot, after: Snapshot
) -> set[tuple[str, str, str]]:
    """The views that a step of `plan_views` drops, which are not there afterwards."""
    return {item.id for item in _find_gone(difference, before)} - after.keys()


def _list_views(snapshot: Snapshot) -> dict[tuple[str, str, str], CatalogItem]:
    return {item.id: item for item in snapshot.values() if item.kind == "view"}


def _find_gone(difference: CatalogDifference, before: Snapshot) -> list[CatalogItem]:
    """The views that are dropped as nothing replaces them in place, and those that read them, in order."""
    views = [(old, new) for old, new in difference.changed if new.kind == "view"]
    remade = {new.id for old, new in views if not _is_replaced(old, new)}
    return _close(remade, order_views(_list_views(before).values()))


def _remake(
    gone: Sequence[CatalogItem], made: Sequence[CatalogItem], before: Snapshot, after: Snapshot
) -> Iterator[str]:
    """Drop views, the last first, and make others; rights that were granted by hand come again."""
    dropped = {item.id for item in gone}
    kept = [item.on for item in made if item.id in dropped]
    yield _keep_grants(kept)
    yield from (item.drop for item in reversed(gone))
    for item in made:
        is_there = item.id in before and item.id not in dropped
        yield _or_replace(item.create) if is_there else item.create
        if not is_there:
            parts = [each for each in after.values() if each.on == item.on and each.kind != "view"]
            yield from (each.create for each in parts if each.id in before)
    yield _GRANT_AGAIN


def make_around(
    views: Sequence[CatalogItem], snapshot: Snapshot, statements: Sequence[str]
) -> Iterator[str]:
    """Statements in whose way views stand, which go before and come again with their rights."""
    if not views:
        yield from statements
        return
    yield _keep_grants([item.on for item in views])
    yield from (item.drop for item in reversed(views))
    yield from statements
    for item in views:
        yield item.create
        parts = [each for each in snapshot.values() if each.on == item.on and each != item]
        yield from (each.create for each in parts)
    yield _GRANT_AGAIN


def find_readers(
    snapshot: Snapshot, table: str, named: re.Pattern[str], *, is_kept: bool = False
) -> list[CatalogItem]:
    """The views of a snapshot that read a table and say something, and those that read them, in order.

    is_kept: only the materialized ones, and those that read them.
    """
    views = [item for item in snapshot.values() if item.kind == "view"]
    found = {
        item.id
        for item in views
        if _names(item, table)
        and named.search(item.definition)
        and (not is_kept or item.create.startswith("CREATE MATERIALIZED"))
    }
    return _close(found, order_views(views))


def _keep_grants(places: Iterable[str]) -> str:
    listed = ", ".join(f"to_regclass({quote_text(place)})" for place in places) or "NULL"
    return (
        "SELECT set_config('assise.grants', coalesce(string_agg(format('GRANT %s ON %s TO %s',"
        " privilege_type, oid::regclass, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE"
        " quote_ident(pg_get_userbyid(grantee)) END), '; '), 'SELECT'), true)"
        f" FROM pg_class, aclexplode(relacl) WHERE oid IN ({listed}) AND grantee <> relowner"
    )


def _is_replaced(old: CatalogItem, new: CatalogItem) -> bool:
    """Whether CREATE OR REPLACE does it: of a plain view, which has all columns that it had."""
    if not (old.create.startswith("CREATE VIEW") and new.create.startswith("CREATE VIEW")):
        return False
    one, other = (item.definition.partition(_COLUMNS)[2] for item in (old, new))
    return other == one or other.startswith(f"{one}, ")


def _close(keys: set[tuple[str, str, str]], ordered: Sequence[CatalogItem]) -> list[CatalogItem]:
    """Views and all that read them, in order."""
    found = list[CatalogItem]()
    for item in ordered:
        if item.id in keys or any(_reads(item, each) for each in found):
            found.append(item)
    return found


def _reads(view: CatalogItem, other: CatalogItem) -> bool:
    return view.on != other.on and _names(view, other.on)


def _names(view: CatalogItem, place: str) -> bool:
    named = rf"(?<![\w.\"]){re.escape(place)}(?![\w\"])"
    return re.search(named, view.definition) is not None


def order_views(views: Iterable[CatalogItem]) -> list[CatalogItem]:
    """Views, each behind those that it reads."""
    known = {item.on: item for item in views}

    def read(name: str) -> Iterator[str]:
        return (other for other in known if _reads(known[name], known[other]))

    ordered, _ = sort_names(known, read)
    return [known[name] for name in ordered]


def sort_names(
    names: Iterable[str], read: Callable[[str], Iterable[str]]
) -> tuple[list[str], list[str]]:
    """Names, each behind those that it reads; and names that read each other, where some do."""
    found, circle, open_names = list[str](), list[str](), list[str]()

    def visit(name: str) -> None:
        if name in open_names:
            circle.extend(open_names[open_names.index(name) :])
        elif name not in found:
            open_names.append(name)
            for other in read(name):
                visit(other)
            open_names.pop()
            found.append(name)

    for name in names:
        visit(name)
    return list(dict.fromkeys(found)), list(dict.fromkeys(circle))


def sort_files(texts: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The views of a manifest by their SELECTs, each behind those that it names after FROM or JOIN."""

    def read(name: str) -> Iterator[str]:
        for other in texts:
            dotted = r"\s*\.\s*".join(f'"?{re.escape(part)}"?' for part in other.split("."))
            place = rf"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?\(*\s*(?:\w+\s*\.\s*)?{dotted}(?![\w\".])"
            if other != name and re.search(place, texts[name], re.IGNORECASE):
                yield other

    return sort_names(texts, read)


def _or_replace(create: str) -> str:
    return create.replace("CREATE ", "CREATE OR REPLACE ", 1)
