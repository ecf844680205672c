"""What a manifest must fulfil beyond the shape of its values: the checks of all keys, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assise.manifest.born import check_born
from assise.manifest.keys import AnyKey, Keyed, Tables
from assise.manifest.names import check_column_name, check_table_name
from assise.manifest.needs import check_elsewhere, check_renamed, check_roles, list_across
from assise.manifest.paths import keys_of_path, parse_child_path
from assise.manifest.problems import Place, Problem
from assise.manifest.sections import keys_on
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.computed import GENERATED
from assise.manifest.sections.postgres import POSTGRES
from assise.manifest.sections.servers import ON
from assise.manifest.table import Table
from assise.wording import show


@dataclass(frozen=True)
class _Reader:
    """A column, a child table or a path in `nulls` or `documents`, and the keys that it reads.

    is_open: whether others may read fields inside of it.
    """

    keys: tuple[str, ...]
    place: Place
    path: str
    name: str
    is_open: bool = False


def find_problems(manifest: Keyed, tables: Tables) -> Iterator[Problem]:
    """Everything that is wrong, in the order of the file as far as possible."""
    column_keys, postgres = keys_on("column"), POSTGRES.of(manifest)
    servers = postgres.others if postgres else {}
    yield from _check_keys((), keys_on("manifest"), manifest, tables)
    yield from check_roles(ROLES.of(manifest), tables)
    for table_name, table in tables.items():
        place = ("tables", table_name)
        yield from check_table_name(place, table_name)
        yield from list_across(table_name, tables)
        yield from check_renamed(table_name, table)
        if ON.of(table) is None:
            yield from _check_origin(place, table)
        else:
            yield from check_elsewhere(place, table, servers)
        yield from _check_keys(place, keys_on("table"), table, tables)
        for name, column in table.columns.items():
            at = (*place, "columns", name)
            yield from check_column_name(at, name)
            yield from _check_keys(at, column_keys, column, tables)
        yield from _check_readers(table_name, tables)


def _check_keys(
    place: Place, keys: tuple[AnyKey, ...], entry: Keyed, tables: Tables
) -> Iterator[Problem]:
    for key in keys:
        value = key.of(entry)
        if value is not None:
            yield from key.check((*place, key.name), value, tables)


def _check_origin(place: Place, table: Table) -> Iterator[Problem]:
    remedy = "Give a collection, or the parent and from of a child table."
    if table.is_born:
        yield from check_born(place, table)
    elif table.collection is not None and table.parent is not None:
        yield Problem(place, "has both collection and parent", remedy=remedy)
    elif table.parent is not None and table.from_ is None:
        remedy = "Give the array in the parent's document, such as from: files.*"
        yield Problem(place, "has a parent and no from", remedy=remedy)


def _check_readers(table_name: str, tables: Tables) -> Iterator[Problem]:
    """No field is read twice; nothing reads below `_id`, where the order of fields is kept."""
    readers = list(_list_readers(table_name, tables))
    if tables[table_name].collection is not None:
        for reader in readers:
            is_whole = reader.path == "_id" and reader.place[2] == "columns"
            if reader.keys[0] == "_id" and not is_whole:
                remedy = "Read _id as a whole: the order of its fields counts."
                yield Problem(reader.place, "reads a part of _id", show(reader.path), remedy)
    yield from _check_overlaps(readers)


def _list_readers(table_name: str, tables: Tables) -> Iterator[_Reader]:
    for name, column in tables[table_name].columns.items():
        is_computed = column.kind == "offset" or GENERATED.of(column) is not None
        is_field = not is_computed and not column.is_element
        keys = keys_of_path(column.from_) if is_field else None
        if keys:
            place = ("tables", table_name, "columns", name, "from")
            yield _Reader(keys, place, column.from_, f"column {show(name)}")
    table = tables[table_name]
    for key, paths in (("nulls", table.nulls), ("documents", table.documents)):
        for i, path in enumerate(paths or ()):
            keys = keys_of_path(path)
            if keys:
                at = ("tables", table_name, key, str(i))
                yield _Reader(keys, at, path, f"the path {show(path)} in {key}", is_open=True)
    for name, child in tables.items():
        path = child.from_ or ""
        keys = keys_of_path(path, parse_child_path) if child.parent == table_name else None
        if keys:
            yield _Reader(keys, ("tables", name, "from"), path, f"table {show(name)}")


def _check_overlaps(readers: list[_Reader]) -> Iterator[Problem]:
    """Report each reader whose path is that of another one, or lies inside it.

    A document that is null in most documents, or is there in most, may have columns.
    """
    above: _Reader | None = None
    for reader in sorted(readers, key=lambda item: item.keys):
        is_same = above is not None and reader.keys == above.keys
        is_inside = above is not None and reader.keys[: len(above.keys)] == above.keys
        if above is None or not is_inside or (above.is_open and not is_same):
            above = reader
            continue
        relation = "the same field as" if is_same else "a field inside that of"
        message = f"reads {relation} {above.name}"
        yield Problem(reader.place, message, show(reader.path), "Keep one of the two.")
