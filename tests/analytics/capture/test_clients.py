"""The SDKs themselves, each in an environment of its own, against a receiver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from assise.analytics.event import Event
from assise.api.capture import EventReceiver

pytestmark = pytest.mark.contract
CLIENTS = Path(__file__).with_name("clients")
KEY = "phc_test"
PYTHON = sorted(file.stem.partition("-")[2] for file in CLIENTS.glob("posthog-*.txt"))


class Receiver:
    """A receiver on a port of this machine, and the events that it was given."""

    def __init__(self) -> None:
        self.kept: list[Event] = []
        capture = EventReceiver("/ingest", frozenset({KEY}), frozenset(), self._keep)
        web = Starlette(routes=[*capture.list_routes()])
        self.server = uvicorn.Server(uvicorn.Config(web, port=0, log_level="critical"))
        self.thread = threading.Thread(target=self.server.run)

    async def _keep(self, events: list[Event]) -> None:
        self.kept += events

    @property
    def url(self) -> str:
        """What an SDK has as its host."""
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/ingest"


@pytest.fixture(scope="module")
def clients() -> Path:
    """What the clients are installed from: `make contract` alone runs tests that ask for it."""
    return CLIENTS


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that runs."""
    made = Receiver()
    made.thread.start()
    while not made.server.started:
        assert made.thread.is_alive()
        time.sleep(0.01)
    yield made
    made.server.should_exit = True
    made.thread.join()


def install(folder: Path, command: list[str], what: str) -> None:
    """Install what a test needs, or skip it with the reason."""
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"{what} cannot be installed here: {made.stderr.strip()[-300:]}")


def run(command: list[str], **variables: str) -> dict[str, Any]:
    """What a client says it was told."""
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("version", PYTHON)
def test_python_clients_are_content(
    version: str, clients: Path, receiver: Receiver, tmp_path: Path
) -> None:
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    lock = clients / f"posthog-{version}.txt"
    pip = [str(python), "-m", "pip", "install", "-q", "--require-hashes", "--only-binary", ":all:"]
    install(tmp_path, [*pip, "-r", str(lock)], f"posthog {version}")
    told = run([str(python), str(clients / "send.py"), receiver.url, KEY])
    assert told["version"] == version
    assert told["errors"] == []
    assert not told["flag"]
    assert not told["enabled"]
    assert told["all"] == {}
    counts = Counter(each.event for each in receiver.kept)
    assert counts.pop("counted") == 250
    numbers = [
        json.loads(each.properties)["n"] for each in receiver.kept if each.event == "counted"
    ]
    assert numbers == list(range(250)), "in the order in which they were captured"
    expected = {"signup": 1, "$groupidentify": 1, "$create_alias": 1, "$set": 1, "$set_once": 1}
    calls = counts.pop("$feature_flag_called", 0)
    assert calls <= 2
    if version.startswith("3."):
        expected["$identify"] = 1
    assert counts == expected
    assert len({each.uuid for each in receiver.kept}) == len(receiver.kept)
    by_name = {each.event: json.loads(each.properties) for each in receiver.kept}
    assert by_name["signup"]["ratio"] is None
    assert by_name["$set"]["$set"] == {"email": "a@x"}
    assert by_name["$set_once"]["$set_once"] == {"first": "1"}
    assert by_name["$create_alias"]["alias"] == "u1"
    assert by_name["$groupidentify"]["$group_set"] == {"name": "Acme"}


@pytest.fixture(scope="module")
def scripts(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the clients for node and for pages, installed by their lock."""
    folder = tmp_path_factory.mktemp("js")
    if not shutil.which("npm"):
        pytest.skip("npm is not installed")
    for file in (clients / "js").iterdir():
        shutil.copy(file, folder)
    install(folder, ["npm", "ci", "--no-audit", "--no-fund", "--silent"], "posthog-js")
    return folder


def test_the_client_of_node_is_content(scripts: Path, receiver: Receiver) -> None:
    told = run(["node", str(scripts / "send_node.mjs"), receiver.url, KEY])
    assert told == {"errors": [], "flag": None, "all": {}}
    counts = Counter(each.event for each in receiver.kept)
    expected = {"signup": 1, "$identify": 1, "$create_alias": 1, "$groupidentify": 1}
    assert counts == {"counted": 250, "$feature_flag_called": 1, **expected}
    by_name = {each.event: json.loads(each.properties) for each in receiver.kept}
    assert by_name["signup"] | {"plan": "pro", "ratio": None} == by_name["signup"]
    assert by_name["$identify"]["$set_once"] == {"first": "1"}
    numbers = [
        json.loads(each.properties)["n"] for each in receiver.kept if each.event == "counted"
    ]
    assert numbers == list(range(250))


@pytest.mark.parametrize("package", ["posthog-js-298", "posthog-js-400", "posthog-js-449"])
def test_clients_of_pages_are_content(package: str, scripts: Path, receiver: Receiver) -> None:
    told = run(["node", str(scripts / "send_js.mjs"), receiver.url, KEY, package])
    assert told == {"errors": [], "flag": None}
    counts = Counter(each.event for each in receiver.kept)
    counts -= Counter(["$pageview", "$feature_flag_called"])
    expected = {"signup": 1, "$identify": 1, "$create_alias": 1, "$groupidentify": 1}
    assert counts == {"counted": 20, **expected}
    (known,) = (each for each in receiver.kept if each.event == "$identify")
    properties = json.loads(known.properties)
    assert (known.distinct_id, properties["$set"]["email"]) == ("user-1", "a@x")
    anonymous = {each.distinct_id for each in receiver.kept if each.event == "counted"}
    assert anonymous == {properties["$anon_distinct_id"]}
    assert len({each.session for each in receiver.kept}) == 1
