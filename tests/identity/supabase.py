"""Two databases: that of an application, and one with what a project of Supabase has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from assise.app import App
from assise.postgres.conninfo import describe
from assise.project import Project

SUPABASE = Path(__file__).parents[2] / "examples" / "intelia" / "supabase.sql"
MANIFEST = """assise: 1
name: twodb
postgres: {{main: {{url: "{main}"}}, auth: {{url: "{auth}"}}}}
roles: {{prefix: twodb}}
tables:
  conversations:
    collection: conversations
    primary_key: id
    access: {{owner: user_id}}
    columns:
      id: {{type: int4, from: _id}}
      user_id: {{type: uuid, from: userId, kind: uuid_text}}
  users:
    on: auth
    mirror: auth.users
    access: {{owner: id}}
    fallback: {{email: "{{key}}", first_name: "", plan: free, verified: false}}
    primary_key: id
    columns:
      id: uuid
      email: text
      first_name: {{type: text, from: raw_user_meta_data.first_name}}
      plan: {{type: text, default: free, not_null: true}}
      verified: {{type: bool, from: email_confirmed_at}}
  plans:
    on: auth
    primary_key: id
    columns: {{id: int4, name: text}}
"""
Query = Callable[..., list[tuple[Any, ...]]]


def make_supabase(conninfo: str) -> None:
    """Make what a project of Supabase has."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(SUPABASE.read_bytes())


def write_manifest(folder: Path, *, main: str, auth: str, text: str = MANIFEST) -> Project:
    """Write the manifest of an application with two databases."""
    text = text.format(main=describe(main), auth=describe(auth))
    (folder / "assise.yaml").write_text(text)
    return Project(folder)


def sign_up(query: Query, number: int, **values: object) -> UUID:
    """A new user of Supabase, as its sign-up writes one."""
    user = UUID(int=number)
    row = {"id": user, "email": f"user{number}@example.org", **values}
    row["raw_user_meta_data"] = Jsonb(row.pop("meta", {"first_name": f"User {number}"}))
    columns = ", ".join(row)
    marks = ", ".join(["%s"] * len(row))
    query(f"INSERT INTO auth.users ({columns}) VALUES ({marks})", tuple(row.values()))
    return user


def open_app(project: Project, *, main: str, auth: str, **settings: object) -> App:
    """The application, with the logins of both databases."""
    urls = {}
    for role in ("app", "admin"):
        login = f"twodb_{role}"
        urls[role] = make_conninfo(main, user=login)
        urls[f"auth.{role}"] = make_conninfo(auth, user=login)
    return App(project.path, urls=urls, settings=settings)
