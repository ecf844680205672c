"""Mistakes in references, constraints and indexes: message, line and remedy of each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest
from assise.manifest.sections.constraints import CHECK

TEXT = """assise: 1
name: shop
tables:
  teams:
    collection: teams
    primary_key: id
    columns:
      id: {type: text, from: _id, kind: any}
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      email: {type: text, unique: true}
      plan: {type: text, values: [free, pro]}
      stars: {type: int4, default: "0", check: "stars >= 0"}
      data: jsonb
      tags: "text[]"
      boss_id: {type: uuid, references: users, on_delete: cascade, orphans: keep}
    foreign_keys:
      - {columns: [boss_id], references: "users(id)"}
    indexes:
      - [plan, -stars]
      - {columns: [data], method: gin}
      - {expression: "lower(email)", unique: true, where: "stars > 0"}
"""
PLACE = "assise.yaml:{line}: tables.users.{place}: "
ONE = "Write one expression over the columns of this table, such as price >= 0."
KNOWN = "Known: id, email, plan, stars, data, tags, boss_id."
MISTAKES = [
    # references
    (
        "references: users,",
        "references: user,",
        19,
        "columns.boss_id.references",
        "user: is not a table of this manifest\nDid you mean users? Known: teams, users.",
    ),
    (
        "references: users,",
        'references: "users(",',
        19,
        "columns.boss_id.references",
        (
            "users(: is not a table of this manifest\nName a table, such as users, or a unique column"
            " of it, such as users(tenant_id)."
        ),
    ),
    (
        "references: users,",
        'references: "users(mail)",',
        19,
        "columns.boss_id.references",
        f"mail: is not a column of users\nDid you mean email? {KNOWN}",
    ),
    (
        "references: users,",
        'references: "users(plan)",',
        19,
        "columns.boss_id.references",
        (
            "users(plan): refers to plan, which is not unique\n"
            "Write unique: true for it in users, or refer to its primary key."
        ),
    ),
    (
        "references: users,",
        'references: "users(id, email)",',
        19,
        "columns.boss_id.references",
        "users(id, email): refers with 1 column to 2\nName as many columns on both sides.",
    ),
    (
        "references: users,",
        "references: teams,",
        19,
        "columns.boss_id.references",
        "teams: is of type text, this column of uuid\nGive both columns one type, such as text.",
    ),
    (
        'tags: "text[]"',
        'tags: {type: "text[]", references: teams}',
        18,
        "columns.tags.references",
        (
            "teams: is a reference of a text[]\n"
            "Make it a child table: PostgreSQL has no foreign keys of arrays."
        ),
    ),
    (
        "references: users, ",
        "",
        19,
        "columns.boss_id.on_delete",
        "cascade: belongs to a column with references. Add references, or remove this key.",
    ),
    (
        "on_delete: cascade",
        'on_delete: "set null", not_null: true',
        19,
        "columns.boss_id.on_delete",
        "set null: cannot be: the column boss_id is never NULL\nWrite cascade or restrict.",
    ),
    (
        "on_delete: cascade",
        "on_delete: drop",
        19,
        "columns.boss_id.on_delete",
        (
            "drop: Input should be 'no action', 'restrict', 'cascade', 'set null' or 'set default'\n"
            "Expected: what becomes of the row when the one that it refers to is deleted."
        ),
    ),
    (
        "orphans: keep",
        "orphans: drop",
        19,
        "columns.boss_id.orphans",
        (
            "drop: Input should be 'keep', 'null' or 'reject'\nExpected: what becomes of rows that refer"
            " to no row: keep, with a foreign key that only new rows must fulfil; null, the original"
            " stays in _extra; or reject the document, and then those that refer to it."
        ),
    ),
    (
        "orphans: keep",
        "orphans: null, not_null: true",
        19,
        "columns.boss_id.orphans",
        "null: cannot be: the column boss_id is never NULL\nWrite keep or reject.",
    ),
    (
        "references: users, on_delete: cascade, orphans: keep",
        "orphans: reject",
        19,
        "columns.boss_id.orphans",
        "reject: belongs to a column with references\nAdd references, or remove this key.",
    ),
    (
        'columns: [boss_id], references: "users(id)"',
        "columns: [id], references: users, orphans: null",
        21,
        "foreign_keys.0.orphans",
        "null: cannot be: the column id is never NULL\nWrite keep or reject.",
    ),
    (
        'columns: [boss_id], references: "users(id)"',
        'columns: [id], references: users, on_delete: "set null"',
        21,
        "foreign_keys.0.on_delete",
        "set null: cannot be: the column id is never NULL\nWrite cascade or restrict.",
    ),
    (
        "type: text, unique: true}",
        "type: text, unique: nulls not distinct, duplicates: null}",
        14,
        "columns.email.duplicates",
        "null: cannot be: NULL may not occur twice either\nWrite keep or reject, or unique: true.",
    ),
    (
        "type: text, unique: true}",
        "type: text, unique: true, not_null: true, duplicates: null}",
        14,
        "columns.email.duplicates",
        "null: cannot be: the column email is never NULL\nWrite keep or reject.",
    ),
    (
        "[plan, -stars]",
        "{columns: [plan, -stars], duplicates: reject}",
        23,
        "indexes.0.duplicates",
        "reject: belongs to what is unique\nAdd unique: true.",
    ),
    (
        "[plan, -stars]",
        "{columns: [plan, id], unique: true, duplicates: null}",
        23,
        "indexes.0.duplicates",
        "null: cannot be: the column id is never NULL\nWrite keep or reject.",
    ),
    (
        'unique: true, where: "stars > 0"',
        "unique: true, duplicates: null",
        25,
        "indexes.2.duplicates",
        "null: needs columns to set to NULL\nWrite keep or reject.",
    ),
    (
        "columns: [boss_id]",
        "columns: [boss]",
        21,
        "foreign_keys.0.columns",
        f"boss: is not a column of this table\nDid you mean boss_id? {KNOWN}",
    ),
    (
        "columns: [boss_id]",
        "columns: [boss_id, id]",
        21,
        "foreign_keys.0.references",
        "users(id): refers with 2 columns to 1\nName as many columns on both sides.",
    ),
    # constraints
    (
        "unique: true}",
        "unique: maybe}",
        14,
        "columns.email.unique",
        (
            "maybe: must be true, false or nulls not distinct\nExpected: true: no two rows have the same"
            " value; nulls not distinct: nor is it NULL twice."
        ),
    ),
    (
        "data: jsonb",
        "data: {type: jsonb, unique: true}",
        17,
        "columns.data.unique",
        (
            "true: is not allowed on jsonb\n"
            "Give the column a scalar type, or make an index with an expression."
        ),
    ),
    (
        "values: [free, pro]",
        "duplicates: keep",
        15,
        "columns.plan.duplicates",
        "keep: belongs to what is unique\nAdd unique: true.",
    ),
    (
        "values: [free, pro]",
        "values: [free, free]",
        15,
        "columns.plan.values.1",
        "free: occurs twice\nKeep one of them.",
    ),
    (
        "values: [free, pro]",
        "values: []",
        15,
        "columns.plan.values",
        "lists 0 values\nList 1 to 1,000 values, or remove the key.",
    ),
    (
        "data: jsonb",
        "data: {type: jsonb, values: [a]}",
        17,
        "columns.data.values",
        "is not allowed on jsonb\nWrite a check instead.",
    ),
    (
        'default: "0"',
        "default: random()",
        16,
        "columns.stars.default",
        (
            "random(): is not a default that is known\nWrite a value, or one of now(), current_date,"
            " gen_random_uuid(), uuidv7()."
        ),
    ),
    (
        '"stars >= 0"',
        '""',
        16,
        "columns.stars.check",
        f"is empty, has a NUL or more than 2,000 characters\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"stars >= "',
        16,
        "columns.stars.check",
        f'stars >= : is not an expression of SQL: syntax error at or near \\")\\"\n{ONE}',
    ),
    (
        '"stars >= 0"',
        '"star >= 0"',
        16,
        "columns.stars.check",
        f"names star, which is not a column of this table\nDid you mean stars? {KNOWN}",
    ),
    (
        '"stars >= 0"',
        '"users.stars >= 0"',
        16,
        "columns.stars.check",
        f"names users.stars, which is not a column of this table\nDid you mean stars? {KNOWN}",
    ),
    (
        '"stars >= 0"',
        '"stars > (SELECT 1)"',
        16,
        "columns.stars.check",
        f"stars > (SELECT 1): has a subquery in it\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"stars > count(*) OVER ()"',
        16,
        "columns.stars.check",
        f"stars > count(*) OVER (): has a window function in it\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"stars > $1"',
        16,
        "columns.stars.check",
        f"stars > $1: has a parameter in it\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"stars >= 0 -- at least"',
        16,
        "columns.stars.check",
        "stars >= 0 -- at least: has a comment in it\nRemove the comment.",
    ),
    (
        '"stars >= 0"',
        '"true); DROP TABLE users; SELECT (true"',
        16,
        "columns.stars.check",
        f"true); DROP TABLE users; SELECT (true: is more than one expression\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"true), (false"',
        16,
        "columns.stars.check",
        f"true), (false: is more than one expression\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"true) FROM users WHERE (true"',
        16,
        "columns.stars.check",
        f"true) FROM users WHERE (true: is more than one expression\n{ONE}",
    ),
    (
        '"stars >= 0"',
        '"true) AS stars, (true"',
        16,
        "columns.stars.check",
        f"true) AS stars, (true: is more than one expression\n{ONE}",
    ),
    # indexes
    (
        "[plan, -stars]",
        "[plan, -star]",
        23,
        "indexes.0.columns.1",
        f"star: is not a column of this table\nDid you mean stars? {KNOWN}",
    ),
    (
        "[plan, -stars]",
        "[plan, -plan]",
        23,
        "indexes.0.columns.1",
        "plan: occurs twice\nKeep one of them.",
    ),
    (
        "[plan, -stars]",
        "{columns: [plan], include: [x]}",
        23,
        "indexes.0.include.0",
        f"x: is not a column of this table\n{KNOWN}",
    ),
    (
        "[plan, -stars]",
        "{unique: true}",
        23,
        "indexes.0",
        "has neither columns nor an expression\nName the columns.",
    ),
    (
        "[plan, -stars]",
        "{columns: [plan], expression: plan}",
        23,
        "indexes.0",
        "has both columns and an expression\nKeep one of the two.",
    ),
    (
        "[plan, -stars]",
        "{columns: [data], method: gin}",
        24,
        "indexes.1",
        "occurs twice\nKeep one of them.",
    ),
    (
        "method: gin",
        "method: tree",
        24,
        "indexes.1.method",
        (
            "tree: Input should be 'btree', 'gin', 'hash', 'gist' or 'brin'\nExpected: the indexes: a"
            " column, a list of columns, -column for descending, or {columns, expression, where, unique,"
            " duplicates, method, include}; where and expression need the extra `schema`."
        ),
    ),
    (
        "method: gin",
        "method: gin, unique: true",
        24,
        "indexes.1.unique",
        "is not possible with gin\nOnly a btree can be unique: remove method or unique.",
    ),
    (
        "method: gin",
        "method: gin, include: [plan]",
        24,
        "indexes.1.include",
        "is not possible with gin\nRemove it.",
    ),
    (
        "{columns: [data], method: gin}",
        "{columns: [-tags], method: gin}",
        24,
        "indexes.1.columns",
        "have a direction in a gin index\nRemove the -: only a btree is ordered.",
    ),
    (
        ", method: gin",
        "",
        24,
        "indexes.1.columns",
        "name a jsonb column\nWrite method: gin, or an expression such as (data ->> 'status').",
    ),
    (
        '"lower(email)"',
        '"lower(mail)"',
        25,
        "indexes.2.expression",
        f"names mail, which is not a column of this table\nDid you mean email? {KNOWN}",
    ),
    (
        '"stars > 0"',
        '"stars >"',
        25,
        "indexes.2.where",
        f'stars >: is not an expression of SQL: syntax error at or near \\")\\"\n{ONE}',
    ),
]


def test_the_text_itself_is_sound() -> None:
    assert len(parse_manifest(TEXT).tables) == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "message"), MISTAKES, ids=[str(each[1]) for each in MISTAKES]
)
def test_a_mistake_is_refused(old: str, new: str, line: int, place: str, message: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(ManifestError) as caught:
        parse_manifest(TEXT.replace(old, new))
    assert str(caught.value).startswith(PLACE.format(line=line, place=place) + message)


WITHOUT = """
import sys
sys.modules["pglast"] = None
from assise.errors import AssiseError
from assise.manifest.read import parse_manifest
from assise.manifest.sections.constraints import CHECK
try:
    parse_manifest(sys.stdin.read())
except AssiseError as error:
    print(error)
"""


def test_without_the_parser_expressions_are_refused_and_the_extra_is_named() -> None:
    command = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(command, input=TEXT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        PLACE.format(line=line, place=place) + f"{text}: cannot be checked: PostgreSQL's parser is"
        " not installed. Install it with `pip install 'assise[schema]'`."
        for line, place, text in [
            (25, "indexes.2.expression", "lower(email)"),
            (25, "indexes.2.where", "stars > 0"),
            (16, "columns.stars.check", "stars >= 0"),
        ]
    ]
    plain = TEXT.replace(', check: "stars >= 0"', "").split("      - {expression")[0]
    done = subprocess.run(command, input=plain, capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.parametrize("check", ["(" * 1_900, "NOT " * 450, "-" * 1_900, "stars || " * 200])
def test_a_deep_or_long_expression_that_is_none_ends_in_an_error(check: str) -> None:
    with pytest.raises(ManifestError, match=r"columns\.stars\.check.* is not an expression of SQL"):
        parse_manifest(TEXT.replace("stars >= 0", check))


@pytest.mark.parametrize(
    "check", ["(" * 900 + "stars = 1" + ")" * 900, "NOT " * 400 + "true", "- " * 900 + "1 = 1"]
)
def test_a_deep_expression_is_read(check: str) -> None:
    stars = parse_manifest(TEXT.replace("stars >= 0", check)).tables["users"].columns["stars"]
    assert CHECK.of(stars) == check
