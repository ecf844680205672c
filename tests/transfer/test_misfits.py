"""Columns whose type does not hold their values are told: before a load, after it, in its ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bson import Binary
from tests.dumps import confirm, write_dump

from assise.errors import UsageError
from assise.manifest.read import parse_manifest
from assise.project import Project
from assise.rows.columns import ColumnCount, ColumnCounts
from assise.transfer.misfits import Misfit, find_misfits

Query = Callable[..., list[tuple[object, ...]]]
MANIFEST = """assise: 1
name: app
tables:
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      customer: int4
      state: text
      note: text
      size: int4
      code: text
  order_items:
    parent: orders
    from: items.*
    primary_key: [order_id, position]
    columns:
      n: int4
"""
ORDERS = 400


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """Of 400 states 1 % are doubles, of the notes more, 5 sizes are too large, codes are read."""
    orders = [
        {
            "_id": n,
            "customer": n + 0.5,
            "state": float(n) if n in {7, 8, 9, 10} else "new",
            "note": None if n % 4 else (float(n) if n % 40 == 0 else "a note"),
            "code": n if n % 2 else "a code",
            "size": 2**40 if n in {1, 2, 3, 4, 5} else n,
            "items": [{"n": "one" if n < 200 else 1}],
        }
        for n in range(ORDERS)
    ]
    return write_dump(tmp_path / "app", {"orders": orders})


def misfits(found: list[Misfit]) -> list[str]:
    return [misfit.describe() for misfit in found]


EXPECTED = [
    "orders.customer: 0 of 400 values fit int4 (double that does not fit); `type: float8` would hold all",
    "orders.note: 90 of 100 values fit text (double); the others stand in _extra",
    "orders.size: 395 of 400 values fit int4 (int64 that does not fit); `type: int8` would hold all",
    (
        "order_items.n: 200 of 400 values fit int4 (string that does not fit);"
        " `type: jsonb` would hold all"
    ),
]


def test_a_load_tells_the_columns_under_99_percent(
    project: Project, dump: Path, query: Query
) -> None:
    project.path.write_text(MANIFEST)
    report = project.load(dump, confirm=confirm)
    assert misfits(report.misfits) == EXPECTED
    assert report.exit_code == 3
    (orders,) = report.collections
    counts = orders.columns["orders"]
    assert counts["state"] == ColumnCount(396, 0, {"double": 4})
    assert counts["code"] == ColumnCount(400, 200)
    assert counts["note"] == ColumnCount(90, 0, {"double": 10, "null": 300})
    assert counts["customer"] == ColumnCount(0, 0, {"double": 400})
    for table, columns in orders.columns.items():
        for name, count in columns.items():
            assert query(f"SELECT count({name}) FROM {table}") == [(count.held,)]
    again = project.load(confirm=confirm)
    assert again.was_done
    assert again.misfits == report.misfits
    facts = report.as_json()["misfits"]
    assert isinstance(facts, list)
    assert facts[0]["extra"] == {"double": 400}


@pytest.mark.parametrize("workers", [1, 2])
def test_chunks_and_workers_sum_up_to_the_same_counts(
    project: Project, dump: Path, workers: int
) -> None:
    project.path.write_text(MANIFEST)
    settings = {"workers": workers, "load.chunk_bytes": 4_000}
    chunked = Project(project.path, to=project.workspace.to, settings=settings)
    report = chunked.load(dump, confirm=confirm)
    assert misfits(report.misfits) == EXPECTED


def test_a_rejected_document_is_not_counted(project: Project, tmp_path: Path) -> None:
    orders = [{"_id": n, "state": "new"} for n in range(10)]
    orders[5] = {"_id": 1, "state": 7.5}
    dump = write_dump(tmp_path / "app", {"orders": orders})
    project.path.write_text(MANIFEST)
    report = project.load(dump, confirm=confirm)
    assert (report.loaded, report.rejected) == (9, 1)
    assert report.collections[0].columns["orders"]["state"] == ColumnCount(9)
    assert report.misfits == []


def test_a_column_that_would_be_empty_is_asked_about(
    project: Project, dump: Path, query: Query
) -> None:
    project.path.write_text(MANIFEST)
    questions: list[str] = []

    def answer(question: str) -> bool:
        questions.append(question)
        return "would be empty" not in question

    with pytest.raises(UsageError, match="nothing was written"):
        project.load(dump, confirm=answer)
    question = questions[-1]
    assert "1 column would be empty" in question
    assert (
        "orders.customer: 0 of 400 sampled values fit int4 (double that does not fit)" in question
    )
    assert "`type: float8` would hold all" in question
    assert "orders.note" not in question
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


def test_a_dry_run_says_the_same_from_samples(project: Project, dump: Path, query: Query) -> None:
    project.path.write_text(MANIFEST)
    plan = project.plan(dump)
    assert plan.exit_code == 3
    assert misfits(plan.misfits) == [line.replace("values", "sampled values") for line in EXPECTED]
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("type: float8", 1.5),
        ("type: text", "a"),
        ("type: bool", True),
        ("type: jsonb", {"a": 1}),
        ("type: bytea, kind: binary_3", None),
    ],
)
def test_the_remedy_holds_all_values(
    project: Project, tmp_path: Path, line: str, value: object
) -> None:
    if value is None:
        value = Binary(b"\1" * 16, 3)
    dump = write_dump(tmp_path / "app", {"orders": [{"_id": 1, "customer": value}]})
    project.path.write_text(MANIFEST)
    (misfit,) = project.plan(dump).misfits
    assert misfit.remedy == line
    text = MANIFEST.replace("customer: int4", f"customer: {{{line}}}")
    project.path.write_text(text)
    assert project.load(dump, confirm=confirm).exit_code == 0


@pytest.mark.parametrize(
    ("count", "lines", "exit_code"), [(1, 0, 0), (2, 1, 0), (10, 1, 0), (11, 1, 3)]
)
def test_less_than_99_percent_is_told_and_less_than_90_percent_is_a_finding(
    project: Project, tmp_path: Path, count: int, lines: int, exit_code: int
) -> None:
    states = [float(n) if n < count else "new" for n in range(100)]
    orders = [{"_id": n, "state": state} for n, state in enumerate(states)]
    dump = write_dump(tmp_path / "app", {"orders": orders})
    project.path.write_text(MANIFEST)
    for found in (project.plan(dump), project.load(dump, confirm=confirm)):
        assert (len(found.misfits), found.exit_code) == (lines, exit_code)


@pytest.mark.parametrize(
    ("line", "count", "remedy"),
    [
        ("type: varchar(9)", ColumnCount(5, 2, {"string": 5}), "type: text"),
        ("type: uuid, kind: hex", ColumnCount(5, 0, {"string": 5}), "type: text"),
        ("type: uuid, kind: hex", ColumnCount(5, 2, {"string": 5}), "type: jsonb"),
        ("type: int4, kind: double", ColumnCount(5, 2, {"double": 5}), "type: jsonb"),
        ("type: int4", ColumnCount(5, 2, {"double": 5}), "type: numeric"),
        ("type: int2", ColumnCount(5, 2, {"int32": 5}), "type: int8"),
        ("type: timestamptz(0)", ColumnCount(5, 0, {"date": 5}), "type: timestamptz"),
    ],
)
def test_the_remedy_takes_what_the_column_reads(line: str, count: ColumnCount, remedy: str) -> None:
    manifest = parse_manifest(MANIFEST.replace("code: text", f"code: {{{line}}}"))
    counts = ColumnCounts({"orders": {"code": count}})
    (misfit,) = find_misfits(counts, manifest.layout)
    assert misfit.remedy == remedy


def test_by_the_first_rules_nothing_is_read() -> None:
    layout = replace(parse_manifest(MANIFEST).layout, rules=1)
    counts = ColumnCounts({"orders": {"size": ColumnCount(0, 0, {"double": 400})}})
    (misfit,) = find_misfits(counts, layout)
    assert misfit.unfit == ()
