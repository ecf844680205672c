"""The shape of a query, and the index that would serve it: equality, sort, range.

The order is that of https://www.mongodb.com/docs/manual/tutorial/equality-sort-range-guideline/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

from assise.collections.indexes import IndexKey, write_pairs
from assise.mongo.source import JsonObject

MAX_BRANCHES = 8
"""Branches of `$or` for which indexes are suggested."""

MAX_FIELDS = 16
_EQUAL = frozenset({"$eq", "$in"})
_RANGES = frozenset({"$gt", "$gte", "$lt", "$lte", "$ne", "$nin", "$exists", "$regex", "$type"})
_NEAR = frozenset({"$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$within"})
_MOST_LEVELS = 20


@dataclass(frozen=True)
class QueryShape:
    """A query without its values: what is done, where, and by which fields."""

    namespace: str
    act: str
    filter: str
    sort: str = ""

    @property
    def collection(self) -> str:
        """The collection, without the database."""
        return self.namespace.partition(".")[2]

    @property
    def words(self) -> str:
        """The shape for people: `find shop.users {email: ?} sort {created_at: -1}`."""
        sort = f" sort {self.sort}" if self.sort else ""
        return f"{self.act} {self.namespace} {self.filter}{sort}"


@dataclass(frozen=True)
class Predicates:
    """The fields of one branch of a filter, by what is asked of them."""

    equal: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    text: bool = False


@dataclass(frozen=True)
class Asked:
    """A query as a server wrote it down: its shape, its predicates and its sort."""

    shape: QueryShape
    branches: tuple[Predicates, ...]
    sort: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class IndexAdvice:
    """An index that would serve a query, and why its fields stand in this order."""

    key: IndexKey
    reason: str

    @property
    def words(self) -> str:
        """The index for the manifest: `[user_id, -created_at]`."""
        *first, (last, kind) = self.key
        if kind == "2dsphere":
            return f'{{columns: {_write_list(first)}, "2dsphere": {last}}}'
        return _write_field(last, kind) if not first else _write_list(self.key)


def _write_list(key: Iterable[tuple[str, int | str]]) -> str:
    texts = [_write_field(name, way) for name, way in key]
    return f"[{', '.join(texts)}]"


def _write_field(name: str, way: int | str) -> str:
    return f"-{name}" if way == -1 else name


def read_command(namespace: str, command: Mapping[str, object]) -> Asked | None:
    """The query of a command that a profiler or a log has; None where it reads nothing by a filter."""
    act, query, sort = _find_query(command)
    if not act:
        return None
    database = namespace.partition(".")[0]
    named = command.get(act)
    where = f"{database}.{named}" if isinstance(named, str) else namespace
    shape = QueryShape(where, act, describe_filter(query), _describe_sort(sort))
    branches = tuple(_list_branches(query))
    return Asked(shape, branches, sort)


def _find_query(
    command: Mapping[str, object],
) -> tuple[str, JsonObject, tuple[tuple[str, int], ...]]:
    for act, name in (("find", "filter"), ("count", "query"), ("distinct", "query")):
        if act in command:
            return act, _inside(command, name), _read_sort(_inside(command, "sort"))
    for act in ("findAndModify", "findandmodify"):
        if act in command:
            return act, _inside(command, "query"), _read_sort(_inside(command, "sort"))
    if "aggregate" in command:
        return "aggregate", *_read_pipeline(command.get("pipeline"))
    if isinstance(command.get("q"), dict):
        return ("update" if "u" in command else "delete"), _inside(command, "q"), ()
    return "", {}, ()


def _read_pipeline(pipeline: object) -> tuple[JsonObject, tuple[tuple[str, int], ...]]:
    """The filter and the sort at the head of a pipeline, which an index serves."""
    filters: list[object] = []
    for stage in pipeline if isinstance(pipeline, list) else ():
        match stage:
            case {"$match": dict(query)}:
                filters.append(query)
            case {"$sort": dict(sort)}:
                return {"$and": filters} if filters else {}, _read_sort(sort)
            case _:
                break
    return {"$and": filters} if filters else {}, ()


def describe_filter(query: object, depth: int = 0) -> str:
    """A filter with `?` in place of values.

    >>> describe_filter({"user": 7, "at": {"$gt": 1, "$lt": 9}})
    '{at: {$gt: ?, $lt: ?}, user: ?}'
    """
    if not isinstance(query, dict) or depth > _MOST_LEVELS:
        return "?"
    parts = []
    for name in sorted(query):
        inner = query[name]
        if name in {"$and", "$or", "$nor"} and isinstance(inner, list):
            shown = sorted({describe_filter(each, depth + 1) for each in inner})
            parts.append(f"{name}: [{', '.join(shown)}]")
        elif _has_operators(inner):
            parts.append(f"{name}: {describe_filter(inner, depth + 1)}")
        else:
            parts.append(f"{name}: ?")
    return f"{{{', '.join(parts)}}}"


def _has_operators(value: object) -> bool:
    return isinstance(value, dict) and any(name[:1] == "$" for name in value)


def _describe_sort(sort: Sequence[tuple[str, int]]) -> str:
    return f"{{{write_pairs(sort)}}}" if sort else ""


@dataclass
class _Branch:
    equal: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    near: list[str] = field(default_factory=list)
    text: bool = False

    def freeze(self) -> Predicates:
        equal = tuple(sorted(dict.fromkeys(self.equal)))
        ranges = tuple(sorted({*self.ranges} - {*equal}))
        return Predicates(equal, ranges, tuple(dict.fromkeys(self.near)), self.text)


def _list_branches(query: JsonObject) -> Iterator[Predicates]:
    """What each branch of the filter's `$or` asks, with what stands beside it."""
    choices = [[*each] for each in _list_choices(query, 0)]
    for chosen in islice(product(*choices), MAX_BRANCHES):
        branch = _Branch()
        for each in (query, *chosen):
            _note_fields(each, "", branch, 0)
        yield branch.freeze()


def _list_choices(query: object, depth: int) -> Iterator[list[JsonObject]]:
    if not isinstance(query, dict) or depth > _MOST_LEVELS:
        return
    options = query.get("$or")
    if isinstance(options, list) and 0 < len(options) <= MAX_BRANCHES:
        yield [each for each in options if isinstance(each, dict)]
    inner = query.get("$and")
    for each in inner if isinstance(inner, list) else ():
        yield from _list_choices(each, depth + 1)


def _note_fields(query: object, prefix: str, branch: _Branch, depth: int) -> None:
    if not isinstance(query, dict) or depth > _MOST_LEVELS:
        return
    for name, asked in query.items():
        if name == "$and" and isinstance(asked, list):
            for each in asked:
                _note_fields(each, prefix, branch, depth + 1)
        elif name == "$text":
            branch.text = True
        elif name[:1] != "$":
            _note_field(f"{prefix}{name}", asked, branch, depth)


def _note_field(path: str, asked: object, branch: _Branch, depth: int) -> None:
    operators = {*asked} if isinstance(asked, dict) else set[str]()
    if not _has_operators(asked):
        branch.equal.append(path)
    elif isinstance(asked, dict) and "$elemMatch" in operators:
        inner = asked["$elemMatch"]
        if _has_operators(inner):
            _note_field(path, inner, branch, depth + 1)
        else:
            _note_fields(inner, f"{path}.", branch, depth + 1)
    elif _NEAR & operators:
        branch.near.append(path)
    elif _EQUAL & operators:
        branch.equal.append(path)
    elif _RANGES & operators:
        branch.ranges.append(path)


def advise(asked: Asked) -> list[IndexAdvice]:
    """The indexes that would serve a query: one for each branch of its `$or`.

    None for `$text`, and where no field is asked for.
    """
    found = [_advise_branch(branch, asked.sort) for branch in asked.branches if not branch.text]
    return [each for each in dict.fromkeys(found) if each is not None]


def _advise_branch(branch: Predicates, sort: Sequence[tuple[str, int]]) -> IndexAdvice | None:
    equal = [name for name in branch.equal if name != "_id"]
    sorted_by = [(name, way) for name, way in sort if name not in branch.equal]
    ranges = [each for each in branch.ranges if each not in dict(sorted_by)]
    key: list[tuple[str, int | str]] = _ascend(equal)
    if "_id" in branch.equal or (not equal and not ranges and not branch.near and not sorted_by):
        return None
    if branch.near:
        key.append((branch.near[0], "2dsphere"))
    else:
        key += [*sorted_by, *_ascend(ranges)]
    if [name for name, _ in key] == ["_id"]:
        return None
    near = branch.near[:1]
    said = {
        "equality on": equal,
        "sort by": [] if near else [_write_field(*each) for each in sorted_by],
        "range on": [] if near else ranges,
        "place in": near,
    }
    parts = [f"{word} {', '.join(names)}" for word, names in said.items() if names]
    return IndexAdvice(tuple(key[:MAX_FIELDS]), ", then ".join(parts))


def _ascend(names: Sequence[str]) -> list[tuple[str, int | str]]:
    return [(name, 1) for name in names]


def covers(has: IndexKey, wanted: IndexKey) -> bool:
    """Whether an index serves what another one would: the other's fields are its first ones.

    It may be read backwards, with every direction turned.
    """
    head = has[: len(wanted)]
    turned = tuple(map(_turn, wanted))
    return head in {tuple(wanted), turned}


def _turn(part: tuple[str, int | str]) -> tuple[str, int | str]:
    name, way = part
    return name, -way if isinstance(way, int) else way


def _read_sort(sort: Mapping[str, object]) -> tuple[tuple[str, int], ...]:
    found = []
    for name, way in sort.items():
        if not isinstance(way, int | float):
            return ()
        found.append((name, -1 if way < 0 else 1))
    return tuple(found)


def _inside(command: Mapping[str, object], name: str) -> JsonObject:
    found = command.get(name)
    return found if isinstance(found, dict) else {}
