"""What is wrong with `search` at a table is told in words, with the line and what to write."""

from __future__ import annotations

import pytest

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest

MANIFEST = """assise: 1
name: app
tables:
  notes:
    collection: notes
    primary_key: id
    search: {SEARCH}
    columns:
      {id: {type: int4, from: _id}, a: text, b: text, c: text, d: text, e: text, size: int4, at: timestamptz}
"""
NAMES = "id, a, b, c, d, e, size, at"
MAPPING = "Expected: a column of moments, and the time after which it counts half, such as {updated_at: 30 days}."
TIME = "Write a number and hours, days, weeks, months or years: 30 days."
PROBLEMS = {
    "{}": ("", "names no column", "Give title, body, or both."),
    "{body: [a, b, c, d, e]}": (
        "",
        "searches 5 columns, over 4",
        "Leave columns out, or join them in a generated column.",
    ),
    "{body: [a, a]}": (".body", "a: is searched twice", "Name it once."),
    "{title: z}": (".title", "z: is not a column of notes", f"Known: {NAMES}."),
    "{body: size}": (
        ".body",
        "size: is of type int4, which holds no text",
        "Name columns of type text.",
    ),
    "{body: a, language: FR}": (
        ".language",
        "FR: is no language",
        "Write fr, en, code, or the name of a text search configuration.",
    ),
    "{body: a, language: []}": (".language", "is empty", "Write fr, en, or both: [fr, en]."),
    "{body: a, language: {column: z}}": (
        ".language.column",
        "z: is not a column",
        f"Known: {NAMES}.",
    ),
    "{body: a, language: {column: size}}": (
        ".language.column",
        "size: holds no language",
        "Give the column the type text.",
    ),
    "{body: a, exact: b}": (".exact", "b: is not searched", "Known: a."),
    "{body: a, weights: 3}": (
        ".weights",
        "3: must be a mapping",
        "Expected: what columns count, such as {title: 3}.",
    ),
    "{body: a, weights: {b: 3}}": (".weights.b", "b: is not searched", "Known: a."),
    "{body: a, weights: {a: 0}}": (".weights.a", "0.0: is no weight", "Write 0.1 to 100."),
    "{body: a, synonyms: ../b}": (
        ".synonyms",
        "../b: is not a file of the project",
        "Give a path below the manifest's folder, such as synonyms.txt.",
    ),
    "{body: a, boost: 3}": (".boost", "3: must be a mapping", MAPPING),
    "{body: a, boost: at}": (".boost", "at: must be a mapping", MAPPING),
    "{body: a, boost: [at]}": (".boost", "must be a mapping", MAPPING),
    "{body: a, boost: {at: [30]}}": (".boost.at", "must be a text", MAPPING),
    "{body: a, boost: {at: soon}}": (".boost.at", "soon: is no time", TIME),
    "{body: a, boost: {z: 1 day}}": (".boost.z", "z: is not a column", f"Known: {NAMES}."),
    "{body: a, boost: {size: 1 day}}": (
        ".boost.size",
        "size: is of type int4, which is no moment",
        "Name a column of type timestamptz or date.",
    ),
    "{body: a, boost: {at: 1 day, size: 1 day}}": (".boost", "has several columns", "Name one."),
}


@pytest.mark.parametrize("search", PROBLEMS)
def test_a_mistake_is_told_with_line_and_remedy(search: str) -> None:
    key, message, remedy = PROBLEMS[search]
    with pytest.raises(ManifestError) as caught:
        parse_manifest(MANIFEST.replace("{SEARCH}", search))
    assert (caught.value.line, caught.value.key) == (7, f"tables.notes.search{key}")
    assert str(caught.value).startswith(f"assise.yaml:7: tables.notes.search{key}: {message}")
    assert remedy in str(caught.value)


@pytest.mark.parametrize("name", ["number", "part", "generation", "score", "g"])
def test_a_key_that_is_called_like_a_column_of_the_index_is_refused(name: str) -> None:
    manifest = MANIFEST.replace("{SEARCH}", "{body: a}")
    with pytest.raises(
        ManifestError, match=f"search: {name}: keeps a column of this name"
    ) as caught:
        parse_manifest(manifest.replace("key: id", f"key: {name}").replace("{id:", f"{{{name}:"))
    assert caught.value.remedy.startswith("Give the column another name")
