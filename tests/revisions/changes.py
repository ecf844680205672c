"""Every kind of change that revisions make, for tests that make each of them beside a writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PREFIX = "beside"
Edits = tuple[tuple[str, str], ...]
"""Texts of the manifest or of a file, and what stands in their place."""


class Change(NamedTuple):
    """A kind of change: what the manifest says before and after, and the columns that go.

    Keys of `files` and `changed` are names in the folder `sql`.
    """

    name: str
    edits: Edits
    gone: tuple[str, ...] = ()
    before: Edits = ()
    files: Mapping[str, str] = {}
    changed: Mapping[str, str] = {}


USERS, ORDERS = "  users:\n    collection: users\n", "  orders:\n    collection: orders\n"
NAME, STATE, PRICE = 'name: {type: "varchar(20)"', "state: {type: text", "numeric(10,2)"
INDEXES = "indexes: [[state, -price]]"
TIMES = "      created_at: timestamptz\n      updated_at: timestamptz\n"
NOTES = """  notes:
    primary_key: id
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      user_id: {type: uuid, references: users}
      text: {type: text, not_null: true, check: text <> ''}
"""
THINGS = "  core.things: {primary_key: id, columns: {id: int8, called: citext}}\n"
SQL = """CREATE FUNCTION double(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE VIEW doubled AS SELECT id, double(price) AS price FROM orders;
ALTER TABLE orders ADD CONSTRAINT one_price EXCLUDE USING btree (id WITH =);
"""
DEAR = "SELECT id, price FROM orders WHERE price > 5"
BY_STATE = "SELECT state, count(*) AS n FROM orders GROUP BY state"
VIEWS = """name: app
views:
  dear: {file: sql/dear.sql}
  by_state: {file: sql/by_state.sql, materialized: {refresh: 5 minutes, key: [state]}}
  dearest: {file: sql/dearest.sql}
"""
VIEW_FILES = {"dear": DEAR, "by_state": BY_STATE, "dearest": "SELECT max(price) AS most FROM dear"}


def _add(place: str, line: str) -> Edits:
    return ((place, f"{line}\n      {place}"),)


PLAIN = [
    Change("a column", _add(NAME, "note: text"), ("users.note",)),
    Change(
        "a column with a default",
        _add(NAME, "plan: {type: text, default: free, not_null: true}"),
        ("users.plan",),
    ),
    Change(
        "a default for each row",
        _add(NAME, "token: {type: uuid, default: gen_random_uuid(), not_null: true}"),
        ("users.token",),
    ),
    Change("a reference", _add(STATE, "buyer: {type: uuid, references: users}"), ("orders.buyer",)),
    Change("another deletion", (("references: users}", "references: users, on_delete: cascade}"),)),
    Change("a formula", _add(STATE, 'twice: {type: numeric, generated: "price * 2"}')),
    Change("NOT NULL, no key", (("text, unique: true}", "text, not_null: true}"),)),
    Change("a unique column", (("from: user, ", "from: user, unique: true, "),)),
    Change("a check", ((STATE, f"{STATE}, check: state <> ''"),)),
    Change("a default", ((STATE, f"{STATE}, default: new"),)),
    Change("values", ((STATE, f"{STATE}, values: [new, sent]"),)),
    Change(
        "indexes",
        (
            (
                INDEXES,
                (
                    'indexes: [[state], {expression: "lower(state)"},'
                    " {columns: [price], where: price > 5}, {columns: [state, id], unique: true}]"
                ),
            ),
        ),
    ),
    Change("comments", ((", comment: how they are called", ""), ("who buys", "who's buying"))),
    Change("a longer text", (("varchar(20)", "varchar(30)"),)),
    Change("a longer number", ((PRICE, "numeric(12,2)"),)),
    Change("a column that goes", ((", amount: int4", ""),), ("order_lines.amount",)),
    Change(
        "a renamed column", (("product: text", "item: {type: text, from: product, was: product}"),)
    ),
    Change("a table", ((ORDERS, NOTES + ORDERS),), ("notes",)),
    Change("a schema and an extension", ((ORDERS, THINGS + ORDERS),), ("core.things",)),
    Change(
        "times",
        (
            (ORDERS, f"{ORDERS}    timestamps: true\n"),
            (f"      {STATE}", f"{TIMES}      {STATE}"),
        ),
        ("orders.created_at", "orders.updated_at"),
    ),
    Change(
        "files of SQL", (("name: app\n", "name: app\nsql: [sql/own.sql]\n"),), files={"own": SQL}
    ),
]
RENAMED = Change(
    "a renamed table",
    (("  order_lines:\n", "  parts:\n    was: order_lines\n"),),
)
VIEWED = [
    Change("views", (("name: app\n", VIEWS),), files=VIEW_FILES),
    Change(
        "changed views",
        (("key: [state]", "key: [state, n]"),),
        before=(("name: app\n", VIEWS),),
        files=VIEW_FILES,
        changed={
            "dear": DEAR.replace("id, ", ""),
            "by_state": BY_STATE.replace("state, ", "state, max(price) AS most, "),
        },
    ),
    Change(
        "a changed file of SQL",
        (),
        before=(("name: app\n", "name: app\nsql: [sql/own.sql]\n"),),
        files={"own": SQL},
        changed={"own": SQL.replace("n * 2", "n * 3").replace("FROM orders", "FROM orders AS o")},
    ),
]
RULED = (
    ("name: app\n", f"name: app\nroles: {{prefix: {PREFIX}}}\n"),
    (USERS, f"{USERS}    access: {{owner: id}}\n"),
    (ORDERS, f"{ORDERS}    access: {{owner: user_id}}\n"),
)
SOFT = ("    access: {owner: user_id}\n", "    soft_delete: true\n    access: {owner: user_id}\n")
RULES = [
    Change("a changed rule", (("owner: id}", "owner: id, read: {any: [{public: read}]}}"),)),
    Change(
        "a rule through another",
        (("    parent: orders\n", "    parent: orders\n    access: {through: orders}\n"),),
        ("order_lines.user_id",),
    ),
    Change("soft delete", (SOFT,), ("orders.deleted_at",)),
]
HARD = Change("no soft delete", ((SOFT[1], SOFT[0]),), ("orders.deleted_at",), before=(SOFT,))
