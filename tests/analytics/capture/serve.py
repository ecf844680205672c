"""A receiver in a process: python serve.py FOLDER PORT [URL]."""

from __future__ import annotations

import sys

import uvicorn

from assise.api.server import make_application
from assise.app import App

folder, port, *url = sys.argv[1:]
app = App(folder, urls={"app": url[0]} if url else {})
uvicorn.run(
    make_application(app), port=int(port), log_level="critical", timeout_graceful_shutdown=5
)
