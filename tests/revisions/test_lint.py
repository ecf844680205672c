"""What squawk says of a revision, and what of it counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.revisions.changing import change, folder_of, revise

from assise.cli.run import run as run_command
from assise.errors import UsageError
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


def test_an_index_of_a_cut_table_is_safe_where_the_revision_makes_the_table() -> None:
    made = "CREATE TABLE public.paid (\n    at date\n) PARTITION BY RANGE (at);\n"
    index = "CREATE INDEX paid_at ON ONLY public.paid USING btree (at);\n"
    down = "-- assise: down\nDROP TABLE public.paid;\n"
    assert run_squawk(parse_revision(f"{HEAD}{made}{index}{down}", file="0002_x.sql")) == []
    (finding,) = run_squawk(parse_revision(f"{HEAD}{index}{down}", file="0002_x.sql"))
    assert finding.rule == "require-concurrent-index-creation"


def test_without_a_revision_there_is_nothing_to_check(
    shop_before: Project, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="has no revision") as caught:
        shop_before.revisions().lint()
    assert "schema revise start" in str(caught.value.remedy)
    assert run_command(["schema", "status", "-f", str(shop_before.path), "--to", database]) == 0
    assert (
        capsys.readouterr().out == "no revisions: `assise schema revise start` writes the first.\n"
    )
    with pytest.raises(UsageError, match="has no revision"):
        shop_before.revisions().apply()


def test_status_says_what_it_has_not_compared(
    shop: Project, database: str, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    status = ["schema", "status", "-f", str(shop.path), "--to", database]
    assert run_command(status) == 0
    assert "nothing differs: the database is as its revisions have it" in capsys.readouterr().out
    query("UPDATE assise.revision SET state = 'begun'")
    run_command(status)
    assert "nothing was compared: 0001 start is under way" in capsys.readouterr().out


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
