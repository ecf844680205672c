"""Columns whose type does not hold the values of the source, and the type that would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assise.documents.kinds import KINDS
from assise.infer.fields import choose_for_all
from assise.infer.readings import INTS, NUMBERS, ColumnChoice
from assise.manifest.layout import ColumnLayout, Layout
from assise.rows.columns import ColumnCount, ColumnCounts
from assise.types.codec import Codec
from assise.types.names import read_modifiers
from assise.types.table import PROPOSED, default_kind, find_codec, is_array

PERCENT = 99
"""A column that holds less of its values is told."""

FINDING_PERCENT = 90
"""A column that holds less is a finding: infer proposes none that does."""

_ANYTHING = "type: jsonb"

_INTS = ("int2", "int4", "int8")
_STRINGS = [("numeric", "text"), ("date", "text"), ("uuid", "hex"), ("uuid", "uuid_text")]
_STRINGS += [("timestamptz", "iso"), ("timestamptz", "iso3")]
_TEXTS = ("text", "varchar", "citext")

_HOME = {choice: frozenset({kind}) for kind, choice in PROPOSED.items()} | {
    **{(name, "int"): INTS for name in _INTS},
    **{(name, "double"): frozenset({"double"}) for name in (*_INTS, "float8")},
    **{choice: frozenset({"string"}) for choice in _STRINGS},
    **{(name, "string"): frozenset({"string"}) for name in _TEXTS},
    **{(name, "objectid"): frozenset({"objectId"}) for name in _TEXTS},
    ("numeric", "number"): NUMBERS,
    ("date", "date"): frozenset({"date"}),
}
"""A type without its modifier, and a kind -> the profile's kinds that are at home in it."""


@dataclass(frozen=True)
class Misfit:
    """A column that holds less than 99 % of its values, the nulls not counted.

    `held` of them stand in its cells, `extra` in `_extra` by kind; `unfit` are those kinds that the
    type holds, but not these values. `remedy` is what to write into the manifest so that all are
    held. With `is_sample` these are only those of samples.
    """

    table: str
    column: str
    type: str
    kind: str
    held: int
    extra: Mapping[str, int]
    unfit: tuple[str, ...]
    remedy: str
    is_sample: bool = False

    @property
    def values(self) -> int:
        """How many values the column has in the source."""
        return self.held + sum(self.extra.values())

    @property
    def is_finding(self) -> bool:
        """Whether it is less than 90 %, so that the command ends with exit code 3."""
        return 100 * self.held < FINDING_PERCENT * self.values

    def describe(self) -> str:
        """The misfit in one line."""
        is_usual = self.kind == default_kind(self.type)
        shown = self.type if is_usual else f"{self.type} of kind {self.kind}"
        noun = "sampled values" if self.is_sample else "values"
        fit = "fits" if self.held == 1 else "fit"
        why = ", ".join(self._list_kinds())
        what_else = f"`{self.remedy}` would hold all"
        if self.remedy == _ANYTHING and not self.is_finding:
            what_else = "the others stand in _extra"
        return (
            f"{self.table}.{self.column}: {self.held:,} of {self.values:,} {noun} {fit} {shown}"
            f" ({why}); {what_else}"
        )

    def _list_kinds(self) -> Iterator[str]:
        for kind, count in sorted(self.extra.items(), key=lambda pair: (-pair[1], pair[0])):
            number = f" {count:,}" if len(self.extra) > 1 else ""
            yield f"{kind}{number}{' that does not fit' if kind in self.unfit else ''}"

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        facts = {**vars(self), "extra": dict(self.extra), "unfit": list(self.unfit)}
        return {**facts, "is_finding": self.is_finding}


def find_misfits(
    counts: ColumnCounts, layout: Layout, *, is_sample: bool = False
) -> Iterator[Misfit]:
    """Find the columns that hold less than 99 % of their values, in the layout's order."""
    for table, columns in layout.tables.items():
        for name, column in columns.columns.items():
            count = counts.get(table, {}).get(name)
            if count is None:
                continue
            extra = count.left_out
            if 100 * count.held < PERCENT * (count.held + sum(extra.values())):
                yield Misfit(
                    table,
                    name,
                    column.type,
                    column.kind,
                    count.held,
                    extra,
                    tuple(sorted(extra.keys() & _list_taken(column, layout.rules))),
                    _find_remedy(column, count, layout.rules),
                    is_sample,
                )


def _list_taken(column: ColumnLayout, rules: int) -> set[str]:
    """The kinds of which the column holds some values."""
    return {KINDS[byte] for byte in _list_bytes(column.codec(rules))}


def _list_bytes(codec: Codec) -> set[int]:
    return {*codec.encode, *codec.read}


def _find_remedy(column: ColumnLayout, count: ColumnCount, rules: int) -> str:
    """Return the type, and where it must be said the kind, that holds all values."""
    kinds = {*count.left_out}
    choice: ColumnChoice | None = None
    if not is_array(column.type):
        base, _ = read_modifiers(column.type)
        home = _HOME.get((base, column.kind))
        if not count.held:
            choice = choose_for_all(kinds)
        elif home is not None:
            choice = choose_for_all(kinds | home)
    if choice is None or (choice.type, choice.kind) == (column.type, column.kind):
        return _ANYTHING
    if count.read:
        taken = _list_bytes(find_codec(choice.type, choice.kind))
        if not taken >= _list_bytes(column.codec(rules)):
            return _ANYTHING
    is_usual = choice.kind == default_kind(choice.type)
    return f"type: {choice.type}" if is_usual else f"type: {choice.type}, kind: {choice.kind}"
