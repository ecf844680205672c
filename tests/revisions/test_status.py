"""How a database differs from its revisions, and both ways out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.revisions.changing import change, check_same, revise
from tests.scenes.databases import Databases

from assise.errors import ChangedError, UsageError
from assise.project import Project
from assise.revisions import sums

Query = Callable[..., list[tuple[object, ...]]]


def test_drift_is_shown_with_both_ways_out(shop: Project, query: Query) -> None:
    query("DROP INDEX orders_state_price_idx")
    query("ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'")
    status = shop.revisions().status()
    assert status.exit_code == 3
    assert status.drift.differences == [
        "index public.orders_state_price_idx on public.orders is missing",
        "column name on public.users is another one",
    ]
    for statement in status.drift.keep:
        assert "DROP INDEX" in statement or "SET DEFAULT" in statement
    for statement in status.drift.restore:
        query(statement)
    assert shop.revisions().status().exit_code == 0


def test_what_no_revision_knows_is_listed_and_stays(shop: Project, query: Query) -> None:
    query("CREATE TABLE theirs (a int PRIMARY KEY); CREATE INDEX ON users (name)")
    query("CREATE VIEW seen AS SELECT id FROM users")
    drift = shop.revisions().diff()
    assert drift.is_empty
    assert [item.shown for item in drift.others] == [
        "index public.users_name_idx on public.users",
        "table public.theirs",
        "view public.seen",
    ]
    change(shop, "who buys", "buyers")
    revise(shop, "buyers")
    shop.revisions().apply()
    assert len(shop.revisions().status().drift.others) == 3
    assert query("SELECT count(*) FROM seen") == [(300,)]


def test_what_other_parts_have_made_is_not_said_to_be_of_others(
    shop: Project, query: Query
) -> None:
    search = "    search: {body: name, language: en}\n"
    change(shop, "    comment: who buys\n", f"    comment: who buys\n{search}")
    visits = "  visits: {primary_key: id, columns: {id: int8, made_at: timestamptz}}\n"
    change(shop, "tables:\n", f"tables:\n{visits}")
    created = "{table: visits, created: made_at}"
    change(shop, "name: app\n", f"name: app\nanalytics: {{projects: {created}}}\n")
    revise(shop)
    shop.revisions().apply()
    shop.load(None, confirm=lambda _: True)
    assert query("SELECT to_regclass('_search_rows_users') IS NOT NULL") == [(True,)]
    query("CREATE INDEX of_others ON users (name)")
    drift = shop.revisions().diff()
    assert drift.is_empty
    others = [item.shown for item in drift.others if item.kind != "extension"]
    assert others == ["index public.of_others on public.users"]


def test_a_database_from_before_is_marked_if_it_is_as_the_revision_says(
    shop_before: Project, query: Query, databases: Databases
) -> None:
    other = databases.create()
    Project(shop_before.path.parent, to=other).revisions().revise("start")
    with pytest.raises(ChangedError, match="knows of no revision") as refused:
        shop_before.revisions().apply()
    assert "mark 0001" in refused.value.remedy
    with pytest.raises(ChangedError, match="knows of none"):
        shop_before.load()
    with pytest.raises(UsageError, match="no revision 0002"):
        shop_before.revisions().mark(2)
    query("DROP INDEX orders_state_price_idx")
    with pytest.raises(ChangedError, match=r"orders_state_price_idx on .* is missing"):
        shop_before.revisions().mark(1)
    query("CREATE INDEX other ON orders (state, price DESC)")
    assert shop_before.revisions().mark(1) == ["0001 start"]
    check_same(shop_before)
    assert shop_before.load().was_done
    databases.drop(other)


@pytest.mark.contract
def test_without_createdb_another_server_or_a_clear_error(
    shop: Project, query: Query, database: str
) -> None:
    query("CREATE ROLE modest LOGIN NOSUPERUSER NOCREATEDB")
    query("GRANT ALL ON SCHEMA public, assise TO modest")
    query("GRANT ALL ON ALL TABLES IN SCHEMA public, assise TO modest")
    place = Path(mkdtemp(dir="/tmp"))
    shutil.copytree(shop.path.parent, place, dirs_exist_ok=True)
    place.chmod(0o755)
    modest = Project(place, to=f"{database} user=modest")
    try:
        verbs = modest.revisions(scratch=database)
        assert verbs.diff().is_empty
        if query("SHOW server_version_num") < [("180000",)]:
            says = "may not create databases.*the embedded server is PostgreSQL 18"
            with pytest.raises(UsageError, match=says) as refused:
                modest.revisions().diff()
            assert "give --scratch URL" in refused.value.remedy
        else:
            assert modest.revisions().diff().is_empty
    finally:
        modest.workspace.embedded.stop(immediate=True)
        shutil.rmtree(place)
        query("DROP OWNED BY modest")
        query("DROP ROLE modest")


def test_a_scratch_database_of_a_killed_command_goes_and_others_stay(
    shop: Project, query: Query
) -> None:
    names = ("left_long_ago", "made_just_now", "not_ours")
    comments = ("assise: a scratch database of 1", None, "assise: a scratch")
    for name, comment in zip(names, comments, strict=True):
        query(f"CREATE DATABASE {name}")
        now = "format('assise: a scratch database of %%s', extract(epoch FROM now())::int)"
        said = query(f"SELECT quote_literal({now})")[0][0] if comment is None else f"'{comment}'"
        query(f"COMMENT ON DATABASE {name} IS {said}")
    change(shop, "who buys", "buyers")
    revise(shop, "buyers")
    found = "SELECT datname::text FROM pg_database WHERE datname = ANY (%s) ORDER BY 1"
    assert query(found, [[*names]]) == [("made_just_now",), ("not_ours",)]
    scratch = "SELECT count(*) FROM pg_database WHERE datname LIKE 'assise\\_scratch\\_%%'"
    assert query(scratch) == [(0,)]
    for name in names[1:]:
        query(f"DROP DATABASE {name}")


def test_a_sum_is_built_once_and_kept_by_what_it_is_of(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.revisions().diff().is_empty
    built = list[object]()

    def refuse(server: object) -> None:
        built.append(server)
        raise UsageError("a scratch database is made")

    monkeypatch.setattr(sums, "open_scratch", refuse)
    assert shop.revisions().diff().is_empty
    assert built == []
    change(shop, "who buys", "buyers")
    with pytest.raises(UsageError, match="a scratch database is made"):
        shop.revisions().diff()
    kept = shop.path.parent / ".assise"
    assert [file for file in kept.rglob("*.json") if len(file.stem) == 32]
