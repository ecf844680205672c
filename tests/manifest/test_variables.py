"""Variables in the values of a manifest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from assise.errors import ManifestError
from assise.manifest.read import load_manifest, parse_manifest
from assise.manifest.write import dump_manifest
from assise.project import Project

SECRET = "hunter2-and-more"
TEXT = """# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: "${PROJECT:-shop}"
postgres: "${DATABASE_URL}"

tables:
  users:
    collection: "${PREFIX}_users"
    primary_key: "${KEY}"
    comment: "$${literal} ${SECRET}"
    columns:
      id: {type: "${KEY_TYPE:-uuid}", from: _id}
      email: "${TEXT_TYPE}"
      number: {type: text, from: "${NUMBER}"}
      "${PREFIX}": text
      plain: {type: text, from: "a$b.${LINES}"}
  files:
    parent: users
    from: "${PREFIX}.*"
    primary_key: ["${PREFIX}_id", _position]
    columns: {}
"""


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "PROJECT", "KEY_TYPE", "MISSING"):
        monkeypatch.delenv(name, raising=False)
    values = {
        "PREFIX": "old",
        "KEY": "id",
        "TEXT_TYPE": "text",
        "NUMBER": "7",
        "LINES": "a: b\nc",
        "SECRET": SECRET,
        "EMPTY": "",
        "TRUE": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def shop(line: str) -> str:
    return f"assise: 1\n{line}\ntables: {{}}\n"


def table(line: str) -> str:
    head = "assise: 1\nname: shop\ntables:\n  users:\n    collection: users\n    primary_key: id\n"
    return f"{head}    columns:\n      id: {{type: uuid, from: _id}}\n{line}\n"


def test_variables_are_replaced_in_every_value() -> None:
    manifest = parse_manifest(TEXT)
    users, files = manifest.tables["users"], manifest.tables["files"]
    assert manifest.name == "shop"
    assert users.collection == "old_users"
    assert users.primary_key == ("id",)
    assert users.comment == f"${{literal}} {SECRET}"
    assert [column.type for column in users.columns.values()] == ["uuid", *["text"] * 4]
    assert users.columns["number"].path == ("7",)
    assert users.columns["plain"].path == ("a$b", "a: b\nc")
    assert (files.from_, files.primary_key) == ("old.*", ("old_id", "_position"))


def test_keys_are_no_values() -> None:
    assert parse_manifest(TEXT).tables["users"].columns["${PREFIX}"].path == ("${PREFIX}",)


def test_what_was_read_is_written() -> None:
    manifest = parse_manifest(TEXT)
    assert dump_manifest(manifest) == TEXT
    assert parse_manifest(dump_manifest(manifest)) == manifest


def test_other_forms_of_a_value_are_written_with_their_variables() -> None:
    text = TEXT.replace('primary_key: "${KEY}"', 'primary_key: ["${KEY}"]')
    text = text.replace('email: "${TEXT_TYPE}"', 'email: {type: "${TEXT_TYPE}"}')
    assert dump_manifest(parse_manifest(text)) == TEXT


def test_a_value_that_was_changed_since_is_written_as_it_is() -> None:
    manifest = parse_manifest(TEXT)
    tables = {
        **manifest.tables,
        "users": manifest.tables["users"].model_copy(update={"collection": "new"}),
    }
    text = dump_manifest(manifest.model_copy(update={"tables": tables}))
    assert text == TEXT.replace('"${PREFIX}_users"', "new")


def test_without_secrets_the_server_is_left_out() -> None:
    text = dump_manifest(parse_manifest(TEXT), with_secrets=False)
    assert text == TEXT.replace('postgres: "${DATABASE_URL}"\n', "")
    assert SECRET not in text


def test_the_server_waits_for_its_variable(tmp_path: Path) -> None:
    path = tmp_path / "assise.yaml"
    path.write_text(TEXT)
    assert load_manifest(path).postgres.main.url == "${DATABASE_URL}"
    assert "CREATE TABLE" in Project(path).schema_sql()
    with pytest.raises(Exception, match="the environment variable DATABASE_URL is not set"):
        Project(path).rejects()


NOT_SET = (
    "the environment variable MISSING is not set\nSet MISSING, or write ${MISSING:-a default}."
)
NO_VARIABLE = "${…: this is not a variable\nWrite ${NAME} or ${NAME:-default}; a literal ${ is $${."
BEGIN = "Begin with a letter A-Z or a-z; then letters, digits, _ and -, at most 63 in all."
NO_PROJECT = f"cannot be the name of a project\n{BEGIN}"
FLOW = "while parsing a flow mapping, expected ',' or '}', but got '{'"
ERRORS = [
    (shop("name: ${MISSING}"), f"assise.yaml:2: name: ${{MISSING}}: {NOT_SET}"),
    (shop("name: a${MISSING"), f"assise.yaml:2: name: a${{MISSING: {NO_VARIABLE}"),
    (shop("name: ${1}"), f"assise.yaml:2: name: ${{1}}: {NO_VARIABLE}"),
    (shop("name: ${LINES}"), f"assise.yaml:2: name: ${{LINES}}: {NO_PROJECT}"),
    (shop("name: ${NUMBER}"), f"assise.yaml:2: name: ${{NUMBER}}: {NO_PROJECT}"),
    (shop("name: a.${SECRET}"), f"assise.yaml:2: name: a.${{SECRET}}: {NO_PROJECT}"),
    (shop("name: ${EMPTY}"), f"assise.yaml:2: name: ${{EMPTY}}: {NO_PROJECT}"),
    (shop("name: $${EMPTY}"), f"assise.yaml:2: name: ${{EMPTY}}: {NO_PROJECT}"),
    (
        table('  files: {collection: "${EMPTY}", parent: users, primary_key: [a, b]}'),
        "assise.yaml:9: tables.files: has both collection and parent",
    ),
    (shop("name: [a]"), "assise.yaml:2: name: must be a text"),
    (
        shop("name: a\nbackup: ${MISSING}"),
        "assise.yaml:3: backup: is not a manifest key here",
    ),
    (
        table('      a: "${SECRET}"'),
        "assise.yaml:9: tables.users.columns.a.type: ${SECRET}: is not a type",
    ),
    (
        table('      a: {type: text, kind: "${SECRET}"}'),
        "assise.yaml:9: tables.users.columns.a.kind: ${SECRET}: is not a kind of text",
    ),
    (
        table('      a: "${TRUE}"'),
        "assise.yaml:9: tables.users.columns.a.type: ${TRUE}: is not a type",
    ),
    (
        table("      a: {type: ${TEXT_TYPE}}"),
        f'assise.yaml:9: is not YAML: {FLOW}\nPut variables in quotes: "${{NAME}}".',
    ),
    (
        table('  files: {parent: users, from: a.*, primary_key: ["${SECRET}", "${SECRET}"]}'),
        "assise.yaml:9: tables.files.primary_key: ${SECRET}: occurs twice",
    ),
    (
        table('  files: {parent: users, from: a.*, primary_key: [a, "${MISSING}"]}'),
        f"assise.yaml:9: tables.files.primary_key.1: ${{MISSING}}: {NOT_SET}",
    ),
    (
        table('  files: {parent: "${SECRET}", from: a.*, primary_key: [a, b]}'),
        "assise.yaml:9: tables.files.parent: ${SECRET}: is not a table of this manifest",
    ),
    (
        table(
            "  files: {collection: x, primary_key: i,"
            ' columns: {i: {type: uuid, from: "${SECRET}"}}}'
        ),
        "assise.yaml:9: tables.files.primary_key: i: reads ${SECRET}",
    ),
]


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_an_error_shows_the_text_and_never_the_content(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text)
    shown = str(caught.value)
    assert shown.startswith(message)
    assert "hunter2" not in shown
    assert "hunter2" not in json.dumps(vars(caught.value))
    assert "a: b" not in shown


def test_several_problems_hide_the_content_too() -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(table('      a: "${SECRET}"\n      b: {type: "${SECRET}", kind: x}'))
    assert [line.split(": ")[2] for line in str(caught.value).splitlines()] == ["${SECRET}"] * 2


@pytest.mark.parametrize("line", ["postgres: mysql://u:hunter2@h/d", "postgres: 12345"])
def test_the_value_of_a_secret_key_is_not_shown(line: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(shop(f"name: a\n{line}"))
    assert str(caught.value).startswith("assise.yaml:3: postgres: is n")
    assert "hunter2" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_a_variable_that_is_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYTES", os.fsdecode(b"a\xff"))
    with pytest.raises(ManifestError) as caught:
        parse_manifest(shop("name: ${BYTES}"))
    assert str(caught.value) == (
        "assise.yaml:2: name: ${BYTES}: has a variable that is not UTF-8\n"
        "Set the variable to text in UTF-8."
    )


def test_a_content_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NESTED", "${SECRET}")
    text = table('    comment: "${NESTED}"')
    manifest = parse_manifest(text)
    assert manifest.tables["users"].comment == "${SECRET}"
    assert dump_manifest(manifest).count("${NESTED}") == 1
