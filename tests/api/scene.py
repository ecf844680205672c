"""An application over HTTP: its manifest, its documents, a server in a thread, tokens of users."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import uvicorn
from bson import ObjectId
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.api.server import make_application
from assise.app import App, Asgi
from assise.project import Project

SECRET = "a secret of the tests that nobody else knows"
ISSUER, AUDIENCE = "https://issuer.example", "app"
HEAD = """assise: 1
name: app
roles: {prefix: apihttp}
"""
IDENTITY = f"""identity: {{issuer: "{ISSUER}", audience: {AUDIENCE}, secret: "{SECRET}", roles: {{map: {{boss: admin}}}}}}
"""
TABLES = """tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    api: {read: all, update: [name]}
    columns:
      id: {type: uuid, from: _id}
      name: text
      email: {type: text, personal: email}
      plan: {type: text, default: free, values: [free, team]}
      auth_id: {type: text, unique: true}
  projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    soft_delete: true
    api:
      read: all
      create: [name, status, stars, price, tags, data, due_at, code, user_ref]
      update: [name, status, stars, price, tags, data, due_at, code]
      delete: true
      restore: true
    columns:
      id: {type: uuid, from: _id}
      user_id: {type: uuid, from: userId, references: users}
      user_ref: {type: uuid, references: users}
      name: {type: text, not_null: true}
      status: {type: text, default: active, values: [active, done]}
      stars: {type: int4, default: "0", check: "stars >= 0"}
      price: {type: "numeric(10,2)"}
      tags: "text[]"
      data: jsonb
      code: {type: varchar(5), unique: true}
      secret: {type: text, personal: secret}
      due_at: timestamptz
      created_at: {type: timestamptz, from: createdAt, not_null: true, default: now()}
    indexes:
      - [user_id, -created_at]
      - name
  files:
    parent: projects
    from: files.*
    primary_key: [project_id, position]
    access: {through: projects}
    api: {read: all, create: [path, size], update: [path, size], delete: true}
    columns: {path: text, size: int8}
  templates:
    collection: templates
    primary_key: id
    access: {public: read}
    api: {read: [title], filter: [title]}
    columns: {id: {type: int4, from: _id}, title: text, hidden: text}
  notes:
    collection: notes
    primary_key: id
    access: {owner: user_id}
    columns: {id: {type: int4, from: _id}, user_id: {type: uuid, from: userId}}
"""
MANIFEST = HEAD + IDENTITY + TABLES
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def user_key(number: int) -> ObjectId:
    return ObjectId(f"{number + 1:024x}")


def user_id(number: int) -> str:
    """The key of a user as tables and tokens have it."""
    digits = f"{number + 1:024x}"
    return f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8{digits[15:18]}-{digits[18:]}000000"


def write_documents(folder: Path) -> Path:
    """Three users; the first has 30 projects, the second 5, the third none."""
    projects: list[dict[str, Any]] = [
        {
            "_id": ObjectId(f"{n + 1:08x}{'0' * 16}"),
            "userId": user_key(0 if n < 30 else 1),
            "name": f"project {n:02}",
            "status": "done" if n % 3 == 0 else "active",
            "stars": n % 7,
            "secret": "hush",
            "createdAt": EPOCH + timedelta(hours=n // 2),
            "files": [{"path": f"f{i}", "size": i} for i in range(n % 3)],
            "left_over": n,
            **({"due_at": EPOCH + timedelta(days=n % 4)} if n % 2 else {}),
        }
        for n in range(35)
    ]
    users = [
        {
            "_id": user_key(n),
            "name": f"user {n}",
            "email": f"u{n}@example.org",
            "plan": "free",
            "auth_id": f"auth0|{n}",
        }
        for n in range(3)
    ]
    templates = [{"_id": n, "title": f"t{n}", "hidden": "x"} for n in range(4)]
    notes = [{"_id": n, "userId": user_key(n % 3)} for n in range(6)]
    collections = {"users": users, "projects": projects, "templates": templates, "notes": notes}
    return write_dump(folder / "app", collections)


@contextmanager
def load_scene(databases: Databases, folder: Path, manifest: str = MANIFEST) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with databases.create_template(folder) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(manifest)
        assert project.migrate(write_documents(folder), confirm=confirm).exit_code == 0
        yield template


def sign(user: object, *, secret: str = SECRET, **claims: object) -> str:
    """A token of the issuer."""
    now = int(time.time())
    facts = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(user), "exp": now + 600, **claims}
    kept = {name: value for name, value in facts.items() if value is not None}
    return jwt.encode(kept, secret, algorithm="HS256")


@dataclass(frozen=True)
class Client:
    """Sends requests as users; None is nobody."""

    http: httpx.Client
    app: App

    def send(
        self,
        user: int | None,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401
    ) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if user is not None:
            headers["Authorization"] = f"Bearer {sign(user_id(user))}"
        return self.http.request(method, path, headers=headers, **options)

    def get(self, user: int | None, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        return self.send(user, "GET", path, **options)


@contextmanager
def run_server(web: Asgi, socket: Path) -> Iterator[uvicorn.Server]:
    """Serve an application on a socket, in a thread."""
    server = uvicorn.Server(uvicorn.Config(web, uds=str(socket), log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serve(
    folder: Path,
    conninfo: str,
    socket: Path,
    *,
    settings: Mapping[str, object] = {},
    make: Callable[[App], Asgi] = make_application,
) -> Iterator[Client]:
    """The application of a folder over HTTP."""
    urls: Any = {name: make_conninfo(conninfo, user=f"apihttp_{name}") for name in ("app", "admin")}
    app = App(folder, urls=urls, settings=settings)
    transport = httpx.HTTPTransport(uds=str(socket))
    with (
        run_server(make(app), socket),
        httpx.Client(transport=transport, base_url="http://app", timeout=30) as client,
    ):
        yield Client(client, app)
