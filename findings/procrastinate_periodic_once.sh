#!/usr/bin/env bash
# procrastinate 3.10.0: a worker that is to end once its queue is empty (wait=False) makes periodic jobs all the same,
# also one whose last moment lies up to ten minutes before its start, and runs it: here nobody has deferred
# `periodic`. A program that defers each job once itself, and then starts such a worker, may have one run twice.
# Registered as periodic only where the worker waits for more, none is made.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check procrastinate==3.10.0
cat >check.py <<'PYTHON'
import asyncio
import sys

import procrastinate
from procrastinate.testing import InMemoryConnector

app = procrastinate.App(connector=InMemoryConnector())
ran = []


@app.task(name="deferred")
async def deferred():
    await asyncio.sleep(1)
    ran.append("deferred")


@app.task(name="periodic")
async def periodic(timestamp):
    ran.append("periodic")


async def main():
    if sys.argv[1] == "registered":
        app.periodic(cron="* * * * *")(periodic)
    async with app.open_async():
        await deferred.defer_async()
        await app.run_worker_async(wait=False, listen_notify=False, install_signal_handlers=False)
    print(*sorted(ran))


asyncio.run(main())
PYTHON
registered="$(venv/bin/python check.py registered)"
plain="$(venv/bin/python check.py plain)"
echo "registered: $registered"
echo "plain:      $plain"
[ "$registered" = "deferred periodic" ] && [ "$plain" = "deferred" ]
