"""The first revision of a database whose rows break keys: it is as the database is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump
from tests.revisions.changing import change, check_same, revise
from tests.scenes.databases import Databases

from assise.errors import ChangedError, DuplicateKeyError, UsageError
from assise.project import Project

pytestmark = pytest.mark.contract
Query = Callable[..., list[tuple[object, ...]]]
MANIFEST = """assise: 1
name: app
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      email: {type: text, unique: true}
      phone: {type: text, unique: true}
      bio: {type: text, unique: true}
      name: {type: text, not_null: true}
      age: {type: int4, check: age > 0}
      level: {type: "varchar(9)", values: [low, high]}
      city: text
    indexes:
      - [age]
      - {columns: [city, level], unique: true}
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      user_id: {type: uuid, from: user, references: users, orphans: keep}
      email: {type: text, references: users(email), orphans: keep}
"""
ALLOWED = ": rows broke it, and what they allow stands in its place"
BROKEN = ": rows broke it"
LONG = ": values were too long for its index, which has digests of them"
LEFT = [
    f"check users.users_age_check{BROKEN}",
    f"check users.users_level_check{BROKEN}",
    f"foreign key orders.orders_email_fkey{BROKEN}",
    f"foreign key orders.orders_user_id_fkey{ALLOWED}",
    f"not null users.name{BROKEN}",
    f"unique users.users_bio_key{LONG}",
    f"unique users.users_city_level_key{ALLOWED}",
    f"unique users.users_email_key{ALLOWED}",
]


@pytest.fixture
def broken(tmp_path: Path, database: str) -> Project:
    """A project that was loaded with rows which break a key of each kind."""
    ids = [ObjectId(f"507f1f77bcf86cd7994{n:05}") for n in range(20)]
    users = [
        {
            "_id": key,
            "email": f"{n % 19}@a.fr",
            "phone": str(n),
            "bio": "".join(str(n * k) for k in range(9_000)),
            "name": "x" if n else None,
            "age": n,
            "level": "low" if n else "none",
            "city": "Paris" if n < 3 else str(n),
        }
        for n, key in enumerate(ids)
    ]
    orders = [{"_id": key, "user": key, "email": "3@a.fr"} for key in ids]
    orders[0]["user"] = ObjectId("507f1f77bcf86cd799499999")
    dump = write_dump(tmp_path / "app", {"users": users, "orders": orders})
    (tmp_path / "assise.yaml").write_text(MANIFEST)
    project = Project(tmp_path, to=database)
    assert project.migrate(dump, confirm=confirm).exit_code == 3
    return project


def test_what_rows_break_is_left_out_and_said(broken: Project, query: Query) -> None:
    text = revise(broken, "start")
    assert "-- assise: kept unique users.users_email_key\n" in text
    assert "-- assise: long unique users.users_bio_key\n" in text
    assert "-- assise: left check users.users_age_check\n" in text
    assert sorted(check_same(broken).left) == LEFT
    verbs = broken.revisions()
    assert verbs.status().drift.is_empty
    assert sorted(verbs.status().drift.left) == LEFT
    assert verbs.lint() == []
    assert verbs.revise("nothing") is None
    change(broken, "      city: text\n", "      city: text\n      plan: text\n")
    assert "key" not in revise(broken, "plan").partition("-- assise: up")[2]
    verbs.apply()
    assert sorted(check_same(broken).left) == LEFT
    assert query("SELECT count(*) FROM pg_constraint WHERE conname = 'users_email_key'") == [(0,)]


def test_a_key_is_made_when_its_rows_are_corrected(broken: Project, query: Query) -> None:
    revise(broken, "start")
    verbs = broken.revisions()
    with pytest.raises(UsageError, match=r"users\.users_phone_key is no key that was left out"):
        verbs.revise("phones", make=["users.users_phone_key"])
    made = ["users.users_email_key", "orders.orders_user_id_fkey", "users.users_age_check"]
    path = verbs.revise("keys", make=made)
    assert path is not None
    text = path.read_text()
    assert "VALIDATE CONSTRAINT orders_user_id_fkey" in text
    assert "ADD CONSTRAINT orders_user_id_fkey" not in text.partition("-- assise: down")[0]
    assert "-- assise: kept unique users.users_city_level_key\n" in text
    assert "users_email_key" not in text.partition("-- assise: up")[0]
    query("UPDATE users SET email = id::text, age = age + 1")
    query("DELETE FROM orders WHERE user_id NOT IN (SELECT id FROM users)")
    for verb in (verbs.apply, verbs.revert, verbs.apply):
        assert verb().steps
        assert verbs.status().drift.is_empty
    assert len(check_same(broken).left) == len(LEFT) - len(made)
    assert verbs.lint() == []
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("UPDATE users SET email = 'a'")


def test_rows_that_still_break_it_stop_the_revision(broken: Project) -> None:
    revise(broken, "start")
    verbs = broken.revisions()
    assert verbs.revise("emails", make=["users.users_email_key"])
    with pytest.raises(DuplicateKeyError, match=r"0002_emails\.sql:\d+: .*users_email_key"):
        verbs.apply()
    verbs.revert()
    assert verbs.status().drift.is_empty


def test_other_databases_are_built_in_the_same_way(broken: Project, databases: Databases) -> None:
    revise(broken, "start")
    dump, folder = broken.path.parent / "app", broken.path.parent
    for is_loaded in (True, False):
        conninfo = databases.create()
        fresh = Project(folder, to=conninfo)
        if is_loaded:
            fresh.load(dump, confirm=confirm)
        else:
            fresh.revisions().apply()
        assert fresh.revisions().status().exit_code == 0
        assert sorted(check_same(fresh).left) == LEFT
        databases.drop(conninfo)


def test_what_was_dropped_by_hand_is_no_finding_of_the_load(broken: Project, query: Query) -> None:
    query("ALTER TABLE users DROP CONSTRAINT users_phone_key")
    query("DROP INDEX users_bio_key")
    with pytest.raises(ChangedError, match="users_phone_key on public") as caught:
        broken.revisions().revise("start")
    assert "users_bio_key" in caught.value.message
    assert "users_email_key" not in caught.value.message
    assert not (broken.path.parent / "revisions").exists()


def test_a_key_that_the_manifest_has_no_more_is_forgotten(broken: Project) -> None:
    revise(broken, "start")
    change(broken, "age: {type: int4, check: age > 0}", "age: int4")
    change(broken, "email: {type: text, unique: true}", "email: text")
    change(
        broken,
        "      email: {type: text, references: users(email), orphans: keep}\n",
        "      email: text\n",
    )
    text = revise(broken, "keys go")
    assert "users_age_check" not in text
    assert "DROP INDEX CONCURRENTLY IF EXISTS public.users_email_key" in text
    broken.revisions().apply()
    assert len(check_same(broken).left) == len(LEFT) - 3
