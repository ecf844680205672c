"""References of several fields by value: the rows that a unique index of several fields tells apart.

The values of such an index are one number for each document. Of other documents a sample is taken of
the fields that answer to the index by their names.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Self

from assise.documents.reader import NOT_BSON, elements
from assise.infer.joins import (
    BOUND,
    FACTOR,
    MOST_SAMPLES,
    SAMPLED_BYTES,
    KeptNumbers,
    list_numbers,
    pack_numbers,
    read_value,
    step_over,
    unpack_numbers,
)
from assise.infer.names import is_reference_name, name_things
from assise.infer.unfit import list_unfit

IndexFields = tuple[str, ...]

LEAST_SHARE = 90
"""Percent of the values that are rows of the other collection: they join only where names say so."""


class Correspondence(NamedTuple):
    """The `fields` of a unique index of a collection, and the `own` ones that answer to them."""

    collection: str
    fields: IndexFields
    own: IndexFields


FindAnswers = Callable[[IndexFields], Sequence[Correspondence]]
"""Takes the names of the fields of a document, in order of the alphabet."""


class Composite(NamedTuple):
    """How many of the values that answer are those of a row of the other collection."""

    answer: Correspondence
    hits: int
    among: int
    is_whole: bool

    @property
    def evidence(self) -> str:
        """The match in words: `40 of 40 values of tenant and number are in invoices`."""
        values = "values" if self.is_whole else "values looked at"
        fields = ", ".join(self.answer.own)
        return (
            f"{self.hits:,} of {self.among:,} {values} of {fields} are in {self.answer.collection}"
        )


Matched = Mapping[tuple[str, Correspondence], Composite]
"""Collection and answer -> the reference."""


@dataclass
class Composites:
    """The values of the unique indexes of one collection, or of one chunk of it, and samples.

    Args:
        fields: those of its unique indexes of several fields.
        find_answers: which fields of a document answer to indexes of others; None where none has one.
        unique: the paths of all its unique indexes.
        unfit: of these paths, the kinds of values that no cell holds.
    """

    fields: Sequence[IndexFields] = ()
    find_answers: FindAnswers | None = None
    unique: Sequence[str] = ()
    unfit: dict[str, set[int]] = field(default_factory=dict)
    ids: dict[IndexFields, KeptNumbers] = field(default_factory=dict)
    samples: dict[Correspondence, array[int]] = field(default_factory=dict)

    def add_all(self, documents: Sequence[bytes]) -> None:
        """Add the documents of a chunk."""
        for fields in self.fields:
            numbers = list(_list_numbers(documents, fields))
            self.ids.setdefault(fields, KeptNumbers()).add(numbers, total=len(numbers))
        for path in self.unique:
            self.unfit.setdefault(path, set()).update(list_unfit(documents, path))
        for raw in step_over(documents) if self.find_answers else ():
            if len(raw) <= SAMPLED_BYTES:
                self._sample(raw, self.find_answers)

    def _sample(self, raw: bytes, find_answers: FindAnswers | None) -> None:
        names = tuple(sorted(_read_fields(raw)))
        for answer in find_answers(names) if find_answers else ():
            numbers = self.samples.setdefault(answer, array("Q"))
            if len(numbers) < MOST_SAMPLES:
                numbers.extend(_read_number(raw, answer.own))

    def merge(self, other: Composites) -> None:
        """Add those of the documents that come after."""
        for fields, ids in other.ids.items():
            own = self.ids.setdefault(fields, KeptNumbers())
            own.add(ids.numbers, total=ids.total, bound=ids.bound)
        for path, kinds in other.unfit.items():
            self.unfit.setdefault(path, set()).update(kinds)
        for answer, numbers in other.samples.items():
            kept = self.samples.setdefault(answer, array("Q"))
            kept.extend(numbers[: MOST_SAMPLES - len(kept)])

    def as_json(self) -> dict[str, object]:
        """Return them as values that JSON can hold."""
        ids = [
            [each, pack_numbers(found.numbers), found.bound, found.total]
            for each, found in self.ids.items()
        ]
        samples = [[*answer, pack_numbers(numbers)] for answer, numbers in self.samples.items()]
        unfit = {path: sorted(kinds) for path, kinds in self.unfit.items() if kinds}
        return {"ids": ids, "samples": samples, "unfit": unfit}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return what `as_json` described."""
        composites = cls()
        for fields, numbers, bound, total in found["ids"]:
            composites.ids[tuple(fields)] = KeptNumbers(unpack_numbers(numbers), bound, total)
        for collection, fields, own, numbers in found["samples"]:
            answer = Correspondence(collection, tuple(fields), tuple(own))
            composites.samples[answer] = unpack_numbers(numbers)
        composites.unfit = {path: {*kinds} for path, kinds in found["unfit"].items()}
        return composites


def _list_numbers(documents: Sequence[bytes], fields: IndexFields) -> Iterator[int]:
    """The numbers of the documents that have all of the fields."""
    columns = [list_numbers(documents, name) for name in fields]
    if all(len(column) == len(documents) for column in columns):
        for values in zip(*columns, strict=True):
            yield _join(values)
        return
    for raw in documents:
        yield from _read_number(raw, fields)


def _join(values: Iterable[int]) -> int:
    number = 0
    for value in values:
        number = (number * FACTOR + value) % BOUND
    return number


def _read_fields(raw: bytes) -> dict[str, tuple[int, int]]:
    """The fields of a document: the kind and the place of each value; none of what is not BSON."""
    with suppress(*NOT_BSON):
        return {key.decode(errors="replace"): (kind, p) for kind, key, p, _ in elements(raw)}
    return {}


def _read_number(raw: bytes, names: IndexFields) -> Iterator[int]:
    """One number of the values of these fields, if each is of a form that joins."""
    found = _read_fields(raw)
    read = [read_value(raw, *found[name]) for name in names if name in found]
    values = [each[1] for each in read if each is not None]
    if len(values) == len(names):
        yield _join(values)


def make_finder(
    composites: Mapping[str, Sequence[IndexFields]], collection: str
) -> FindAnswers | None:
    """Make what finds the fields of a collection's documents that answer to others' indexes.

    A field answers to one by its name, `invoiceNumber` to `number` of `invoices`; where one does so,
    the others may have the same name in both, such as `tenantId`.
    """
    things = name_things(composites)
    wanted = [
        (name, fields) for name, each in composites.items() for fields in each if name != collection
    ]

    @lru_cache(maxsize=1_000)
    def find_answers(names: IndexFields) -> list[Correspondence]:
        answers = []
        for name, fields in wanted:
            own = tuple(_find_answer(names, things[name], each) for each in fields)
            if all(own) and own != fields:
                answers.append(Correspondence(name, fields, own))
        return answers

    return find_answers if wanted else None


def _find_answer(names: IndexFields, thing: str, field_name: str) -> str:
    others = (name for name in names if name != field_name)
    named = (name for name in others if is_reference_name(name, thing, field_name))
    return next(named, field_name if field_name in names else "")


def find_composites(composites: Mapping[str, Composites], whole: Mapping[str, bool]) -> Matched:
    """The references of several fields; `whole` says of which collections all were looked at."""
    found: dict[tuple[str, Correspondence], Composite] = {}
    for collection, own in composites.items():
        for answer, numbers in own.samples.items():
            ids = composites[answer.collection].ids.get(answer.fields, KeptNumbers())
            known, below = frozenset(ids.numbers), [each for each in numbers if each < ids.bound]
            hits = sum(number in known for number in below)
            if hits and 100 * hits >= LEAST_SHARE * len(below):
                found[collection, answer] = Composite(answer, hits, len(below), whole[collection])
    return found
