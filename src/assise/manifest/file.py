"""assise.yaml: the manifest as a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from assise.errors import ManifestError
from assise.manifest.model import Column, Manifest, Table
from assise.manifest.nodes import Value, read_nodes
from assise.manifest.problems import Place, Problem, UnsoundError, manifest_error
from assise.manifest.table import default_path
from assise.manifest.types import KINDS, default_kind
from assise.wording import escape, nearest, show

HEADER = "# yaml-language-server: $schema=.assise/manifest.schema.json"

_MANIFEST_KEYS = ("assise", "name", "postgres", "tables")
_TABLE_KEYS = ("collection", "parent", "from", "primary_key", "columns", "comment")
_COLUMN_KEYS = ("type", "from", "kind", "comment")

_MISSING = {
    "assise": "Write assise: 1 in the first line.",
    "name": "Name the project, such as name: shop.",
    "tables": "List the tables, or write tables: {}.",
    "primary_key": "Name the column that reads _id; in a child table the key of its collection and the positions.",
    "type": f"Give one of {', '.join(KINDS)}.",
}
_SHAPES = {
    "string_type": ("must be a text", ""),
    "dict_type": ("must be a mapping", ""),
    "model_type": (
        "must be a mapping",
        "Give a table's keys, or a column's type or {type: text, from: a.b}.",
    ),
    "tuple_type": ("must be a name or a list of names", ""),
}

_PLAIN = re.compile(r"[^\W\d](?:[\w.*/+$@-]*[\w*])?")
_YAML_WORDS = frozenset("y n yes no on off true false null".split())

Schema = bool | int | str | list["Schema"] | dict[str, "Schema"]


def load_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        ManifestError: the file cannot be read, or something in it cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(
            f"cannot be read: {error.strerror}",
            file=str(path),
            remedy="Give the path of a manifest.",
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(
            f"is not UTF-8 at byte {error.start}",
            file=str(path),
            line=line,
            remedy="Save the file as UTF-8.",
        ) from error
    return parse_manifest(text, str(path))


def parse_manifest(text: str, file: str = "assise.yaml") -> Manifest:
    """The manifest in a YAML text; `file` is its name in errors.

    Raises:
        ManifestError: something in it cannot be used; the message has one line for each of the first ten problems.
    """
    value, lines, found = read_nodes(text)
    unknown = list(_check_keys(value))
    keys = {problem.place for problem in unknown}
    found = [
        problem
        for problem in found
        if not (
            problem.is_of_value
            and any(problem.place[:n] in keys for n in range(len(problem.place) + 1))
        )
    ]
    problems = _check_version(value) or (found and [*found, *unknown]) or _check_mapping(value)
    if problems:
        raise manifest_error(problems, file, lines=lines)
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        raise manifest_error([*unknown, *_problems_of(error)], file, lines=lines) from None
    if unknown:
        raise manifest_error(unknown, file, lines=lines)
    return manifest


def _check_version(value: Value) -> list[Problem]:
    version = value.get("assise", 1) if isinstance(value, dict) else 1
    remedy = "Write assise: 1; for a newer manifest use a newer Assise."
    return (
        []
        if version == 1
        else [
            Problem(
                ("assise",), "this program knows version 1 of the manifest", show(version), remedy
            )
        ]
    )


def _check_mapping(value: Value) -> list[Problem]:
    if isinstance(value, dict) and value:
        return []
    return [
        Problem(
            (),
            "is no mapping" if value else "is empty",
            remedy=f"Write the keys {', '.join(_MANIFEST_KEYS)}.",
        )
    ]


def _check_keys(value: Value) -> Iterator[Problem]:
    """Unknown keys, which pydantic would look for among the names of Python too."""
    yield from _unknown_keys((), value, _MANIFEST_KEYS)
    for name, table in _items(value, "tables"):
        place = ("tables", name)
        yield from _unknown_keys(place, table, _TABLE_KEYS)
        for column_name, column in _items(table, "columns"):
            yield from _unknown_keys((*place, "columns", column_name), column, _COLUMN_KEYS)


def _items(value: Value, key: str) -> list[tuple[str, Value]]:
    inner = value.get(key) if isinstance(value, dict) else None
    return list(inner.items()) if isinstance(inner, dict) else []


def _unknown_keys(place: Place, value: Value, known: tuple[str, ...]) -> Iterator[Problem]:
    for key in value if isinstance(value, dict) else ():
        if key not in known:
            yield Problem((*place, key), "is no key of a manifest here", remedy=nearest(key, known))


def _problems_of(error: ValidationError) -> Iterator[Problem]:
    for found in error.errors(include_url=False):
        place, kind = tuple(map(str, found["loc"])), found["type"]
        cause = found.get("ctx", {}).get("error")
        if isinstance(cause, UnsoundError):
            yield from cause.problems
        elif kind == "missing":
            yield Problem(place, "is missing", remedy=_MISSING.get(place[-1], ""))
        elif kind != "extra_forbidden":
            message, remedy = _SHAPES.get(kind, (found["msg"], ""))
            yield Problem(place, message, show(found["input"]), remedy)


def dump_manifest(manifest: Manifest, *, comments: Mapping[tuple[str, ...], str] = {}) -> str:
    """The text of a manifest, which `parse_manifest` reads back as an equal one.

    The comment of ("tables", name) stands above the table, that of ("tables", name, "columns", column) behind the column.
    """
    lines = [
        HEADER,
        "assise: 1",
        f"name: {_quote(manifest.name)}",
        f"postgres: {_quote(manifest.postgres)}",
        "",
    ]
    lines.append("tables:" if manifest.tables else "tables: {}")
    for name, table in manifest.tables.items():
        place = ("tables", name)
        if place in comments:
            lines.append(f"  # {_comment(comments[place])}")
        lines.append(f"  {_quote(name)}:")
        lines.extend(_table_lines(table))
        lines.append("    columns:" if table.columns else "    columns: {}")
        for column_name, column in table.columns.items():
            comment = comments.get((*place, "columns", column_name))
            behind = "" if comment is None else f"  # {_comment(comment)}"
            lines.append(
                f"      {_quote(column_name)}: {_column_text(column_name, column)}{behind}"
            )
    return "\n".join(lines) + "\n"


def _table_lines(table: Table) -> Iterator[str]:
    if table.collection is not None:
        yield f"    collection: {_quote(table.collection)}"
        yield f"    primary_key: {_quote(table.primary_key[0])}"
    else:
        yield f"    parent: {_quote(table.parent or '')}"
        yield f"    from: {_quote(table.from_ or '')}"
        yield f"    primary_key: [{', '.join(map(_quote, table.primary_key))}]"
    if table.comment is not None:
        yield f"    comment: {_quote(table.comment)}"


def _column_text(name: str, column: Column) -> str:
    parts = [f"type: {_quote(column.type)}"]
    if column.kind != "offset" and column.from_ != default_path(name):
        parts.append(f"from: {_quote(column.from_)}")
    if column.kind != default_kind(column.type):
        parts.append(f"kind: {_quote(column.kind)}")
    if column.comment is not None:
        parts.append(f"comment: {_quote(column.comment)}")
    return f"{{{', '.join(parts)}}}" if len(parts) > 1 else _quote(column.type)


def _quote(text: str) -> str:
    return (
        text if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS else f'"{escape(text)}"'
    )


def _comment(text: str) -> str:
    """`text` in one line: nothing in it ends a comment."""
    return "".join(c if c.isprintable() else escape(c) for c in text)


def json_schema() -> dict[str, Schema]:
    """The JSON Schema of a manifest, for editors. It knows the shape of the file; what it cannot tell, loading does."""
    text: Schema = {"type": "string"}
    types: Schema = list(KINDS)
    column = _object(
        {
            "type": {"enum": types, "description": "its type in PostgreSQL"},
            "from": {
                "type": "string",
                "description": "the path of the field, such as address.city; without it the field with the column's own name",
            },
            "kind": {
                "enum": list(dict.fromkeys(k for kinds in KINDS.values() for k in kinds)),
                "description": "which BSON values it holds, where the type's first kind is not meant",
            },
            "comment": {"type": "string", "description": "its comment in PostgreSQL"},
        },
        required=["type"],
    )
    names: Schema = {"type": "array", "items": text, "minItems": 1}
    table = _object(
        {
            "collection": {
                "type": "string",
                "description": "the collection whose documents are the rows",
            },
            "parent": {
                "type": "string",
                "description": "of a child table: the table whose documents hold the array",
            },
            "from": {
                "type": "string",
                "description": "of a child table: the array inside the parent's document, ending in its one *, such as orders.* or report.files.*",
            },
            "primary_key": {
                "anyOf": [text, names],
                "description": "the column that reads _id, or one of kind offset; of a child table a name for the collection's key, then one for the"
                " position at each level, outermost first",
            },
            "columns": {
                "type": "object",
                "additionalProperties": {"anyOf": [{"enum": types}, column]},
                "description": "the columns by name; those of a child table without its key",
            },
            "comment": {"type": "string", "description": "its comment in PostgreSQL"},
        },
        required=["primary_key"],
    )
    table["oneOf"] = [{"required": ["collection"]}, {"required": ["parent", "from"]}]
    properties: dict[str, Schema] = {
        "assise": {"const": 1, "description": "version of the manifest: 1"},
        "name": {
            "type": "string",
            "pattern": "^[A-Za-z][A-Za-z0-9_-]*$",
            "maxLength": 63,
            "description": "name of the project and of its database on the embedded server: a letter, then letters, digits, _, -; at most 63",
        },
        "postgres": {
            "type": "string",
            "default": "embedded",
            "description": "embedded, or a URL; ${VAR} and ${VAR:-default} are replaced by environment variables, once",
        },
        "tables": {
            "type": "object",
            "additionalProperties": table,
            "description": "the tables by name",
        },
    }
    head: dict[str, Schema] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Assise manifest",
    }
    return head | _object(properties, required=["assise", "name", "tables"])


def _object(properties: dict[str, Schema], *, required: list[Schema]) -> dict[str, Schema]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }
