"""Moments of a migration of the small app, seen from outside.

Each function starts a command and returns when it stands where it is to be disturbed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import psycopg
from tests.scenes.app import SMALL, key
from tests.scenes.commands import Scene, wait_until

from assise.native import find_native
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.embedded import Embedded
from assise.transfer.ledger import LEDGER

LOCK_LOAD = "SELECT pg_advisory_xact_lock(hashtextextended('assise app', 0))"

READS_DEVICES = 'SELECT record_send(ROW("user_id"' if find_native() else 'SELECT "user_id"'
"""How verify begins to read the rows of user_devices."""


def at_infer(scene: Scene) -> None:
    """The first collection is profiled, one that takes long is being read."""
    (scene.folder / "assise.yaml").unlink()
    slow = shutil.copytree(scene.dump, scene.folder / "slow" / "app")
    users = slow / "users.bson"
    users.write_bytes(users.read_bytes() * 100)
    command = scene.start("migrate", dump=slow)
    wait_until(lambda: command.says("bookings: "), "the first collection")
    assert not (scene.folder / "assise.yaml").exists()


def at_lock(scene: Scene) -> None:
    """The manifest is written, nothing else."""
    (scene.folder / "assise.yaml").unlink()
    scene.hold(LOCK_LOAD)
    scene.start("migrate")
    scene.wait_blocked("SELECT pg_try_advisory_lock", is_asking=True)
    assert (scene.folder / "assise.yaml").exists()
    assert scene.ask("SELECT to_regnamespace('assise')") == [(None,)]


def at_ledger(scene: Scene) -> None:
    """The ledger is being made."""
    scene.hold("CREATE SCHEMA assise")
    scene.start("load")
    scene.wait_blocked("-- The parts")


def at_tables(scene: Scene) -> None:
    """Some tables are made, and not committed."""
    scene.hold("CREATE TABLE users (mine int)")
    scene.start("load")
    scene.wait_blocked("CREATE TABLE")
    assert scene.ask("SELECT to_regclass('bookings'), to_regclass('assise.load')") == [(None, None)]


def hold_chunks(scene: Scene) -> psycopg.Connection[tuple[object, ...]]:
    """Make the ledger, and lock its chunks until the rollback of the session that is given."""
    with Connection(scene.conninfo) as connection:
        bookkeeping.ensure(connection, LEDGER)
    return scene.hold("LOCK TABLE assise.chunk IN ACCESS EXCLUSIVE MODE")


def hold_before_rows(
    scene: Scene, table: str, verb: str = "load"
) -> psycopg.Connection[tuple[object, ...]]:
    """The tables are there, among them `table`, and no row.

    The session that is given holds the command until its rollback.
    """
    chunks = hold_chunks(scene)
    scene.start(verb)
    scene.wait_blocked("SELECT start_offset")
    assert scene.ask(f"SELECT to_regclass('{table}') IS NOT NULL") == [(True,)]
    return chunks


def at_rows(scene: Scene, verb: str = "load") -> psycopg.Connection[tuple[object, ...]]:
    """As `hold_before_rows`, with the tables of this dump."""
    chunks = hold_before_rows(scene, "bookings", verb)
    assert scene.ask(
        "SELECT to_regclass('user_devices') IS NOT NULL, (SELECT count(*) FROM assise.load)"
    ) == [(True, 1)]
    return chunks


def at_first_copy(scene: Scene) -> psycopg.Connection[tuple[object, ...]]:
    """The first COPY has begun, and has no row yet."""
    chunks = at_rows(scene)
    rows = scene.hold("LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."bookings"')
    return rows


def at_row_of_copy(scene: Scene) -> None:
    """The first COPY has rows and waits for the key of one of them."""
    chunks = at_rows(scene)
    scene.hold(f"INSERT INTO bookings (id) VALUES (objectid_to_uuid('{key(1, 20)}'))")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."bookings"')
    assert scene.ask("SELECT bytes_processed > 0 FROM pg_stat_progress_copy") == [(True,)]


def at_copy_of_children(scene: Scene) -> None:
    """The rows of the first chunk's documents are there, and not committed.

    The rows of their lines are not.
    """
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE booking_lines IN ACCESS EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."booking_lines"')
    assert scene.ask("SELECT count(*) FROM bookings") == [(0,)]


def at_duplicates(scene: Scene) -> None:
    """A chunk was refused for a duplicate key, and the keys that exist are being looked up."""
    rows = at_first_copy(scene)
    scene.hold("LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE", is_queued=True)
    rows.rollback()
    scene.wait_blocked('SELECT "id" FROM "public"."bookings"')


def at_reject(scene: Scene) -> None:
    """The first reject is being written."""
    rows = at_first_copy(scene)
    scene.hold("LOCK TABLE assise.reject IN EXCLUSIVE MODE")
    rows.rollback()
    scene.wait_blocked("COPY assise.reject")


def at_line_of_chunk(scene: Scene) -> None:
    """All rows of the first chunk are there, its line in the ledger is not."""
    rows = at_first_copy(scene)
    scene.hold("LOCK TABLE assise.chunk IN EXCLUSIVE MODE")
    rows.rollback()
    scene.wait_blocked("INSERT INTO assise.chunk")
    assert scene.ask("SELECT count(*) FROM assise.chunk") == [(0,)]


def wait_for_chunks(scene: Scene, count: int, collection: str) -> None:
    """Wait until some chunks of a collection are committed."""
    scene.wait_for("SELECT to_regclass('assise.chunk') IS NOT NULL")
    scene.wait_for(
        f"SELECT count(*) >= {count} FROM assise.chunk WHERE collection LIKE '{collection}'"
    )


def after_chunks(count: int, collection: str) -> Callable[[Scene], None]:
    """Some chunks of a collection are committed; the command is not held, wherever it is."""

    def at(scene: Scene) -> None:
        scene.start("load")
        wait_for_chunks(scene, count, collection)

    return at


def at_later_chunk(count: int, table: str) -> Callable[[Scene], None]:
    """Some chunks with rows of a table are committed, and the next one waits for it.

    The command goes from lock to lock.
    """

    def at(scene: Scene) -> None:
        chunks, lock = at_rows(scene), f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
        holder = scene.hold(lock)
        chunks.rollback()
        for _ in range(count):
            scene.wait_blocked(f'COPY "public"."{table}"')
            following = scene.hold(lock, is_queued=True)
            holder.rollback()
            scene.take(following)
            holder = following
        scene.wait_blocked(f'COPY "public"."{table}"')
        assert scene.ask(
            f"SELECT count(*) FROM assise.chunk WHERE (rows ->> '{table}')::int > 0"
        ) == [(count,)]

    return at


def at_first_key(scene: Scene) -> None:
    """All rows are there, no foreign key is."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE booking_lines IN ROW EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('ALTER TABLE "public"."booking_lines" ADD FOREIGN KEY')
    assert scene.ask(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace ="
        " 'public'::regnamespace"
    ) == [(0,)]
    assert scene.ask("SELECT count(*) FROM user_devices") == [(SMALL.users,)]


def at_last_key(scene: Scene) -> None:
    """The last foreign key is being added, in one transaction with those before it."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE user_devices IN ROW EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('ALTER TABLE "public"."booking_lines" ADD FOREIGN KEY')
    assert scene.ask(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace ="
        " 'public'::regnamespace"
    ) == [(0,)]


def at_statistics(scene: Scene) -> None:
    """All foreign keys are there, and the statistics of some tables."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked("ANALYZE")
    assert scene.ask(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace ="
        " 'public'::regnamespace"
    ) == [(3,)]


def at_finish(scene: Scene, verb: str = "load") -> psycopg.Connection[tuple[object, ...]]:
    """Everything is there, the load is not marked as finished."""
    chunks = at_rows(scene, verb)
    line = scene.hold("SELECT FROM assise.load FOR NO KEY UPDATE")
    chunks.rollback()
    scene.wait_blocked("UPDATE assise.load SET finished_at")
    assert scene.ask("SELECT finished_at FROM assise.load") == [(None,)]
    return line


def at_verify(scene: Scene) -> None:
    """The load is finished, and verify reads rows back."""
    line = at_finish(scene, "migrate")
    scene.hold("LOCK TABLE user_devices IN ACCESS EXCLUSIVE MODE")
    line.rollback()
    scene.wait_blocked(READS_DEVICES)
    assert scene.ask("SELECT finished_at IS NOT NULL FROM assise.load") == [(True,)]
    assert scene.command.says(f"events: {SMALL.events} documents equal")


MOMENTS: dict[str, Callable[[Scene], object]] = {
    "infer": at_infer,
    "the lock of the load": at_lock,
    "ledger": at_ledger,
    "tables": at_tables,
    "before the first row": at_rows,
    "first COPY": at_first_copy,
    "a row of the first COPY": at_row_of_copy,
    "COPY of children": at_copy_of_children,
    "lookup of duplicates": at_duplicates,
    "a reject": at_reject,
    "the first line of the ledger": at_line_of_chunk,
    "10 chunks": after_chunks(10, "bookings"),
    "COPY of grandchildren after 12 chunks": at_later_chunk(12, "booking_line_discounts"),
    "5 chunks of the second collection": at_later_chunk(5, "events"),
    "3 chunks of the last collection": after_chunks(3, "users"),
    "first foreign key": at_first_key,
    "last foreign key": at_last_key,
    "ANALYZE": at_statistics,
    "the last line of the ledger": at_finish,
    "verify": at_verify,
}


def start_embedded(scene: Scene) -> Embedded:
    """Start `load`, and wait until the embedded server that it starts takes connections."""
    server = Embedded(scene.folder / ".assise")
    scene.start("load")
    wait_until(lambda: server.status().running, "the embedded server")
    return server


def prepare_hold(conninfo: str) -> None:
    """Hold every load of `app` before it begins, also when the server has been started again."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("BEGIN")
        connection.execute(LOCK_LOAD)
        connection.execute("PREPARE TRANSACTION 'hold'")


def hold_last_collection(scene: Scene) -> None:
    """The collections before the last one are loaded, its first chunk waits for its table.

    The command, which has started its server, stands before a hold that was prepared.
    """
    scene.wait_blocked("SELECT pg_try_advisory_lock", is_asking=True)
    chunks = hold_chunks(scene)
    with psycopg.connect(scene.conninfo, autocommit=True) as connection:
        connection.execute("ROLLBACK PREPARED 'hold'")
    scene.wait_blocked("SELECT start_offset")
    scene.hold("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."users"')
    assert scene.ask("SELECT count(*) FROM bookings") == [(SMALL.bookings,)]
