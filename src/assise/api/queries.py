"""The query of a list: its filters, order, columns, and where a page begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from assise.api.values import find_kind, is_array, read_text
from assise.errors import RequestError
from assise.schema.resources import Resource
from assise.schema.serving import OPERATORS, TRUTHS, Filter, Order
from assise.wording import nearest, show

LIMIT, MAX_LIMIT = 20, 1_000
MAX_FILTERS, MAX_VALUES = 20, 100
WORDS = frozenset({"order", "limit", "select", "cursor", "count", "include", "or"})
COUNTS = ("exact", "estimated")
_COMPARED = frozenset({"gt", "gte", "lt", "lte"})
_OTHERS = frozenset({"in", "is", "not", "like"})
_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])*')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Query:
    """What a list is asked for; of each group of `filters` one must hold."""

    filters: tuple[tuple[Filter, ...], ...]
    order: tuple[Order, ...]
    select: tuple[str, ...]
    includes: tuple[str, ...]
    limit: int
    cursor: str | None
    count: str | None

    @property
    def asked(self) -> list[object]:
        """What a cursor is for, beside the table and the user."""
        return [self.order, self.filters, self.select, self.includes]


def read_query(resource: Resource, text: str) -> Query:
    """The query behind the `?` of a URL.

    Raises:
        RequestError: something in it is unknown, or no value of its column.
    """
    words: dict[str, str] = {}
    filters: list[tuple[Filter, ...]] = []
    for name, value in _list_pairs(text):
        if name == "or":
            filters.append(tuple(_read_group(resource, value)))
        elif name not in WORDS:
            filters.append((_read_filter(resource, name, value),))
        elif name in words:
            raise RequestError(f"{name} is given twice")
        else:
            words[name] = value
    if sum(map(len, filters)) > MAX_FILTERS:
        raise RequestError(f"there are more than {MAX_FILTERS} filters")
    select = _read_names(words.get("select"), resource.fields, "select") or (*resource.fields,)
    includes = _read_names(words.get("include"), resource.includes, "include")
    count = words.get("count")
    if count is not None and count not in COUNTS:
        raise RequestError(f"count: {show(count)}", remedy="Write exact or estimated.")
    return Query(
        tuple(filters),
        _read_order(resource, words.get("order")),
        select,
        includes,
        _read_limit(words.get("limit")),
        words.get("cursor"),
        count,
    )


def _list_pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise RequestError("the query of the URL cannot be read") from None


def check_words(text: str, known: Iterable[str]) -> Mapping[str, str]:
    """The words of the query of one row.

    Raises:
        RequestError: there is another one, or one occurs twice.
    """
    known = [*known]
    found: dict[str, str] = {}
    for name, value in _list_pairs(text):
        if name not in known:
            raise RequestError(f"{show(name)} is not known here", remedy=nearest(name, known))
        if name in found:
            raise RequestError(f"{name} is given twice")
        found[name] = value
    return found


def read_row_query(resource: Resource, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns and the included rows that are asked for with one row."""
    words = check_words(text, ("select", "include"))
    select = _read_names(words.get("select"), resource.fields, "select") or (*resource.fields,)
    return select, _read_names(words.get("include"), resource.includes, "include")


def _read_names(text: str | None, known: Iterable[str], word: str) -> tuple[str, ...]:
    if text is None:
        return ()
    known = [*known]
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in known:
            raise RequestError(f"{word}: {show(name)} is not known", remedy=nearest(name, known))
    return names


def _read_limit(text: str | None) -> int:
    if text is None:
        return LIMIT
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_LIMIT:
        raise RequestError(f"limit: {show(text)}", remedy=f"Write a number from 1 to {MAX_LIMIT}.")
    return int(text)


def _read_order(resource: Resource, text: str | None) -> tuple[Order, ...]:
    """The order, which ends in the key, so that no two rows are equal in it."""
    found: list[Order] = []
    for part in text.split(",") if text else ():
        is_descending = part.startswith("-") and part not in resource.fields
        name = part[1:] if is_descending else part
        field = resource.fields.get(name)
        if field is None:
            remedy = nearest(name, resource.fields)
            raise RequestError(f"order: {show(name)} is not known", remedy=remedy)
        if not find_kind(field.type).is_ordered or is_array(field.type):
            raise RequestError(f"order: rows have no order by {name}, which is {field.type}")
        if name in {each.column for each in found}:
            raise RequestError(f"order: {name} occurs twice")
        found.append(Order(name, is_descending))
    is_descending = found[-1].is_descending if found else False
    known = {each.column for each in found}
    found += [Order(name, is_descending) for name in resource.key if name not in known]
    return tuple(found)


def _read_filter(resource: Resource, name: str, text: str) -> Filter:
    column, _, operator = name.rpartition(".")
    if name in resource.fields:
        column, operator = name, "eq"
    field = resource.fields.get(column)
    if field is None:
        wanted = column or name
        remedy = nearest(wanted, resource.fields)
        raise RequestError(f"{show(wanted)} is not a column that is read here", remedy=remedy)
    if operator not in OPERATORS and operator not in _OTHERS:
        remedy = nearest(operator, [*OPERATORS, *_OTHERS])
        raise RequestError(f"{show(name)}: there is no such operator", remedy=remedy)
    kind = find_kind(field.type)
    if operator in {"is", "not"}:
        allowed = TRUTHS if field.type == "bool" else {"null": "NULL"}
        if text not in allowed:
            raise RequestError(f"{show(name)}: {show(text)}", remedy=nearest(text, allowed))
        return Filter(column, operator, text)
    if not kind.is_ordered or is_array(field.type):
        raise RequestError(f"{column} is {field.type}: only .is=null and .not=null are possible")
    if operator == "like":
        return _read_prefix(column, field.type, text)
    if operator == "in":
        items = [*_split(text)]
        if len(items) > MAX_VALUES:
            raise RequestError(f"{show(name)}: there are more than {MAX_VALUES} values")
        return Filter(column, operator, [read_text(field, item) for item in items])
    if operator in _COMPARED and field.type == "bool":
        raise RequestError(f"{column} is bool: it is compared by = and .ne alone")
    return Filter(column, operator, read_text(field, text))


def _read_prefix(column: str, kind: str, text: str) -> Filter:
    prefix = text[:-1]
    if kind.partition("(")[0] not in {"text", "varchar", "citext"}:
        raise RequestError(f"{column} is {kind}, which begins with no text")
    if not text.endswith("*") or not prefix or "\0" in prefix:
        raise RequestError(
            f"{column}.like finds what begins with a text",
            remedy=f"Write the text and a star: {column}.like=abc*",
        )
    return Filter(column, "like", prefix)


def _read_group(resource: Resource, text: str) -> Iterator[Filter]:
    """The filters of `or=(a=1,b.gte=2)`."""
    if not (text.startswith("(") and text.endswith(")")):
        raise RequestError("or: write filters in parentheses: or=(a=1,b.gte=2)")
    for item in _split(text[1:-1]):
        name, is_given, value = item.partition("=")
        if not is_given:
            raise RequestError(f"or: {show(item)} is no filter: a=1 or b.gte=2")
        yield _read_filter(resource, name, value)


def _split(text: str) -> Sequence[str]:
    """Values with commas between them; what has a comma of its own stands in quotes."""
    items, place = list[str](), 0
    while True:
        match = _ITEM.match(text, place)
        found = match[0] if match else ""
        items.append(_QUOTED.sub(lambda quoted: re.sub(r"\\(.)", r"\1", quoted[1]), found))
        place += len(found)
        if place == len(text):
            return items
        if text[place] != ",":
            raise RequestError(f"{show(text)} is no list of values with commas between them")
        place += 1


def list_unserved(resource: Resource, query: Query) -> Iterator[str]:
    """The columns whose filter or order no index serves for any caller."""
    is_free = {*resource.api.filter}
    for group in query.filters:
        for each in group:
            kind = find_kind(resource.fields[each.column].type)
            is_served = each.column in resource.ordered and kind.is_leakproof
            is_range = each.operator not in {"ne", "not", "like"}
            if each.column not in is_free and not (is_served and is_range):
                yield each.column
    # All rows that a caller sees may have one value in the column of the rule: they are in no order.
    ruling = () if resource.is_public else resource.filled
    first = next((each.column for each in query.order if each.column not in ruling), None)
    if first is not None and first not in is_free and first not in resource.ordered:
        yield first
