"""Tables whose changes are logged, while a revision changes their columns."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.revisions.changing import change, folder_of, revise

from assise.errors import AssiseError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
EMAIL = "email: {type: text, unique: true"
WRITE = "UPDATE users SET {} = 'a-secret' WHERE id = (SELECT min(id::text)::uuid FROM users)"
GONE = ("users.phone", "users.name")


@pytest.fixture
def audited(shop: Project) -> Project:
    """The shop, whose users are audited, with addresses that are personal."""
    change(shop, "    collection: users\n", "    collection: users\n    audit: true\n")
    change(shop, EMAIL, f"{EMAIL}, personal: email")
    shop.load()
    change(shop, EMAIL, f"phone: {{type: text, personal: phone}}\n      {EMAIL}")
    change(shop, "email: {type", "mail: {was: email, from: email, type")
    change(shop, '      name: {type: "varchar(20)", comment: how they are called}\n', "")
    revise(shop, "columns", drop=("users.name",))
    return shop


def read_log(query: Query) -> list[tuple[object, ...]]:
    lines = query("SELECT op, old, new, hidden FROM audit_log ORDER BY xid, id")
    assert "secret" not in json.dumps(lines)
    return [(op, hidden) for op, _, _, hidden in lines]


def test_it_is_written_and_hides_at_each_step_of_a_revision(audited: Project, query: Query) -> None:
    path = folder_of(audited) / "0002_columns.sql"
    text = path.read_text()
    path.write_text(text.replace("-- assise: down", "SELECT 1 / 0;\n\n-- assise: down"))
    verbs = audited.revisions(confirm=lambda _: True)
    with pytest.raises(AssiseError, match="division by zero"):
        verbs.apply(drop=GONE)
    for column in ("phone", "mail"):
        query(WRITE.format(column))
    query("INSERT INTO users (id, phone) VALUES (gen_random_uuid(), 'a-secret')")
    assert read_log(query) == [("u", ["phone"]), ("u", ["mail"]), ("i", ["phone"])]
    verbs.revert(drop=GONE)
    query("UPDATE users SET email = 'a-secret too' WHERE email = 'a-secret'")
    query("UPDATE users SET name = 'Ann' WHERE email = 'a-secret too'")
    assert read_log(query)[3:] == [("u", ["email"]), ("u", None)]
    assert query("SELECT new FROM audit_log ORDER BY id DESC LIMIT 1") == [({"name": "Ann"},)]


def test_its_triggers_stay_while_columns_change(audited: Project, query: Query) -> None:
    triggers = "SELECT oid, tgname FROM pg_trigger WHERE tgrelid = 'users'::regclass ORDER BY 1"
    before = query(triggers)
    verbs = audited.revisions(confirm=lambda _: True)
    verbs.apply(drop=GONE)
    assert query(triggers) == before
    assert audited.audit.check().findings == []
    query(WRITE.format("mail"))
    verbs.revert(drop=GONE)
    query(WRITE.format("email"))
    verbs.apply(drop=GONE)
    query(WRITE.format("phone"))
    assert read_log(query) == [("u", ["mail"]), ("u", ["phone"])]
    assert query(triggers) == before


def test_what_the_manifest_has_no_more_stays_hidden_until_it_goes(
    audited: Project, query: Query
) -> None:
    verbs = audited.revisions(confirm=lambda _: True)
    verbs.apply(drop=GONE)
    change(audited, "phone: {type: text, personal: phone}\n      ", "")
    text = revise(audited, "no phone", drop=("users.phone",))
    steps = "-- assise: up\n\nSELECT 1;\n\nSELECT 1 / 0;\n"
    path = folder_of(audited) / "0003_no_phone.sql"
    path.write_text(text.replace("-- assise: up\n", steps).replace("undoes 1", "undoes 3"))
    with pytest.raises(AssiseError, match="division by zero"):
        verbs.apply(drop=GONE)
    query(WRITE.format("phone"))
    assert read_log(query) == [("u", ["phone"])]
