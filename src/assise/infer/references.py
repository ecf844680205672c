"""References by value: which fields hold the ids of documents of which collections."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

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


_Place = tuple[str, Path]
"""A collection and a path."""

_Groups = dict[tuple[Path, bool, str], list[int]]
"""What `_group` gives."""

Matches = dict[_Place, list[Match]]
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
                        is_most = not is_telling or 100 * match.hits >= LEAST_SHARE * match.among
                        (found if is_most else minor)[other, path].append(match)
    ranked = {place: sorted(matches, key=_rank) for place, matches in {**minor, **found}.items()}
    others = _find_others({place: best for place, (best, *_) in ranked.items()}, values, joins)
    for place, (best, *rest) in ranked.items():
        match = replace(best, others=others.get(place, ()))
        if place in found:
            found[place] = [match, *rest]
        elif 100 * sum(each.hits for each in (match, *match.others)) >= LEAST_SHARE * match.among:
            found[place] = [match]
    return found


class _Split(NamedTuple):
    """The values of a place: different ones that are ids of the best match, and the others."""

    known: frozenset[int]
    left: list[int]
    total: int


def _find_others(
    bests: Mapping[_Place, Match], values: Mapping[str, _Groups], joins: Mapping[str, Joins]
) -> dict[_Place, tuple[Match, ...]]:
    """Of which collections the values are ids that the best match of a place leaves, if most are.

    A collection that has most of the best one's ids as well is a copy of it.
    """
    split = _split(bests, values, joins)
    found: Matches = defaultdict(list)
    for name, target in joins.items():
        ids = frozenset(target.ids["_id"].numbers if split and "_id" in target.ids else ())
        for place, (known, left, _) in split.items():
            hits = sum(value in ids for value in left)
            is_copy = 2 * len(known & ids) > len(known)
            if hits and not is_copy and name != bests[place].collection:
                found[place].append(replace(bests[place], collection=name, field="_id", hits=hits))
    others = {}
    for place, matches in found.items():
        joined = 100 * sum(match.hits for match in matches)
        _, left, total = split[place]
        if joined >= LEAST_LEFT_SHARE * len(left) and joined >= LEAST_PART * total:
            others[place] = tuple(sorted(matches, key=_rank))
    return others


def _split(
    bests: Mapping[_Place, Match], values: Mapping[str, _Groups], joins: Mapping[str, Joins]
) -> dict[_Place, _Split]:
    """The values of the places whose best match leaves some."""
    places = defaultdict(list)
    for place, best in bests.items():
        places[best.collection, best.field].append(place)
    found = {}
    for (collection, field), of_target in places.items():
        own = joins[collection].ids[field]
        ids = frozenset(own.numbers)
        for other, path in of_target:
            below = [each for each in values[other].get((path, True, ""), ()) if each < own.bound]
            left = [each for each in below if each not in ids]
            if left:
                found[other, path] = _Split(ids.intersection(below), left, len(below))
    return found


def _group(joins: Joins) -> _Groups:
    """The values of each path: those that join by themselves, and the others.

    Those that name a class are a group of their own, and are left out where there are others, too.
    """
    found: _Groups = defaultdict(list)
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
