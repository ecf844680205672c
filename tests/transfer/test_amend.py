"""Orphans and duplicates that the manifest does not keep, on a real server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import bson
import pytest
from bson import Decimal128
from tests.dumps import confirm, write_dump
from tests.oracle.equality import equal
from tests.oracle.walk import frames

from assise.errors import DependentError
from assise.project import Project
from assise.rows.model import Reason
from assise.transfer.report import Report, Verified

Query = Callable[..., list[tuple[object, ...]]]
Documents = Mapping[str, Sequence[Mapping[str, Any]]]

SHOP = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      boss: {type: int4, references: users, orphans: reject}
      mail: text
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      buyer: {type: int4, references: users, orphans: reject}
  order_lines:
    parent: orders
    from: lines.*
    primary_key: [order_id, position]
    columns:
      item: {type: text, references: items, orphans: reject}
      count: int4
  items:
    collection: items
    primary_key: id
    columns:
      id: {type: text, from: _id}
"""


def people(count: int = 10) -> list[dict[str, Any]]:
    return [{"_id": n, "boss": None, "mail": f"m{n}"} for n in range(count)]


def order(number: int, buyer: object, *items: object) -> dict[str, Any]:
    lines = [{"item": item, "count": 1} for item in items]
    return {"_id": number, "buyer": buyer, "lines": lines, "note": f"order {number}"}


ITEMS = [{"_id": name} for name in ("pen", "ink")]
DOCUMENTS: Documents = {
    "users": [*people(), {"_id": 20, "boss": 99}, {"_id": 21, "boss": 20}, {"_id": 22, "boss": 21}],
    "orders": [
        order(0, 1, "pen", "ink"),
        order(1, 22, "pen"),
        order(2, 2, "pen", "cup"),
        order(3, None, "ink"),
        order(4, "one", "ink"),
        order(5, 98),
    ],
    "items": ITEMS,
}


def migrate(
    project: Project, folder: Path, documents: Documents, text: str = SHOP, database: str = "shop"
) -> Report:
    project.path.write_text(text)
    return project.migrate(write_dump(folder / database, documents), confirm=confirm)


def check_whole(project: Project, report: Report, folder: Path, documents: Documents) -> None:
    """Nothing is lost: what was loaded and what was rejected is what the source has."""
    assert report.verified is not None
    assert report.verified == Verified(equal=report.loaded)
    assert report.documents == report.loaded + report.rejected
    assert project.verify().verified == report.verified
    exported = project.export_folder(folder / "out")
    for each in exported:
        content = (folder / "out" / "shop" / f"{each.name}.bson").read_bytes()
        found = {}
        for _, start, end in frames(content):
            raw = content[start:end]
            found[repr(bson.decode(raw)["_id"])] = raw
        source = [bson.encode(document) for document in documents[each.name]]
        assert len(found) == each.documents + each.rejects == len(source)
        for raw in source:
            assert equal(raw, found[repr(bson.decode(raw)["_id"])])


def rejected(project: Project) -> dict[tuple[str, object], str]:
    """The `_id`s of what was rejected because the manifest says so, with the reasons."""
    found = {}
    for reject in project.rejects():
        assert reject.reason is Reason.ASKED_FOR
        raw = project.reject_bytes(reject.collection, reject.offset)
        found[reject.collection, bson.decode(raw)["_id"]] = reject.detail
    return found


REJECTED = {
    ("users", 20): "users.boss 99 is in no row of users",
    ("users", 21): "users.boss 20 is in no row of users",
    ("users", 22): "users.boss 21 is in no row of users",
    ("orders", 1): "orders.buyer 22 is in no row of users",
    ("orders", 2): "order_lines.item cup is in no row of items",
    ("orders", 5): "orders.buyer 98 is in no row of users",
}
VALID = """SELECT conname::text FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('f', 'u') AND convalidated
    ORDER BY 1"""


@pytest.mark.contract
def test_orphans_are_rejected_until_none_is_left(
    project: Project, tmp_path: Path, query: Query
) -> None:
    report = migrate(project, tmp_path, DOCUMENTS)
    assert (report.documents, report.loaded, report.rejected) == (21, 15, 6)
    assert report.exit_code == 3
    assert rejected(project) == REJECTED
    check_whole(project, report, tmp_path, DOCUMENTS)
    keys = [text for (text,) in query(VALID)]
    assert keys == [
        "order_lines_item_fkey",
        "order_lines_order_id_fkey",
        "orders_buyer_fkey",
        "users_boss_fkey",
    ]
    found = {each.name: each for each in report.findings}
    assert found["users.boss"].keys == ("20", "21", "22")
    assert (found["users.boss"].rows, found["users.boss"].among) == (3, 3)
    assert found["orders.buyer"].describe() == [
        "orders.buyer: 2 of 4 rows refer to no users.id (5, 1); their documents were rejected"
    ]


def test_figures_are_those_of_what_is_loaded(project: Project, tmp_path: Path) -> None:
    report = migrate(project, tmp_path, DOCUMENTS)
    others = [each for each in DOCUMENTS["orders"] if ("orders", each["_id"]) not in REJECTED]
    left: Documents = {**DOCUMENTS, "orders": others, "users": people()}
    (tmp_path / "clean").mkdir()
    clean = Project(tmp_path / "clean", to=project.workspace.to)
    text = SHOP.replace("name: shop", "name: clean")
    for name in ("users", "orders", "order_lines", "items"):
        text = text.replace(f"  {name}:\n", f"  clean_{name}:\n").replace(
            f"references: {name}", f"references: clean_{name}"
        )
    text = text.replace("parent: orders", "parent: clean_orders")
    expected = migrate(clean, tmp_path, left, text, "clean")
    assert expected.rejected == 0
    for each, other in zip(report.collections, expected.collections, strict=True):
        assert each.values == other.values
        assert [*each.tables.values()] == [*other.tables.values()]
        columns = {f"clean_{table}": counts for table, counts in each.columns.items()}
        assert columns == other.columns
    verified = project.verify()
    for each, other in zip(verified.collections, expected.collections, strict=True):
        assert (each.values, each.loaded) == (other.values, other.loaded)


def test_a_second_run_changes_nothing_and_says_the_same(
    project: Project, tmp_path: Path, query: Query
) -> None:
    first = migrate(project, tmp_path, DOCUMENTS)
    rows = "SELECT xmin::text, t::text FROM users AS t UNION ALL SELECT xmin::text, t::text FROM orders AS t"
    before = sorted(query(rows)), query("SELECT * FROM assise.chunk"), query(VALID)
    again = project.load()
    assert again.was_done
    assert (again.rejected, again.findings) == (first.rejected, first.findings)
    assert (sorted(query(rows)), query("SELECT * FROM assise.chunk"), query(VALID)) == before
    undone = project.undo(confirm=confirm)
    assert undone.is_done
    assert query("SELECT nspname FROM pg_namespace WHERE nspname = 'assise'") == []


UNIQUE = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: text, from: _id}
      mail: {type: text, unique: true, duplicates: reject}
      tenant: text
      number: int4
    indexes:
      - {columns: [tenant, number], unique: true, duplicates: reject}
  user_phones:
    parent: users
    from: phones.*
    primary_key: [user_id, position]
    columns:
      number: {type: text, unique: nulls not distinct, duplicates: reject}
"""


@pytest.mark.contract
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 3])
def test_the_first_of_the_source_is_kept(
    tmp_path: Path, database: str, query: Query, workers: int
) -> None:
    chances = Random(7)
    users = []
    for n in range(400):
        mail = f"m{chances.randrange(150)}" if n % 3 else None
        name = f"{chances.randrange(10**6):06}"
        users.append({"_id": name, "mail": mail, "tenant": "t", "number": n, "pad": "x" * 200})
    kept, seen = [], set[object]()
    for user in users:
        if user["mail"] not in seen:
            kept.append(user["_id"])
        if user["mail"] is not None:
            seen.add(user["mail"])
    settings = {"load.chunk_bytes": 4096, "workers": workers}
    project = Project(tmp_path, to=database, settings=settings)
    report = migrate(project, tmp_path, {"users": users}, UNIQUE)
    assert [key for (key,) in query("SELECT id FROM users ORDER BY number")] == kept
    assert (report.loaded, report.rejected) == (len(kept), 400 - len(kept))
    check_whole(project, report, tmp_path, {"users": users})
    assert "users_mail_key" in [name for (name,) in query(VALID)]
    (finding,) = report.findings
    assert (finding.name, finding.rows) == ("users.mail", 400 - len(kept))
    assert finding.says == "have a value that an earlier one has"


def test_duplicates_of_several_columns_and_of_child_rows(
    project: Project, tmp_path: Path, query: Query
) -> None:
    users = [
        {"_id": "z", "mail": "a", "tenant": "t", "number": 1, "phones": [{"number": "1"}]},
        {"_id": "y", "mail": "b", "tenant": "t", "number": 1},
        {"_id": "x", "mail": "c", "tenant": "t", "number": 2, "phones": [{"number": "1"}]},
        {"_id": "w", "mail": "d", "tenant": "t", "number": 3, "phones": [{"n": 1}, {"n": 2}]},
        {"_id": "v", "mail": "e", "tenant": "t", "number": 4, "phones": [{"n": 1}]},
        {"_id": "u", "mail": "b", "tenant": "t", "number": 5, "phones": [{"number": "2"}]},
    ]
    report = migrate(project, tmp_path, {"users": users}, UNIQUE)
    assert rejected(project) == {
        ("users", "y"): "users.tenant, number t, 1 is the value of an earlier document",
        ("users", "x"): "user_phones.number 1 is the value of an earlier document",
        ("users", "w"): "user_phones.number NULL is the value of an earlier document",
    }
    check_whole(project, report, tmp_path, {"users": users})
    assert query("SELECT id FROM users ORDER BY id") == [("u",), ("v",), ("z",)]


TWO_KEYS = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      mail: {type: text, unique: true, duplicates: reject}
      name: {type: text, unique: true, duplicates: reject}
      boss: {type: int4, references: users, orphans: reject}
"""


def keep_in_order(users: Sequence[Mapping[str, Any]]) -> list[object]:
    """What is left: no orphans, and then what would be inserted one after the other."""
    left = [*users]
    while True:
        ids = {user["_id"] for user in left}
        kept = [user for user in left if user["boss"] is None or user["boss"] in ids]
        if kept == left:
            seen = set[tuple[str, object]]()
            kept = []
            for user in left:
                values = {(key, user[key]) for key in ("mail", "name") if user[key] is not None}
                if not values & seen:
                    kept.append(user)
                    seen |= values
            if kept == left:
                return [user["_id"] for user in left]
        left = kept


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_could_be_inserted_in_order(
    project: Project, tmp_path: Path, query: Query, seed: int
) -> None:
    chances = Random(seed)
    ids = chances.sample(range(1000), 120)
    users = [
        {
            "_id": number,
            "mail": chances.choice([None, f"m{chances.randrange(60)}"]),
            "name": chances.choice([None, f"n{chances.randrange(60)}"]),
            "boss": chances.choice([None, None, 1001, *chances.sample(ids, 9)]),
        }
        for number in ids
    ]
    report = migrate(project, tmp_path, {"users": users}, TWO_KEYS)
    kept = keep_in_order(users)
    assert 0 < len(kept) < 100
    assert {key for (key,) in query("SELECT id FROM users")} == {*kept}
    check_whole(project, report, tmp_path, {"users": users})
    assert [name for (name,) in query(VALID)] == [
        "users_boss_fkey",
        "users_mail_key",
        "users_name_key",
    ]


def test_a_second_document_with_the_id_of_a_rejected_one(project: Project, tmp_path: Path) -> None:
    users = [*people(3), {"_id": 7, "boss": 99}, {"_id": 7, "boss": 1}]
    report = migrate(project, tmp_path, {"users": users, "orders": [], "items": []})
    assert (report.documents, report.loaded, report.rejected) == (5, 3, 2)
    assert report.verified == project.verify().verified == Verified(equal=3)
    details = [reject.detail for reject in project.rejects()]
    assert details == [
        "users.boss 99 is in no row of users",
        "its _id is that of a document that was rejected after it was loaded",
    ]


def test_a_manifest_that_rejects_later_leaves_rows_that_were_edited(
    project: Project, tmp_path: Path, query: Query
) -> None:
    kept = SHOP.replace("orphans: reject", "orphans: keep")
    before = migrate(project, tmp_path, DOCUMENTS, kept)
    assert (before.loaded, before.rejected, len(before.findings)) == (21, 0, 3)
    query("UPDATE order_lines SET count = 2 WHERE order_id = 2 AND position = 0")
    query("ALTER TABLE users DISABLE TRIGGER ALL")
    query("INSERT INTO users (id, boss) VALUES (77, 99)")
    query("ALTER TABLE users ENABLE TRIGGER ALL")
    project.path.write_text(SHOP)
    report = project.load()
    assert report.rejected == 5
    assert {*rejected(project)} == {*REJECTED} - {("orders", 2)}
    made = {(each.name, each.made): each.keys for each in report.findings}
    assert made["users.boss", "the foreign key holds for new rows"] == ("77",)
    assert made["order_lines.item", "the foreign key holds for new rows"] == ("2",)
    assert query("SELECT id FROM users WHERE id > 9") == [(77,)]
    lines = "SELECT count FROM order_lines WHERE order_id = 2 ORDER BY position"
    assert query(lines) == [(2,), (1,)]
    verified = project.verify().verified
    assert verified is not None
    assert (verified.equal, verified.different, verified.missing) == (15, 1, 0)


def test_rows_of_others_that_refer_to_a_document_keep_it(
    project: Project, tmp_path: Path, query: Query
) -> None:
    migrate(project, tmp_path, DOCUMENTS, SHOP.replace("orphans: reject", "orphans: keep"))
    query("CREATE TABLE mine (user_id int REFERENCES users ON DELETE CASCADE)")
    query("INSERT INTO mine VALUES (20)")
    project.path.write_text(SHOP)
    before = query(VALID)
    with pytest.raises(DependentError, match="rows of mine refer to them by mine_user_id_fkey"):
        project.load()
    assert query("SELECT count(*) FROM users") == [(13,)]
    assert query("SELECT * FROM mine") == [(20,)]
    assert query(VALID) == before
    query("DROP TABLE mine")
    query(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER keep BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    with pytest.raises(DependentError, match="a trigger keeps their rows"):
        project.load()
    query("DROP TRIGGER keep ON users")
    assert project.load().rejected == 6


def test_a_source_that_is_gone_rejects_nothing(
    project: Project, tmp_path: Path, query: Query
) -> None:
    migrate(project, tmp_path, DOCUMENTS, SHOP.replace("orphans: reject", "orphans: keep"))
    changed = {**DOCUMENTS, "users": people(13)}
    write_dump(tmp_path / "shop", changed)
    project.path.write_text(SHOP)
    with pytest.raises(Exception, match="has changed since it was loaded"):
        project.load()
    assert query("SELECT count(*) FROM users") == [(13,)]
    assert project.rejects() == []


NULLED = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      boss: {type: int4, from: work.at.boss, references: users, orphans: null}
      mail: {type: text, unique: true, duplicates: null}
      born: {type: timestamptz, unique: true, duplicates: null}
      price: {type: "numeric(10,2)", unique: true, duplicates: null}
      tags: {type: "text[]", unique: true, duplicates: null}
  user_friends:
    parent: users
    from: friends.*
    primary_key: [user_id, position]
    columns:
      friend_id: {type: int4, from: "*", references: users, orphans: null}
  user_visits:
    parent: users
    from: visits.*
    primary_key: [user_id, position]
    columns:
      to: {type: int4, from: $oid.to, references: users, orphans: null, kind: double}
"""
DAY = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
PEOPLE = [
    {"_id": 3, "work": {"at": {"boss": 99}}, "mail": "a", "born": DAY, "friends": [3, 98, None]},
    {"_id": 1, "work": {"at": {"boss": 3.0}, "x": 1}, "mail": "b", "price": 1.5, "tags": ["x"]},
    {"_id": 2, "work": {"at": {"boss": 97.0}, "x": 1}, "mail": "a", "price": Decimal128("1.50")},
    {"_id": 4, "mail": 7, "born": "2024-05-17T09:30:00Z", "tags": "x"},
    {
        "_id": 5,
        "mail": "7",
        "tags": ["x"],
        "visits": [{"$oid": {"to": 1.0}}, {"$oid": {"to": 96.0}}],
    },
    {
        "_id": 6,
        "work": {"at": {"boss": "none"}},
        "friends": "none",
        "visits": [{"$oid": {"to": 95}}],
    },
]


@pytest.mark.contract
def test_what_is_set_to_null_stays_in_extra(project: Project, tmp_path: Path, query: Query) -> None:
    documents = {"users": PEOPLE}
    report = migrate(project, tmp_path, documents, NULLED)
    assert (report.loaded, report.rejected, report.exit_code) == (6, 0, 3)
    check_whole(project, report, tmp_path, documents)
    cells = "SELECT boss, mail, price::text, tags, _extra FROM users ORDER BY id"
    assert query(cells) == [
        (3, "b", "1.50", ["x"], {"work": {"at": {"boss": 3.0}, "x": 1}}),
        (
            None,
            None,
            None,
            None,
            {
                "mail": {"$nulled": "a"},
                "work": {"at": {"boss": {"$nulled": 97.0}}, "x": 1},
                "price": {"$nulled": {"$numberDecimal": "1.50"}},
            },
        ),
        (None, "a", None, None, {"work": {"at": {"boss": {"$nulled": 99}}}}),
        (
            None,
            "7",
            None,
            None,
            {"mail": 7, "born": {"$nulled": "2024-05-17T09:30:00Z"}, "tags": {"$nulled": "x"}},
        ),
        (
            None,
            None,
            None,
            None,
            {"mail": {"$nulled": "7"}, "tags": {"$nulled": ["x"]}},
        ),
        (None, None, None, None, {"work": {"at": {"boss": "none"}}, "friends": "none"}),
    ]
    friends = "SELECT user_id, position, friend_id, _extra FROM user_friends ORDER BY 1, 2"
    assert query(friends) == [
        (3, 0, 3, None),
        (3, 1, None, {"$element": {"$nulled": 98}}),
        (3, 2, None, None),
    ]
    visits = 'SELECT user_id, position, "to", _extra FROM user_visits ORDER BY 1, 2'
    assert query(visits) == [
        (5, 0, 1, None),
        (5, 1, None, {"$$oid": {"to": {"$nulled": 96.0}}}),
        (6, 0, None, {"$$oid": {"to": {"$nulled": 95}}}),
    ]
    found = {each.name: (each.rows, each.keys, each.made) for each in report.findings}
    made = "they are NULL now, and the originals stand in _extra"
    assert found == {
        "users.boss": (2, ("2", "3"), made),
        "users.mail": (2, ("2", "5"), made),
        "users.born": (1, ("4",), made),
        "users.price": (1, ("2",), made),
        "users.tags": (2, ("4", "5"), made),
        "user_friends.friend_id": (1, ("3",), made),
        "user_visits.to": (2, ("5", "6"), made),
    }
    assert {"users_boss_fkey", "users_mail_key", "user_visits_to_fkey"} <= {
        name for (name,) in query(VALID)
    }


def test_columns_may_have_any_names(project: Project, tmp_path: Path, query: Query) -> None:
    names = ("x", "e", "j", "c", "t", "row", "key", "n", "xid", "first")
    orphans = "{type: int4, references: marks, orphans: null}"
    keys = "[key, x]"
    columns = ", ".join(f"{name}: {orphans}" for name in names)
    project.path.write_text(
        "assise: 1\nname: app\ntables:\n"
        "  marks: {collection: marks, primary_key: x, columns: {x: {type: int4, from: _id},"
        " e: {type: text, unique: true, duplicates: null},"
        " n: {type: int4, unique: true, duplicates: reject}}}\n"
        f"  rows: {{collection: rows, primary_key: id, columns: {{id: {{type: int4, from: _id}}, {columns}}}}}\n"
        f"  parts: {{parent: rows, from: parts.*, primary_key: {keys}, columns: {{j: {orphans}}}}}\n"
    )
    marks: list[dict[str, Any]] = [
        {"_id": 1, "e": "a", "n": 1},
        {"_id": 2, "e": "a", "n": 2},
        {"_id": 3, "n": 2},
    ]
    row = {"_id": 1, **dict.fromkeys(names, 9), "parts": [{"j": 9}, {"j": 1}]}
    dump = write_dump(tmp_path / "app", {"marks": marks, "rows": [row]})
    project.migrate(dump, confirm=confirm)
    assert query("SELECT x, e FROM marks ORDER BY x") == [(1, "a"), (2, None)]
    [values] = query(f"SELECT {', '.join(names)} FROM rows")
    assert values == (None,) * len(names)
    assert query("SELECT key, x, j FROM parts ORDER BY x") == [(1, 0, None), (1, 1, 1)]
    assert project.verify().exit_code == 3


def test_values_that_are_null_now_are_counted_in_extra(project: Project, tmp_path: Path) -> None:
    documents = {"users": PEOPLE}
    report = migrate(project, tmp_path, documents, NULLED)
    (tmp_path / "other").mkdir()
    kept = NULLED.replace(": null}", ": keep}").replace(": null,", ": keep,")
    kept = kept.replace("name: shop", "name: other").replace("  user", "  o_user")
    kept = kept.replace("s: user", "s: o_user").replace("t: user", "t: o_user")
    other = Project(tmp_path / "other", to=project.workspace.to)
    before = migrate(other, tmp_path, documents, kept, "other").collections[0]
    (after,) = report.collections
    counts = {name: vars(each.values) for name, each in (("before", before), ("after", after))}
    assert sum(counts["before"].values()) == sum(counts["after"].values())
    # boss 99 and 97.0, mail, born, price, two tags of one leaf each, a friend and two visits.
    moved = {"typed": -(1 + 2 + 1 + 1 + 1), "read": -(1 + 1 + 1 + 1 + 1), "jsonb": 0, "extra": 11}
    assert {key: counts["after"][key] - counts["before"][key] for key in moved} == moved
    column = after.columns["users"]["boss"]
    assert (column.held, column.read, column.extra) == (1, 1, {"string": 1, "nulled": 2})
    assert [each.column for each in report.misfits if each.table == "users"] == ["boss"]
    again = project.verify().collections[0]
    assert (again.values, again.columns) == (after.values, after.columns)


def test_sql_wins_over_a_value_that_is_null_now(
    project: Project, tmp_path: Path, query: Query
) -> None:
    migrate(project, tmp_path, {"users": PEOPLE}, NULLED)
    assert project.load().was_done
    query("UPDATE users SET boss = 1 WHERE id = 3")
    query("UPDATE users SET mail = 'new' WHERE id = 2")
    found: list[bytes] = []
    project.export("users", found.append)
    users = {each["_id"]: each for each in map(bson.decode, found)}
    assert (users[3]["work"], users[2]["mail"]) == ({"at": {"boss": 1}}, "new")
    query("UPDATE users SET boss = NULL WHERE id = 3")
    query("UPDATE users SET mail = NULL WHERE id = 2")
    assert project.verify().verified == Verified(equal=6)


def test_a_manifest_that_sets_to_null_later(project: Project, tmp_path: Path, query: Query) -> None:
    documents = {"users": PEOPLE}
    kept = NULLED.replace(": null}", ": keep}").replace(": null,", ": keep,")
    before = migrate(project, tmp_path, documents, kept)
    assert len([each for each in before.findings if each.statement]) == 7
    query("UPDATE users SET price = 1.5 WHERE id = 2")
    project.path.write_text(NULLED)
    report = project.load()
    left = {each.name: each.keys for each in report.findings if each.statement}
    assert left == {"users.boss": ("2",), "users.mail": ("2", "3"), "users.price": ("1", "2")}
    assert project.undo(dry_run=True).tables[0].edits == ["1 row changed"]
    assert query("SELECT boss, mail, price::text FROM users WHERE id = 2") == [(97, "a", "1.50")]


def test_a_repair_sets_to_null_again(project: Project, tmp_path: Path, query: Query) -> None:
    migrate(project, tmp_path, {"users": PEOPLE}, NULLED)
    rows = "SELECT * FROM users ORDER BY id", "SELECT * FROM user_friends ORDER BY 1, 2"
    before = [query(statement) for statement in (*rows, VALID)]
    figures = query("SELECT typed, read, jsonb, extra, columns FROM assise.chunk")
    query("UPDATE users SET price = id, mail = id WHERE id IN (2, 3)")
    query("DELETE FROM users WHERE id = 5")
    query("UPDATE user_friends SET _extra = NULL WHERE user_id = 3")
    repaired = project.repair(replace=["users", "user_friends", "user_visits"], confirm=confirm)
    assert repaired.is_done
    assert repaired.report.verified == Verified(equal=6)
    assert [query(statement) for statement in (*rows, VALID)] == before
    assert query("SELECT typed, read, jsonb, extra, columns FROM assise.chunk") == figures
    assert project.undo(dry_run=True).tables[0].edits == []


def test_a_trigger_that_keeps_a_value(project: Project, tmp_path: Path, query: Query) -> None:
    kept = NULLED.replace(": null}", ": keep}").replace(": null,", ": keep,")
    migrate(project, tmp_path, {"users": PEOPLE}, kept)
    query(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER keep BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    project.path.write_text(NULLED)
    with pytest.raises(DependentError, match="a trigger keeps it"):
        project.load()
    assert query("SELECT count(boss) FROM users") == [(3,)]
