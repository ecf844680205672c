"""The settings of what serves over HTTP."""

from __future__ import annotations

from assise.settings import TEXT, WHOLE, Setting

SECRET = Setting(
    "secret",
    "",
    "what cursors are signed with, the same in each process: 32 characters or more; without it one"
    " is drawn, and cursors end with the process",
    TEXT,
)
BODY_BYTES = Setting("api.body_bytes", 1 << 20, "bytes of a body at most", WHOLE, 1, 1 << 28)
TIMEOUT = Setting(
    "api.timeout_ms",
    30_000,
    "milliseconds that a request may take, with its wait for a connection",
    WHOLE,
    10,
    3_600_000,
)
CONCURRENCY = Setting(
    "api.concurrency", 500, "requests at a time in one process; more get 503", WHOLE, 1, 100_000
)
STOP = Setting(
    "api.stop_s", 30, "seconds that running requests have when the server stops", WHOLE, 0, 3_600
)
SETTINGS = (BODY_BYTES, TIMEOUT, CONCURRENCY, STOP)
