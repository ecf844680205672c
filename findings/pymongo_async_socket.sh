#!/usr/bin/env bash
# pymongo 4.20.0: AsyncMongoClient.close() cancels a connect that is still waiting, and leaves its
# socket open: _async_create_connection closes it after TimeoutError and OSError, and not after
# CancelledError. The socket stays until it is collected, with a ResourceWarning, which test suites
# with warnings as errors report in some later test. MongoClient, without async, closes what it opens.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pymongo==4.20.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import gc
import socket
import sys
import time
import warnings

import pymongo
from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import PyMongoError

server = socket.create_server(("127.0.0.1", 0), backlog=0)
port = server.getsockname()[1]
waiting = []
for _ in range(3):  # the queue of the server is full, so that the next connect waits
    each = socket.socket()
    each.setblocking(False)
    each.connect_ex(("127.0.0.1", port))
    waiting.append(each)
URL = f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=300&connectTimeoutMS=2000"


async def use_async() -> None:
    client = AsyncMongoClient(URL)
    try:
        await client.admin.command("ping")
    except PyMongoError as error:
        print("async:", type(error).__name__)
    await client.close()


def use_sync() -> None:
    client = MongoClient(URL)
    try:
        client.admin.command("ping")
    except PyMongoError as error:
        print("sync:", type(error).__name__)
    client.close()
    time.sleep(3)  # its thread ends with the connect


def count_unclosed(use) -> int:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        use()
        gc.collect()
    return sum("unclosed <socket" in str(each.message) for each in caught)


found = {"sync": count_unclosed(use_sync), "async": count_unclosed(lambda: asyncio.run(use_async()))}
print(f"pymongo {pymongo.version}, Python {sys.version.split()[0]}: sockets left open: {found}")
assert found["sync"] == 0 and found["async"] >= 1, found
for each in (server, *waiting):
    each.close()
print("as described")
PYTHON
