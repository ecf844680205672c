"""What a server has to be told so that its collections are as the manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from assise.collections.indexes import (
    IndexForm,
    as_options,
    is_same,
    is_same_key,
    read_declared,
    read_found,
    write_command,
)
from assise.collections.validator import write_validator
from assise.manifest.model import Manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS, CollectionRules
from assise.mongo.source import JsonObject
from assise.settings import parse_duration

HIDES = (4, 4)
"""The version from which indexes can be hidden: https://www.mongodb.com/docs/manual/core/index-hidden/."""

Need = Literal["drop", "yes"]
Act = Literal["create", "validate", "build", "keep", "hide", "show", "drop", "rebuild", "tell"]


@dataclass(frozen=True)
class MongoChange:
    """One difference, and the commands that end it.

    act: what is done; `tell` where no command can do it.
    words: what is done, for people.
    index: the index that is built or kept.
    needs: what allows it besides the answer to the plan: `--drop`, `--yes`.
    why: what stands against it, or what has to be known of it.
    is_blocked: whether it cannot be done as the documents are.
    """

    collection: str
    act: Act
    words: str
    commands: tuple[JsonObject, ...] = ()
    index: IndexForm | None = None
    needs: tuple[Need, ...] = ()
    why: tuple[str, ...] = ()
    is_blocked: bool = False


@dataclass(frozen=True)
class Standing:
    """A collection as a server has it; `info` is empty where it is not there."""

    info: Mapping[str, object] = field(default_factory=dict)
    indexes: Sequence[IndexForm] = ()

    @property
    def options(self) -> JsonObject:
        """The options that it was made with."""
        found = self.info.get("options", {})
        return dict(found) if isinstance(found, Mapping) else {}


def read_standing(info: JsonObject | None, indexes: Sequence[JsonObject]) -> Standing:
    """A collection from what the server says of it."""
    forms = [read_found(each) for each in indexes]
    return Standing(info or {}, [form for form in forms if form.fields != ("_id",)])


def plan_collections(
    manifest: Manifest, standing: Mapping[str, Standing], version: tuple[int, ...]
) -> list[MongoChange]:
    """The steps for all collections of the manifest, in the order in which they are done."""
    steps: list[MongoChange] = []
    for name, rules in (COLLECTIONS.of(manifest) or {}).items():
        found = standing[name]
        if found.info.get("type") == "view":
            words = "is a view on this server, and stays as it is"
            steps.append(MongoChange(name, "tell", words, is_blocked=True))
            continue
        steps += _plan_options(name, rules, found, write_validator(rules, name, manifest))
        steps += _plan_indexes(name, rules, found, can_hide=version >= HIDES)
    return steps


def _plan_options(
    name: str, rules: CollectionRules, found: Standing, validator: JsonObject
) -> Iterator[MongoChange]:
    options = write_options(rules)
    checks = {
        "validator": validator,
        "validationLevel": rules.level,
        "validationAction": rules.action,
    }
    if not found.info:
        words = f"create the collection{_say_options(options)}"
        given = {**options, **(checks if validator else {})}
        yield MongoChange(name, "create", words, ({"create": name, **given},))
        return
    yield from _compare_options(name, options, found.options)
    has = found.options.get("validator", {})
    level = found.options.get("validationLevel", "strict")
    action = found.options.get("validationAction", "error")
    is_asked = validator or has
    if is_asked and (has, level, action) != (validator, rules.level, rules.action):
        words = f"validate {_name_fields(validator)}: {rules.level}, {rules.action}"
        words = words if validator else "remove the validator, which the manifest does not have"
        needs: tuple[Need, ...] = () if validator else ("drop",)
        yield MongoChange(name, "validate", words, ({"collMod": name, **checks},), needs=needs)


def _compare_options(name: str, asked: JsonObject, has: JsonObject) -> Iterator[MongoChange]:
    """What a collection cannot become where it stands; and the expiry of a time series."""
    series, found = asked.get("timeseries", {}), has.get("timeseries", {})
    differs = [key for key, value in series.items() if found.get(key) != value]
    if bool(series) != bool(found) or differs:
        is_series = f"a time series of {series}" if series else "no time series"
        words = f"is to be {is_series}, and is not: copy it into a new collection by $out"
        yield MongoChange(name, "tell", words, is_blocked=True)
    elif asked.get("expireAfterSeconds") != has.get("expireAfterSeconds"):
        seconds = asked.get("expireAfterSeconds", "off")
        said = "for ever" if seconds == "off" else f"{seconds:,} s"
        command = {"collMod": name, "expireAfterSeconds": seconds}
        yield MongoChange(name, "keep", f"keep measurements {said}", (command,), needs=("yes",))
    is_capped = "capped" in asked or "capped" in has
    for key in ("capped", "size", "max") if is_capped else ():
        old, new = has.get(key), asked.get(key)
        if old != new:
            words = f"has {key}: {old}, and is to have {new}"
            words += ": `convertToCapped` or a copy changes it, with a lock on all of it"
            yield MongoChange(name, "tell", words, is_blocked=True)
    wanted, had = asked.get("collation", {}), has.get("collation", {})
    differing = [key for key in wanted if had.get(key) != wanted[key]]
    if differing or (had and not wanted):
        words = "has another collation: only a copy into a new collection changes it"
        yield MongoChange(name, "tell", words, is_blocked=True)


def write_options(rules: CollectionRules) -> JsonObject:
    """The options with which a collection is made."""
    found: JsonObject = {}
    if rules.capped:
        # A server takes a multiple of 256.
        found |= {"capped": True, "size": -(-rules.capped.bytes // 256) * 256}
        found |= {"max": rules.capped.documents} if rules.capped.documents else {}
    if rules.time_series:
        series = {
            "timeField": rules.time_series.time,
            "metaField": rules.time_series.meta,
            "granularity": rules.time_series.granularity,
        }
        found["timeseries"] = {key: value for key, value in series.items() if value}
    if isinstance(rules.keep, str) and (kept := parse_duration(rules.keep)):
        found["expireAfterSeconds"] = int(kept.total_seconds())
    if rules.collation:
        found["collation"] = as_options(rules.collation)
    return found


def _plan_indexes(
    name: str, rules: CollectionRules, found: Standing, *, can_hide: bool
) -> Iterator[MongoChange]:
    left = [each for each in found.indexes if not _is_of_series(each, rules)]
    asked = [(index, read_declared(index, rules.collation)) for index in rules.all_indexes]
    missing = []
    for index, form in asked:
        same = next((each for each in left if is_same(each, form)), None)
        if same is None:
            missing.append((index, form))
            continue
        left.remove(same)
        if same.is_hidden != form.is_hidden:
            yield _set_hidden(name, same, is_hidden=form.is_hidden)
    for index, form in missing:
        build = {"createIndexes": name, "indexes": [write_command(index, form)]}
        close = [each for each in left if is_same_key(each, form) or each.name == form.name]
        if not close:
            yield MongoChange(name, "build", f"build {form.words}", (build,), form)
            continue
        old = close[0]
        left.remove(old)
        if _differs_in_time(old, form):
            spec = {"name": old.name, "expireAfterSeconds": form.keep_s}
            words = f"keep by {old.name} {form.words}, not {old.keep_s:,} s"
            yield MongoChange(name, "keep", words, ({"collMod": name, "index": spec},), form)
        else:
            words = f"rebuild {old.name}: {form.words}, not {old.words}"
            drop = {"dropIndexes": name, "index": old.name}
            yield MongoChange(name, "rebuild", words, (drop, build), form, needs=("drop",))
    for old in left:
        if old.is_hidden or not can_hide:
            drop = {"dropIndexes": name, "index": old.name}
            words = f"drop {old.name} {old.words}, which the manifest does not have"
            yield MongoChange(name, "drop", words, (drop,), needs=("drop",))
        else:
            step = _set_hidden(name, old, is_hidden=True)
            words = f"hide {old.name} {old.words}, which the manifest does not have"
            why = ("a later `assise mongo ensure --drop` drops it",)
            yield replace(step, words=words, needs=("drop",), why=why)


def _set_hidden(name: str, index: IndexForm, *, is_hidden: bool) -> MongoChange:
    command = {"collMod": name, "index": {"name": index.name, "hidden": is_hidden}}
    if is_hidden:
        return MongoChange(name, "hide", f"hide {index.name} {index.words}", (command,))
    return MongoChange(name, "show", f"use {index.name} again, which is hidden", (command,))


def _is_of_series(index: IndexForm, rules: CollectionRules) -> bool:
    """Whether a server makes the index itself, as it does for a time series since 6.3."""
    series = rules.time_series
    return series is not None and index.fields == (series.meta, series.time)


def _differs_in_time(old: IndexForm, form: IndexForm) -> bool:
    """Whether only the time after which documents go differs, which is changed in place."""
    if old.keep_s is None or form.keep_s is None:
        return False
    rules = [(each.key, each.is_unique, each.is_sparse, each.where) for each in (old, form)]
    return rules[0] == rules[1]


def _say_options(options: JsonObject) -> str:
    told = [
        f", at most {options['size']:,} bytes" if "size" in options else "",
        f", a time series of {options['timeseries']['timeField']}"
        if "timeseries" in options
        else "",
        f", kept {options['expireAfterSeconds']:,} s" if "expireAfterSeconds" in options else "",
    ]
    return "".join(told)


def _name_fields(validator: JsonObject) -> str:
    """The fields of a validator, the first of them by name."""
    names = [*validator.get("$jsonSchema", {}).get("properties", {})]
    more = len(names) - 5
    first = ", ".join(names[:5])
    return f"{first} and {more} more" if more > 0 else first
