"""References by value: which fields hold the ids of documents of which collections."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from assise.infer.joins import FORMS, INTS, POINTER, Joins, Path, find_int, name_path
from assise.infer.names import is_reference_name, name_things

LEAST_SHARE = 50
"""Percent of the values that are ids of the other collection, where values join by themselves."""

LEAST_NAMED_SHARE = 90
"""The same for numbers and short texts, which join only where the name says so, too."""

LEAST_DIFFERENT = 2
"""Different ids that must be among the values where no name tells: one may come from a copy."""

LEAST_SPAN = 75
"""Percent of the range of the ids over which integers that refer to them must be spread.

Small integers are among those of any collection. Those of other things begin where these begin, and
end early or late; of seven that are drawn at random half have this span.
"""

LEAST_LEFT_SHARE = 50
"""Percent of the values beside a reference that are ids of others, where it is to several."""

LEAST_PART = 5
"""Percent of all values that are ids of others, where a reference is to several collections."""

PROBED = 50
"""Values that are looked up first: where none is an id, the others are not looked up."""


@dataclass(frozen=True)
class Match:
    """How many of the values of a path are `field` of documents of a collection.

    `span` is the percent of the range of these over which the values are spread, where it matters.
    `pointer` is the kind of values that name their class. `others` are the matches of the values
    that are no ids of this collection, where the reference is to documents of several.
    """

    collection: str
    field: str
    hits: int
    among: int
    is_named: bool
    is_whole: bool = True
    span: int = 100
    pointer: str = ""
    others: tuple[Match, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether the values are so by more than chance."""
        return self.span >= LEAST_SPAN

    @property
    def evidence(self) -> str:
        """The match in words: `59 of 60 values are users._id`."""
        values = "values" if self.is_whole else "values looked at"
        found = f"{self.hits:,} of {self.among:,} {values} are {self.collection}.{self.field}"
        if self.is_certain:
            return found
        return f"{found}, but within {self.span} % of their range: perhaps by chance"


Matches = dict[tuple[str, Path], list[Match]]
"""Collection and path -> what its values are, the best match first."""


def find_references(joins: Mapping[str, Joins]) -> Matches:
    """The references between collections, for each path of each the best matches."""
    found: Matches = defaultdict(list)
    minor: Matches = defaultdict(list)
    values = {name: _group(sampled) for name, sampled in joins.items()}
    things = name_things(joins)
    for collection, target in joins.items():
        for field, ids in target.ids.items():
            numbers = frozenset(ids.numbers)
            for other, groups in values.items():
                for (path, is_telling, pointer), group in groups.items():
                    if not numbers or (other, path) == (collection, (field,)):
                        continue
                    is_pointed = pointer == f"{POINTER}{collection})" and field == "_id"
                    if pointer and not is_pointed:
                        continue
                    is_named = is_reference_name(name_path(path), things[collection], field)
                    below = [value for value in group if value < ids.bound]
                    least = LEAST_SHARE if is_telling else LEAST_NAMED_SHARE
                    match = _compare(
                        (collection, field),
                        below,
                        numbers,
                        is_telling=is_telling,
                        is_named=is_named or is_pointed,
                    )
                    if match is not None:
                        is_whole = joins[other].is_whole
                        ints = joins[other].samples.get((path, INTS.kind), ())
                        span = _find_span(numbers.intersection(ints), numbers)
                        match = replace(match, is_whole=is_whole, span=span, pointer=pointer)
                        is_most = 100 * match.hits >= least * match.among
                        (found if is_most else minor)[other, path].append(match)
    for (other, path), matches in {**minor, **found}.items():
        best, *rest = sorted(matches, key=_rank)
        others = _find_others(best, values[other].get((path, True, ""), []), joins)
        if (other, path) in found:
            found[other, path] = [replace(best, others=others), *rest]
        elif 100 * sum(match.hits for match in (best, *others)) >= LEAST_SHARE * best.among:
            found[other, path] = [replace(best, others=others)]
    return found


def _find_others(best: Match, values: list[int], joins: Mapping[str, Joins]) -> tuple[Match, ...]:
    """The collections of which the values are ids that the best match leaves, where most are.

    A collection that has most of the best one's ids as well is a copy of it.
    """
    own = joins[best.collection].ids[best.field]
    numbers, values = frozenset(own.numbers), [value for value in values if value < own.bound]
    left = [value for value in values if value not in numbers]
    known = numbers.intersection(values)
    found: list[Match] = []
    for name, target in joins.items():
        if left and name != best.collection and "_id" in target.ids:
            ids = frozenset(target.ids["_id"].numbers)
            hits = sum(value in ids for value in left)
            is_copy = 2 * len(known & ids) > len(known)
            found += [replace(best, collection=name, field="_id", hits=hits)] * (
                hits and not is_copy
            )
    joined = 100 * sum(match.hits for match in found)
    is_part = joined >= LEAST_LEFT_SHARE * len(left) and joined >= LEAST_PART * len(values)
    return tuple(sorted(found, key=_rank)) if is_part else ()


def _group(joins: Joins) -> dict[tuple[Path, bool, str], list[int]]:
    """The values of each path: those that join by themselves, and the others.

    Those that name a class are a group of their own, and are left out where there are others, too.
    """
    found: dict[tuple[Path, bool, str], list[int]] = defaultdict(list)
    for (path, form), numbers in joins.samples.items():
        pointer = form if form.startswith(POINTER) else ""
        found[path, bool(pointer) or FORMS[form].is_telling, pointer] += numbers
    paths = Counter(path for path, _, _ in found)
    return {key: values for key, values in found.items() if not key[2] or paths[key[0]] == 1}


def _compare(
    target: tuple[str, str],
    values: list[int],
    ids: frozenset[int],
    *,
    is_telling: bool,
    is_named: bool,
) -> Match | None:
    if not values or not (is_named or is_telling):
        return None
    if not is_named and ids.isdisjoint(values[:PROBED]):
        return None
    hits = [value for value in values if value in ids]
    if not hits or not (is_telling or 100 * len(hits) >= LEAST_NAMED_SHARE * len(values)):
        return None
    if not is_named and len({*hits}) < LEAST_DIFFERENT:
        return None
    return Match(*target, len(hits), len(values), is_named)


def _find_span(ints: frozenset[int], ids: frozenset[int]) -> int:
    """The percent of the range of ids over which integers among them are spread."""
    if not ints:
        return 100
    return 100 * _find_width(ints) // _find_width(ids)


@lru_cache(maxsize=2)
def _find_width(numbers: frozenset[int]) -> int:
    values = list(map(find_int, numbers))
    return max(values) - min(values) + 1


def _rank(match: Match) -> tuple[bool, bool, float, bool, str]:
    return (
        not match.is_named,
        not match.is_certain,
        -match.hits / match.among,
        match.field != "_id",
        match.collection,
    )


def choose_match(matches: Sequence[Match]) -> Match | None:
    """The match that a reference is made of; None where two are as good, and no name tells."""
    first, *others = matches
    rivals = [match for match in others if _rank(match)[:4] == _rank(first)[:4]]
    return None if rivals and not first.is_named else first
