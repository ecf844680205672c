"""assise.yaml read: a text becomes a manifest, or an error with file, line, key and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from assise.errors import ManifestError
from assise.manifest.folders import add_folders
from assise.manifest.json_schema import (
    find_options,
    json_schema,
    properties_of,
    takes_null,
    takes_numbers,
    takes_text,
)
from assise.manifest.keys import AnyKey, Schema
from assise.manifest.model import Manifest
from assise.manifest.nodes import Value, list_items, read_nodes
from assise.manifest.problems import Place, Problem, UnsoundError, manifest_error
from assise.manifest.sections import find_key, keys_on
from assise.manifest.variables import Variables, hide_contents
from assise.wording import nearest, show

_SHAPES = {
    "string_type": "must be a text",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "tuple_type": "must be a name or a list of names",
    "list_type": "must be a list",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "extra_forbidden": "is not a manifest key here",
}
_ENTRY = "Give a table's keys, or a column's type or {type: text, from: a.b}."


def load_manifest(path: Path) -> Manifest:
    """The manifest in a file.

    Raises:
        ManifestError: the file cannot be read, or something in it cannot be used.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message, remedy = f"cannot be read: {error.strerror}", "Give the path of a manifest."
        raise ManifestError(message, file=str(path), remedy=remedy) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message, remedy = f"is not UTF-8 at byte {error.start}", "Save the file as UTF-8."
        raise ManifestError(message, file=str(path), line=line, remedy=remedy) from error
    return parse_manifest(text, str(path))


def parse_manifest(text: str, file: str = "assise.yaml") -> Manifest:
    """The manifest in a YAML text; `file` is its name in errors.

    A verb reads its manifest several times: a text without variables is parsed once.

    Raises:
        ManifestError: something in it cannot be used; the message has one line for each of the
            first ten problems.
    """
    return _parse(text, file) if "${" in text else _parse_once(text, file)


def _parse(text: str, file: str) -> Manifest:
    schema, variables = json_schema(), Variables()
    value, lines, found = read_nodes(text)
    value = _write_out(value)
    unknown = list(_find_unknown(value, [schema]))
    value = variables.replace(value)
    found = [each for each in (*found, *variables.problems) if _counts(each, schema)]
    problems = _check_version(value) or (found and [*found, *unknown]) or _check_mapping(value)
    result = problems or _validate(value, variables, unknown)
    if isinstance(result, Manifest):
        return result
    shown = hide_contents(result, variables.replaced, file_text=text)
    raise manifest_error(list(shown), file, lines=lines)


_parse_once = lru_cache(maxsize=2)(_parse)


def _validate(
    value: Value, variables: Variables, unknown: list[Problem]
) -> Manifest | list[Problem]:
    try:
        manifest = Manifest.model_validate(value, context=variables.replaced)
    except ValidationError as error:
        return [*unknown, *_find_invalid(error, unknown)]
    return unknown or manifest


def _write_out(value: Value) -> Value:
    """The short forms in full, so that each value has one place: `a: text`, `primary_key: id`."""
    add_folders(value)
    tables = value.get("tables") if isinstance(value, dict) else None
    for table in tables.values() if isinstance(tables, dict) else ():
        if not isinstance(table, dict):
            continue
        if isinstance(table.get("primary_key"), str):
            table["primary_key"] = [table["primary_key"]]
        columns = table.get("columns")
        if isinstance(columns, dict):
            short = {name: column for name, column in columns.items() if isinstance(column, str)}
            columns |= {name: {"type": column} for name, column in short.items()}
    return value


def _check_version(value: Value) -> list[Problem]:
    version = value.get("assise", 1) if isinstance(value, dict) else 1
    if version == 1:
        return []
    message = "this program knows version 1 of the manifest"
    remedy = "Write assise: 1; for a newer manifest use a newer Assise."
    return [Problem(("assise",), message, show(version), remedy)]


def _check_mapping(value: Value) -> list[Problem]:
    if isinstance(value, dict) and value:
        return []
    known = ", ".join(key.name for key in keys_on("manifest"))
    message = "is not a mapping" if value else "is empty"
    return [Problem((), message, remedy=f"Write the keys {known}.")]


def _find_unknown(value: Value, options: Sequence[Schema], place: Place = ()) -> Iterator[Problem]:
    """Unknown keys, which pydantic would look for among the names of Python too."""
    known = [name for option in options for name in properties_of(option)]
    for name, inner in list_items(value):
        inner_options = [found for each in options for found in find_options(each, (name,))]
        if inner_options:
            yield from _find_unknown(inner, inner_options, (*place, name))
        elif known and isinstance(value, dict):
            message = "is not a manifest key here"
            yield Problem((*place, name), message, remedy=nearest(name, known))


def _counts(problem: Problem, schema: Schema) -> bool:
    """Whether a problem counts where it stands: values of unknown keys do not."""
    if problem.about == "place":
        return True
    options = list(find_options(schema, problem.place))
    is_number = problem.about == "text" and (
        any(map(takes_numbers, options)) or not any(map(takes_text, options))
    )
    is_null = problem.about == "value" and any(map(takes_null, options))
    return bool(options) and not is_number and not is_null


def _describe(place: Place, key: AnyKey) -> str:
    """What is expected of a key, or of a part of its value that has a description."""
    options = find_options(json_schema(), place)
    found = next((each["description"] for each in options if "description" in each), None)
    is_inner = find_key(place[:-1]) is key
    return str(found) if found else _describe(place[:-1], key) if is_inner else key.help


def _find_invalid(error: ValidationError, unknown: list[Problem]) -> Iterator[Problem]:
    known = {problem.place for problem in unknown}
    for found in error.errors(include_url=False):
        place, kind = tuple(map(str, found["loc"])), found["type"]
        cause = found.get("ctx", {}).get("error")
        key = find_key(place)
        expected = f"Expected: {_describe(place, key)}." if key else _ENTRY
        if isinstance(cause, UnsoundError):
            yield from cause.problems
        elif kind == "missing":
            remedy = (key.missing if key else "") or expected
            yield Problem(place, "is missing", remedy=remedy)
        elif place not in known:
            message = _SHAPES.get(kind, found["msg"])
            yield Problem(place, message, show(found["input"]), expected)
