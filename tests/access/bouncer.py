"""PgBouncer in transaction mode, where every client shares one connection."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.servers.mongo import CACHE

SOURCE = "pgbouncer_1.24.1.orig.tar.gz"
SHA256 = "da72a3aba13072876d055a3e58dd4aba4a5de4ed6148e73033185245598fd3e0"
BUILT = CACHE.with_name("pgbouncer-1.24.1")
HOW_TO_GET = "a C compiler builds PgBouncer 1.24, once; on Debian: apt-get install gcc make pkg-config libevent-dev"
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
{more}
"""


@contextmanager
def run_bouncer(program: str | Path, database: str, folder: Path, more: str = "") -> Iterator[str]:
    """The conninfo of a database through PgBouncer, for the application's login."""
    parts = conninfo_to_dict(database)
    folder.mkdir()
    config, dbname = folder / "pgbouncer.ini", str(parts["dbname"])
    place = {"host": parts["host"], "port": parts.get("port") or 5432, "dbname": dbname}
    config.write_text(CONFIG.format(folder=folder, more=more, **place))
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
            process.kill()  # from 1.23 on it waits for its clients when it is asked to end


def build_bouncer() -> Path:
    """The program of Debian's source, which is built once for all checkouts."""
    if not BUILT.exists():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            archive = folder / "source.tar.gz"
            try:
                with urllib.request.urlopen(SOURCE, timeout=60) as answer:
                    archive.write_bytes(answer.read())
            except OSError as error:
                _miss(f"{SOURCE}: {error}")
            assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256
            shutil.unpack_archive(archive, folder, filter="data")
            command = "./configure --without-openssl -q && make -s"
            where = folder / "pgbouncer-1.24.1"
            done = subprocess.run(
                ["/bin/sh", "-c", command], cwd=where, check=False, capture_output=True, text=True
            )
            if done.returncode:
                _miss(f"{HOW_TO_GET}\n{done.stderr[-2000:]}")
            BUILT.parent.mkdir(parents=True, exist_ok=True)
            made = BUILT.with_name(f"{BUILT.name}.{os.getpid()}")
            shutil.copy(where / "pgbouncer", made)
            made.rename(BUILT)
    return BUILT


def _miss(text: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)
