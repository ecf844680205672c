"""Alembic itself, in an environment of its own, beside tables that are not its."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.dumps import confirm

from assise.manifest.read import parse_manifest
from assise.project import Project
from assise.revisions.alembic import leave_ours

Query = Callable[..., list[tuple[object, ...]]]
LOCK = Path(__file__).with_name("alembic") / "alembic-1.20.1.txt"
MANIFEST = """assise: 1
name: app
views: {per_day: {file: sql/days.sql}}
tables:
  core.users:
    primary_key: id
    columns: {id: {type: uuid, default: gen_random_uuid()}, name: {type: text, unique: true}}
  users_seen:
    primary_key: id
    columns: {id: int4, body: text}
    search: {title: body}
  visits:
    primary_key: [id, at]
    partition: {by: at, every: month, ahead: 2}
    audit: true
    columns: {id: int4, at: {type: timestamptz, default: now()}}
    indexes: [id]
"""
ENV = """
import os
import psycopg
from alembic import context
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, Uuid, create_engine
from assise.project import Project

metadata = MetaData()
Table("users", metadata, Column("id", Uuid, primary_key=True), schema="core")
Table(
    "users_notes", metadata, Column("id", Integer, primary_key=True), Column("body", Text),
    Column("user_id", Uuid, ForeignKey("core.users.id")),
)
filtered = {}
if os.environ["FILTERED"]:
    include_object = Project(".").revisions().include_object
    filtered = {"include_object": include_object}
engine = create_engine(
    "postgresql+psycopg://", creator=lambda: psycopg.connect(os.environ["URL"])
)
with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, include_schemas=True, **filtered
    )
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture(scope="module")
def alembic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Alembic and what it needs, by its lock; SQLAlchemy is the tests' own."""
    folder = tmp_path_factory.mktemp("alembic")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
    command = [*pip, "--only-binary", ":all:", "--target", str(folder), "-r", str(LOCK)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"Alembic cannot be installed here: {made.stderr.strip()[-300:]}")
    return folder


@pytest.mark.contract
def test_autogenerate_leaves_what_is_ours_alone(
    alembic: Path, tmp_path: Path, database: str, query: Query
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "days.sql").write_text("SELECT count(*) AS n FROM users_seen")
    (tmp_path / "assise.yaml").write_text(MANIFEST)
    project = Project(tmp_path, to=database)
    project.migrate(confirm=confirm)
    project.revisions().revise("start")
    path = f"{alembic}:{os.environ.get('PYTHONPATH', '')}"

    def run(*words: str, filtered: str = "yes") -> None:
        variables = {**os.environ, "PYTHONPATH": path, "URL": database, "FILTERED": filtered}
        command = [sys.executable, "-m", "alembic", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def write(name: str, *, filtered: str = "yes") -> str:
        run("revision", "--autogenerate", "-m", name, filtered=filtered)
        (found,) = (tmp_path / "alembic" / "versions").glob(f"*_{name}.py")
        text = found.read_text()
        if not filtered:
            found.unlink()
        return text

    run("init", "alembic")
    (tmp_path / "alembic" / "env.py").write_text(ENV)
    without = write("without", filtered="")
    for name in ("'visits_past'", "'visits'", "'users_seen'", "'audit_log'"):
        assert f"op.drop_table({name}" in without
    first = write("notes")
    assert "op.create_table('users_notes'" in first
    assert "op.drop_table" not in first.partition("def downgrade")[0]
    assert "op.create_table('users'" not in first
    run("upgrade", "head")
    assert "op." not in write("nothing").partition("def upgrade")[2]
    drift = project.revisions().diff()
    assert drift.is_empty
    assert {"table public.users_notes", "table public.alembic_version"} <= {
        each.shown for each in drift.others
    }
    assert query("SELECT count(*) FROM users_notes") == [(0,)]


@pytest.mark.parametrize(
    ("name", "is_alembics"),
    [
        ("visits", False),
        ("visits_past", False),
        ("visits_2026_11", False),
        ("visits_2026_11_30", False),
        ("audit_log_far", False),
        ("visits_2026_report", True),
        ("users_seen_past", True),
        ("users_seen_2026", True),
    ],
)
def test_only_cut_tables_have_partitions(name: str, is_alembics: bool) -> None:
    include = leave_ours(parse_manifest(MANIFEST))
    assert (
        include(SimpleNamespace(schema=None, name=name), name, "table", True, None) is is_alembics
    )
