"""Queries: named, described, used, and read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import assise
from assise.postgres.queries import Queries

ROOT = Path(assise.__file__).parent
PACKAGES = sorted(
    ".".join(file.relative_to(ROOT).parts[:-2]) for file in ROOT.rglob("sql/queries.sql")
)


def test_every_package_with_queries_is_looked_at() -> None:
    assert PACKAGES == [
        "access",
        "analytics",
        "analytics.forward",
        "analytics.revenue",
        "audit",
        "cache",
        "identity",
        "postgres",
        "revisions",
        "search",
        "transfer",
        "worker",
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_query_is_described_and_used(package: str) -> None:
    folder = ROOT.joinpath(*package.split("."))
    text = (folder / "sql" / "queries.sql").read_text()
    named = re.findall(r"^-- (\w+) --$", text, re.MULTILINE)
    queries = Queries(f"assise.{package}")
    assert sorted(named) == sorted(queries.descriptions)
    for description in queries.descriptions.values():
        assert re.fullmatch(r"[A-Z].*[.]", description), description
    code = "\n".join(file.read_text() for file in folder.glob("*.py"))
    used = set(re.findall(r'QUERIES(?:\[|\.fill\(\s*)"(\w+)"', code))
    if "MadeObjects(" in code:
        shared = (ROOT / "postgres" / "made.py").read_text()
        used |= set(re.findall(r'self\.queries\["(\w+)"\]', shared))
    parts = set(re.findall(r"\{(\w+)\}", text)) & set(named)
    assert used | parts == set(named)


@pytest.mark.parametrize("package", PACKAGES)
def test_parameters_are_named(package: str) -> None:
    queries = Queries(f"assise.{package}")
    for name in queries.descriptions:
        assert "%s" not in queries[name]
        assert not queries[name].startswith("--")


def test_parts_are_put_in_as_they_stand() -> None:
    statement = Queries("assise.transfer").fill("changes", table='"100%s {transactions}"')
    assert 'FROM "100%%s {transactions}" AS t LEFT JOIN (SELECT xid::xid' in statement
