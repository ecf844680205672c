"""The steps by which a table in use becomes one that is cut by time, and whole again.

The old table becomes the first partition, up to the month after the next; no row is written. Its
column is NOT NULL by then, a check keeps rows behind that bound out, and its key is an index that was
built beside writers, so that one short transaction swaps the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from assise.schema.catalog import CatalogItem, Snapshot, collect
from assise.schema.partitions import name_bounds
from assise.schema.planned import PlannedStep, quote_again
from assise.schema.sql import quote_text
from assise.schema.view_steps import find_readers, make_around

LOCK_TIMEOUT = "100ms"
"""How long others wait behind a swap that waits itself: less than a deadlock takes to be looked for."""

_CUT = re.compile(r"PARTITION BY RANGE \(((?:\"(?:[^\"]|\"\")*\"|[^\",()]+))\)")
_NAME = re.compile(r"(.+)\.(\"(?:[^\"]|\"\")*\"|[^\".]+)")
_ANY = re.compile("")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Cut:
    """A table that is whole before and cut afterwards, with its key of both."""

    table: CatalogItem
    old_key: CatalogItem
    key: CatalogItem
    kept: tuple[CatalogItem, ...]

    @property
    def by(self) -> str:
        """The column, quoted."""
        found = _CUT.fullmatch(self.table.definition)
        return found[1] if found else ""


def find_cuts(before: Snapshot, after: Snapshot) -> tuple[list[Cut], list[tuple[str, str]]]:
    """The tables that become cut, and those for which there is no way, with the reason and a remedy."""
    cuts, refusals = [], []
    for item in after.values():
        old = before.get(item.id)
        if item.kind != "table" or old is None or old.definition == item.definition:
            continue
        why = _find_hindrance(before, after, item)
        if old.definition:
            refusals.append((f"{item.on} {old.definition} cannot become another", _COPY))
        elif why:
            refusals.append((f"{item.on} cannot become cut: {why}", _COPY))
        else:
            keys = (_find_key(before, item), _find_key(after, item))
            # Materialized views are made again, as they would read the old table.
            kept = find_readers(after, item.on, _ANY, is_kept=True)
            cuts.append(Cut(item, *keys, tuple(kept)))
    return cuts, refusals


_COPY = "Make a table of another name that is cut, copy the rows in batches, and then let the code use it."


def _find_hindrance(before: Snapshot, after: Snapshot, table: CatalogItem) -> str:
    refers = f" REFERENCES {table.on}("
    for item in after.values():
        if item.kind == "constraint" and refers in item.definition:
            return f"{item.on} refers to it by {item.name}"
    if not _CUT.fullmatch(table.definition):
        return f"{table.definition} is not by one column"
    has_keys = all(_is_key(_find_key(snapshot, table)) for snapshot in (before, after))
    return "" if has_keys else "it has no primary key"


def _is_key(item: CatalogItem) -> bool:
    return item.definition.startswith("PRIMARY KEY")


def _find_key(snapshot: Snapshot, table: CatalogItem) -> CatalogItem:
    own = [item for item in snapshot.values() if item.on == table.on and item.kind == "constraint"]
    return next(filter(_is_key, own), table)


def keep_whole(after: Snapshot, cuts: Mapping[str, Cut]) -> Snapshot:
    """What a database is to be before its tables are cut: all else that the manifest says is there."""

    def change(item: CatalogItem) -> CatalogItem:
        cut = cuts.get(item.on)
        if cut is None:
            return item
        if item.kind == "table":
            return item._replace(definition="")
        if item.kind == "index":
            made, says = (text.replace(" ON ONLY ", " ON ", 1) for text in item[3:5])
            return item._replace(definition=made, create=says)
        return cut.old_key if item.id == cut.key.id else item

    return collect(change(item) for item in after.values())


def cut_table(cut: Cut, after: Snapshot) -> Iterator[PlannedStep]:
    """The steps for one table, behind all others of a revision."""
    place = _NAME.fullmatch(cut.table.on)
    schema, name = (place[1], place[2]) if place else ("public", cut.table.on)
    bare = _unquote(name)
    past, bounds = quote_again(f"{bare[:58]}_past"), quote_again(name_bounds(bare))
    is_new_key = cut.key.definition != cut.old_key.definition
    past_key = f"{bare[:53]}_past_pkey" if is_new_key else ""
    columns = cut.key.definition.removeprefix("PRIMARY KEY ")
    spare = quote_again(f"{bare[:53]}_pkey_again")
    parts = {
        "name": quote_text(cut.table.on),
        "table": cut.table.on,
        "name_alone": name,
        "past": f"{schema}.{past}",
        "past_name": past,
        "past_text": quote_text(f"{schema}.{past}"),
        "whole": f"{schema}.{quote_again(bare[:57] + '_whole')}",
        "whole_name": quote_again(f"{bare[:57]}_whole"),
        "by_text": quote_text(cut.by),
        "by_format": _escape(cut.by),
        "table_format": _escape(cut.table.on),
        "bounds_format": _escape(bounds),
        "cut": cut.table.definition,
        "bounds": bounds,
        "bounds_text": quote_text(_unquote(bounds)),
        "key": f"{cut.key.name} {cut.key.definition}",
        "past_key_text": quote_text(past_key),
        "old_key": _restore_key(cut, schema, spare) if is_new_key else "",
        "look": _read("look"),
        "carry": _read("carry"),
    }
    alter = f"ALTER TABLE {cut.table.on}"
    yield PlannedStep((_do("bounds", parts),), (f"{alter} DROP CONSTRAINT IF EXISTS {bounds}",))
    yield PlannedStep((f"{alter} VALIDATE CONSTRAINT {bounds}",))
    if is_new_key:
        index = quote_again(past_key)
        build = f"CREATE UNIQUE INDEX CONCURRENTLY {index} ON {cut.table.on} {columns}"
        yield PlannedStep((build,), (f"DROP INDEX CONCURRENTLY IF EXISTS {schema}.{index}",))
    timeout = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"
    says = "One transaction swaps the names; materialized views that read the table begin empty."
    up, down = (
        (timeout, *make_around(cut.kept, after, [_do(each, parts)])) for each in ("swap", "back")
    )
    yield PlannedStep(up, down, says=says)
    old = cut.old_key.definition.removeprefix("PRIMARY KEY ")
    build = f"CREATE UNIQUE INDEX CONCURRENTLY {spare} ON {schema}.{past} {old}"
    yield PlannedStep((f"ANALYZE {cut.table.on}",), (build,) if is_new_key else ())


def _restore_key(cut: Cut, schema: str, spare: str) -> str:
    """The key as it was, from its index where that was built before."""
    make = f"ALTER TABLE {cut.table.on} ADD CONSTRAINT {cut.old_key.name}"
    return (
        "EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', _name,"
        " (SELECT conname FROM pg_constraint WHERE conrelid = _past AND contype = 'p'));\n"
        f"    IF to_regclass({quote_text(f'{schema}.{spare}')}) IS NULL THEN\n"
        f"        {make} {cut.old_key.definition};\n"
        f"    ELSE\n        {make} PRIMARY KEY USING INDEX {spare};\n    END IF;"
    )


def _escape(text: str) -> str:
    """A text within the quoted format of a `format`."""
    return text.replace("'", "''").replace("%", "%%")


def _unquote(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _read(name: str) -> str:
    folder = files("assise.schema").joinpath("cut_sql")
    return folder.joinpath(f"{name}.sql").read_text(encoding="utf-8").rstrip()


def _do(name: str, parts: Mapping[str, str]) -> str:
    """A DO statement of a file, whose slots are filled."""

    def fill(text: str) -> str:
        return _SLOT.sub(
            lambda slot: fill(parts[slot[1]]) if slot[1] in _TEXTS else parts[slot[1]], text
        )

    body = fill(_read(name))
    tag = next(f"$cut{n}$" for n in range(len(body)) if f"$cut{n}$" not in body)
    return f"DO {tag}\n{body}\n{tag}"


_TEXTS = {"look", "carry"}
