"""Any manifest to any other: what revisions make is what an empty database gets, and back."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.revisions.changing import check_same
from tests.scenes.databases import Databases

from assise.errors import UsageError
from assise.project import Project

PAIRS = 30
COLUMNS = {
    "a": ["text", "varchar(10)", "varchar(20)"],
    "b": ["int4", "int8"],
    "c": ["numeric(8,2)", "numeric(10,2)", "numeric"],
    "d": ["timestamptz"],
    "e": ["text"],
}
KEYS = {
    "a": ["unique: true", "not_null: true", "default: x", 'values: [x, "y z"]', "comment: it's"],
    "b": ["check: b > 0", "default: '7'", "unique: true", "comment: b"],
    "c": ["not_null: true", "default: '0'"],
    "d": ["default: now()", "not_null: true"],
    "e": ["references: users(e)", "comment: e"],
}
INDEXES = [
    "[a, -b]",
    "{columns: [b], unique: true}",
    '{expression: "lower(a)"}',
    "{columns: [d], where: b > 1}",
]
RULES = [
    "",
    "    access: {owner: id}\n",
    "    access: {owner: id, read: {any: [{public: read}]}}\n",
]


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """A manifest of two tables, whose columns always are there."""
    lines = ["assise: 1\nname: pairs\nroles: {prefix: pairs}\ntables:\n"]
    for table in ("users", "notes"):
        lines.append(f"  {table}:\n    collection: {table}\n    primary_key: id\n")
        lines += [draw(st.sampled_from(RULES)) if table == "users" else "    access: none\n"]
        lines.append("    columns:\n      id: {type: uuid, from: _id}\n")
        for name, types in COLUMNS.items():
            if name in "ae" or draw(st.booleans()) or draw(st.booleans()):
                lines.append(f"      {name}: {draw(write_column(table, name, types))}\n")
        text = "".join(lines)
        own = text.rpartition("columns:\n      id")[2]
        possible = [
            each for each in INDEXES if all(f"      {c}:" in own for c in "abd" if c in each)
        ]
        chosen = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
        lines.append(f"    indexes: [{', '.join(chosen)}]\n" if chosen else "")
    return "".join(lines)


@st.composite
def write_column(draw: st.DrawFn, table: str, name: str, types: list[str]) -> str:
    keys = draw(st.lists(st.sampled_from(KEYS[name]), unique=True))
    if name == "e":
        keys = [key for key in keys if "references" not in key or table == "notes"]
        keys += ["unique: true"] if table == "users" else []
    kind = draw(st.sampled_from(types))
    return "{" + ", ".join([f'type: "{kind}"', *keys]) + "}"


@pytest.mark.soak
@settings(max_examples=PAIRS)
@given(first=manifests(), second=manifests())
def test_revisions_make_what_the_manifest_makes(
    databases: Databases, first: str, second: str
) -> None:
    database = databases.create()
    try:
        with TemporaryDirectory() as folder:
            project = Project(folder, to=database)
            Path(folder, "assise.yaml").write_text(first)
            assert project.revisions().revise("start")
            project.revisions().apply()
            check_same(project)
            Path(folder, "assise.yaml").write_text(second)
            drop = [f"{table}.{name}" for table in ("users", "notes") for name in COLUMNS]
            try:
                path = project.revisions().revise("next", drop=drop)
            except UsageError as error:
                if "in place" not in error.message:
                    raise
                return
            for verb in [project.revisions().apply, project.revisions().revert] if path else []:
                verb(drop=drop)
            project.revisions().apply(drop=drop)
            check_same(project)
    finally:
        databases.drop(database)
