"""The loaded tables as models of SQLAlchemy and of Django."""

from __future__ import annotations

import json
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.dumps import confirm, write_dump

from assise.errors import UsageError
from assise.project import Project

SHOP = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      email: {type: text, unique: true, not_null: true}
      boss_id: {type: int4, references: users}
      tags: "text[]"
      joined_at: {type: timestamptz, default: now()}
    indexes:
      - [email, -joined_at]
      - {columns: [tags], method: gin}
      - {expression: lower(email), unique: true}
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: text, from: _id}
      user_id: {type: int4, references: users, on_delete: cascade}
      state: {type: text, values: [open, paid]}
      price: numeric
  order_lines:
    parent: orders
    from: lines.*
    primary_key: [order_id, position]
    columns:
      sku: text
"""
USE_MODELS = """
import sys
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, configure_mappers
import models

configure_mappers()
with Session(create_engine("postgresql+psycopg://", creator=lambda: __import__("psycopg").connect(sys.argv[1]))) as session:
    order = session.scalars(select(models.Orders).order_by(models.Orders.id)).first()
    print(order.id, order.user.email, [line.sku for line in order.order_lines])
"""
MAKE_AGAIN = """
import sys
import psycopg
from sqlalchemy import create_engine
import models

again = sys.argv[1] + " options=-csearch_path=again"
with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    connection.execute("CREATE SCHEMA again")
    models.Base.metadata.create_all(create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(again)))
    for schema in ("public", "again"):
        found = connection.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = 'users' ORDER BY 1", [schema])
        print([text.replace(f" {schema}.", " ") for text, in found])
"""
USE_DJANGO = """
import io, sys, json
from pathlib import Path
import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(sys.argv[1])}},
    INSTALLED_APPS=["shop"], DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
)
django.setup()
if sys.argv[2] == "inspect":
    found = io.StringIO()
    call_command("inspectdb", "users", "orders", "order_lines", stdout=found)
    Path("shop/models.py").write_text(found.getvalue())
else:
    from shop.models import Orders
    call_command("check", fail_level="WARNING")
    order = Orders.objects.order_by("id").first()
    print(order.id, order.user.email, order.user.tags)
"""


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Project:
    users = [{"_id": n, "email": f"u{n}@example.org", "tags": ["a"]} for n in range(5)]
    orders = [
        {"_id": f"o{n}", "user_id": n % 5, "state": "open", "lines": [{"sku": "x"}]}
        for n in range(9)
    ]
    project.path.write_text(SHOP)
    dump = write_dump(tmp_path / "app", {"users": users, "orders": orders})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    return project


def run(folder: Path, program: str, *arguments: str) -> str:
    """What a program prints, without a warning."""
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    environment = {"PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_models_of_sqlalchemy_read_the_rows(shop: Project, tmp_path: Path, database: str) -> None:
    text = shop.schema_models()
    assert "class Orders(Base):" in text
    assert "assise" not in text
    (tmp_path / "models.py").write_text(text)
    assert run(tmp_path, USE_MODELS, database) == "o0 u0@example.org ['x']\n"


def test_models_of_sqlalchemy_make_the_same_indexes(
    shop: Project, tmp_path: Path, database: str
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE users ADD UNIQUE NULLS NOT DISTINCT (email, boss_id)")
    (tmp_path / "models.py").write_text(shop.schema_models())
    there, again = map(literal_eval, run(tmp_path, MAKE_AGAIN, database).splitlines())
    assert again == there
    for part in ("lower(email)", "NULLS NOT DISTINCT", "joined_at DESC"):
        assert part in str(there)


@pytest.mark.usefixtures("shop")
def test_models_of_django_pass_its_check(tmp_path: Path, database: str) -> None:
    facts = conninfo_to_dict(database)
    names = {"HOST": "host", "PORT": "port", "USER": "user", "NAME": "dbname"}
    settings = json.dumps({name: facts[key] for name, key in names.items() if key in facts})
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    run(tmp_path, USE_DJANGO, settings, "inspect")
    printed = run(tmp_path, USE_DJANGO, settings, "check")
    assert printed.splitlines()[-1] == "o0 u0@example.org ['a']"


def test_models_of_tables_that_are_not_there(project: Project) -> None:
    project.path.write_text(SHOP)
    with pytest.raises(UsageError, match="has no table users"):
        project.schema_models()
