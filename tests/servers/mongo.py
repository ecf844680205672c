"""The MongoDB of tests: mongo-java-server, or what ASSISE_TEST_MONGO_URL names.

Where a real server answers what mongo-java-server cannot, a test plans the answer, written after
MongoDB's manual: `MongoServer.answer`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pymongo import MongoClient

URL = os.environ.get("ASSISE_TEST_MONGO_URL")
HERE = Path(__file__).parent
VERSION = "mongo-java-server-1.47.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "assise-tests" / VERSION
HOW_TO_GET = (
    "Java 17 and Maven run the MongoDB of tests, on Debian: apt-get install"
    " openjdk-17-jdk-headless maven; or ASSISE_TEST_MONGO_URL names a mongod"
)

LEGACY_SORT = "-Djava.util.Arrays.useLegacyMergeSort=true"
"""mongo-java-server draws a $sample by a random comparator, at which Java's newer sort may fail."""

Client = MongoClient[dict[str, Any]]


@dataclass
class MongoServer:
    """A running server, and a client of it that the tests write with."""

    url: str
    client: Client
    process: subprocess.Popen[bytes] | None = None

    def answer(
        self, command: str, reply: Mapping[str, object], collection: str | None = None, **when: int
    ) -> None:
        """Have a command answered by `reply`: a document, an error, `cut` or `wait`.

        `when` has `skip`, how many commands are answered as ever before, and `times`, how many not.
        """
        if self.process is None:
            pytest.skip("a real server answers for itself")
        planned = {"answer": command, "in": collection, "with": reply, **when}
        self.client.admin.command(planned)

    def answer_truly(self) -> None:
        """Forget the planned answers."""
        if self.process is not None and self.process.poll() is None:
            self.client.admin.command("answer")

    def kill(self) -> None:
        """Let the server die at once."""
        if self.process is None:
            pytest.skip("a server of others is not killed")
        self.process.kill()
        self.process.wait()


@contextmanager
def run_mongo() -> Iterator[MongoServer]:
    """Run a server of one's own, which a test may kill."""
    if URL:
        with MongoClient[dict[str, Any]](URL) as client:
            yield MongoServer(URL, client)
        return
    java = shutil.which("java")
    if java is None:
        _miss()
    command = [java, "-Xmx2g", "-XX:+UseSerialGC", LEGACY_SORT, "-cp", f"{_find_jars()}/*"]
    with subprocess.Popen(
        [*command, str(HERE / "Launcher.java")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        assert process.stdout
        port = int(process.stdout.readline())
        url = f"mongodb://127.0.0.1:{port}/"
        with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=10_000) as client:
            yield MongoServer(url, client, process)
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.kill()


def _find_jars() -> Path:
    """Return the folder of the server's jars, which Maven fills once for all checkouts."""
    if not CACHE.exists():
        maven = shutil.which("mvn")
        if maven is None:
            _miss()
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=CACHE.parent))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(HERE / "pom.xml"), *goal],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.fail(f"Maven could not get {VERSION}: {done.stdout[-2000:]}")
        with suppress(OSError):  # another process was first
            folder.rename(CACHE)
    return CACHE


def _miss() -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(HOW_TO_GET)
    pytest.skip(HOW_TO_GET)
