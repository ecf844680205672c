"""Every key of the manifest, and a key that another package adds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.manifest.samples import COMMENTS, DEVORA, ELSEWHERE, IN_SCHEMAS, KNOWN

import assise
from assise.errors import ManifestError
from assise.manifest.json_schema import describe_values, find_options, is_required, json_schema
from assise.manifest.keys import AnyKey, Keyed
from assise.manifest.read import parse_manifest
from assise.manifest.reference import list_keys
from assise.manifest.sections import KEYS, find_key, keys_on
from assise.manifest.write import dump_manifest

ROWS = set("tables collection parent from primary_key columns type kind".split())
ROWS |= {"absent", "nulls", "documents", "numbers", "legacy_uuids"}
SCHEMA = set("comment references on_delete orphans unique duplicates not_null default".split())
SCHEMA |= {"values", "check", "foreign_keys", "indexes", "access", "roles", "personal"}
SCHEMA |= {"soft_delete", "partition", "audit", "generated", "timestamps"}
SCHEMA |= {"schemas", "api", "identity", "search", "embed", "search_log", "cache", "analytics"}
ELSEWHERE_KEYS = {"on", "mirror", "fallback"}
NOTHING = set("assise name postgres http mongo collections redis redis_keys was sql views".split())
NOTHING |= {"chat", "audit_log"} | ELSEWHERE_KEYS
PLACES = {
    "manifest": (),
    "table": ("tables", "users"),
    "column": ("tables", "users", "columns", "id"),
}
EVERY_KEY = pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.on} {key.name}")


def sample_of(key: AnyKey) -> str:
    """A manifest with the key: tables in several schemas have no roles, others are elsewhere."""
    if key.name in ELSEWHERE_KEYS:
        return ELSEWHERE
    return IN_SCHEMAS if key.name == "schemas" else DEVORA


def write_wrong(key: AnyKey) -> str:
    """A manifest, its last line a value of `key` that has another shape."""
    options = find_options(describe_values(key), ())
    is_mapping = any(option.get("type") == "object" for option in options)
    wrong = f"{key.name}: {'x' if is_mapping else '{x: y}'}"
    head = ["assise: 1", "name: shop", "tables:", "  users:"]
    table = ["    collection: users", "    primary_key: id", "    columns:"]
    if key.on == "manifest":
        lines = [line for line in ["assise: 1", "name: a", "tables: {}"] if key.name not in line]
        return "\n".join([*lines, wrong])
    if key.on == "table":
        kept = [line for line in table[:2] if key.name not in line]
        return "\n".join([*head, *kept, f"    {wrong}"])
    column = [line for line in ["        type: uuid"] if key.name not in line]
    return "\n".join([*head, *table, "      id:", *column, f"        {wrong}"])


@EVERY_KEY
def test_a_wrong_value_is_refused_with_line_key_and_remedy(key: AnyKey) -> None:
    text = write_wrong(key)
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    first = str(caught.value).splitlines()[0]
    place = ".".join((*PLACES[key.on], key.name))
    assert first.startswith(f"assise.yaml:{len(text.splitlines())}: {place}: ")
    assert key.help in str(caught.value) or caught.value.remedy


@EVERY_KEY
def test_a_key_is_written_and_read(key: AnyKey) -> None:
    text = sample_of(key)
    manifest = parse_manifest(text)
    columns = [column for table in manifest.tables.values() for column in table.columns.values()]
    entries: dict[str, Sequence[Keyed]] = {
        "manifest": [manifest],
        "table": [*manifest.tables.values()],
        "column": columns,
    }
    assert any(key.of(entry) is not None for entry in entries[key.on])
    assert re.search(rf"\b{key.name}:", text)
    assert dump_manifest(manifest, comments=COMMENTS if text == DEVORA else {}) == text


@EVERY_KEY
def test_a_key_has_its_row_and_its_place_in_the_schema(key: AnyKey) -> None:
    rows = {(row.where, row.key): row for row in list_keys()}
    row = rows[key.on, key.name]
    assert row.help == key.help
    assert row.affects == key.affects
    assert row.help
    assert row.type
    assert find_key((*PLACES[key.on], key.name)) is key
    assert is_required(key) == (row.default == "required")
    assert list(find_options(json_schema(), (*PLACES[key.on], key.name)))


def test_keys_say_what_a_change_affects() -> None:
    assert {key.name for key in KEYS if key.affects == "rows"} == ROWS
    assert {key.name for key in KEYS if key.affects == "schema"} == SCHEMA
    assert {key.name for key in KEYS if key.affects == "nothing"} == NOTHING
    assert len({(key.on, key.name) for key in KEYS}) == len(KEYS)
    assert sum(len(keys_on(on)) for on in ("manifest", "table", "column")) == len(KEYS)


OWN = "    access: {owner: id}\n    on: auth\n"
CHANGES = {
    ("manifest", "name"): ("name: devora", "name: other"),
    ("manifest", "postgres"): ("app@db", "app@other"),
    ("manifest", "redis"): ("redis://cache/0", "redis://other/0"),
    ("manifest", "redis_keys"): ("24 hours", "25 hours"),
    ("manifest", "identity"): ("audience: app", "audience: web"),
    ("manifest", "http"): ("100/minute", "5/second"),
    ("manifest", "search"): ("dimensions: 512", "dimensions: 256"),
    ("manifest", "chat"): ('timeout: "20s"', 'timeout: "21s"'),
    ("manifest", "search_log"): ("90 days", "9 days"),
    ("manifest", "audit_log"): ("24 months", "9 months"),
    ("manifest", "mongo"): ("max_pool_size: 50", "max_pool_size: 60"),
    ("manifest", "collections"): ("keep: {made_at", "keep: {sent_at"),
    ("manifest", "analytics"): ("Europe/Paris", "Africa/Cairo"),
    ("table", "api"): ("update: [email]", "update: []"),
    ("manifest", "roles"): ("prefix: devora", "prefix: shop"),
    ("manifest", "schemas"): ("who signs in", "who may sign in"),
    ("manifest", "tables"): ("  events:\n", "  moments:\n"),
    ("table", "access"): ("{owner: id, ", "{tenant: id, "),
    ("table", "soft_delete"): ('"30 days"', '"31 days"'),
    ("table", "cache"): ("5 minutes", "6 minutes"),
    ("table", "search"): ("title: plan", "title: city"),
    ("table", "embed"): ("200 tokens", "300 tokens"),
    ("table", "collection"): ("collection: events", "collection: moments"),
    ("table", "parent"): (
        "parent: files\n    from: notes.*\n    primary_key: [user_id, _position, _position_2]",
        "parent: users\n    from: notes.*\n    primary_key: [user_id, _position]",
    ),
    ("table", "from"): ("from: notes.*", "from: remarks.*"),
    ("table", "primary_key"): (
        "primary_key: [user_id, _position, _position_2]",
        "primary_key: [user_id, _position, third]",
    ),
    ("table", "columns"): ("    columns:\n      path: text\n", "    columns: {}\n"),
    ("table", "on"): ("on: auth", "on: other"),
    ("table", "mirror"): (f"{OWN}    mirror: auth.users\n", "    on: auth\n"),
    ("table", "fallback"): ('email: "{key}"', "email: unknown"),
    ("table", "comment"): ('"who may sign in"', '"who may not"'),
    ("column", "type"): ('tags: "text[]"', "tags: jsonb"),
    ("column", "from"): ("address.city", "address.town"),
    ("manifest", "legacy_uuids"): ("legacy_uuids: java", "legacy_uuids: python"),
    ("table", "absent"): ("absent: []", "absent: null"),
    ("table", "nulls"): ("[geo, place.name]", "[geo]"),
    ("table", "documents"): ("documents: [place]", "documents: [place.far]"),
    ("column", "absent"): ("{type: bool, absent: null}", "bool"),
    ("column", "numbers"): ("numbers: milliseconds", "numbers: ticks"),
    ("column", "legacy_uuids"): ("legacy_uuids: csharp", "legacy_uuids: java"),
    ("column", "kind"): ("{type: numeric, kind: decimal,", "{type: numeric,"),
    ("column", "references"): ("references: users,", 'references: "users(id)",'),
    ("column", "on_delete"): ("on_delete: cascade", "on_delete: restrict"),
    ("column", "orphans"): (", orphans: reject", ""),
    ("column", "unique"): ("unique: true, dup", 'unique: "nulls not distinct", dup'),
    ("column", "duplicates"): (", duplicates: keep", ""),
    ("column", "not_null"): (", not_null: true", ""),
    ("column", "default"): ('default: "0"', 'default: "1"'),
    ("column", "values"): ("[free, pro]", "[free]"),
    ("column", "personal"): (", personal: email", ""),
    ("column", "check"): ("price >= 0", "price > 0"),
    ("table", "foreign_keys"): ('files(user_id, _position)"}', 'files"}'),
    ("table", "indexes"): ("[city, -price]", "[city, price]"),
    ("column", "generated"): ("price * 1.2", "price * 1.1"),
    ("table", "timestamps"): ("    timestamps: true\n", ""),
    ("table", "audit"): ("    audit: true\n", ""),
    ("table", "partition"): ("ahead: 6", "ahead: 7"),
    ("manifest", "views"): ("5 minutes", "6 minutes"),
    ("manifest", "sql"): ("sql/views.sql", "sql/functions.sql"),
    ("column", "was"): (", was: town", ""),
    ("table", "was"): ("    was: occasions\n", ""),
    ("column", "comment"): ('"as it was typed"', '"as it was heard"'),
}


@EVERY_KEY
def test_the_layout_changes_with_the_keys_that_rows_depend_on(key: AnyKey) -> None:
    if key.name == "assise":
        assert key.affects == "nothing"
        return
    old, new = CHANGES[key.on, key.name]
    text = sample_of(key)
    assert old in text
    before, after = parse_manifest(text), parse_manifest(text.replace(old, new))
    assert before != after
    assert (before.layout != after.layout) == (key.affects == "rows")


def test_no_key_stands_around_a_table_or_a_column() -> None:
    assert find_key(("tables", "type")) is None
    assert find_key(("tables", "users", "columns", "type")) is None
    assert find_key(("searches",)) is None
    assert find_key(()) is None


SECTION = """
from assise.manifest.keys import Key, Keyed
from assise.manifest.problems import Problem
from assise.wording import show


class Search(Keyed):
    language: str
    weights: dict[str, float] = {}


def check_search(place, search, tables):
    for name in search.weights:
        if name not in tables[place[1]].columns:
            yield Problem((*place, "weights", name), "is no column", show(name), "Name a column.")


SEARCH = Key(
    "lookup",
    "table",
    help="how the table is searched",
    affects="schema",
    type=Search,
    check=check_search,
)
TOKEN = Key(
    "token", "manifest", help="the token of the search", affects="nothing", type=str, is_secret=True
)
DAYS = Key("kept_days", "manifest", help="days that searches are kept", affects="nothing", type=int)
PERSONAL = Key(
    "named", "column", help="whether it names a person", affects="schema", type=bool
)
KEYS = (SEARCH, TOKEN, DAYS, PERSONAL)
"""
SEARCHED = """# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: shop
postgres: embedded
token: "${SEARCH_TOKEN}"
kept_days: 30

tables:
  users:
    collection: users
    primary_key: id
    lookup: {language: "${LANGUAGE:-french}", weights: {email: 0.5}}
    columns:
      id: {type: uuid, from: _id}
      email: {type: text, named: true}
"""
PROGRAM = """
import json, sys
from assise.errors import ManifestError
from assise.manifest.json_schema import json_schema
from assise.manifest.model import Manifest
from assise.manifest.read import parse_manifest
from assise.manifest.reference import list_keys
from assise.manifest.sections.lookup import DAYS, PERSONAL, SEARCH, TOKEN
from assise.manifest.write import dump_manifest

text, changes = json.load(sys.stdin)
manifest = parse_manifest(text)
users = manifest.tables["users"]
errors = []
for old, new in changes:
    assert old in text, old
    try:
        parse_manifest(text.replace(old, new))
        errors.append("")
    except ManifestError as error:
        errors.append(str(error))
print(json.dumps({
    "values": [
        SEARCH.of(users).language, SEARCH.of(users).weights, TOKEN.of(manifest), DAYS.of(manifest),
        PERSONAL.of(users.columns["email"]), PERSONAL.of(users.columns["id"]),
    ],
    "is_sound": Manifest.model_validate_json(manifest.as_json()).tables == manifest.tables,
    "repr": repr(manifest),
    "written": dump_manifest(manifest),
    "without_secrets": dump_manifest(manifest, with_secrets=False),
    "schema": json_schema(),
    "rows": [vars(row) for row in list_keys()],
    "errors": errors,
}))
"""
Answer = dict[str, Any]
MISTAKES = [
    (
        "named: true",
        "named: 7",
        (
            "assise.yaml:15: tables.users.columns.email.named: 7: must be true or false\n"
            "Expected: whether it names a person."
        ),
    ),
    (
        "kept_days: 30",
        "kept_days: soon",
        (
            "assise.yaml:6: kept_days: soon: must be a whole number\n"
            "Expected: days that searches are kept."
        ),
    ),
    (
        "language: ",
        "langage: ",
        (
            "assise.yaml:12: tables.users.lookup.langage: is not a manifest key here. "
            "Did you mean language? Known: language, weights.\n"
            "assise.yaml:12: tables.users.lookup.language: is missing. "
            "Expected: how the table is searched."
        ),
    ),
    (
        "weights: {email",
        "weights: {mail",
        "assise.yaml:12: tables.users.lookup.weights.mail: mail: is no column\nName a column.",
    ),
    (
        "${LANGUAGE:-french}",
        "${LANGUAGE}",
        (
            "assise.yaml:12: tables.users.lookup.language: ${LANGUAGE}: "
            "the environment variable LANGUAGE is not set\n"
            "Set LANGUAGE, or write ${LANGUAGE:-a default}."
        ),
    ),
    (
        '"${LANGUAGE:-french}"',
        "5",
        "assise.yaml:12: tables.users.lookup.language: 5: is not text in YAML\nPut it in quotes.",
    ),
    (
        '"${SEARCH_TOKEN}"',
        "123456",
        "assise.yaml:5: token: is not text in YAML\nPut it in quotes.",
    ),
    (
        "kept_days: ",
        "kept_day: ",
        (
            "assise.yaml:6: kept_day: is not a manifest key here\n"
            "Did you mean kept_days? Known:"
            f" {KNOWN.removesuffix(', sql, views, audit_log.')}, token, kept_days, sql, views,"
            " audit_log."
        ),
    ),
]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """What a program says whose manifest has one more section: a file, and its line in the list."""
    folder = tmp_path_factory.mktemp("program")
    shutil.copytree(Path(assise.__file__).parent, folder / "assise")
    sections = folder / "assise" / "manifest" / "sections"
    (sections / "lookup.py").write_text(SECTION)
    text = (sections / "__init__.py").read_text()
    changed = text.replace("    project,\n", "    project,\n    lookup,\n", 1)
    changed = changed.replace("    comments.KEYS,\n", "    comments.KEYS,\n    lookup.KEYS,\n", 1)
    (sections / "__init__.py").write_text(changed)
    changes = [(old, new) for old, new, _ in MISTAKES]
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([SEARCHED, changes]),
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder)},
    )
    assert not found.stderr
    answer = json.loads(found.stdout)
    assert isinstance(answer, dict)
    return answer


def test_a_section_of_another_package_is_read_and_written(searched: Answer) -> None:
    assert searched["values"] == ["french", {"email": 0.5}, "${SEARCH_TOKEN}", 30, True, None]
    assert searched["is_sound"]
    assert searched["written"] == SEARCHED
    assert searched["without_secrets"] == SEARCHED.replace(
        'postgres: embedded\ntoken: "${SEARCH_TOKEN}"\n', ""
    )
    assert "TOKEN" not in str(searched["repr"])


def test_mistakes_in_a_section_of_another_package(searched: Answer) -> None:
    assert searched["errors"] == [message for _, _, message in MISTAKES]


def test_the_schema_and_the_page_know_another_package(searched: Answer) -> None:
    variable = {"type": "string", "pattern": r"\$\{"}
    schema = json.dumps(searched["schema"])
    search = {
        "type": "object",
        "additionalProperties": False,
        "required": ["language"],
        "properties": {
            "language": {"type": "string"},
            "weights": {
                "type": "object",
                "additionalProperties": {"anyOf": [{"type": "number"}, variable]},
            },
        },
        "description": "how the table is searched",
    }
    days = {
        "anyOf": [{"type": "integer"}, variable],
        "description": "days that searches are kept",
    }
    tables = searched["schema"]["properties"]["tables"]["additionalProperties"]
    assert tables["properties"]["lookup"] == search
    assert searched["schema"]["properties"]["kept_days"] == days
    assert "whether it names a person" in schema
    rows = {row["key"]: row for row in searched["rows"]}
    assert rows["lookup"] == {
        "key": "lookup",
        "where": "table",
        "type": "mapping",
        "default": "",
        "help": "how the table is searched",
        "affects": "schema",
    }
    assert rows["named"]["type"] == "true or false"
    assert rows["kept_days"]["type"] == "whole number"
