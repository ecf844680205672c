"""Seconds of each verb on many tiny collections, on a server that is near or far away.

    python benchmarks/many.py [--collections 2500] [--delay 40] [--locks 64] [--workers 1] [PYTHON]

Each collection has three documents. `--delay` are the milliseconds of a round trip, `--locks` is
max_locks_per_transaction of the server, PYTHON that of another checkout to measure instead.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic, sleep

import bson
from beside import Side

from assise.postgres.embedded import Embedded

QUICK = {"fsync": "off"}


def write_collections(folder: Path, count: int) -> None:
    """A dump of many collections of three documents."""
    folder.mkdir()
    for number in range(count):
        documents = ({"_id": bson.ObjectId(), "n": n, "name": f"name {n}"} for n in range(3))
        (folder / f"c{number}.bson").write_bytes(b"".join(map(bson.encode, documents)))


class Distance:
    """Passes bytes between clients and a server, each half a round trip later."""

    def __init__(self, folder: Path, server: str, *, delay_s: float) -> None:
        self._server, self._delay_s = server, delay_s / 2
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            for source, target in ((client, server), (server, client)):
                due: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
                Thread(target=self._read, args=[source, due], daemon=True).start()
                Thread(target=self._write, args=[target, due], daemon=True).start()

    def _read(self, source: socket.socket, due: SimpleQueue[tuple[float, bytes]]) -> None:
        content = b"-"
        while content:
            content = source.recv(1 << 16)
            due.put((monotonic() + self._delay_s, content))

    def _write(self, target: socket.socket, due: SimpleQueue[tuple[float, bytes]]) -> None:
        while True:
            moment, content = due.get()
            sleep(max(0.0, moment - monotonic()))
            if not content:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(content)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("python", nargs="?", default=sys.executable)
    parser.add_argument("--collections", type=int, default=2_500)
    parser.add_argument("--delay", type=int, default=0)
    parser.add_argument("--locks", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        source, host = folder / "app", folder / "far"
        write_collections(source, given.collections)
        host.mkdir()
        embedded = Embedded(folder / ".assise")
        embedded.start(settings={**QUICK, "max_locks_per_transaction": str(given.locks)})
        try:
            parts = embedded.conninfo("postgres").split()
            near = next(part.removeprefix("host=") for part in parts if part.startswith("host="))
            Distance(host, f"{near}/.s.PGSQL.5432", delay_s=given.delay / 1_000)
            side = Side("many", given.python, folder)
            place = near if not given.delay else str(host)
            to = ["--to", f"postgresql://postgres@/postgres?host={place}"]
            workers = ["--workers", str(given.workers)]
            verbs = {
                "infer": ["infer", str(source), "-o", "assise.yaml", *workers],
                "load": ["load", str(source), "--json", "--yes", *to, *workers],
                "load again": ["load", str(source), "--json", "--yes", *to, *workers],
                "verify": ["verify", str(source), "--json", *to, *workers],
                "export": ["export", "--format", "bson", "--out", str(folder / "out"), *to],
                "undo": ["undo", "--yes", *to],
            }
            for verb, arguments in verbs.items():
                seconds, peak_mb = side.run(*arguments)
                print(f"{verb}: {seconds:.1f} s, {peak_mb:.0f} MB", flush=True)
        finally:
            embedded.stop(immediate=True)


if __name__ == "__main__":
    os.umask(0o022)
    main()
