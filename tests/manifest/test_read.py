from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.manifest.samples import (
    DEVORA,
    HEAD,
    KNOWN,
    users,
)

from assise.errors import ManifestError
from assise.manifest.read import load_manifest, parse_manifest
from assise.manifest.sections.postgres import POSTGRES
from assise.manifest.sections.primary_keys import PRIMARY_KEY
from assise.manifest.sections.project import NAME
from assise.types.table import NAMES

COLUMN = "assise.yaml:4: tables.users.columns"


ALL_KEYS = f"Write the keys {KNOWN}"


CORRECTED = "Correct this line, or the one before; texts with special characters go in quotes."


QUOTED = 'Give one, or remove the key; the texts null, ~ and "" stand in quotes.'


VERSION = (
    "this program knows version 1 of the manifest\n"
    "Write assise: 1; for a newer manifest use a newer Assise."
)


TYPES = ", ".join(NAMES)


NAME_KEY = (
    "Name the column that reads _id; in a child table the key of its collection and the positions."
)


EXPECTED_NAME = f"Expected: {NAME.help}."


EXPECTED_SERVER = f"Expected: {POSTGRES.help}."


EXPECTED_KEY = f"Expected: {PRIMARY_KEY.help}."


TAB = "found character '\\t' that cannot start any token"


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
        ManifestError, match=f"^{re.escape(str(path))}:4: foo: is not a manifest key here\n"
    ):
        load_manifest(path)
    with pytest.raises(ManifestError, match="cannot be read: Is a directory"):
        load_manifest(tmp_path)


SHAPE_ERRORS = [
    ("", f"assise.yaml: is empty\n{ALL_KEYS}"),
    ("# nothing\n", f"assise.yaml: is empty\n{ALL_KEYS}"),
    ("{}", f"assise.yaml:1: is empty\n{ALL_KEYS}"),
    ("- a", f"assise.yaml:1: is not a mapping\n{ALL_KEYS}"),
    ("text", f"assise.yaml:1: is not a mapping\n{ALL_KEYS}"),
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
        (f"assise.yaml:3: table: is not a manifest key here\nDid you mean tables? Known: {KNOWN}"),
    ),
    (
        "assise: 1\nname: a\npostgres: {main: x}\ntables: {}\n",
        f"assise.yaml:3: postgres.main: must be a mapping\n{EXPECTED_SERVER}",
    ),
    (
        f"{HEAD}  users: text\n",
        (
            "assise.yaml:4: tables.users: text: must be a mapping\n"
            "Give a table's keys, or a column's type or {type: text, from: a.b}."
        ),
    ),
    (
        f"{HEAD}  users: {{collection: users}}\n",
        f"assise.yaml:4: tables.users.primary_key: is missing\n{NAME_KEY}",
    ),
    (
        f"{HEAD}  users: {{collection: users, primary_key: {{a: b}}}}\n",
        (
            "assise.yaml:4: tables.users.primary_key: must be a name or a list of names\n"
            f"{EXPECTED_KEY}"
        ),
    ),
    (
        users("a: [text]"),
        (
            f"{COLUMN}.a: must be a mapping\n"
            f"Give a table's keys, or a column's type or {{type: text, from: a.b}}."
        ),
    ),
    (
        (
            "assise: 1\nname: a\nroles: {prefix: a}\ntables:\n  t:\n    access: {ownr: id}\n"
            "    collection: t\n    primary_key: id\n"
            "    columns:\n      id: {type: uuid, from: _id}\n"
        ),
        (
            "assise.yaml:6: tables.t.access.ownr: id: is not a manifest key here\n"
            "Expected: who may see which rows: owner or tenant with a column, through: the parent,"
            " members, public: read; of several one must hold; read and write where they differ; to:"
            " further roles; or none: no user sees any."
        ),
    ),
    (users("a: {from: x}"), f"{COLUMN}.a.type: is missing\nGive one of {TYPES}."),
    (
        users("a: {type: {x: y}}"),
        f"{COLUMN}.a.type: must be a text\nExpected: its type in PostgreSQL.",
    ),
    (
        users("a: {type: text, form: x}"),
        (
            f"{COLUMN}.a.form: is not a manifest key here\n"
            "Did you mean from? Known: type, from, kind, numbers, legacy_uuids, references,"
            " on_delete, orphans, unique, duplicates, not_null, default, values, check, personal, absent,"
            " comment, was, generated."
        ),
    ),
    (
        users("a: {type: text, from_: x}"),
        (
            f"{COLUMN}.a.from_: is not a manifest key here\n"
            "Did you mean from? Known: type, from, kind, numbers, legacy_uuids, references,"
            " on_delete, orphans, unique, duplicates, not_null, default, values, check, personal, absent,"
            " comment, was, generated."
        ),
    ),
]


YAML_ERRORS = [
    (users("a: null"), f"{COLUMN}.a: null: has no value\n{QUOTED}"),
    (users("a: {type: text, from: }"), f"{COLUMN}.a.from: has no value\n{QUOTED}"),
    (users("a: 1"), f"{COLUMN}.a: 1: is not text in YAML\nPut it in quotes."),
    (
        users("a: {type: text, from: 0x1f}"),
        f"{COLUMN}.a.from: 0x1f: is not text in YAML\nPut it in quotes.",
    ),
    (users("true: text"), f"{COLUMN}.true: true: is not text in YAML\nPut it in quotes."),
    (users("a: text, a: int4"), f"{COLUMN}.a: occurs twice\nKeep one; the first is in line 4."),
    (
        "assise: 1\nname: a\nname: b\ntables: {}\n",
        "assise.yaml:3: name: occurs twice\nKeep one; the first is in line 2.",
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
        (
            f"{COLUMN}.a: tag:yaml.org,2002:python/object:os.system: has a tag\n"
            "Remove it: tags are not read."
        ),
    ),
    (users("? {a: b} : text"), f"{COLUMN}: has a key that is not text\nWrite a name as key."),
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
        (
            "assise.yaml:4: \\x01 is a character that YAML does not allow\n"
            "Write it as an escape in quotes."
        ),
    ),
    (
        users("a: text[]"),
        (
            "assise.yaml:4: is not YAML: while parsing a flow mapping, expected ',' or '}', but "
            "got '['\n"
            'Put types of arrays in quotes: "text[]".'
        ),
    ),
    (
        f"{HEAD}  users:\n\tcollection: users\n",
        (
            f"assise.yaml:5: is not YAML: while scanning for the next token, {TAB}\n"
            "Indent with spaces, not with tabs."
        ),
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
        parse_manifest("assise: 1\nname: [a]\nmongodb: embedded\ntables: []\n", "other.yaml")
    assert str(caught.value).splitlines() == [
        (f"other.yaml:3: mongodb: is not a manifest key here. Did you mean mongo? Known: {KNOWN}"),
        f"other.yaml:2: name: must be a text. {EXPECTED_NAME}",
        "other.yaml:4: tables: must be a mapping. Expected: the tables by name.",
    ]


VALUES = ["x", "true", "5", "~", "[no, yes]", "{a: {b: 1}}"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", "mongodb revisions".split())
def test_planned_keys_of_the_file_are_refused(key: str, value: str) -> None:
    with pytest.raises(
        ManifestError,
        match=rf":3: {key}: is not a manifest key here\n(Did you mean (redis|mongo)\? )?Known: .*tables",
    ):
        parse_manifest(f"assise: 1\nname: a\n{key}: {value}\ntables: {{}}\n")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", "history".split())
def test_planned_keys_of_tables_are_refused(key: str, value: str) -> None:
    with pytest.raises(
        ManifestError,
        match=rf"tables\.users\.{key}: is not a manifest key here\nKnown: .*primary_key",
    ):
        parse_manifest(users("a: text").replace("primary_key:", f"{key}: {value}, primary_key:"))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", "mask read".split())
def test_planned_keys_of_columns_are_refused(key: str, value: str) -> None:
    with pytest.raises(
        ManifestError, match=rf"columns\.a\.{key}: is not a manifest key here\nKnown: .*type"
    ):
        parse_manifest(users(f"a: {{type: text, {key}: {value}}}"))


def test_an_unknown_key_and_a_value_that_is_no_text_are_told_together() -> None:
    with pytest.raises(
        ManifestError,
        match=r"name: 7: is not text in YAML(.|\n)*colour: is not a manifest key here",
    ):
        parse_manifest("assise: 1\nname: 7\ncolour: yes\ntables: {}\n")


def test_ten_thousand_aliases_are_not_expanded() -> None:
    layers = ""
    for i in range(1, 12):
        aliases = ", ".join([f"*a{i - 1}"] * 9)
        layers += f"a{i}: &a{i} [{aliases}]\n"
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
