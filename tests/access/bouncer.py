"""PgBouncer in transaction mode, where every client shares one connection."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
CONFIG = """[databases]
* = host={host} port={port} dbname={dbname} user=apptest_app
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 1
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def run_bouncer(database: str, folder: Path, program: str | None = PROGRAM) -> Iterator[str]:
    """The conninfo of a database through PgBouncer, for the application's login."""
    if program is None:
        text = "no pgbouncer; on Debian: apt-get install pgbouncer"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(text)
    parts = conninfo_to_dict(database)
    dbname = str(parts["dbname"])
    folder = folder / f"bouncer-{os.urandom(3).hex()}"
    folder.mkdir()
    config = folder / "pgbouncer.ini"
    place = {"host": parts["host"], "port": parts.get("port", 5432), "dbname": dbname}
    config.write_text(CONFIG.format(folder=folder, **place))
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([program, config], user=user, stderr=log, stdout=log) as process:
        deadline = time.monotonic() + 10
        while not (folder / ".s.PGSQL.6432").exists():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.02)
        try:
            yield make_conninfo(host=str(folder), port=6432, dbname=dbname, user="apptest_app")
        finally:
            process.terminate()
            process.wait(10)
