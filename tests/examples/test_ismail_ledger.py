"""Ismail's tables in PostgreSQL, and its ledger: killed again and again, no cent is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.scenes.commands import wait_until

from assise.project import Project

Query = Callable[..., list[tuple[Any, ...]]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "ismail"
WRITERS, TRANSFERS = 50, 6
TABLES = {
    "core": set(
        "users user_biometrics professional_cards wallets transfer_keys transactions commissions".split()
    ),
    "business": set(
        "service_providers service_bookings shop_orders hotel_bookings real_estate_properties"
        " recovery_cases".split()
    ),
    "analytics": {"user_stats", "wallet_stats"},
}
"""The materialized view is none of the tables of the information schema."""


@pytest.fixture
def ismail(tmp_path: Path, database: str, query: Query) -> Project:
    shutil.copytree(EXAMPLE, tmp_path / "ismail")
    project = Project(tmp_path / "ismail" / "postgres.yaml", to=database)
    assert project.migrate(confirm=confirm).exit_code == 0
    query("INSERT INTO core.users (email) SELECT n || '@ismail.fr' FROM generate_series(1, 9) AS n")
    query("INSERT INTO core.wallets (user_id, balance) SELECT id, 100 FROM core.users")
    return project


def has_transfers(query: Query, least: int) -> bool:
    return query("SELECT count(*) >= %s FROM core.transfer_keys", (least,)) == [(True,)]


def test_fifty_writers_that_are_killed_lose_no_cent(
    ismail: Project, database: str, query: Query
) -> None:
    worker = make_conninfo(database, user="ismail_core_worker")
    command = [sys.executable, str(EXAMPLE / "ledger.py"), worker, str(WRITERS), str(TRANSFERS)]
    for goal in (20, 80):
        running = subprocess.Popen(command)
        wait_until(partial(has_transfers, query, goal), "some transfers")
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    assert query("SELECT count(*) < %s FROM core.transfer_keys", (WRITERS * TRANSFERS,)) == [
        (True,)
    ]
    subprocess.run(command, check=True)
    assert query("SELECT count(*) FROM core.transfer_keys") == [(WRITERS * TRANSFERS,)]
    assert query("SELECT sum(balance) FROM core.wallets") == [(Decimal("900.00"),)]
    differing = query("""SELECT w.id FROM core.wallets AS w JOIN core.transactions AS t ON wallet_id = w.id
        GROUP BY w.id HAVING balance <> 100 + sum(amount)""")
    assert differing == []
    odd = query("""SELECT transfer_id FROM core.transactions GROUP BY 1
        HAVING count(*) <> 2 OR sum(amount) <> 0""")
    assert odd == []
    assert ismail.audit.check().exit_code == 0
    changes = "SELECT count(*) FROM audit_log WHERE \"table\" = 'core.wallets' AND op = 'u'"
    assert query(changes) == [(2 * WRITERS * TRANSFERS,)]


def test_its_views_partitions_and_rules_are_there(ismail: Project, query: Query) -> None:
    ismail.work(is_once=True)
    assert query("SELECT wallets, balance FROM analytics.wallet_stats") == [(9, Decimal("900.00"))]
    assert query("SELECT users FROM analytics.user_stats") == [(9,)]
    assert query("SELECT count(*) FROM analytics.transaction_stats") == [(0,)]
    states = {each.table: each.ahead for each in ismail.partitions.status().states}
    assert states == {"core.transactions": 12, "public.audit_log": 12}
    assert query("SELECT count(*) FROM audit_log WHERE audit_log::text LIKE '%ismail.fr%'") == [
        (0,)
    ]
    assert ismail.revisions().diff().is_empty
    found = query("""SELECT table_schema::text, array_agg(table_name::text ORDER BY table_name) FROM information_schema.tables
        WHERE table_schema IN ('core', 'business', 'analytics') AND table_name !~ '_(past|far|\\d{4}_\\d\\d)$'
        GROUP BY 1 ORDER BY 1""")
    assert {schema: set(names) for schema, names in found} == TABLES


def test_a_user_sees_its_own_money_and_moves_none(
    ismail: Project, database: str, query: Query
) -> None:
    ((user, wallet),) = query("SELECT user_id::text, id::text FROM core.wallets LIMIT 1")
    query("INSERT INTO core.transfer_keys (key) VALUES ('k')")
    line = """INSERT INTO core.transactions (transfer_id, wallet_id, kind, amount)
        SELECT gen_random_uuid(), id, 'deposit', 1 FROM core.wallets"""
    query(line)
    assert ismail.access.check() == []
    app = make_conninfo(database, user="ismail_core_app")
    with psycopg.connect(app, autocommit=True) as session:
        session.execute("SELECT set_config('app.user_id', %s, false)", [user])
        assert session.execute("SELECT id::text FROM core.wallets").fetchall() == [(wallet,)]
        lines = session.execute("SELECT wallet_id::text FROM core.transactions").fetchall()
        assert lines == [(wallet,)]
        for denied in (
            "UPDATE core.wallets SET balance = 1e6",
            line,
            "SELECT FROM core.transfer_keys",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute(denied.encode())
        session.execute(
            "INSERT INTO business.shop_orders (user_id, product, quantity, amount) VALUES (%s, 'p', 1, 2)",
            [user],
        )
        assert session.execute("SELECT count(*) FROM business.shop_orders").fetchone() == (1,)
