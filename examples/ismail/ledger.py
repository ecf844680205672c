"""The ledger of wallets: a transfer moves money once, however often it is asked for."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import psycopg

KEY = (
    "INSERT INTO core.transfer_keys (key) VALUES (%s) ON CONFLICT DO NOTHING RETURNING transfer_id"
)
MOVE = "UPDATE core.wallets SET balance = balance + %s WHERE id = %s"
LINE = """INSERT INTO core.transactions (transfer_id, wallet_id, kind, amount)
    VALUES (%s, %s, 'transfer', %s)"""


def transfer(
    connection: psycopg.Connection, key: str, amount: Decimal, *, source: str, target: str
) -> bool:
    """Move an amount between two wallets in one transaction; False where the key was used before.

    The wallets are changed in the order of their ids, so that no two transfers wait for each other.

    Raises:
        psycopg.errors.CheckViolation: the source has not so much; nothing was moved.
    """
    with connection.transaction():
        made = connection.execute(KEY, (key,)).fetchone()
        if made is None:
            return False
        for wallet, change in sorted(((source, -amount), (target, amount))):
            connection.execute(MOVE, (change, wallet))
            connection.execute(LINE, (made[0], wallet, change))
    return True


def run(conninfo: str, writers: int, transfers: int) -> None:
    """Let many writers move a cent between neighbours, each transfer with a key of its own."""
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute("SELECT id::text FROM core.wallets ORDER BY id").fetchall()
    wallets = [str(row[0]) for row in rows]

    def write(number: int) -> None:
        with psycopg.connect(conninfo, autocommit=True) as session:
            for n in range(transfers):
                source, target = (wallets[(number + n + i) % len(wallets)] for i in (0, 1))
                key = f"writer {number} transfer {n}"
                transfer(session, key, Decimal("0.01"), source=source, target=target)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
