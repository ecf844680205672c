"""`assise serve` as people run it: on the embedded server, with tokens for development."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from psycopg.conninfo import make_conninfo
from tests.api.scene import HEAD, MANIFEST, TABLES, user_id, write_documents
from tests.dumps import confirm
from tests.scenes.commands import SOURCES
from tests.scenes.databases import Databases

from assise.api.running import describe_users, listen, serve
from assise.app import App
from assise.errors import TokenError, UsageError
from assise.identity.development import make_token
from assise.project import Project


@pytest.fixture
def folder(short_folder: Path, use_embedded_server: Callable[[Path], None]) -> Path:
    """A project that is loaded on the embedded server, without an identity."""
    found = short_folder / f"serve-{os.urandom(3).hex()}"
    found.mkdir()
    use_embedded_server(found)
    (found / "assise.yaml").write_text(HEAD + TABLES)
    Project(found).migrate(write_documents(found))
    return found


def run(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": SOURCES, "COLUMNS": "200"}
    command = [sys.executable, "-m", "assise", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_no_token_is_nobody_s(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the user is empty"):
        make_token(tmp_path, "")


@pytest.fixture
def serving(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`assise serve`, which a test may end."""
    process = run(folder, "serve", "--port", "0")
    yield process
    process.kill()
    process.communicate()


def read_until(process: subprocess.Popen[str], word: str) -> str:
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        if word in line:
            return said
    raise AssertionError(said)


def test_it_prints_where_and_tokens_and_ends_when_it_is_told(
    serving: subprocess.Popen[str], folder: Path
) -> None:
    said = read_until(serving, "assise identity token")
    url = re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
    tokens = dict(re.findall(r"user (\S+): Authorization: Bearer (\S+)", said))
    assert [*tokens] == [user_id(n) for n in range(3)]
    for user, count in [(0, 30), (1, 5)]:
        headers = {"Authorization": f"Bearer {tokens[user_id(user)]}"}
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            answer = client.get(f"{url}/api/projects?limit=50", headers=headers)
        assert len(answer.json()["items"]) == count
    made = run(folder, "identity", "token", "--user", user_id(1))
    token = made.communicate()[0].strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{url}/api/users", headers=headers).json()["items"][0]["name"] == "user 1"
    serving.send_signal(signal.SIGTERM)
    assert serving.wait() == 0
    assert serving.stderr is not None
    assert "Traceback" not in serving.stderr.read()
    key = folder.joinpath(".assise", "identity.key")
    assert key.stat().st_mode & 0o077 == 0


def test_users_of_another_schema_are_found(tmp_path: Path, databases: Databases) -> None:
    conninfo = databases.create()
    path = tmp_path / "assise.yaml"
    path.write_text(
        "assise: 1\nname: app\nroles: {prefix: apihttp}\ntables:\n"
        "  auth.users:\n    access: {owner: id}\n    primary_key: id\n    columns: {id: uuid}\n"
    )
    project = Project(path, to=conninfo)
    project.migrate(confirm=confirm)
    with project.connect(project.manifest) as connection:
        connection.execute(f"INSERT INTO auth.users VALUES ('{user_id(1)}')")
    lines = asyncio.run(
        describe_users(
            App(path, urls={"readonly": make_conninfo(conninfo, user="apihttp_readonly")})
        )
    )
    assert [line.split(":")[0] for line in lines[1:-1]] == [f"user {user_id(1)}"]
    databases.drop(conninfo)


SWALLOWED = """
import signal
from contextlib import suppress
from assise.api.running import describe_users, listen, serve
from assise.app import App

def log(line):
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)

serve(App("assise.yaml"), host="127.0.0.1", port=0, is_development=False, log=log)
"""


def test_an_interrupt_that_is_swallowed_before_it_serves_ends_it_all_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "assise.yaml").write_text(HEAD + TABLES)
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", SWALLOWED]
    subprocess.run(command, cwd=tmp_path, env=environ, timeout=50, check=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_answered_is_sent_at_once(host: str) -> None:
    told: list[int] = []

    def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = writer.get_extra_info("socket")
        told.append(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def connect(listening: socket.socket) -> None:
        async with await asyncio.start_server(connected, sock=listening):
            reader, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            assert await reader.read() == b""
            writer.close()

    with listen(host, 0) as listening:
        asyncio.run(connect(listening))
    assert told == [1]


def test_tokens_for_development_are_taken_on_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "assise.yaml").write_text(HEAD + TABLES)
    with pytest.raises(UsageError, match=r"0\.0\.0\.0 is open to others"):
        serve(App(tmp_path), host="0.0.0.0", port=0, is_development=True, log=print)  # noqa: S104
    with pytest.raises(UsageError, match="nowhere"):
        serve(App(tmp_path), host="nowhere.invalid", port=0, is_development=False, log=print)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_without_sign_in_no_token_for_development_is_taken_from_elsewhere(
    tmp_path: Path, host: str
) -> None:
    (tmp_path / "assise.yaml").write_text(HEAD + TABLES)
    app = App(tmp_path)
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="in use"):
            serve(app, host=host, port=port, is_development=False, log=print)
    assert app.takes_development_tokens == (host == "127.0.0.1")


def test_where_users_sign_in_no_token_for_development_is_taken(tmp_path: Path) -> None:
    app = App(tmp_path)
    (tmp_path / "assise.yaml").write_text(MANIFEST)
    token = make_token(tmp_path / ".assise", user_id(1))
    with pytest.raises(TokenError):
        asyncio.run(app.callers.find(f"Bearer {token}"))
    app = App(tmp_path)
    app.takes_development_tokens = True
    assert asyncio.run(app.callers.find(f"Bearer {token}")).user_id == user_id(1)
