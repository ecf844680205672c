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

PAIRS, FEW = 30, 6
COLUMNS = {
    "a": ["text", "varchar(10)", "varchar(20)"],
    "b": ["int4", "int8"],
    "c": ["numeric(8,2)", "numeric(10,2)", "numeric"],
    "d": ["timestamptz"],
    "e": ["text"],
    "f": ["text"],
}
KEYS = {
    "a": [
        "unique: true",
        "not_null: true",
        "default: x",
        'values: [x, "y z"]',
        "comment: it's",
        "personal: name",
    ],
    "b": ["check: b > 0", "default: '7'", "unique: true", "comment: b"],
    "c": ["not_null: true", "default: '0'"],
    "d": ["default: now()", "not_null: true"],
    "e": ["references: users(e)", "comment: e", "personal: contact", "not_null: true"],
    "f": ["not_null: true", "unique: true", "comment: made"],
}
FORMULAS = ["left(a, 3)", "a || e"]
BORN = ("labels", "marks")
TABLES = ("notes", *BORN)
TIMES = "    timestamps: true\n"
TIME_COLUMNS = "      created_at: timestamptz\n      updated_at: timestamptz\n"

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
    """A manifest of one to four tables, the last two of which are born in PostgreSQL."""
    lines = ["assise: 1\nname: pairs\nroles: {prefix: pairs}\ntables:\n"]
    for table in ("users", *draw(st.lists(st.sampled_from(TABLES), unique=True))):
        is_born = table in BORN
        lines.append(f"  {table}:\n" + ("" if is_born else f"    collection: {table}\n"))
        lines.append("    primary_key: id\n")
        lines += [draw(st.sampled_from(RULES)) if table == "users" else "    access: none\n"]
        has_times = draw(st.booleans())
        lines += [TIMES] if has_times else []
        key = "default: gen_random_uuid()" if is_born else "from: _id"
        lines.append(f"    columns:\n      id: {{type: uuid, {key}}}\n")
        lines += [TIME_COLUMNS] if has_times else []
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
        keys = [key for key in keys if "references" not in key or table != "users"]
        keys += ["unique: true"] if table == "users" else []
    if name == "f":
        keys.append(f"generated: '{draw(st.sampled_from(FORMULAS))}'")
    kind = draw(st.sampled_from(types))
    return "{" + ", ".join([f'type: "{kind}"', *keys]) + "}"


@pytest.mark.contract
@settings(max_examples=FEW)
@given(first=manifests(), second=manifests())
def test_revisions_make_what_the_manifest_makes(
    databases: Databases, first: str, second: str
) -> None:
    check_pair(databases, first, second)


@pytest.mark.soak
@settings(max_examples=PAIRS)
@given(first=manifests(), second=manifests())
def test_so_do_those_of_many_pairs(databases: Databases, first: str, second: str) -> None:
    check_pair(databases, first, second)


def check_pair(databases: Databases, first: str, second: str) -> None:
    """Apply a revision between two manifests up, down and up, beside a fresh build."""
    database = databases.create()
    try:
        with TemporaryDirectory() as folder:
            project = Project(folder, to=database)
            Path(folder, "assise.yaml").write_text(first)
            assert project.revisions().revise("start")
            project.revisions().apply()
            check_same(project)
            Path(folder, "assise.yaml").write_text(second)
            names = [*COLUMNS, "created_at", "updated_at"]
            drop = [f"{table}.{name}" for table in ("users", *TABLES) for name in names]
            drop += TABLES
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
