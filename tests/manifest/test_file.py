from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from assise.errors import ManifestError
from assise.manifest.json_schema import json_schema
from assise.manifest.keys import Schema
from assise.manifest.model import Column, Manifest, Table
from assise.manifest.names import SYSTEM_COLUMNS
from assise.manifest.paths import format_child_path, format_path, is_nameable
from assise.manifest.read import load_manifest, parse_manifest
from assise.manifest.sections.postgres import POSTGRES
from assise.manifest.sections.primary_keys import PRIMARY_KEY
from assise.manifest.sections.project import NAME
from assise.manifest.types import KEY_KINDS, KINDS
from assise.manifest.write import HEADER, dump_manifest

DEVORA = """# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: devora
postgres: "postgresql://app@db/${DATABASE:-devora}"

tables:
  # 150 documents
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      email: text
      tags: "text[]"  # string in 149 documents, null in 1
      city: {type: text, from: address.city}
      "no": bool
      price: {type: numeric, kind: decimal}
  files:
    parent: users
    from: files.*
    primary_key: [user_id, _position]
    columns:
      path: text
  notes:
    parent: files
    from: notes.*
    primary_key: [user_id, _position, _position_2]
    columns: {}
  events:
    collection: events
    primary_key: offset
    columns:
      offset: {type: int8, kind: offset}
"""
COMMENTS = {
    ("tables", "users"): "150 documents",
    ("tables", "users", "columns", "tags"): "string in 149 documents, null in 1",
}

HEAD = "assise: 1\nname: shop\ntables:\n"
COLUMN = "assise.yaml:4: tables.users.columns"
ALL_KEYS = "Write the keys assise, name, postgres, tables."
CORRECTED = "Correct this line, or the one before; texts with special characters go in quotes."
QUOTED = 'Give one, or remove the key; the texts null, ~ and "" stand in quotes.'
VERSION = "this program knows version 1 of the manifest\nWrite assise: 1; for a newer manifest use a newer Assise."
TYPES = ", ".join(KINDS)
NAME_KEY = (
    "Name the column that reads _id; in a child table the key of its collection and the positions."
)
EXPECTED_NAME = f"Expected: {NAME.help}."
EXPECTED_SERVER = f"Expected: {POSTGRES.help}."
EXPECTED_KEY = f"Expected: {PRIMARY_KEY.help}."
TAB = "found character '\\t' that cannot start any token"


def users(columns: str) -> str:
    return f"{HEAD}  users: {{collection: users, primary_key: id, columns: {{id: {{type: uuid, from: _id}}, {columns}}}}}\n"


def test_a_manifest_is_written_as_a_person_would() -> None:
    assert dump_manifest(parse_manifest(DEVORA), comments=COMMENTS) == DEVORA


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_manifest_is_loaded_from_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "assise.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + DEVORA.replace("\n", ending).encode())
    assert load_manifest(path) == parse_manifest(DEVORA)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "assise.yaml"
    with pytest.raises(
        ManifestError, match=f"^{re.escape(str(path))}: cannot be read: No such file or directory\n"
    ):
        load_manifest(path)
    path.write_bytes(b"assise: 1\nname: \xff\n")
    with pytest.raises(
        ManifestError, match=f"^{re.escape(str(path))}:2: is not UTF-8 at byte 16\n"
    ):
        load_manifest(path)
    path.write_bytes(b"assise: 1\nname: shop\ntables: {}\nfoo: x\n")
    with pytest.raises(
        ManifestError, match=f"^{re.escape(str(path))}:4: foo: is no key of a manifest here\n"
    ):
        load_manifest(path)
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        load_manifest(tmp_path)


SHAPE_ERRORS = [
    ("", f"assise.yaml: is empty\n{ALL_KEYS}"),
    ("# nothing\n", f"assise.yaml: is empty\n{ALL_KEYS}"),
    ("{}", f"assise.yaml:1: is empty\n{ALL_KEYS}"),
    ("- a", f"assise.yaml:1: is no mapping\n{ALL_KEYS}"),
    ("text", f"assise.yaml:1: is no mapping\n{ALL_KEYS}"),
    ("---\n~\n", f"assise.yaml:2: has no value\n{QUOTED}"),
    ("name: a\nassise: 2\nlater: 5\n", f"assise.yaml:2: assise: 2: {VERSION}"),
    ('assise: "1"\nname: a\ntables: {}\n', f"assise.yaml:1: assise: 1: {VERSION}"),
    ("assise: true\nname: a\ntables: {}\n", f"assise.yaml:1: assise: true: {VERSION}"),
    (
        "name: a\ntables: {}\n",
        "assise.yaml:1: assise: is missing\nWrite assise: 1 in the first line.",
    ),
    (
        "assise: 1\ntables: {}\n",
        "assise.yaml:1: name: is missing\nName the project, such as name: shop.",
    ),
    (
        "assise: 1\nname: a\n",
        "assise.yaml:1: tables: is missing\nList the tables, or write tables: {}.",
    ),
    ("assise: 1\nname: a\ntables:\n", f"assise.yaml:3: tables: has no value\n{QUOTED}"),
    (
        "assise: 1\nname: a\ntables: []\n",
        "assise.yaml:3: tables: must be a mapping\nExpected: the tables by name.",
    ),
    ("assise: 1\nname: [a]\ntables: {}\n", f"assise.yaml:2: name: must be a text\n{EXPECTED_NAME}"),
    (
        "assise: 1\nname: a\ntable: {}\ntables: {}\n",
        "assise.yaml:3: table: is no key of a manifest here\nDid you mean tables? Known: assise, name, postgres, tables.",
    ),
    (
        "assise: 1\nname: a\npostgres: {main: x}\ntables: {}\n",
        f"assise.yaml:3: postgres: must be a text\n{EXPECTED_SERVER}",
    ),
    (
        f"{HEAD}  users: text\n",
        "assise.yaml:4: tables.users: text: must be a mapping\nGive a table's keys, or a column's type or {type: text, from: a.b}.",
    ),
    (
        f"{HEAD}  users: {{collection: users}}\n",
        f"assise.yaml:4: tables.users.primary_key: is missing\n{NAME_KEY}",
    ),
    (
        f"{HEAD}  users: {{collection: users, primary_key: {{a: b}}}}\n",
        f"assise.yaml:4: tables.users.primary_key: must be a name or a list of names\n{EXPECTED_KEY}",
    ),
    (
        users("a: [text]"),
        f"{COLUMN}.a: must be a mapping\nGive a table's keys, or a column's type or {{type: text, from: a.b}}.",
    ),
    (users("a: {from: x}"), f"{COLUMN}.a.type: is missing\nGive one of {TYPES}."),
    (
        users("a: {type: {x: y}}"),
        f"{COLUMN}.a.type: must be a text\nExpected: its type in PostgreSQL.",
    ),
    (
        users("a: {type: text, form: x}"),
        f"{COLUMN}.a.form: is no key of a manifest here\nDid you mean from? Known: type, from, kind, comment.",
    ),
    (
        users("a: {type: text, from_: x}"),
        f"{COLUMN}.a.from_: is no key of a manifest here\nDid you mean from? Known: type, from, kind, comment.",
    ),
]

YAML_ERRORS = [
    (users("a: null"), f"{COLUMN}.a: null: has no value\n{QUOTED}"),
    (users("a: {type: text, from: }"), f"{COLUMN}.a.from: has no value\n{QUOTED}"),
    (users("a: 1"), f"{COLUMN}.a: 1: is no text in YAML\nPut it in quotes."),
    (
        users("a: {type: text, from: 0x1f}"),
        f"{COLUMN}.a.from: 0x1f: is no text in YAML\nPut it in quotes.",
    ),
    (users("true: text"), f"{COLUMN}.true: true: is no text in YAML\nPut it in quotes."),
    (users("a: text, a: int4"), f"{COLUMN}.a: stands twice\nKeep one; the first is in line 4."),
    (
        "assise: 1\nname: a\nname: b\ntables: {}\n",
        "assise.yaml:3: name: stands twice\nKeep one; the first is in line 2.",
    ),
    (users("a: *x"), f"{COLUMN}.a: is an alias\nWrite the value out: aliases are not read."),
    (users("a: &x text"), f"{COLUMN}.a: &x: has an anchor\nRemove it: anchors are not read."),
    (users("&x a: text"), f"{COLUMN}.a: &x: has an anchor\nRemove it: anchors are not read."),
    (
        users("a: !!str text"),
        f"{COLUMN}.a: tag:yaml.org,2002:str: has a tag\nRemove it: tags are not read.",
    ),
    (
        users("a: !!python/object:os.system {}"),
        f"{COLUMN}.a: tag:yaml.org,2002:python/object:os.system: has a tag\nRemove it: tags are not read.",
    ),
    (users("? {a: b} : text"), f"{COLUMN}: has a key that is no text\nWrite a name as key."),
    (
        users(r'"\ud800": text'),
        f"{COLUMN}.\\ud800: \\ud800: holds half a surrogate pair\nWrite the whole character.",
    ),
    (
        users(r'"\U00110000": text'),
        "assise.yaml:4: is not YAML: chr() arg not in range(0x110000)\nCorrect this line.",
    ),
    (
        users("a: \x01"),
        "assise.yaml:4: \\x01 is a character that YAML does not allow\nWrite it as an escape in quotes.",
    ),
    (
        users("a: text[]"),
        "assise.yaml:4: is not YAML: while parsing a flow mapping, expected ',' or '}', but got '['\nPut types of arrays in quotes: \"text[]\".",
    ),
    (
        f"{HEAD}  users:\n\tcollection: users\n",
        f"assise.yaml:5: is not YAML: while scanning for the next token, {TAB}\nIndent with blanks, not with tabs.",
    ),
    (
        f"{users('a: text')}---\na: b\n",
        "assise.yaml:5: a second document begins here\nKeep one manifest in a file.",
    ),
    (
        f"{HEAD}  a: b: c\n",
        f"assise.yaml:4: is not YAML: mapping values are not allowed here\n{CORRECTED}",
    ),
    (
        f"{HEAD}  a: {'[' * 5_000}",
        "assise.yaml:4: tables.a.0.0: nests deeper than 16 levels\nNo manifest does.",
    ),
]


@pytest.mark.parametrize(("text", "message"), [*SHAPE_ERRORS, *YAML_ERRORS])
def test_a_text_is_refused_with_line_place_and_remedy(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    assert str(caught.value) == message


def test_unknown_keys_and_other_problems_are_listed_together() -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest("assise: 1\nname: [a]\nredis: embedded\ntables: []\n", "other.yaml")
    assert str(caught.value).splitlines() == [
        "other.yaml:3: redis: is no key of a manifest here. Known: assise, name, postgres, tables.",
        f"other.yaml:2: name: must be a text. {EXPECTED_NAME}",
        "other.yaml:4: tables: must be a mapping. Expected: the tables by name.",
    ]


VALUES = ["x", "true", "5", "~", "[no, yes]", "{a: {b: 1}}"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", "mongodb redis collections redis_keys".split())
def test_planned_keys_of_the_file_are_refused(key: str, value: str) -> None:
    with pytest.raises(
        ManifestError, match=f":3: {key}: is no key of a manifest here\nKnown: .*tables"
    ):
        parse_manifest(f"assise: 1\nname: a\n{key}: {value}\ntables: {{}}\n")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", "access indexes search embed soft_delete".split())
def test_planned_keys_of_tables_are_refused(key: str, value: str) -> None:
    with pytest.raises(
        ManifestError,
        match=rf"tables\.users\.{key}: is no key of a manifest here\nKnown: .*primary_key",
    ):
        parse_manifest(users("a: text").replace("primary_key:", f"{key}: {value}, primary_key:"))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "key", "unique not_null references orphans duplicates personal read default".split()
)
def test_planned_keys_of_columns_are_refused(key: str, value: str) -> None:
    with pytest.raises(
        ManifestError, match=rf"columns\.a\.{key}: is no key of a manifest here\nKnown: .*type"
    ):
        parse_manifest(users(f"a: {{type: text, {key}: {value}}}"))


def test_an_unknown_key_and_a_value_that_is_no_text_are_told_together() -> None:
    with pytest.raises(
        ManifestError,
        match=r"name: 7: is no text in YAML(.|\n)*colour: is no key of a manifest here",
    ):
        parse_manifest("assise: 1\nname: 7\ncolour: yes\ntables: {}\n")


def test_ten_thousand_aliases_are_not_expanded() -> None:
    layers = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    with pytest.raises(ManifestError, match="has an anchor"):
        parse_manifest(f"a0: &a0 [x]\n{layers}")


@settings(deadline=None)
@given(
    st.one_of(
        st.text("ab:-?{}[]&*!|>'\"%@`#,\\xU0 \t\n\x85\u2028\ud800~.1", max_size=60),
        st.text(st.characters(), max_size=40),
    )
)
def test_no_text_ends_in_another_error(text: str) -> None:
    for candidate in (text, f"{HEAD}  users:\n    {text}", users(text)):
        with suppress(ManifestError):
            parse_manifest(candidate)


HOSTILE = [
    *[
        "yes",
        "No",
        "null",
        "Null",
        "1",
        "~",
        "0x1f",
        "1e3",
        ".inf",
        "y",
        "on",
        "true",
        "=",
        "<<",
        "2024-01-31",
        "12:30:45",
        "0o7",
        "1_000",
        "-",
        "--- a",
        "...",
    ],
    *[
        "a: b",
        "a:",
        ":a",
        "#x",
        "a #b",
        " a",
        "a ",
        "",
        "- a",
        "? a",
        "%a",
        "@a",
        "`a",
        "!a",
        "&a",
        "*a",
        "*",
        ".",
        "a.b",
        "a*",
        "{",
        "}",
        "[a]",
        ",",
        "a,b",
    ],
    *[
        "'",
        '"',
        "a\"b'c",
        "\\a",
        "a\\b",
        r"a\.b",
        "\t",
        "\n",
        "a\nb",
        "\r",
        "\x85",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\x7f",
        "\x01",
        "\xa0",
        "\u202e",
        "\u0301",
    ],
    *[
        "é",
        "😀",
        "\U000e0001",
        "\ue000",
        "\uffff",
        "_extra",
        "_id",
        "$ref",
        "text[]",
        "}: x",
        "|",
        ">",
        "|-",
        "null null",
        "été",
    ],
]


def is_name(text: str) -> bool:
    return 1 <= len(text.encode()) <= 63 and "\0" not in text and text not in SYSTEM_COLUMNS


KEYS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)).filter(is_nameable)
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)).filter(is_name)
COLLECTIONS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)).filter(
    lambda text: text != "" and "\0" not in text
)
ROOT_KEYS = [
    (t, k)
    for t, kinds in KINDS.items()
    for k in kinds
    if t != "jsonb" and not t.endswith("[]") and not k.startswith("binary_")
]
COLUMN_KINDS = [(t, k) for t, kinds in KINDS.items() for k in kinds if k not in KEY_KINDS]


class Reads:
    """The paths of a table: of two that overlap only the first is kept."""

    def __init__(self, *, is_root: bool) -> None:
        self.taken: list[tuple[str, ...]] = [("_id",)] if is_root else []

    def take(self, keys: tuple[str, ...]) -> bool:
        is_free = not any(keys[: len(other)] == other[: len(keys)] for other in self.taken)
        if is_free:
            self.taken.append(keys)
        return is_free


@st.composite
def draw_columns(draw: st.DrawFn, reads: Reads, taken: set[str]) -> dict[str, Column]:
    columns = {}
    for name in draw(st.lists(NAMES, max_size=6, unique=True)):
        keys = draw(st.one_of(st.just((name,)), st.lists(KEYS, min_size=1, max_size=3).map(tuple)))
        if name not in taken and all(map(is_nameable, keys)) and reads.take(keys):
            column_type, kind = draw(st.sampled_from(COLUMN_KINDS))
            columns[name] = Column(type=column_type, kind=kind, from_=format_path(keys))
    return columns


@st.composite
def draw_manifests(draw: st.DrawFn) -> Manifest:
    tables: dict[str, Table] = {}
    reads: dict[str, Reads] = {}
    names = draw(st.lists(NAMES, max_size=5, unique=True))
    for name, collection in zip(
        names, draw(st.lists(COLLECTIONS, min_size=5, max_size=5, unique=True)), strict=False
    ):
        parent = draw(st.sampled_from([None, *tables]))
        reads[name] = Reads(is_root=parent is None)
        if parent is None:
            key = draw(NAMES)
            column_type, kind = draw(st.sampled_from(ROOT_KEYS))
            key_column = (
                Column(type=column_type, kind=kind)
                if kind == "offset"
                else Column(type=column_type, kind=kind, from_="_id")
            )
            columns = {key: key_column} | draw(draw_columns(reads[name], {key}))
            tables[name] = Table(collection=collection, primary_key=(key,), columns=columns)
        else:
            keys = tuple(draw(st.lists(KEYS, min_size=1, max_size=2)))
            if reads[parent].take(keys):
                primary_key = (*tables[parent].primary_key, f"_position_{len(tables)}")
                columns = draw(draw_columns(reads[name], set(primary_key)))
                tables[name] = Table(
                    parent=parent,
                    from_=format_child_path(keys),
                    primary_key=primary_key,
                    columns=columns,
                )
    server = draw(
        st.sampled_from(
            ["embedded", "postgresql://u:p@h/d?x=y#z", "${A}", "${A:-embedded}", 'postgres://"\n']
        )
    )
    return Manifest(
        assise=1,
        name=draw(st.sampled_from(["a", "yes", "null", "A-b_1"])),
        postgres=server,
        tables=tables,
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(draw_manifests(), st.one_of(st.sampled_from(HOSTILE), st.text(st.characters())))
def test_load_reads_what_dump_writes(manifest: Manifest, comment: str) -> None:
    places: list[tuple[str, ...]] = [("tables", name) for name in manifest.tables]
    places += [
        ("tables", name, "columns", column)
        for name, table in manifest.tables.items()
        for column in table.columns
    ]
    text = dump_manifest(manifest, comments=dict.fromkeys(places, comment))
    assert parse_manifest(text) == manifest
    assert dump_manifest(parse_manifest(text)) == dump_manifest(manifest)
    assert list(parse_manifest(text).tables) == list(manifest.tables)
    assert Manifest.model_validate_json(manifest.as_json()) == manifest
    assert all(c.isprintable() or c == "\n" for c in text)
    assert len(text.splitlines()) == len(dump_manifest(manifest).splitlines()) + len(
        manifest.tables
    )


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(draw_manifests())
def test_other_readers_of_yaml_see_the_same(manifest: Manifest) -> None:
    text = dump_manifest(manifest)
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        seen = yaml.load(text)
        assert list(seen["tables"]) == list(manifest.tables)
        assert [list(table["columns"]) for table in seen["tables"].values()] == [
            list(table.columns) for table in manifest.tables.values()
        ]
        assert conforms(seen, json_schema())


def test_every_type_and_kind_is_written_and_read() -> None:
    columns = {f"{t} {k}": Column(type=t, kind=k) for t, k in COLUMN_KINDS}
    table = Table(
        collection="c",
        primary_key=("id",),
        columns={"id": Column(type="text", kind="any", from_="_id")} | columns,
    )
    keyed = Table(
        collection="d",
        primary_key=("at",),
        columns={"at": Column(type="int8", kind="offset"), "empty": Column(type="text", from_="")},
    )
    manifest = Manifest(assise=1, name="a", tables={"t": table, "keyed": keyed})
    assert parse_manifest(dump_manifest(manifest)) == manifest
    assert Manifest.model_validate_json(manifest.as_json()) == manifest


def test_long_texts_are_not_wrapped() -> None:
    path = format_path(["k" * 5_000, "é b" * 2_000])
    table = Table(
        collection="c" * 5_000,
        primary_key=("id",),
        columns={
            "id": Column(type="uuid", from_="_id"),
            "😀" * 15: Column(type="text", from_=path),
        },
    )
    manifest = Manifest(assise=1, name="a", tables={"t": table})
    assert parse_manifest(dump_manifest(manifest)) == manifest
    assert len(dump_manifest(manifest).splitlines()) == 12


def test_a_comment_stays_a_comment() -> None:
    text = dump_manifest(
        parse_manifest(DEVORA),
        comments={
            ("tables", "users", "columns", "email"): "a\n      b: text\u2028\x85\r#",
            ("tables", "gone"): "x",
        },
    )
    assert "      email: text  # a\\n      b: text\\u2028\\x85\\r#\n" in text
    assert parse_manifest(text) == parse_manifest(DEVORA)


def test_three_thousand_columns_are_written_and_read_in_time() -> None:
    columns = {f"column_{i}": Column(type="text", from_=f"a.b{i}") for i in range(750)}
    table = {"id": Column(type="uuid", from_="_id")} | columns
    manifest = Manifest(
        assise=1,
        name="a",
        tables={
            f"t{n}": Table(collection=f"c{n}", primary_key=("id",), columns=table) for n in range(4)
        },
    )
    started = time.process_time()
    text = dump_manifest(manifest)
    written = time.process_time()
    assert parse_manifest(text) == manifest
    assert written - started < 1
    assert time.process_time() - written < 3


def conforms(value: object, schema: Schema) -> bool:
    """Whether a value has the shape that a schema describes, for the keywords that ours uses."""
    assert isinstance(schema, dict)
    types: dict[object, type] = {"object": dict, "array": list, "string": str}
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return False
    if ("const" in schema and value != schema["const"]) or (
        "enum" in schema and value not in listed(schema["enum"])
    ):
        return False
    if "anyOf" in schema and not any(conforms(value, option) for option in listed(schema["anyOf"])):
        return False
    if (
        "oneOf" in schema
        and sum(conforms(value, option) for option in listed(schema["oneOf"])) != 1
    ):
        return False
    if isinstance(value, str):
        return re.search(str(schema.get("pattern", "")), value) is not None and len(value) <= int(
            str(schema.get("maxLength", len(value)))
        )
    if isinstance(value, list):
        return len(value) >= int(str(schema.get("minItems", 0))) and (
            "items" not in schema or all(conforms(item, schema["items"]) for item in value)
        )
    return not isinstance(value, dict) or has_shape(value, schema)


def has_shape(value: dict[str, object], schema: dict[str, Schema]) -> bool:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    assert isinstance(known, dict)
    if any(key not in value for key in listed(schema.get("required", []))):
        return False
    return all(
        conforms(inner, known[key])
        if key in known
        else others is True or (others is not False and conforms(inner, others))
        for key, inner in value.items()
    )


def listed(schema: Schema) -> list[Schema]:
    assert isinstance(schema, list)
    return schema


def test_the_schema_describes_a_manifest() -> None:
    assert conforms(YAML(typ="safe", pure=True).load(DEVORA), json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()
    assert DEVORA.startswith(HEADER)


WRONG = [
    ("assise: 1", "assise: 2"),
    ("name: devora", "name: 9"),
    ("name: devora", "name: 9lives"),
    ("name: devora", "name: devora\nredis: embedded"),
    ("    collection: users\n", ""),
    ("    collection: users\n", "    collection: users\n    access: x\n"),
    ("    collection: users\n", "    collection: users\n    parent: files\n    from: a.*\n"),
    ("    primary_key: id\n", ""),
    ("      email: text\n", "      email: citext\n"),
    ("      email: text\n", "      email: {from: x}\n"),
    ("      email: text\n", "      email: {type: text, unique: true}\n"),
    ("kind: decimal", "kind: money"),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_the_schema_and_the_loader_refuse_the_same(right: str, wrong: str) -> None:
    text = DEVORA.replace(right, wrong, 1)
    assert text != DEVORA
    assert not conforms(YAML(typ="safe", pure=True).load(text), json_schema())
    with pytest.raises(ManifestError):
        parse_manifest(text)
