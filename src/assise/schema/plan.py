"""The steps that turn a database of one snapshot into that of another, safe beside running code.

Statements that would stop readers or writers for long are written in the form that does not: indexes
CONCURRENTLY, constraints NOT VALID and then VALIDATE, NOT NULL through a check, unique constraints
from an index that is there. The rules are those of PostgreSQL's manual on ALTER TABLE and of squawk.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from assise.schema.beside import (
    add_constraint,
    add_index,
    name_spare,
    replace_constraint,
    set_not_null,
)
from assise.schema.catalog import UNNAMED, CatalogDifference, CatalogItem, Facts, Snapshot, compare
from assise.schema.cut import cut_table, find_cuts, keep_whole
from assise.schema.planned import PlannedStep
from assise.schema.retype import is_free, write_formula, write_recipe
from assise.schema.view_steps import (
    find_dropped,
    find_readers,
    make_around,
    order_views,
    plan_views,
)

BATCH_ROWS = 10_000
REWRITES = (
    "Writes all rows of {}, which nobody reads or writes meanwhile: in a quiet hour if large."
)
_WHOLE = frozenset({"table", "function"})
_TO_ALL = "EXECUTE TO PUBLIC"
_GRANT = re.compile(r"GRANT (.+) ON (.+) TO (.+)")
_COPY = re.compile(
    r'CREATE TRIGGER "?_copy_.* BEFORE INSERT OR UPDATE OF ("(?:[^"]|"")*"|[^",\s]+)'
    r".* EXECUTE FUNCTION (.+)"
)
"""A trigger that copies, when one of these columns is written; and its function."""
_CONSTANT = re.compile(r"('(?:[^']|'')*'|-?[\d.]+|true|false|NULL)(::.+)?|now\(\)|CURRENT_\w+")


@dataclass(frozen=True)
class SchemaPlan:
    """The steps in their order, and what no step can do: why, and what can be done."""

    steps: list[PlannedStep] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    @property
    def losses(self) -> list[str]:
        """The columns and tables whose values go."""
        return [step.loses for step in self.steps if step.loses]


def plan(before: Snapshot, after: Snapshot) -> SchemaPlan:
    """The steps from the first snapshot to the second."""
    cuts, refusals = find_cuts(before, after)
    found = _Planner(before, keep_whole(after, {cut.table.on: cut for cut in cuts})).plan()
    steps = [step for cut in cuts for step in cut_table(cut, after)]
    return SchemaPlan([*found.steps, *steps], [*refusals, *found.refusals])


class _Planner:
    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self.before, self.after = before, after
        self.difference = _part_retyped(compare(before, after))
        self.new = {item.on for item in self.difference.added if item.kind == "table"}
        self.gone = {item.on for item in self.difference.dropped if item.kind in _WHOLE}
        # What is cut before and after: one that becomes it is whole here.
        self.cut = {item.on for item in before.values() if item.kind == "table" and item.definition}
        self.refusals: list[tuple[str, str]] = []

    def plan(self) -> SchemaPlan:
        """All steps, in an order in which each finds what it needs."""
        steps = [
            *self._simple_added("schema", "extension"),
            *self._simple_dropped("security"),
            *self._simple_dropped("policy"),
            *self._filled_back(),
            *self._simple_dropped("trigger"),
            *self._constraints_dropped(),
            *self._indexes_dropped(),
            *self._functions(is_early=True),
            *self._tables(),
            *self._columns(),
            *self._functions(is_early=False),
            *self._constraints(),
            *plan_views(self.difference, self.before, self.after),
            *self._simple_added("trigger"),
            *self._replaced("trigger"),
            *self._filled(),
            *self._indexes(),
            *self._grants(is_early=True),
            *self._simple_added("policy"),
            *self._replaced("policy"),
            *self._simple_added("owner"),
            *self._grants(is_early=False),
            *self._simple_added("security"),
            *self._comments(),
            *self._views_dropped(),
            *self._columns_dropped(),
            *self._tables_dropped(),
            *self._simple_dropped("owner"),
            *self._functions_dropped(),
            *self._simple_dropped("extension", "schema"),
        ]
        return SchemaPlan(steps, self.refusals)

    def _added(self, kind: str) -> list[CatalogItem]:
        return [item for item in self.difference.added if item.kind == kind]

    def _dropped(self, kind: str) -> list[CatalogItem]:
        """What goes, without what goes with its table or function."""
        found = [item for item in self.difference.dropped if item.kind == kind]
        return [item for item in found if item.on not in self.gone or kind in _WHOLE]

    def _changed(self, kind: str) -> list[tuple[CatalogItem, CatalogItem]]:
        return [pair for pair in self.difference.changed if pair[1].kind == kind]

    def _simple_added(self, *kinds: str) -> Iterator[PlannedStep]:
        for kind in kinds:
            for item in self._added(kind):
                yield PlannedStep((item.create,), (item.drop,))

    def _simple_dropped(self, *kinds: str) -> Iterator[PlannedStep]:
        for kind in kinds:
            for item in self._dropped(kind):
                yield PlannedStep((item.drop,), (item.create,))

    def _functions_dropped(self) -> Iterator[PlannedStep]:
        """Functions come again in one transaction with their owner, comment and grants."""
        for item in self._dropped("function"):
            own = [each for each in self.before.values() if each.on == item.on and each != item]
            said = [each.create for each in own if each.kind != "grant"]
            grants = _merge(each for each in own if each.name != _TO_ALL).values()
            given = [text for up, _ in grants for text in up]
            yield PlannedStep((item.drop,), (*_make_function(item, self.before), *said, *given))

    def _functions(self, *, is_early: bool) -> Iterator[PlannedStep]:
        """Functions that defaults call come before the tables; others may read these."""
        defaults = " ".join(
            item.definition for item in self.after.values() if item.kind == "column"
        )
        for item in self._added("function"):
            if (_bare_name(item) in defaults) is is_early:
                yield PlannedStep(_make_function(item, self.after), (item.drop,))
        for old, new in [] if is_early else self._changed("function"):
            yield PlannedStep((new.create,), (old.create,))

    def _tables(self) -> Iterator[PlannedStep]:
        for item in self._added("table"):
            yield PlannedStep((create_table(self.after, item),), (item.drop,))

    def _tables_dropped(self) -> Iterator[PlannedStep]:
        for item in self._dropped("table"):
            again = [create_table(self.before, item)]
            rest = [each for each in self.before.values() if each.on == item.on]
            again += [each.create for each in rest if each.create and not _is_inline(each)]
            yield PlannedStep((item.drop,), tuple(again), loses=item.name)

    def _columns(self) -> Iterator[PlannedStep]:
        """Formulas come behind the columns that they read."""
        added = [item for item in self._added("column") if item.on not in self.new]
        for item in added:
            if not _is_formula(item):
                yield from self._add_column(item)
        for old, new in self._changed("column"):
            yield from self._change_column(old, new)
        for item in filter(_is_formula, added):
            yield from self._add_column(item)

    def _add_column(self, item: CatalogItem) -> Iterator[PlannedStep]:
        facts, alter = Facts.of(item), f"ALTER TABLE {item.on}"
        is_filled = facts.default is not None and not facts.generated
        is_quick = not is_filled or _CONSTANT.fullmatch(facts.default or "") is not None
        if is_quick and (is_filled or facts.identity or facts.generated or not facts.not_null):
            says = REWRITES.format(item.on) if facts.generated == "s" or facts.identity else ""
            add = f"{alter} ADD COLUMN {_write_column(item)}"
            yield PlannedStep((add,), (item.drop,), says=says)
            return
        text = _write_column(item, is_bare=True)
        yield PlannedStep((f"{alter} ADD COLUMN {text}",), (item.drop,))
        if is_filled:
            column = f"{alter} ALTER COLUMN {item.name}"
            default = f"{column} SET DEFAULT {facts.default}"
            yield PlannedStep((default,), (f"{column} DROP DEFAULT",))
            fill = f"UPDATE {item.on} SET {item.name} = DEFAULT WHERE {item.name} IS NULL"
            yield PlannedStep((fill,), batch=item.on)
        if facts.not_null:
            yield from set_not_null(item.on, item.name)

    def _change_column(self, old: CatalogItem, new: CatalogItem) -> Iterator[PlannedStep]:
        before, after = Facts.of(old), Facts.of(new)
        column = f"ALTER TABLE {new.on} ALTER COLUMN {new.name}"
        is_fixed = (before.generated, before.collation) == (after.generated, after.collation)
        is_same = not after.generated or before.default == after.default
        if not is_fixed or not is_same or not is_free(before.type, after.type):
            self._refuse_type(new, before, after)
            return
        formula = self._find_formula(old) if before.type != after.type else None
        if formula is not None:
            what = f"{new.on}.{new.name} cannot become {after.type} in place, as {formula.name} reads it"
            made = _write_column(self.after.get(formula.id, formula))
            steps = f"ALTER COLUMN {new.name} TYPE {after.type}, ADD COLUMN {made}"
            alter = f"ALTER TABLE {new.on} DROP COLUMN {formula.name}, {steps}"
            recipe = write_formula(formula.name, self._retype(old, alter))
            self.refusals.append((what, recipe))
            return
        if before.type != after.type:
            # The way back reads all rows under a lock, and fails where a value no longer fits.
            up, down = (
                tuple(self._retype(old, f"{column} TYPE {facts.type}")) for facts in (after, before)
            )
            yield PlannedStep(up, down, moves=(_close(new),))
        if before.identity != after.identity:
            yield from _change_identity(column, old, new)
        if before.default != after.default:
            yield PlannedStep((_set_default(column, after),), (_set_default(column, before),))
        if after.not_null and not before.not_null:
            yield from set_not_null(new.on, new.name)
        elif before.not_null and not after.not_null:
            yield PlannedStep((f"{column} DROP NOT NULL",), (f"{column} SET NOT NULL",))

    def _retype(self, old: CatalogItem, alter: str) -> Iterator[str]:
        """An ALTER of a type, around which goes what the server lets nobody retype a column under."""
        named = _match_name(old.name)
        found = [each for each in self.before.values() if each.id in self.after]
        own = [each for each in found if each.kind in {"policy", "trigger"} and each.on == old.on]
        own = [each for each in own if named.search(each.create)]
        views = find_readers(self.before, old.on, named)
        yield from make_around(
            views,
            self.before,
            [*(each.drop for each in own), alter, *(each.create for each in own)],
        )

    def _find_formula(self, old: CatalogItem) -> CatalogItem | None:
        """A formula that reads a column."""
        named = _match_name(old.name)
        own = [each for each in self.before.values() if each.kind == "column" and each.on == old.on]
        made = [each for each in own if _is_formula(each) and each.id != old.id]
        return next((each for each in made if named.search(Facts.of(each).default or "")), None)

    def _refuse_type(self, item: CatalogItem, before: Facts, after: Facts) -> None:
        one, other = (facts.type for facts in (before, after))
        what = f"{item.on}.{item.name} cannot become {other} from {one} in place"
        if one == other:
            what = f"{item.on}.{item.name} cannot get another formula or collation in place"
        recipe = write_recipe(item.on, item.name, other)
        if before.generated or after.generated:
            alter = f"ALTER TABLE {item.on} DROP COLUMN {item.name}"
            recipe = write_formula(item.name, [f"{alter}, ADD COLUMN {_write_column(item)}"])
        self.refusals.append((what, recipe))

    def _columns_dropped(self) -> Iterator[PlannedStep]:
        for item in sorted(self._dropped("column"), key=_is_formula, reverse=True):
            again = f"ALTER TABLE {item.on} ADD COLUMN {_write_column(item)}"
            said = f"COMMENT ON COLUMN {item.on}.{item.name} IS "
            texts = [each.create for each in self._dropped("comment")]
            comments = [text for text in texts if text.startswith(said)]
            is_made = Facts.of(item).generated
            loses = "" if is_made else f"{item.on}.{item.name}"
            yield PlannedStep((item.drop,), (again, *comments), loses=loses, moves=(_close(item),))

    def _constraints(self) -> Iterator[PlannedStep]:
        added = self._added("constraint")
        added = [each for each in added if each.on not in self.new or not _is_inline(each)]
        for item in sorted(added, key=_is_foreign_key):
            if item.on in self.cut and item.on not in self.new:
                yield from self._add_to_cut(item)
            else:
                yield from add_constraint(item)
        for old, new in self._changed("constraint"):
            if new.on in self.cut and not new.definition.startswith("CHECK"):
                self._refuse_key(new)
            else:
                yield from replace_constraint(old, new)

    def _add_to_cut(self, item: CatalogItem) -> Iterator[PlannedStep]:
        if _is_foreign_key(item):
            yield PlannedStep((item.create,), (item.drop,), is_each=True)
        elif item.definition.startswith("CHECK"):
            yield from add_constraint(item)
        else:
            self._refuse_key(item)

    def _refuse_key(self, item: CatalogItem) -> None:
        what = f"{item.on}, which is cut, cannot get the key {item.definition} while it is in use"
        recipe = "Give it a unique index with these columns, or another table that is cut."
        self.refusals.append((what, recipe))

    def _constraints_dropped(self) -> Iterator[PlannedStep]:
        found = self._dropped("constraint")
        for item in sorted(found, key=lambda item: not _is_foreign_key(item)):
            yield PlannedStep((item.drop,), (item.create,))

    def _indexes(self) -> Iterator[PlannedStep]:
        for item in self._added("index"):
            if item.on in self.new:
                yield PlannedStep((item.create,), (item.drop,))
            else:
                yield self._make_index(item, item.create, item.name)
        for old, new in self._changed("index"):
            name = old.name.rpartition(".")[2]
            spare = name_spare(name)
            create = new.create.replace(f" {name} ON ", f" {spare} ON ", 1)
            place = old.name.removesuffix(name) + spare
            yield self._make_index(new, create, place)
            yield self._drop_index(old)
            yield PlannedStep(
                (f"ALTER INDEX {place} RENAME TO {name}",),
                (f"ALTER INDEX {old.name} RENAME TO {spare}",),
            )

    def _make_index(self, item: CatalogItem, create: str, place: str) -> PlannedStep:
        """An index beside writers; of a table that is cut, partition by partition."""
        if item.on in self.cut:
            whole = create.replace(" ON ONLY ", " ON ", 1)
            return PlannedStep((whole,), (f"DROP INDEX IF EXISTS {place}",), is_each=True)
        return add_index(create, place)

    def _drop_index(self, item: CatalogItem) -> PlannedStep:
        made = self._make_index(item, item.create, item.name)
        return PlannedStep(made.down, made.up, is_each_back=made.is_each)

    def _indexes_dropped(self) -> Iterator[PlannedStep]:
        for item in self._dropped("index"):
            yield self._drop_index(item)

    def _views_dropped(self) -> Iterator[PlannedStep]:
        """What the steps before have not dropped: readers before those that they read."""
        gone = find_dropped(self.difference, self.before, self.after)
        left = [item for item in self._dropped("view") if item.id not in gone]
        for item in reversed(order_views(left)):
            yield PlannedStep((item.drop,), (item.create,))

    def _filled(self) -> Iterator[PlannedStep]:
        """What is copied comes behind its triggers, so that no row that is written meanwhile lacks it."""
        for item, fill in _list_fills(self.before, self.after):
            if item.on not in self.new:
                yield PlannedStep((fill,), batch=item.on)

    def _filled_back(self) -> Iterator[PlannedStep]:
        """The same on the way back, where columns or functions of copies were others."""
        for item, fill in _list_fills(self.after, self.before):
            if item.on not in self.gone:
                yield PlannedStep((), (fill,), batch_back=item.on)

    def _replaced(self, kind: str) -> Iterator[PlannedStep]:
        """What is dropped and made again in one transaction, so that nobody sees it gone."""
        for old, new in self._changed(kind):
            yield PlannedStep((old.drop, new.create), (new.drop, old.create))

    def _grants(self, *, is_early: bool) -> Iterator[PlannedStep]:
        """Grants of one object to one role are one step, in which those that go come first.

        REVOKE of a table takes the grants of its columns along. What new functions are granted comes
        early: policies call them, for whoever reads the table from that moment on.
        """
        functions = {item.on for item in self._added("function")}
        added = [
            item
            for item in self._added("grant")
            if item.on not in functions or item.name != _TO_ALL
        ]
        given, taken = _merge(added), _merge(self._dropped("grant"))
        for place in dict.fromkeys([*given, *taken]):
            (grant, revoke), (back, take) = given.get(place, ((), ())), taken.get(place, ((), ()))
            if is_early is not (place[0].startswith("FUNCTION ") and place not in taken):
                continue
            yield PlannedStep((*take, *grant), (*revoke, *back))

    def _comments(self) -> Iterator[PlannedStep]:
        said = [(item.create, item.drop) for item in self._added("comment")]
        said += [(new.create, old.create) for old, new in self._changed("comment")]
        said += [(item.drop, item.create) for item in self._dropped("comment")]
        said = [pair for pair in said if not self._is_of_dropped(pair[0])]
        if said:
            yield PlannedStep(tuple(up for up, _ in said), tuple(down for _, down in said))

    def _is_of_dropped(self, statement: str) -> bool:
        columns = {f"COLUMN {item.on}.{item.name} IS " for item in self._dropped("column")}
        return any(text in statement for text in columns)


def _part_retyped(difference: CatalogDifference) -> CatalogDifference:
    """What differs, where a column gets another type: its checks and indexes go before, come after.

    The server writes their casts anew with the type; on the way back they would be others.
    """
    columns = [pair for pair in difference.changed if pair[1].kind == "column"]
    tables = {new.on for old, new in columns if Facts.of(old).type != Facts.of(new).type}
    parted = [
        pair for pair in difference.changed if pair[1].kind in UNNAMED and pair[1].on in tables
    ]
    return CatalogDifference(
        difference.added + [new for _, new in parted],
        difference.dropped + [old for old, _ in parted],
        [pair for pair in difference.changed if pair not in parted],
    )


def create_table(snapshot: Snapshot, table: CatalogItem) -> str:
    """The CREATE TABLE of a snapshot's table, with its columns and keys; not its foreign keys."""
    own = [item for item in snapshot.values() if item.on == table.on]
    columns = [item for item in own if item.kind == "column"]
    columns.sort(key=lambda item: Facts.of(item).place)
    lines = [_write_column(item) for item in columns]
    keys = [item for item in own if item.kind == "constraint" and _is_inline(item)]
    lines += [f"CONSTRAINT {item.name} {item.definition}" for item in keys]
    body = ",\n".join(f"    {line}" for line in lines)
    tail = f" {table.definition}" if table.definition else ""
    return f"CREATE TABLE {table.on} (\n{body}\n){tail}"


def _close(column: CatalogItem) -> str:
    """The mark that closes a load whose documents have values in this column."""
    return f"close {column.on}.{column.name}"


def _is_inline(item: CatalogItem) -> bool:
    return item.kind in {"table", "column"} or (
        item.kind == "constraint" and not _is_foreign_key(item)
    )


def _match_name(name: str) -> re.Pattern[str]:
    """Finds a name in SQL, where it stands as the catalog writes it."""
    return re.compile(rf"(?<![\w\"]){re.escape(name)}(?![\w\"])")


def _is_formula(column: CatalogItem) -> bool:
    return bool(Facts.of(column).generated)


def _is_foreign_key(item: CatalogItem) -> bool:
    return item.definition.startswith("FOREIGN KEY")


def _write_column(item: CatalogItem, *, is_bare: bool = False) -> str:
    facts = Facts.of(item)
    text = f"{item.name} {facts.type}"
    if facts.collation:
        text += f" COLLATE {facts.collation}"
    if is_bare:
        return text
    if facts.identity:
        text += f" GENERATED {'ALWAYS' if facts.identity == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif facts.generated:
        kind = "STORED" if facts.generated == "s" else "VIRTUAL"
        text += f" GENERATED ALWAYS AS ({facts.default}) {kind}"
    elif facts.default is not None:
        text += f" DEFAULT {facts.default}"
    return f"{text} NOT NULL" if facts.not_null else text


def _set_default(column: str, facts: Facts) -> str:
    return (
        f"{column} DROP DEFAULT"
        if facts.default is None
        else f"{column} SET DEFAULT {facts.default}"
    )


def _change_identity(column: str, old: CatalogItem, new: CatalogItem) -> Iterator[PlannedStep]:
    before, after = Facts.of(old).identity, Facts.of(new).identity
    kinds = {"a": "ALWAYS", "d": "BY DEFAULT"}
    if not before:
        start = (
            f"SELECT setval(pg_get_serial_sequence('{new.on}', '{new.name.strip(chr(34))}'),"
            f" greatest(max({new.name}), 1), coalesce(max({new.name}) >= 1, false)) FROM {new.on}"
        )
        add = f"{column} ADD GENERATED {kinds[after]} AS IDENTITY"
        yield PlannedStep((add, start), (f"{column} DROP IDENTITY IF EXISTS",))
    elif not after:
        add = f"{column} ADD GENERATED {kinds[before]} AS IDENTITY"
        yield PlannedStep((f"{column} DROP IDENTITY IF EXISTS",), (add,))
    else:
        yield PlannedStep(
            (f"{column} SET GENERATED {kinds[after]}",),
            (f"{column} SET GENERATED {kinds[before]}",),
        )


def _list_fills(before: Snapshot, after: Snapshot) -> Iterator[tuple[CatalogItem, str]]:
    """The triggers that copy otherwise than before, with the UPDATE that lets each copy in all rows."""
    for item in after.values():
        match = _COPY.fullmatch(item.create) if item.kind == "trigger" else None
        if match is None:
            continue
        column, function = match.groups()
        ids = item.id, ("function", function, function)
        if any(before.get(each) != after.get(each) for each in ids):
            yield item, f"UPDATE {item.on} SET {column} = {column}"


def _bare_name(function: CatalogItem) -> str:
    return function.name.partition("(")[0]


def _make_function(item: CatalogItem, snapshot: Snapshot) -> tuple[str, ...]:
    """A function, which in the same moment PUBLIC loses, unless it has it there."""
    if ("grant", item.on, _TO_ALL) in snapshot:
        return (item.create,)
    word = item.drop.split(" ")[1]
    return item.create, f"REVOKE ALL ON {word} {item.name} FROM PUBLIC"


def _merge(
    grants: Iterable[CatalogItem],
) -> dict[tuple[str, str], tuple[tuple[str, ...], tuple[str, ...]]]:
    """By object and role GRANT and REVOKE of all privileges that the role has on it."""
    found = defaultdict[tuple[str, str], list[str]](list)
    for item in grants:
        if match := _GRANT.fullmatch(item.create):
            privilege, on, role = match.groups()
            found[on, role].append(privilege)
    listed = {place: ", ".join(_order(privileges)) for place, privileges in found.items()}
    return {
        (on, role): (
            (f"GRANT {text} ON {on} TO {role}",),
            (f"REVOKE {text} ON {on} FROM {role}",),
        )
        for (on, role), text in listed.items()
    }


def _order(privileges: Sequence[str]) -> list[str]:
    known = ("SELECT", "INSERT", "UPDATE", "DELETE")
    return sorted(privileges, key=lambda each: (known.index(each) if each in known else 9, each))
