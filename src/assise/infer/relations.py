"""What a proposed manifest says beside its columns' types: indexes, unique keys, references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from assise.documents.kinds import DOUBLE
from assise.infer.composites import Composite, Composites, Matched
from assise.infer.evidence import KEPT, READ
from assise.infer.indexes import IndexFinder, Placed
from assise.infer.joins import ELEMENT, POINTER, Joins, Path, is_own_id
from assise.infer.metadata import Metadata
from assise.infer.readings import FAMILIES, ColumnChoice
from assise.infer.references import Match, Matches, choose_match
from assise.infer.suggestions import UniqueColumns, suggest_child, suggest_composites
from assise.manifest.model import Column, Table
from assise.manifest.names import RESERVED
from assise.types.table import element_type, is_array
from assise.wording import count_of

_INTS = frozenset({"int4", "int8"})
_TEXT_KINDS = frozenset({"string", "objectid"})

_NEW_KEY = "gen_random_uuid()"


@dataclass
class Relations:
    """Adds to the tables of a draft; `comments` are those of its manifest.

    `places` say in which column the values of a collection's path stand.
    """

    tables: Mapping[str, Table]
    comments: dict[tuple[str, ...], str]
    places: dict[tuple[str, Path], Placed]
    _columns: dict[tuple[str, str], dict[str, object]] = field(default_factory=dict)
    _indexes: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    _foreign_keys: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def add_indexes(
        self,
        tables: Mapping[str, str],
        metadata: Mapping[str, Metadata],
        composites: Mapping[str, Composites],
        *,
        has_parser: bool,
    ) -> None:
        """Add what the source has of indexes, and what its validators require, by collection."""
        for collection, table in tables.items():
            found = metadata.get(collection, Metadata())
            places = self._list_places(collection)
            unfit = _list_unfit(places, composites[collection].unfit)
            finder = IndexFinder(table, places, has_parser, unfit)
            for index in found.indexes:
                finder.add(index)
            self._take(finder)
            for path in sorted(found.required):
                place = places.get(path)
                if place is not None and place.is_full and place.table == table and path != "_id":
                    self._ask(place, not_null=True)

    def _list_places(self, collection: str) -> dict[str, Placed]:
        return {
            ".".join(key for key in path if key != ELEMENT): place
            for (owner, path), place in self.places.items()
            if owner == collection
        }

    def _take(self, finder: IndexFinder) -> None:
        found = finder.found
        for table, indexes in found.indexes.items():
            for index, comment in indexes:
                listed = self._indexes.setdefault(table, [])
                self.comments["tables", table, "indexes", str(len(listed))] = comment
                listed.append(index)
        for (table, column), (unique, comment) in found.unique.items():
            if (column,) != self.tables[table].primary_key:
                self._columns.setdefault((table, column), {})["unique"] = unique
                self._remark(table, column, f"unique index {comment}")
        for table, texts in found.told.items():
            self.comments["tables", table, "indexes"] = "\n".join(texts)

    def join_types(self, matches: Matches) -> None:
        """Give columns the type of what they refer to, where it reads their values.

        A column that joins one of several stays as it is; else it joins the first.
        """
        for at, found in self._list_matches(matches):
            targets = [(each.collection, (each.field,)) for each in found if each.is_certain]
            known = [target for target in targets if target in self.places]
            if known and found[0].pointer:
                self._point(at, self.places[known[0]], found[0].pointer)
                continue
            own = FAMILIES.get(element_type(self.places[at].type))
            families = {FAMILIES.get(self.places[target].type) for target in known}
            if known and (own is None or own not in families):
                self._join_types(at, known[0])

    def _point(self, at: tuple[str, Path], target: Placed, pointer: str) -> None:
        """Make texts that name a class a column of the ids behind it."""
        if target.type in {"text", "uuid"} and target.kind != "any":
            self._change(at, ColumnChoice(target.type, pointer, frozenset({"string"})))

    def _join_types(self, at: tuple[str, Path], target: tuple[str, Path]) -> None:
        own, other = self.places[at], self.places[target]
        family = FAMILIES.get(other.type, "")
        is_int = FAMILIES.get(element_type(own.type)) == "int" or "int" in own.joins
        if not family and is_int and "int" in other.joins:
            self._change(target, other.joins["int"])
            family = "int"
        if family in own.joins:
            self._change(at, own.joins[family])

    def _change(self, at: tuple[str, Path], choice: ColumnChoice) -> None:
        """Change the type of a column, and say how to undo it."""
        place = self.places[at]
        said = ("tables", place.table, "columns", place.column)
        before = self.comments.get(said, "")
        self.comments[said] = before.replace(KEPT, "").replace(READ, "")
        column = self.tables[place.table].columns[place.column]
        brackets = "[]" * is_array(place.type)
        before = f'"{place.type}"' if brackets else place.type
        undo = f"undo: {{type: {before}, from: {column.from_}}}"
        self._remark(place.table, place.column, undo)
        changed = replace(place, type=choice.type + brackets, kind=choice.kind)
        self.places[at] = changed
        self._ask(place, type=changed.type, kind=changed.kind)

    def _list_matches(self, matches: Matches) -> Iterator[tuple[tuple[str, Path], list[Match]]]:
        """The places of columns that refer to something, with the match, or with the best ones."""
        for (collection, path), found in matches.items():
            at = (collection, path)
            if at not in self.places and path[-1] == ELEMENT:
                at = (collection, path[:-1])
            if at in self.places:
                match = choose_match(found)
                yield at, [match] if match else found[:3]

    def add_references(self, matches: Matches) -> None:
        """Add what fields refer to: a foreign key where the types are alike, else a comment."""
        for at, found in self._list_matches(matches):
            place = self.places[at]
            others, told = found[0].others, {match.collection for match in found}
            for each in (*found, *(match for match in others if match.collection not in told)):
                self._remark(place.table, place.column, each.evidence)
            if others:
                several = "ids of several tables: no foreign key"
                self._remark(place.table, place.column, several)
            elif len(found) == 1 and found[0].is_certain:
                self._refer(place, found[0])
                self._suggest_child(place, found[0])

    def add_repeated(self, joins: Mapping[str, Joins]) -> None:
        """Say where values of keys are there more than once: what migrate will do with them."""
        for collection, found in joins.items():
            for name, ids in found.ids.items():
                place = self.places.get((collection, (name,)))
                count = len(ids.numbers) - len({*ids.numbers})
                if not count or place is None:
                    continue
                is_key = (place.column,) == self.tables[place.table].primary_key
                made = "their documents are rejects" if is_key else "a plain index is made"
                looked_at = f"of {len(ids.numbers):,} values looked at {count:,}"
                text = f"{looked_at} {'repeats' if count == 1 else 'repeat'} others: {made}"
                self._remark(place.table, place.column, text)

    def add_child_keys(self, joins: Mapping[str, Joins], matches: Matches) -> None:
        """Make the `_id`s of elements unique keys, where each is an id of its own."""
        for (collection, path), place in self.places.items():
            if not is_own_id(path) or not place.is_full or (collection, path) in matches:
                continue
            samples = joins[collection].samples.items()
            numbers = [each for (at, _), found in samples if at == path for each in found]
            if numbers and len({*numbers}) == len(numbers):
                self._ask(place, unique=True)
                looked_at = count_of(len(numbers), "id")
                self._remark(place.table, place.column, f"{looked_at} looked at, all different")

    def _refer(self, place: Placed, match: Match) -> None:
        target = self.places.get((match.collection, (match.field,)))
        if target is None or not _join(place, target):
            return
        reference = target.table
        if match.field != "_id":
            if not self._columns.get((target.table, target.column), {}).get("unique"):
                return
            reference = f"{target.table}({target.column})"
        self._ask(place, references=reference)
        if match.hits < match.among:
            self._ask(place, orphans="keep")

    def _suggest_child(self, place: Placed, match: Match) -> None:
        target = self.places.get((match.collection, (match.field,)))
        element = replace(place, type=element_type(place.type))
        if target and is_array(place.type) and match.field == "_id" and _join(element, target):
            table, has_orphans = self.tables[place.table], match.hits < match.among
            text = suggest_child(table, place, target, has_orphans=has_orphans)
            self._remark(place.table, place.column, text)

    def add_composites(self, composites: Mapping[str, Composites], matches: Matched) -> None:
        """Add what several columns together refer to; where no values were compared, tell it."""
        uniques, compared = [*self._list_uniques()], set[tuple[str, str]]()
        for collection, each in composites.items():
            for answer in each.samples:
                places = [self.places.get((collection, (name,))) for name in answer.own]
                targets = [self.places.get((answer.collection, (name,))) for name in answer.fields]
                pairs = [(a, b) for a, b in zip(places, targets, strict=True) if a and b]
                compared |= {(own.table, target.table) for own, target in pairs}
                match = matches.get((collection, answer))
                if match is not None and len(pairs) == len(answer.own):
                    self._refer_together(pairs, match, uniques)
        for table, target, text in suggest_composites(self.tables, uniques):
            if (table, target) not in compared:
                self.comments["tables", table] += f"; {text}"

    def _list_uniques(self) -> Iterator[UniqueColumns]:
        """The unique indexes of several columns, which a foreign key may refer to."""
        for table, indexes in self._indexes.items():
            for index in indexes:
                columns, is_key = index.get("columns"), "where" not in index and index.get("unique")
                if is_key and isinstance(columns, list) and len(columns) > 1:
                    yield table, tuple(name.removeprefix("-") for name in columns)

    def _refer_together(
        self,
        pairs: Sequence[tuple[Placed, Placed]],
        match: Composite,
        uniques: Sequence[UniqueColumns],
    ) -> None:
        own, target = pairs[0]
        columns = tuple(each.column for _, each in pairs)
        self.comments["tables", own.table] += f"; {match.evidence}"
        if (target.table, columns) in uniques and all(_join(*pair) for pair in pairs):
            key = {
                "columns": [each.column for each, _ in pairs],
                "references": f"{target.table}({', '.join(columns)})",
            }
            orphans = {"orphans": "keep"} if match.hits < match.among else {}
            self._foreign_keys.setdefault(own.table, []).append({**key, **orphans})

    def add_defaults(self) -> None:
        """Give keys of texts and of UUIDs a default, as MongoDB gives a document an `_id`.

        Keys of ObjectIds and of integers have one of their own.
        """
        for name, table in self.tables.items():
            key = table.primary_key[0]
            column = table.columns.get(key)
            if column and column.type in {"text", "uuid"} and column.kind != "objectid":
                self._columns.setdefault((name, key), {})["default"] = _NEW_KEY
                self._remark(name, key, "a row that gives none gets a UUID")

    def _ask(self, place: Placed, **keys: object) -> None:
        self._columns.setdefault((place.table, place.column), {}).update(keys)

    def _remark(self, table: str, column: str, text: str) -> None:
        place = ("tables", table, "columns", column)
        before = self.comments.get(place)
        self.comments[place] = f"{before}; {text}" if before else text

    def list_tables(self) -> dict[str, Table]:
        """The tables with all that was added, and with their columns in order."""
        self._remark_words()
        return {name: self._write(name, table) for name, table in self.tables.items()}

    def _write(self, name: str, table: Table) -> Table:
        facts = table.model_dump(exclude_unset=True, by_alias=True)
        columns = {}
        for column in self._order(name, table):
            before = table.columns[column].model_dump(exclude_unset=True, by_alias=True)
            asked = self._columns.get((name, column), {})
            columns[column] = Column.model_validate({**before, **asked})
        indexes = {"indexes": self._indexes[name]} if self._indexes.get(name) else {}
        keys = {"foreign_keys": found} if (found := self._foreign_keys.get(name)) else {}
        return Table.model_validate({**facts, "columns": columns, **indexes, **keys})

    def _order(self, name: str, table: Table) -> list[str]:
        """The columns: the key, references, the others, moments."""

        def rank(column: str) -> int:
            if column in table.primary_key:
                return 0
            if "references" in self._columns.get((name, column), {}):
                return 1
            return 3 if table.columns[column].type == "timestamptz" else 2

        return sorted(table.columns, key=rank)

    def _remark_words(self) -> None:
        """Say which names SQL takes only in quotes."""
        for name, table in self.tables.items():
            for column in table.columns:
                if column in RESERVED:
                    self._remark(name, column, f'in SQL it stands in quotes: "{column}"')
            if name in RESERVED:
                place = ("tables", name)
                self.comments[place] += f'; in SQL it stands in quotes: "{name}"'


def _list_unfit(places: Mapping[str, Placed], unfit: Mapping[str, set[int]]) -> list[str]:
    """The paths with values that their columns do not hold: float8 holds each double."""
    return [
        path
        for path, kinds in unfit.items()
        if kinds - ({DOUBLE} if path in places and places[path].type == "float8" else set())
    ]


def _join(own: Placed, target: Placed) -> bool:
    """Whether a foreign key can hold one column to the other: cells of equal values are equal."""
    if is_array(own.type) or target.kind in {"any", "offset"}:
        return False
    if own.type == target.type == "text":
        return own.kind.startswith(POINTER) or {own.kind, target.kind} <= _TEXT_KINDS
    return own.type == target.type or {own.type, target.type} <= _INTS
