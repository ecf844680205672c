from __future__ import annotations

import pytest
from pydantic import ValidationError

from assise.errors import ManifestError
from assise.manifest.layout import ColumnLayout
from assise.manifest.model import Column, Manifest, Table
from assise.manifest.read import parse_manifest
from assise.manifest.sections.postgres import Postgres, Urls

HEAD = "assise: 1\nname: shop\ntables:\n"
USERS = "  users: {collection: users, primary_key: id, columns: {id: {type: uuid, from: _id}}}\n"
PLACE = "assise.yaml:4: tables.users"
COLUMN = "assise.yaml:4: tables.users.columns"
CHILD = "assise.yaml:5: tables.files"
TABLE = "assise.yaml:4: tables.users"
TYPES = (
    "Known: uuid, text, bool, int2, int4, int8, float8, numeric, timestamptz, date, bytea, jsonb,"
    " citext, varchar(20), numeric(10,2), timestamptz(3), text[]."
)
KEY_ONLY = (
    "belongs to the key of a collection's table only\n"
    "Remove it, or make this column the primary_key."
)
ONE_STAR = (
    "a child table's path names an array and ends in its one *\n"
    "Write for example files.*; a key * is written \\*."
)
WHOLE_ID = "reads a part of _id\nRead _id as a whole: the order of its fields counts."
NO_NAME = (
    "a key that ends in a backslash, holds NUL or is not Unicode cannot be named\n"
    "Leave it without a column: its values are kept in _extra."
)
NO_ROOT_KEY = "Name the one column that reads _id, or one of kind offset."
SCALAR_KEY = (
    "which cannot be a key\n"
    "Give it a scalar type; {type: text, from: _id, kind: any} takes every _id."
)
NEEDED = "2 are needed: the key of users, then the position at each level"
BEGIN = "Begin with a letter A-Z or a-z; then letters, digits, _ and -, at most 63 in all."
X64 = "x" * 64


def users(columns: str) -> str:
    columns = f"id: {{type: uuid, from: _id}}, {columns}"
    return f"  users: {{collection: users, primary_key: id, columns: {{{columns}}}}}\n"


def keyed(primary_key: str, columns: str) -> str:
    return f"  users: {{collection: users, primary_key: {primary_key}, columns: {{{columns}}}}}\n"


def listed(keys: str, columns: str = "b: text") -> str:
    return users(columns).replace("primary_key: id,", f"primary_key: id, {keys},")


def child(keys: str, parent: str = USERS) -> str:
    return f"{parent}  files: {{{keys}}}\n"


FILES = "parent: users, from: files.*, primary_key: [user_id, _position]"

TYPE_ERRORS = [
    (users("a: citex"), f"{COLUMN}.a.type: citex: is not a type\nDid you mean citext? {TYPES}"),
    (
        users("a: {type: numeri}"),
        f"{COLUMN}.a.type: numeri: is not a type\nDid you mean numeric? {TYPES}",
    ),
    (
        users('a: "numeric(2,10)"'),
        (
            f"{COLUMN}.a.type: numeric(2,10): has no modifier that it takes\n"
            "Write numeric(p,s): 1 to 1,000 digits, of them 0 to p decimal places."
        ),
    ),
    (
        users('a: "numeric(1001)"'),
        (
            f"{COLUMN}.a.type: numeric(1001,0): has no modifier that it takes\n"
            "Write numeric(p,s): 1 to 1,000 digits, of them 0 to p decimal places."
        ),
    ),
    (
        users('a: "character varying(0)[]"'),
        (
            f"{COLUMN}.a.type: varchar(0)[]: has no modifier that it takes\n"
            "Write varchar(n): 1 to 10,485,760 characters."
        ),
    ),
    (
        users('a: "timestamptz(7)"'),
        (
            f"{COLUMN}.a.type: timestamptz(7): has no modifier that it takes\n"
            "Write timestamptz(n): 0 to 6 decimal places of a second."
        ),
    ),
    (
        users('a: "integer(3)"'),
        f"{COLUMN}.a.type: int4(3): takes no modifier\nWrite int4.",
    ),
    (
        users('a: "money(3)"'),
        f"{COLUMN}.a.type: money(3): is not a type\n{TYPES}",
    ),
    (
        users('a: "jsonb[]"'),
        f"{COLUMN}.a.type: jsonb[]: is not a type\nDid you mean jsonb? {TYPES}",
    ),
    (users('a: ""'), f"{COLUMN}.a.type: is not a type\n{TYPES}"),
    (
        users("a: {type: uuid, kind: uuid_jav}"),
        (
            f"{COLUMN}.a.kind: uuid_jav: is not a kind of uuid\n"
            "Did you mean uuid_java? Known: objectid, uuid, uuid_java, uuid_csharp, uuid_python,"
            " hex, uuid_text."
        ),
    ),
    (
        users("a: {type: bytea, kind: binary_256}"),
        (
            f"{COLUMN}.a.kind: binary_256: is not a kind of bytea\n"
            "Did you mean binary_56? Known: binary, binary_1, …, binary_255."
        ),
    ),
    (
        users('a: {type: "text[]", kind: any}'),
        f"{COLUMN}.a.kind: any: is not a kind of text[]\nKnown: string, objectid.",
    ),
    (users("a: {type: text, kind: any}"), f"{COLUMN}.a.kind: any: {KEY_ONLY}"),
    (users("a: {type: int8, kind: offset}"), f"{COLUMN}.a.kind: offset: {KEY_ONLY}"),
    (
        child(f"{FILES}, columns: {{c: {{type: text, kind: any}}}}"),
        f"{CHILD}.columns.c.kind: any: {KEY_ONLY}",
    ),
    (
        keyed("id", "id: {type: int8, kind: offset, from: x}"),
        (
            f"{COLUMN}.id.from: x: is not allowed on a column of kind offset\n"
            "Remove it: the column reads no field."
        ),
    ),
]

ORIGIN_ERRORS = [
    (
        child("collection: x, parent: users, from: a.*, primary_key: [a, b]"),
        (
            f"{CHILD}: has both collection and parent\n"
            "Give a collection, or the parent and from of a child table."
        ),
    ),
    (
        child("primary_key: a"),
        (
            f"{CHILD}.primary_key: a: is not a column of this table\n"
            "Give columns; or a collection, or the parent and from of a child table."
        ),
    ),
    (
        (
            "  users: {collection: users, from: a.*, primary_key: id, columns: {id: {type: uuid, "
            "from: _id}}}\n"
        ),
        (
            f"{PLACE}.from: a.*: belongs to child tables only\n"
            "Remove it: a collection's table holds whole documents."
        ),
    ),
    (
        child("parent: users, primary_key: [a, b]"),
        (
            f"{CHILD}: has a parent and no from\n"
            "Give the array in the parent's document, such as from: files.*"
        ),
    ),
    (
        child("parent: user, from: a.*, primary_key: [a, b]"),
        (
            f"{CHILD}.parent: user: is not a table of this manifest\n"
            "Did you mean users? Known: users, files."
        ),
    ),
    (
        child("parent: files, from: a.*, primary_key: [a, b]"),
        (
            f"{CHILD}.parent: files: leads back to this table\n"
            "Let each child table end at a collection's table."
        ),
    ),
    (
        (
            f"{USERS}  people: "
            f"{{collection: users, primary_key: id, columns: {{id: {{type: uuid, from: _id}}}}}}\n"
        ),
        (
            "assise.yaml:5: tables.people.collection: users: is the collection of table users "
            "already\n"
            "Keep one table for each collection."
        ),
    ),
    (
        USERS.replace("collection: users", 'collection: ""'),
        f"{PLACE}.collection: is not the name of a collection\nGive the collection's name.",
    ),
    (
        USERS.replace("collection: users", r'collection: "a\0"'),
        f"{PLACE}.collection: a\\x00: is not the name of a collection\nGive the collection's name.",
    ),
]

KEY_ERRORS = [
    (
        keyed("idd", "id: {type: uuid, from: _id}"),
        f"{PLACE}.primary_key: idd: is not a column of this table\nDid you mean id? Known: id.",
    ),
    (
        "  users: {collection: users, primary_key: id}\n",
        f"{PLACE}.primary_key: id: is not a column of this table\nThere is none.",
    ),
    (
        keyed("[id, b]", "id: {type: uuid, from: _id}"),
        f"{PLACE}.primary_key: names 2 columns\n{NO_ROOT_KEY}",
    ),
    (
        keyed("[]", "id: {type: uuid, from: _id}"),
        f"{PLACE}.primary_key: names 0 columns\n{NO_ROOT_KEY}",
    ),
    (
        keyed("id", "id: uuid"),
        (
            f"{PLACE}.primary_key: id: reads id\n"
            "Name the column that reads _id (from: _id), or one of kind offset."
        ),
    ),
    (keyed("_id", "_id: jsonb"), f"{PLACE}.primary_key: _id: is of type jsonb, {SCALAR_KEY}"),
    (keyed("_id", '_id: "text[]"'), f"{PLACE}.primary_key: _id: is of type text[], {SCALAR_KEY}"),
    (
        child("parent: users, from: files.*, primary_key: a"),
        (
            f"{CHILD}.primary_key: names 1 column; {NEEDED}\n"
            "Name the positions outermost first, such as position."
        ),
    ),
    (
        child("parent: users, from: files.*, primary_key: [a, a]"),
        f"{CHILD}.primary_key: a: occurs twice\nGive each column of the key its own name.",
    ),
    (
        child("parent: users, from: files.*, primary_key: [a, b], columns: {b: text}"),
        (
            f"{CHILD}.primary_key: b: is one of the columns too\n"
            "Rename one of them: the key of a child table is not among its columns."
        ),
    ),
    (
        child("parent: users, from: files.*, primary_key: [a, ctid]"),
        (
            f"{CHILD}.primary_key: ctid: is the name of a system column of PostgreSQL\n"
            "Choose another name, such as ctid_."
        ),
    ),
    (
        child('parent: users, from: files.*, primary_key: [a, ""]'),
        f"{CHILD}.primary_key: is an empty name\nGive it a name.",
    ),
]

PATH_ERRORS = [
    (
        users("a: text, b: {type: text, from: a}"),
        f"{COLUMN}.b.from: a: reads the same field as column a\nKeep one of the two.",
    ),
    (
        users("a: {type: text, from: x.y}, b: {type: jsonb, from: x}"),
        f"{COLUMN}.a.from: x.y: reads a field inside that of column b\nKeep one of the two.",
    ),
    (
        child(FILES, users("files: jsonb")),
        f"{CHILD}.from: files.*: reads the same field as column files\nKeep one of the two.",
    ),
    (
        child(FILES.replace("files.*", "r.files.*"), users("r: jsonb")),
        f"{CHILD}.from: r.files.*: reads a field inside that of column r\nKeep one of the two.",
    ),
    (
        child(FILES, users("a: {type: text, from: files.0}")),
        f"{COLUMN}.a.from: files.0: reads a field inside that of table files\nKeep one of the two.",
    ),
    (
        child(FILES) + f"  more: {{{FILES}}}\n",
        (
            "assise.yaml:6: tables.more.from: files.*: reads the same field as table files\n"
            "Keep one of the two."
        ),
    ),
    (
        listed("nulls: [x], documents: [x]"),
        (
            f"{TABLE}.documents.0: x: reads the same field as the path x in nulls\n"
            "Keep one of the two."
        ),
    ),
    (
        listed("documents: [x.y]", "a: {type: jsonb, from: x}"),
        f"{TABLE}.documents.0: x.y: reads a field inside that of column a\nKeep one of the two.",
    ),
    (
        keyed("id, documents: [_id.a]", "id: {type: int8, kind: offset}"),
        f"{TABLE}.documents.0: _id.a: {WHOLE_ID}",
    ),
    (
        listed('documents: ["x.*"]'),
        (
            f"{TABLE}.documents: x.*: a segment * stands for the elements of an array\n"
            "Make a child table of the array; a key * is written \\*."
        ),
    ),
    (
        keyed("id", "id: {type: int8, kind: offset}, a: {type: text, from: _id.a}"),
        f"{COLUMN}.a.from: _id.a: {WHOLE_ID}",
    ),
    (
        child(FILES.replace("files.*", "_id.*"), keyed("id", "id: {type: int8, kind: offset}")),
        f"{CHILD}.from: _id.*: {WHOLE_ID}",
    ),
    (
        users("a: {type: text, from: files.*}"),
        (
            f"{COLUMN}.a.from: files.*: a segment * stands for the elements of an array\n"
            "Make a child table of the array; a key * is written \\*."
        ),
    ),
    (child(FILES.replace("files.*", "files")), f"{CHILD}.from: files: {ONE_STAR}"),
    (child(FILES.replace("files.*", '"*"')), f"{CHILD}.from: *: {ONE_STAR}"),
    (users(r'"a\\": text'), f"{COLUMN}.a\\\\.from: a\\\\: {NO_NAME}"),
    (users(r'a: {type: text, from: "\0"}'), f"{COLUMN}.a.from: \\x00: {NO_NAME}"),
    (
        users(f"a: {{type: text, from: {'.'.join('k' * 101)}}}"),
        (
            f"{COLUMN}.a.from: {'k.' * 39}k…: a path of 101 keys\n"
            "Give 1 to 100 keys, or read a document above as jsonb."
        ),
    ),
]

NAME_ERRORS = [
    (
        users("xmin: text"),
        (
            f"{COLUMN}.xmin: xmin: is the name of a system column of PostgreSQL\n"
            "Choose another name, such as xmin_."
        ),
    ),
    (users('"": text'), f"{COLUMN}.: is an empty name\nGive it a name."),
    (
        users(r'"a\0": {type: text, from: a}'),
        (
            f"{COLUMN}.a\\x00: a\\x00: is a name with a NUL, which PostgreSQL cannot hold\n"
            "Choose another name."
        ),
    ),
    (
        users(f"{X64}: text"),
        f"{COLUMN}.{X64}: {X64}: is a name of 64 bytes\nPostgreSQL takes 63: choose a shorter one.",
    ),
    (
        USERS.replace("users:", f"{X64}:"),
        (
            f"assise.yaml:4: tables.{X64}: {X64}: is a name of 64 bytes\n"
            "PostgreSQL takes 63: choose a shorter one."
        ),
    ),
    (USERS.replace("users:", '"":'), "assise.yaml:4: tables.: is an empty name\nGive it a name."),
    (
        users(f"{'é' * 32}: text"),
        (
            f"{COLUMN}.{'é' * 32}: {'é' * 32}: is a name of 64 bytes\n"
            "PostgreSQL takes 63: choose a shorter one."
        ),
    ),
    (
        users(", ".join(f"c{i}: text" for i in range(999))),
        (
            f"{PLACE}: has 1,001 columns with key and _extra\n"
            "Keep at most 1,000: fields without a column stay in _extra."
        ),
    ),
]


@pytest.mark.parametrize(
    ("tables", "message"), [*TYPE_ERRORS, *ORIGIN_ERRORS, *KEY_ERRORS, *PATH_ERRORS, *NAME_ERRORS]
)
def test_a_manifest_is_refused_with_place_value_and_remedy(tables: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(HEAD + tables)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


HEAD_ERRORS = [
    (
        "name: 9lives",
        f"assise.yaml:2: name: 9lives: cannot be the name of a project\n{BEGIN}",
    ),
    (
        "postgres: {main: {app: mysql://u:secret@h/d}}",
        (
            "assise.yaml:3: postgres.main.app: is no URL\n"
            "Write postgresql://user@host/database, or ${VARIABLE}."
        ),
    ),
    (
        "postgres: {main: {url: mysql://u:secret@h/d, app: postgresql://h/d}}",
        (
            "assise.yaml:3: postgres.main.url: is neither embedded nor a URL\n"
            "Write embedded, postgresql://user@host/database, or ${VARIABLE}."
        ),
    ),
    (
        "postgres: {main: {master: postgresql://u:secret@h/d}}",
        (
            "assise.yaml:3: postgres.main.master: is not a manifest key here\n"
            "Known: url, app, replica, worker, admin, readonly, auth."
        ),
    ),
    (
        "postgres: {main: {app: ''}}",
        (
            "assise.yaml:3: postgres.main.app: is no URL\n"
            "Write postgresql://user@host/database, or ${VARIABLE}."
        ),
    ),
    (
        "postgres: mysql://u:secret@h/d",
        (
            "is neither embedded nor a URL\n"
            "Write embedded, postgresql://user@host/database, or ${VARIABLE}."
        ),
    ),
]


@pytest.mark.parametrize(("line", "message"), HEAD_ERRORS)
def test_the_head_is_checked(line: str, message: str) -> None:
    text = f"assise: 1\n{line}\ntables: {{}}\n"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text if line.startswith("name") else f"name: a\n{text}")
    assert str(caught.value).endswith(message)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "é", "-a", "a" * 64, "a\n", "a.b"])
def test_names_that_no_project_has(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be the name of a project"):
        Manifest(assise=1, name=name, tables={})


@pytest.mark.parametrize(
    "url",
    [
        "embedded",
        "postgresql://u@h/d",
        "postgres://h",
        "${DATABASE_URL}",
        "postgresql://${USER}:${PW:-}@h/d",
        "${A:-embedded}",
    ],
)
def test_a_server_is_kept_as_it_is_written(url: str) -> None:
    manifest = parse_manifest(f'assise: 1\nname: a\npostgres: "{url}"\ntables: {{}}\n')
    assert manifest.postgres.main.url == url


def test_independent_problems_are_listed_a_line_each() -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(
            HEAD
            + users("a: citex, xmin: text")
            + "  files: {parent: user, from: a.*, primary_key: [a, b]}\n"
        )
    assert str(caught.value).splitlines() == [
        f"{COLUMN}.a.type: citex: is not a type. Did you mean citext? {TYPES}",
        (
            f"{COLUMN}.xmin: xmin: is the name of a system column of PostgreSQL. Choose another "
            "name, such as xmin_."
        ),
        (
            f"{CHILD}.parent: user: is not a table of this manifest. Did you mean users? Known: "
            "users, files."
        ),
    ]
    assert (caught.value.line, caught.value.key, caught.value.value) == (
        4,
        "tables.users.columns.a.type",
        "citex",
    )


def test_ten_problems_are_listed_and_the_others_counted() -> None:
    columns = ", ".join(f"c{i}: nothing" for i in range(13))
    with pytest.raises(ManifestError) as caught:
        parse_manifest(HEAD + users(columns))
    assert len(str(caught.value).splitlines()) == 11
    assert str(caught.value).endswith("\nand 3 more")


def test_a_cycle_is_reported_for_the_tables_on_it() -> None:
    tables = [
        "  a: {parent: b, from: x.*, primary_key: [a, b]}",
        "  b: {parent: a, from: x.*, primary_key: [a, b]}",
        "  c: {parent: b, from: y.*, primary_key: [a, b]}",
    ]
    with pytest.raises(ManifestError) as caught:
        parse_manifest(HEAD + "\n".join(tables))
    assert [line.split(":")[1:3] for line in str(caught.value).splitlines()] == [
        ["4", " tables.a.parent"],
        ["5", " tables.b.parent"],
    ]


def nest(levels: int) -> dict[str, Table]:
    tables = {
        "t0": Table(
            collection="c", primary_key=("id",), columns={"id": Column(type="uuid", from_="_id")}
        )
    }
    for i in range(1, levels + 1):
        tables[f"t{i}"] = Table(
            parent=f"t{i - 1}", from_="a.*", primary_key=tuple(f"k{n}" for n in range(i + 1))
        )
    return tables


def test_tables_nest_as_deep_as_keys_go() -> None:
    assert Manifest(assise=1, name="a", tables=nest(31)).layout.root("t31") == "t0"
    with pytest.raises(ValidationError, match=r"tables\.t32: lies more than 31 tables deep"):
        Manifest(assise=1, name="a", tables=nest(32))


def test_a_thousand_columns_fit() -> None:
    columns = {"id": Column(type="uuid", from_="_id")} | {
        f"c{i}": Column(type="text") for i in range(998)
    }
    table = Table(collection="c", primary_key=("id",), columns=columns)
    assert len(Manifest(assise=1, name="a", tables={"t": table}).tables["t"].columns) == 999


SHOP = """
assise: 1
name: shop
tables:
  items:
    parent: orders
    from: items.*
    primary_key: [order_id, _position]
    columns: {a.b: text, _extra: text}
  orders:
    collection: orders
    primary_key: id
    columns: {id: {type: text, from: _id, kind: any}, total: numeric, tags: "text[]"}
  taxes:
    parent: items
    from: tax.lines.*
    primary_key: [order_id, _position, _extra]
  users:
    collection: users
    primary_key: id
    columns: {id: {type: int8, kind: offset}, _id: jsonb}
  notes:
    parent: orders
    from: notes.*
    primary_key: [order_id, _extra]
    columns: {_extra_2: text}
"""


def test_the_tree_of_tables() -> None:
    shop = parse_manifest(SHOP)
    assert [name for root in shop.roots for name in shop.layout.tree(root)] == [
        "orders",
        "items",
        "notes",
        "taxes",
        "users",
    ]
    assert shop.layout.tree("orders") == ("orders", "items", "notes", "taxes")
    assert shop.layout.children("orders") == ["items", "notes"]
    assert [shop.layout.root(name) for name in shop.tables] == [
        "orders",
        "orders",
        "orders",
        "users",
        "orders",
    ]
    assert shop.layout.key_column("taxes") == ColumnLayout("text", "any", ("_id",))
    assert shop.layout.key_column("users").path == ()


def test_our_jsonb_column_gives_way() -> None:
    shop = parse_manifest(SHOP)
    assert {name: shop.layout.tables[name].extra for name in shop.tables} == {
        "items": "_extra_2",
        "orders": "_extra",
        "taxes": "_extra_2",
        "users": "_extra",
        "notes": "_extra_3",
    }


def test_defaults_are_filled_in() -> None:
    columns = parse_manifest(SHOP).tables["items"].columns
    assert columns["a.b"].from_ == r"a\.b"
    assert columns["a.b"].path == ("a.b",)
    assert columns["a.b"].kind == "string"
    assert parse_manifest(SHOP).tables["taxes"].child_path == ("tax", "lines")
    assert parse_manifest(SHOP).tables["users"].child_path == ()


def test_columns_made_in_python_read_their_own_name_too() -> None:
    table = Table(
        collection="c",
        primary_key=("_id",),
        columns={"_id": Column(type="uuid"), "x.y": Column(type="text", kind="objectid")},
    )
    assert {name: column.path for name, column in table.columns.items()} == {
        "_id": ("_id",),
        "x.y": ("x.y",),
    }


def test_a_manifest_made_in_python_is_checked() -> None:
    table = Table(
        collection="c", primary_key=("id",), columns={"id": Column(type="citex", from_="_id")}
    )
    with pytest.raises(
        ValidationError, match=r"tables\.t\.columns\.id\.type: citex: is not a type"
    ):
        Manifest(assise=1, name="a", tables={"t": table})


def test_a_manifest_does_not_change() -> None:
    manifest = Manifest(assise=1, name="a", tables={})
    with pytest.raises(ValidationError, match="frozen"):
        manifest.name = "b"


def test_neither_errors_nor_repr_show_a_password() -> None:
    server = Postgres(main=Urls(url="postgresql://u:secret@h/d"))
    assert "secret" not in repr(Manifest(assise=1, name="a", postgres=server, tables={}))
    with pytest.raises(ValidationError) as caught:
        Manifest(assise=1, name="", postgres=server, tables={})
    assert "secret" not in str(caught.value)
