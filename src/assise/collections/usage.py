"""Which indexes are used, on every member, and which could go.

`$indexStats` counts the queries of one member since its start, or since the index was made, and not
what a TTL index deletes: https://www.mongodb.com/docs/manual/reference/operator/aggregation/indexStats/.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assise.collections.indexes import IndexForm, read_found
from assise.collections.shapes import covers
from assise.errors import CollectionError
from assise.mongo.commands import MongoDatabase
from assise.mongo.source import JsonObject


@dataclass(frozen=True)
class IndexUse:
    """An index: how often it was used since when, on all members that answered, and what of it."""

    collection: str
    name: str
    words: str
    uses: int
    since: dt.datetime | None
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class UsageReport:
    """All indexes, and the members that could not be asked, with the reason."""

    indexes: list[IndexUse]
    members: list[str]
    silent: Mapping[str, str]


def read_usage(database: MongoDatabase, collections: Sequence[str] | None = None) -> UsageReport:
    """Ask each member for the use of its indexes, and judge them.

    Raises:
        CollectionError: the server cannot be asked for its collections.
    """
    infos = database.list_collections()
    names = collections or [name for name in sorted(infos) if _is_asked(infos[name])]
    silent: dict[str, str] = {}
    stats: dict[tuple[str, str], list[JsonObject]] = {}
    members = database.list_members()
    for member in members:
        try:
            with database.open_member(member) as direct:
                for name in names:
                    for each in direct.aggregate(name, [{"$indexStats": {}}]):
                        stats.setdefault((name, str(each["name"])), []).append(each)
        except CollectionError as error:
            silent[member] = error.message
    found = [
        use
        for name in names
        for use in _judge(name, database.list_indexes(name), stats, is_whole=not silent)
    ]
    return UsageReport(found, [each for each in members if each not in silent], silent)


def _is_asked(info: Mapping[str, object]) -> bool:
    name = str(info.get("name", ""))
    return info.get("type", "collection") != "view" and not name.startswith("system.")


def _judge(
    collection: str,
    listed: Sequence[JsonObject],
    stats: Mapping[tuple[str, str], Sequence[JsonObject]],
    *,
    is_whole: bool,
) -> list[IndexUse]:
    forms = [read_found(each) for each in listed]
    found = []
    for form in forms:
        counted = stats.get((collection, form.name), ())
        accesses = [each["accesses"] for each in counted]
        uses = sum(int(each["ops"]) for each in accesses)
        since = min((each["since"] for each in accesses), default=None)
        says = tuple(_list_findings(form, forms, uses if is_whole and counted else None))
        words = form.words
        found.append(IndexUse(collection, form.name, words, uses, since, says))
    return found


def _list_findings(form: IndexForm, forms: Sequence[IndexForm], uses: int | None) -> list[str]:
    if form.fields == ("_id",):
        return []
    says = ["hidden: no query uses it"] if form.is_hidden else []
    longer = next((each for each in forms if is_redundant(form, each)), None)
    if longer is not None:
        says.append(f"redundant: {longer.name} begins with its fields")
    if uses == 0 and form.keep_s is None and not form.is_hidden:
        more = ", but keeps its values unique" if form.is_unique else ""
        says.append(f"unused{more}")
    return says


def is_redundant(form: IndexForm, other: IndexForm) -> bool:
    """Whether another index serves all that an index serves."""
    if form is other or not form.is_plain or not other.is_plain or other.is_hidden:
        return False
    has_rule = form.is_unique or form.keep_s is not None
    is_longer = len(other.key) > len(form.key)
    return is_longer and not has_rule and covers(other.key, form.key)
