"""A server of HTTP that speaks the part of PostgREST that reads rows by their keys.

As PostgREST does, it lets PostgreSQL decide who sees what: it takes the role and the claims of the
token, and runs one statement.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt
import psycopg
from psycopg import sql

SECRET = "a secret of this test, of at least 32 bytes"
SERVICE_KEY = jwt.encode({"role": "service_role"}, SECRET)
NAME = r'"(?:[^"\\]|\\.)*"|[a-z_][a-z0-9_]*'
SELECTED = re.compile(rf"(?:({NAME}):)?({NAME})(::text)?(?:,|$)")
LISTED = re.compile(r'"((?:[^"\\]|\\.)*)"(?:,|$)')


@dataclass
class RestServer:
    """Where it listens, and what it was asked; `broken` is what it answers in place of rows."""

    address: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    broken: tuple[int, bytes] | None = None


def unquote_name(text: str) -> str:
    """A name, or a value, as it is between its double quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def write_query(table: str, query: str) -> tuple[sql.Composed, list[list[str]]]:
    """The statement of a request, and its parameters."""
    parts = dict(parse_qsl(query, strict_parsing=True))
    columns = [
        sql.SQL("{}{} AS {}").format(
            sql.Identifier(unquote_name(name)),
            sql.SQL("::text" if cast else ""),
            sql.Identifier(unquote_name(alias or name)),
        )
        for alias, name, cast in SELECTED.findall(parts.pop("select"))
    ]
    ((key, condition),) = parts.items()
    assert condition.startswith("in.(")
    assert condition.endswith(")")
    listed = LISTED.findall(condition[4:-1])
    keys = [unquote_name(f'"{each}"') for each in listed]
    statement = sql.SQL(
        "SELECT coalesce(json_agg(r), '[]')::text FROM (SELECT {} FROM {} WHERE {}::text = ANY (%s)) r"
    ).format(sql.SQL(", ").join(columns), sql.Identifier(table), sql.Identifier(unquote_name(key)))
    return statement, [keys]


def answer(conninfo: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body for a request."""
    if headers.get("apikey") != SERVICE_KEY:
        return 401, b'{"message": "Invalid API key"}'
    token = headers["authorization"].removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_aud": False})
    except jwt.InvalidTokenError:
        return 401, json.dumps({"code": "PGRST301", "message": f"bad {token}"}).encode()
    parts = urlsplit(path)
    statement, parameters = write_query(unquote(parts.path.rpartition("/")[2]), parts.query)
    try:
        with psycopg.connect(conninfo) as connection:
            connection.execute(
                "SELECT set_config('request.jwt.claims', %s, true)", [json.dumps(claims)]
            )
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(claims["role"])))
            row = connection.execute(statement, parameters).fetchone()
    except psycopg.Error as error:
        status = 404 if error.sqlstate == "42P01" else 403 if error.sqlstate == "42501" else 400
        return status, json.dumps({"code": error.sqlstate, "message": str(error)}).encode()
    assert row is not None
    return 200, str(row[0]).encode()


@contextmanager
def run_rest(conninfo: str) -> Iterator[RestServer]:
    """Serve the tables of a database, in a thread."""
    found = RestServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.asked.append((self.path, headers))
            status, body = found.broken or answer(conninfo, self.path, headers)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
