"""What squawk says of a revision, and what of it counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.revisions.changing import change, folder_of, revise

from assise.project import Project
from assise.revisions.files import parse_revision
from assise.revisions.lint import run_squawk

Query = Callable[..., list[tuple[object, ...]]]
HEAD = "-- assise: revision 0002 x\n-- assise: manifest ab\n-- assise: up\n"
UNSAFE = {
    "CREATE INDEX i ON users (name)": "require-concurrent-index-creation",
    "ALTER TABLE users ADD CONSTRAINT c CHECK (name <> '')": "constraint-missing-not-valid",
    "ALTER TABLE users ALTER COLUMN name SET NOT NULL": "adding-not-nullable-field",
    "ALTER TABLE users ALTER COLUMN name TYPE int USING 1": "changing-column-type",
    "ALTER TABLE users RENAME COLUMN name TO called": "renaming-column",
    "ALTER TABLE users ADD CONSTRAINT u UNIQUE (name)": "disallowed-unique-constraint",
}


@pytest.mark.parametrize("statement", UNSAFE)
def test_an_unsafe_statement_is_named_with_its_line_and_the_safe_one(statement: str) -> None:
    safe = "CREATE INDEX CONCURRENTLY j ON users (name);\n"
    text = f"{HEAD}{safe}{statement};\n-- assise: down\nDROP INDEX j;\n"
    findings = run_squawk(parse_revision(text, file="0002_x.sql"))
    assert [(each.rule, each.line) for each in findings] == [(UNSAFE[statement], 5)]
    assert findings[0].remedy


def test_what_revise_writes_is_safe(shop: Project) -> None:
    change(shop, "email: {type: text, unique: true}", "email: {type: text, not_null: true}")
    change(shop, "state: {type: text}", "state: {type: text, check: \"state <> ''\", unique: true}")
    change(shop, "price: {", "buyer: {type: uuid, references: users}\n      price: {")
    revise(shop, "much")
    assert shop.revisions().lint() == []


def test_a_sum_that_is_not_the_manifest_is_found(shop: Project) -> None:
    change(shop, "who buys", "buyers")
    text = revise(shop, "buyers")
    path = folder_of(shop) / "0002_buyers.sql"
    path.write_text(
        text.replace("-- assise: up\n", "-- assise: up\n\nALTER TABLE users ADD x int;\n")
    )
    (finding,) = shop.revisions().lint()
    assert finding.rule == "sum"
    assert "column x on public.users" in finding.says
