"""From profiles to a proposed manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from assise.infer import legacy
from assise.infer.composites import find_composites
from assise.infer.evidence import column_evidence, id_evidence
from assise.infer.fields import (
    AnyField,
    FieldColumn,
    FieldDocument,
    FieldNull,
    FieldTable,
    Finder,
    Ids,
    choose_column,
)
from assise.infer.indexes import Placed
from assise.infer.joins import ELEMENT, Path
from assise.infer.names import Names, TableNames, column_name, singular, snake_case
from assise.infer.profile import Profile
from assise.infer.readings import INTS, NUMBERS, choose_whole
from assise.infer.references import find_references
from assise.infer.relations import Relations
from assise.infer.tree import PathProfile
from assise.manifest.layout import IS_NULL
from assise.manifest.model import Column, Manifest, Table
from assise.manifest.names import shorten
from assise.manifest.paths import format_child_path, format_path
from assise.manifest.sections.postgres import Postgres, Urls
from assise.types.table import PROPOSED
from assise.wording import count_of, escape

TABLE_COLUMNS = 320
"""Physical columns of a table, with its key and `_extra`: with more, rows become too big."""


OFFSET = Column(type="int8", kind="offset")
"""The key of documents that have no `_id` of their own each: their place in the source."""

SHOWN = 3
"""Paths that a remark names."""


@dataclass(frozen=True)
class Proposal:
    """A manifest, the comments for its file (place -> text), and remarks for the user."""

    manifest: Manifest
    comments: dict[tuple[str, ...], str]
    notes: list[str]


@dataclass
class _Draft:
    """The tables that are proposed so far."""

    ids: Ids
    names: TableNames = field(default_factory=TableNames)
    tables: dict[str, Table] = field(default_factory=dict)
    comments: dict[tuple[str, ...], str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    legacy: list[tuple[str, list[tuple[str, bytes]]]] = field(default_factory=list)
    places: dict[tuple[str, Path], Placed] = field(default_factory=dict)


class _Owner(NamedTuple):
    """A table, its collection, and the path to the array whose elements are its rows.

    Fields of the document `shared` are named as if they stood beside it.
    """

    collection: str
    table: str
    above: Path = ()
    shared: str | None = None


def propose(
    profiles: Mapping[str, Profile],
    *,
    name: str,
    ids: Ids = "uuid",
    postgres: str = "embedded",
    has_parser: bool = True,
) -> Proposal:
    """Propose the manifest `name` for these profiles, in the order of the collections' names.

    Without `has_parser` no expression of SQL is proposed.

    Raises:
        pydantic.ValidationError: a manifest cannot have this `name` or `postgres`.
    """
    draft = _Draft(ids)
    tables = {
        collection: draft.names.take(snake_case(collection)) for collection in sorted(profiles)
    }
    for collection, table in tables.items():
        _draft_collection(draft, collection, table, profiles[collection])
    _note_legacy(draft)
    joins = {collection: profile.joins for collection, profile in profiles.items()}
    relations = Relations(draft.tables, draft.comments, draft.places)
    references = find_references(joins)
    relations.join_types(references)
    metadata = {collection: profile.metadata for collection, profile in profiles.items()}
    composites = {collection: profile.composites for collection, profile in profiles.items()}
    relations.add_indexes(tables, metadata, composites, has_parser=has_parser)
    relations.add_defaults()
    relations.add_references(references)
    relations.add_repeated(joins)
    relations.add_child_keys(joins, references)
    whole = {collection: each.is_whole for collection, each in joins.items()}
    relations.add_composites(composites, find_composites(composites, whole))
    server = Postgres(main=Urls(url=postgres))
    manifest = Manifest(assise=1, name=name, postgres=server, tables=relations.list_tables())
    return Proposal(manifest, draft.comments, draft.notes)


def choose_key(path: PathProfile, documents: int, *, ids: Ids) -> Column:
    """Return the key column for the `_id`s of a collection.

    It is of kind offset when a document has no usable `_id`.
    """
    kinds = path.kinds.keys()
    if path.values < documents:
        return OFFSET
    if kinds <= {"objectId"}:
        if ids == "text":
            return Column(type="text", from_="_id", kind="objectid")
        return Column(type="uuid", from_="_id")
    if path.unfit:
        return Column(type="text", from_="_id", kind="any")
    if kinds == {"binary_3"} and path.legacy_uuid:
        return Column(type="uuid", from_="_id", kind=legacy.KIND)
    if kinds <= INTS:
        return Column(type="int8" if "int64" in kinds else "int4", from_="_id")
    if whole := choose_whole(path):
        return Column(type=whole.type, from_="_id", kind=whole.kind)
    if kinds <= NUMBERS:
        return Column(type="numeric", from_="_id")
    only = next(iter(kinds))
    if len(kinds) > 1 or only not in PROPOSED or only.startswith("binary"):
        return Column(type="text", from_="_id", kind="any")
    column_type, kind = PROPOSED[only]
    return Column(type=column_type, from_="_id", kind=kind)


def _draft_collection(draft: _Draft, collection: str, table: str, profile: Profile) -> None:
    root = profile.tree()
    finder = Finder(collection, draft.ids, draft.notes)
    fields = finder.find_fields(root, profile.documents)
    _note_profile(draft, collection, profile)
    place = ("tables", table)
    evidence = id_evidence(
        root.children["_id"], profile.documents, has_hex_ids=profile.hex_ids == profile.documents
    )
    draft.comments[place] = "; ".join([evidence, *finder.many])
    if profile.is_series:
        draft.comments[place] = (
            f"{count_of(profile.documents, 'measurement')} of a time series, which may share an _id"
        )
        key = OFFSET
    else:
        key = choose_key(root.children["_id"], profile.documents, ids=draft.ids)
    if key.kind == legacy.KIND:
        sample = root.children["_id"].legacy_uuid
        draft.comments[*place, "columns", "id"] = legacy.ask_for_order(sample)
        finder.legacy.insert(0, ("_id", sample))
    if choose_whole(root.children["_id"]) and key.kind in {"int", "double"}:
        draft.comments[*place, "columns", "id"] = "all whole; undo: {type: numeric, from: _id}"
    if finder.legacy:
        draft.legacy.append((collection, finder.legacy))
    is_offset = key.kind == "offset"
    if is_offset:
        fields = [*_id_column(root.children["_id"], profile.documents, ids=draft.ids), *fields]
    shared = profile.metadata.meta_field if profile.is_series else None
    names = Names([] if is_offset else ["id"])
    owner = _Owner(collection, table, shared=shared)
    columns = _name_columns(draft, owner, fields, names, room=TABLE_COLUMNS - 2)
    key_name = names.take("_offset") if is_offset else "id"
    draft.tables[table] = Table(
        collection=collection,
        primary_key=(key_name,),
        columns={key_name: key, **columns},
        nulls=_list_paths(fields, FieldNull),
        documents=_list_paths(fields, FieldDocument),
    )
    if not is_offset:
        key_place = Placed(table, key_name, key.type, key.kind, is_pure=True, is_full=True)
        draft.places[collection, ("_id",)] = key_place
    key_column = shorten(f"{singular(table)}_{key_name.lstrip('_')}")
    _draft_children(draft, owner, fields, key_column)


def _draft_children(
    draft: _Draft, owner: _Owner, fields: Iterable[AnyField], key_column: str
) -> None:
    """Draft the child tables of a table; `key_column` holds the document's key."""
    for child in fields:
        if not isinstance(child, FieldTable):
            continue
        own_name = column_name(child.keys).lstrip("_")
        table = draft.names.take(f"{singular(owner.table)}_{own_name}")
        inner = _Owner(owner.collection, table, (*owner.above, *child.keys, ELEMENT))
        level = inner.above.count(ELEMENT)
        names = Names([key_column])
        columns = _name_columns(draft, inner, child.fields, names, room=TABLE_COLUMNS - 2 - level)
        own = "_position" if names.is_taken("position") else "position"
        ordinals = [names.take(own) for _ in range(level)]
        draft.comments["tables", table] = count_of(child.rows, "element")
        draft.tables[table] = Table(
            parent=owner.table,
            from_=format_child_path(child.keys),
            primary_key=(key_column, *ordinals),
            columns=columns,
            nulls=_list_paths(child.fields, FieldNull),
            documents=_list_paths(child.fields, FieldDocument),
            absent=child.absent or None,
        )
        _draft_children(draft, inner, child.fields, key_column)


def _name_columns(
    draft: _Draft,
    owner: _Owner,
    fields: Iterable[AnyField],
    names: Names,
    *,
    room: int,
) -> dict[str, Column]:
    """Name the columns of a table and comment them; only the most frequent where room is short."""
    table = owner.table
    chosen = [item for item in fields if isinstance(item, FieldColumn)]
    if len(chosen) > room:
        draft.notes.append(
            f"{table}: {len(chosen) - room:,} of {len(chosen):,} columns, the rarest,"
            " are left to _extra"
        )
        by_count = sorted(range(len(chosen)), key=lambda i: -chosen[i].count)
        chosen = [chosen[i] for i in sorted(by_count[:room])]
    columns = {}
    for item in chosen:
        is_shared = len(item.keys) > 1 and item.keys[0] == owner.shared
        wanted, path = column_name(item.keys[is_shared:]), format_path(item.keys)
        name = names.take(wanted)
        absent = IS_NULL if item.is_null else None
        columns[name] = Column(type=item.type, from_=path, kind=item.kind, absent=absent)
        draft.places[owner.collection, (*owner.above, *item.keys)] = Placed(
            table, name, item.type, item.kind, item.is_pure, item.is_full, item.joins
        )
        renamed = f"{item.evidence}; path {path}" if name != wanted else item.evidence
        draft.comments["tables", table, "columns", name] = renamed
    return columns


def _list_paths(
    fields: Iterable[AnyField], of: type[FieldNull | FieldDocument]
) -> tuple[str, ...] | None:
    """The paths of the fields of a class."""
    return tuple(format_path(each.keys) for each in fields if isinstance(each, of)) or None


def _id_column(path: PathProfile, documents: int, *, ids: Ids) -> list[FieldColumn]:
    """Return the column of an `_id` that is not the key, if it is common and of one scalar kind."""
    choice = choose_column(path, ids)
    is_rare = path.values < 100 and 100 * path.values < documents
    if not choice or not path.set_values or is_rare:
        return []
    evidence = column_evidence(path, choice, rows=documents, row="document")
    return [FieldColumn(("_id",), choice.type, choice.kind, path.values, evidence)]


def _note_legacy(draft: _Draft) -> None:
    """Ask once for the order of bytes of all UUIDs of subtype 3."""
    if not draft.legacy:
        return
    paths = [f"{name}.{path}" for name, found in draft.legacy for path, _ in found]
    more = f" and {len(paths) - SHOWN:,} more" if len(paths) > SHOWN else ""
    ((_, sample), *_) = draft.legacy[0][1]
    draft.notes.append(
        f"{escape(', '.join(paths[:SHOWN]))}{more}: UUIDs of binary subtype 3, in the order of bytes"
        f" of one driver; {legacy.ask_for_order(sample)}; {legacy.KIND} is written until you say"
    )


def _note_profile(draft: _Draft, collection: str, profile: Profile) -> None:
    name = escape(collection)
    if not profile.documents:
        draft.notes.append(f"{name}: no documents, so that its table has the key alone")
    if profile.is_capped:
        draft.notes.append(
            f"{name}: only the first {count_of(profile.paths, 'path')} were profiled (infer.paths);"
            " the others are left to _extra"
        )
    if collection.startswith("system.buckets."):
        draft.notes.append(f"{name}: buckets of a time series; their measurements are not rows")
    if profile.invalid:
        places = count_of(profile.invalid, "place")
        verb = "is no document" if profile.invalid == 1 else "are no documents"
        note = f"{name}: {places} {verb}"
        if profile.first_invalid is not None:
            note += f", the first at byte {profile.first_invalid:,}"
        draft.notes.append(note)
