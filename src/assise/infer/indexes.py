"""The indexes of a source as indexes of tables, or as words where there is no counterpart."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from bson import ObjectId

from assise.infer.metadata import JsonMapping, SourceIndex
from assise.infer.readings import ColumnChoice
from assise.manifest.names import RESERVED
from assise.manifest.sections.search import MAX_WEIGHT
from assise.types.ids import encode_object_id
from assise.types.table import is_array
from assise.wording import escape

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_OPERATORS = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$ne": "<>"}
_LANGUAGE = re.compile("[a-z]{2,20}")
_SHORT = {"english": "en", "french": "fr", "none": "simple"}
"""Languages of text indexes -> those of `search`, where it has a name of its own."""

_POINTS = frozenset({"float8[]", "numeric[]"})
_COVERED = frozenset({"text", "2dsphere", "2d", "geoHaystack"})


@dataclass(frozen=True)
class Placed:
    """Where the values of a path stand: a column of a table.

    is_pure: whether its kinds are those of all values that are not null.
    is_full: whether, besides, every row has a value.
    joins: what the column could be to join another one, by the family of the other one's type.
    """

    table: str
    column: str
    type: str
    kind: str
    is_pure: bool = False
    is_full: bool = False
    joins: Mapping[str, ColumnChoice] = field(default_factory=dict)


@dataclass
class Proposed:
    """What becomes of the indexes of one collection.

    Args:
        indexes: for each table, the keys of its indexes as the manifest has them, with a comment.
        unique: for columns, by table and name, the value of the key `unique`, with a comment.
        told: for each table, what has no counterpart.
    """

    indexes: dict[str, list[tuple[dict[str, object], str]]] = field(default_factory=dict)
    unique: dict[tuple[str, str], tuple[bool | str, str]] = field(default_factory=dict)
    told: dict[str, list[str]] = field(default_factory=dict)

    def tell(self, table: str, text: str) -> None:
        """Add a remark below the indexes of a table."""
        self.told.setdefault(table, []).append(text)

    def add(self, table: str, index: dict[str, object], comment: str) -> None:
        """Add an index, unless the table has it already."""
        listed = self.indexes.setdefault(table, [])
        if all(index != other for other, _ in listed):
            listed.append((index, comment))


@dataclass(frozen=True)
class IndexFinder:
    """Proposes the indexes of one collection, whose table is `root`.

    has_parser: whether the manifest may have expressions of SQL.
    unfit: paths with values that no cell holds.
    """

    root: str
    places: Mapping[str, Placed]
    has_parser: bool
    unfit: Collection[str] = ()
    found: Proposed = field(default_factory=Proposed)

    def add(self, index: SourceIndex) -> None:
        """Propose what becomes of an index."""
        name, root = escape(index.name), self.root
        if index.ttl_s is not None:
            self._tell_expiry(index, index.ttl_s)
        if index.kinds & _COVERED or any("$**" in path for path, _ in index.keys):
            self._tell_special(index)
            return
        places = [self.places.get(path) for path, _ in index.keys]
        missing = [path for (path, _), place in zip(index.keys, places, strict=True) if not place]
        known = [place for place in places if place is not None]
        tables = {place.table for place in known}
        if missing:
            paths = ", ".join(map(escape, missing))
            self.found.tell(root, f"index {name}: no column reads {paths}")
        elif len(tables) > 1:
            columns = ", ".join(f"{place.table}.{place.column}" for place in known)
            self.found.tell(root, f"index {name}: it spans two tables: {columns}")
        else:
            self._add_plain(index, known)

    def _add_plain(self, index: SourceIndex, places: Sequence[Placed]) -> None:
        table, name = places[0].table, escape(index.name)
        types = {place.type for place in places}
        notes = [name]
        if index.collation:
            notes.append(f"there with the collation {index.collation}")
        if "jsonb" in types or any(map(is_array, types)):
            self._add_inverted(index, places, notes)
            return
        ways = [way for _, way in index.keys]
        columns = [
            f"-{place.column}" if way == -1 and len(places) > 1 else place.column
            for place, way in zip(places, ways, strict=True)
        ]
        result: dict[str, object] = {"columns": columns}
        if ways == ["hashed"]:
            result["method"] = "hash"
        where = self._write_where(index, places, notes)
        if where and self.has_parser:
            result["where"] = where
        elif where:
            notes.append(f"there only where {where}, which needs the extra schema")
        if index.is_unique:
            unique = self._choose_unique(index, places, notes, is_partial=bool(where))
            if unique and len(columns) == 1 and set(result) == {"columns"}:
                self.found.unique.setdefault((table, columns[0]), (unique, ", ".join(notes)))
                return
            if unique:
                result["unique"] = unique
        self.found.add(table, result, ", ".join(notes))

    def _choose_unique(
        self, index: SourceIndex, places: Sequence[Placed], notes: list[str], *, is_partial: bool
    ) -> bool | str:
        """How an index of a table is unique; false where it cannot be as in MongoDB."""
        if places[0].table != self.root:
            notes.append("unique there for each document")
            return False
        if is_partial and not self.has_parser:
            notes.append("unique there")
            return False
        if index.collation:
            notes.append("unique there")
            return False
        if index.is_sparse and len(places) == 1:
            return True
        is_unfit = any(path in self.unfit for path, _ in index.keys)
        if is_unfit or not all(place.is_pure for place in places):
            notes.append("values that do not fit are not compared")
            return True
        return "nulls not distinct"

    def _add_inverted(self, index: SourceIndex, places: Sequence[Placed], notes: list[str]) -> None:
        if index.is_unique:
            notes.append("unique there, which PostgreSQL has not for elements")
        for place in places:
            is_inverted = place.type == "jsonb" or is_array(place.type)
            own: dict[str, object] = {"columns": [place.column]}
            if is_inverted:
                own["method"] = "gin"
            self.found.add(place.table, own, ", ".join(notes))

    def _write_where(self, index: SourceIndex, places: Sequence[Placed], notes: list[str]) -> str:
        """The condition of a partial or sparse index; empty where it has none, or none like it."""
        if index.partial:
            where = _write_filter(index.partial, self.places, places[0].table)
            if where is None:
                notes.append(f"there only where {escape(str(dict(index.partial)))}")
            return where or ""
        if index.is_sparse and not (index.is_unique and len(places) == 1):
            return " OR ".join(f"{_write_name(place.column)} IS NOT NULL" for place in places)
        return ""

    def _tell_expiry(self, index: SourceIndex, ttl_s: int) -> None:
        path = index.keys[0][0]
        place = self.places.get(path)
        span = write_interval(ttl_s)
        text = f"keep: {{{escape(path)}: {span}}}: MongoDB deletes older documents"
        if place is not None and place.type == "timestamptz":
            name = _write_name(place.column)
            text += f"; here: {_write_name(place.table)} where {name} < now() - interval '{span}'"
        elif place is not None:
            text += f", by dates alone; {_write_name(place.column)} is {place.type}"
        self.found.tell(place.table if place else self.root, text)

    def _tell_special(self, index: SourceIndex) -> None:
        name, root = escape(index.name), self.root
        if "text" in index.kinds:
            self.found.tell(root, f"{self._write_search(index)}: the text index {name}")
            return
        path = index.keys[0][0]
        place = self.places.get(path.removesuffix(".$**"))
        is_jsonb = place is not None and place.type == "jsonb"
        table = _write_name(place.table if place else root)
        column = _write_name(place.column) if place else ""
        if "$**" in path:
            what = "all fields" if path == "$**" else f"all fields of {path.removesuffix('.$**')}"
            sql = f": CREATE INDEX ON {table} USING gin ({column})" if is_jsonb else ""
        else:
            what = f"{' and '.join(sorted(index.kinds))} on {escape(path)}, for PostGIS"
            sql = self._write_geometry(path)
        self.found.tell(root, f"index {name}: {what}{sql}")

    def _write_search(self, index: SourceIndex) -> str:
        """The key `search` for a text index; and the fields of it that no column reads."""
        weights = index.weights or {path: 1.0 for path, way in index.keys if way == "text"}
        placed = {path: self.places.get(path) for path in weights}
        columns = {place.column: weights[path] for path, place in placed.items() if place}
        largest = max([MAX_WEIGHT, *columns.values()])
        heavy = {
            name: f"{name}: {max(0.1, weight * MAX_WEIGHT / largest):.4g}"
            for name, weight in columns.items()
            if weight != 1
        }
        keys = [f"body: [{', '.join(columns)}]"]
        if _LANGUAGE.fullmatch(index.language):
            keys.append(f"language: {_SHORT.get(index.language, index.language)}")
        keys += [f"weights: {{{', '.join(heavy.values())}}}"] * bool(heavy)
        left = ", ".join(escape(path) for path, place in placed.items() if place is None)
        return f"search: {{{', '.join(keys)}}}" + (f"; no column reads {left}" if left else "")

    def _write_geometry(self, path: str) -> str:
        """The index of GeoJSON in jsonb, or of points: arrays of longitude and latitude."""
        place = self.places.get(path) or self.places.get(f"{path}.coordinates")
        column = _write_name(place.column) if place else ""
        if place and place.type in _POINTS:
            geometry = f"ST_MakePoint({column}[1], {column}[2])"
        elif place and place.type == "jsonb" and path in self.places:
            geometry = f"ST_GeomFromGeoJSON({column}::text)"
        else:
            return ""
        table = _write_name(place.table)
        return f": CREATE INDEX ON {table} USING gist (({geometry}::geography))"


def write_interval(seconds: int) -> str:
    """A number of seconds as an interval of PostgreSQL, in its largest whole unit.

    >>> write_interval(31_536_000), write_interval(90), write_interval(3_600), write_interval(0)
    ('365 days', '90 seconds', '1 hour', '0 seconds')
    """
    whole = (each for each in _UNITS if seconds and seconds % each[0] == 0)
    size, unit = next(whole, _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _write_name(name: str) -> str:
    """An identifier, quoted where SQL needs it."""
    is_plain = re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in RESERVED
    return name if is_plain else '"' + name.replace('"', '""') + '"'


def _write_filter(found: JsonMapping, places: Mapping[str, Placed], table: str) -> str | None:
    """A filter of MongoDB over columns of one table as SQL; None where it is none of the simple."""
    parts: list[str] = []
    for key, value in found.items():
        if key in {"$and", "$or"}:
            inner = [
                _write_filter(each, places, table) if isinstance(each, dict) else None
                for each in (value if isinstance(value, list) else [])
            ]
            if not inner or None in inner:
                return None
            parts.append(f"({f' {key[1:].upper()} '.join(map(str, inner))})")
            continue
        place = places.get(key)
        if place is None or place.table != table:
            return None
        tests = value if isinstance(value, dict) else {"$eq": value}
        for operator, operand in tests.items():
            test = _write_test(place, operator, operand)
            if test is None:
                return None
            parts.append(test)
    return " AND ".join(parts) or None


def _write_test(place: Placed, operator: str, operand: object) -> str | None:
    name = _write_name(place.column)
    if operator == "$type" or (operator == "$exists" and operand):
        return f"{name} IS NOT NULL"
    if operator == "$exists" or (operator == "$eq" and operand is None):
        return f"{name} IS NULL"
    if operator == "$in" and isinstance(operand, list):
        literals = [_write_literal(place, each) for each in operand]
        if not literals or None in literals:
            return None
        return f"{name} IN ({', '.join(map(str, literals))})"
    literal = _write_literal(place, operand)
    if operator not in _OPERATORS or literal is None:
        return None
    return f"{name} {_OPERATORS[operator]} {literal}"


def _write_literal(place: Placed, value: object) -> str | None:
    """A value as a literal of the column's type; None where it is of another one."""
    match value:
        case bool():
            return str(value).lower() if place.type == "bool" else None
        case int() | float() if place.type in {"int4", "int8", "float8", "numeric"}:
            return repr(value)
        case str() if place.type == "text":
            return "'" + value.replace("'", "''") + "'"
        case dt.datetime() if place.type == "timestamptz":
            return f"'{value.replace(tzinfo=dt.UTC).isoformat()}'"
        case ObjectId() if place.type == "uuid":
            return f"'{UUID(bytes=encode_object_id(value.binary, 0)[0][4:])}'"
        case _:
            return None
