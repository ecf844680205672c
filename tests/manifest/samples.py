"""Manifests for the tests: one by hand, and Hypothesis strategies for any."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from assise.manifest.model import Column, Manifest, Table
from assise.manifest.names import SYSTEM_COLUMNS
from assise.manifest.paths import format_child_path, format_path, is_nameable
from assise.manifest.sections import keys_on
from assise.types.table import KEY_KINDS, KINDS, TYPES

KNOWN = f"{', '.join(key.name for key in keys_on('manifest'))}."
"""The keys of a manifest, as an error lists them."""

DEVORA = """# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: devora
postgres: "postgresql://app@db/${DATABASE:-devora}"
mongo: {url: "${MONGO_URL}", max_pool_size: 50}
redis: {cache: "redis://cache/0", data: "${REDIS}", prefix: devora}
redis_keys: {session: {pattern: "user:session:{user_id}", type: json, keep: "24 hours"}}
identity: {issuer: "https://${HOST}", audience: app, jwks: "https://${HOST}/keys", roles: {map: {admin: admin}}}
http: {origins: ["https://devora.example"], rate_limit: "100/minute"}
search: {embedder: {openai: {model: text-embedding-3-small, dimensions: 512}}}
chat: {model: {model: gpt-4o-mini, tokens: 8000, timeout: "20s"}}
search_log: {keep: "90 days", users: key}
analytics: {timezone: Europe/Paris, events: {keep: "25 months"}, users: {table: users, created: seen_at}}
roles: {prefix: devora}
legacy_uuids: java
sql: [sql/views.sql]
views: {days: {file: sql/days.sql, materialized: {refresh: "5 minutes", key: [day]}}}
audit_log: {keep: "24 months", then: detach}

collections:
  users: {indexes: [{columns: [email], unique: true}, [status, -created_at]], columns: true}
  notes: {indexes: [{text: [name, body], weights: {name: 5}}, {"2dsphere": [place]}], keep: {made_at: "90 days"}}
  goods: {fields: {price: {type: decimal, min: 0}, rate: {type: double, max: 0.5}, size: int, state: {enum: [a, b]}}}

tables:
  # 150 documents
  users:
    access: {owner: id, read: {any: [{tenant: city}, {public: read}]}, to: [authenticated]}
    soft_delete: {keep: "30 days"}
    api: {read: all, create: [email, price], update: [email], delete: true, restore: true, filter: [plan]}
    collection: users
    primary_key: id
    comment: "who may sign in"
    search: {title: plan, body: [email], language: [fr, en], statistics: tenant, synonyms: synonyms.txt, boost: {seen_at: "30 days"}}
    embed: {field: plan, chunk: "200 tokens", where: "plan <> ''"}
    cache: {tags: ["users:{id}", board], ttl: "5 minutes"}
    columns:
      id: {type: uuid, from: _id}
      email: {type: text, unique: true, duplicates: keep, not_null: true, personal: email}
      tags: "text[]"  # string in 149 documents, null in 1
      city: {type: text, from: address.city, comment: "as it was typed", was: town}
      "no": {type: bool, absent: null}
      seen_at: {type: timestamptz, numbers: milliseconds}
      device: {type: uuid, legacy_uuids: csharp}
      owner: uuid
      price: {type: numeric, kind: decimal, default: "0", check: "price >= 0"}
      plan: {type: text, values: [free, pro]}
      boss_id: {type: uuid, references: users, on_delete: cascade, orphans: reject}
      gross: {type: numeric, generated: "price * 1.2"}
    indexes:
      - email
      - [city, -price]  # city_1_price_-1
      - {expression: "lower(email)", where: "price > 0", unique: true}
  files:
    access: {through: users}
    parent: users
    from: files.*
    primary_key: [user_id, _position]
    columns:
      path: text
  notes:
    parent: files
    from: notes.*
    primary_key: [user_id, _position, _position_2]
    absent: []
    nulls: [geo, place.name]
    documents: [place]
    columns: {}
    foreign_keys:
      - {columns: [user_id, _position], references: "files(user_id, _position)"}
  events:
    collection: events
    primary_key: offset
    was: occasions
    columns:
      offset: {type: int8, kind: offset}
  payments:
    primary_key: [id, at]
    partition: {by: at, every: month, ahead: 6, keep: "24 months", then: detach}
    audit: true
    timestamps: true
    columns:
      id: uuid
      at: {type: timestamptz, default: "now()"}
      created_at: {type: timestamptz, not_null: true, default: "now()"}
      updated_at: {type: timestamptz, not_null: true, default: "now()"}
"""


IN_SCHEMAS = """# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: devora
postgres: embedded
schemas: {auth: {comment: "who signs in"}}

tables:
  auth.users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      boss_id: {type: uuid, references: auth.users, orphans: null}
      email: {type: text, unique: true, duplicates: null}
    foreign_keys:
      - {columns: [boss_id], references: "auth.users(id)", orphans: null}
    indexes:
      - {columns: [boss_id, email], unique: true, duplicates: null}
"""


ELSEWHERE = """# yaml-language-server: $schema=.assise/manifest.schema.json
assise: 1
name: intelia
postgres: {main: {url: embedded}, auth: {rest: "${REST}", service_key: "${KEY}"}, other: {url: "${B}"}}
roles: {prefix: intelia}

tables:
  users:
    access: {owner: id}
    on: auth
    mirror: auth.users
    fallback: {email: "{key}", first_name: "", plan: free, verified: "false"}
    primary_key: id
    columns:
      id: uuid
      email: {type: text, personal: email}
      first_name: {type: text, from: raw_user_meta_data.first_name}
      plan: text
      verified: {type: bool, from: email_confirmed_at}
  plans:
    on: auth
    primary_key: id
    columns:
      id: int4
"""


COMMENTS = {
    ("tables", "users"): "150 documents",
    ("tables", "users", "indexes", "1"): "city_1_price_-1",
    ("tables", "users", "columns", "tags"): "string in 149 documents, null in 1",
}


HEAD = "assise: 1\nname: shop\ntables:\n"


def users(columns: str) -> str:
    columns = f"id: {{type: uuid, from: _id}}, {columns}"
    return f"{HEAD}  users: {{collection: users, primary_key: id, columns: {{{columns}}}}}\n"


HOSTILE = [
    *"yes No null Null 1 ~ 0x1f 1e3 .inf y on true = <<".split(),
    *"2024-01-31 12:30:45 0o7 1_000 - ...".split(),
    *["a: b", "a:", ":a", "#x", "a #b", " a", "a ", "", "- a", "--- a", "? a", "%a", "@a", "`a"],
    *["!a", "&a", "*a", "*", ".", "a.b", "a*", "{", "}", "[a]", ",", "a,b", "}: x", "|", ">", "|-"],
    *["'", '"', "a\"b'c", "\\a", "a\\b", r"a\.b", "\t", "\n", "a\nb", "\r", "\x85", "\u2028"],
    *["\u2029", "\ufeff", "\x7f", "\x01", "\xa0", "\u202e", "\u0301", "\U000e0001", "\ue000"],
    *["\uffff", "é", "😀", "été", "_extra", "_id", "$ref", "text[]", "null null"],
    *["${A}", "$${A}", "${", "$$${", "${A:-b}", "a$"],
]


def is_name(text: str) -> bool:
    return 1 <= len(text.encode()) <= 63 and "\0" not in text and text not in SYSTEM_COLUMNS


KEYS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)).filter(is_nameable)


NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)).filter(is_name)


TABLES = st.one_of(NAMES.filter(lambda text: "." not in text), st.sampled_from(["a.b", "a.\xa0"]))


COLLECTIONS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)).filter(
    lambda text: text != "" and "\0" not in text
)


ACCESS: list[object] = [
    {"public": "read"},
    {"any": [{"public": "read"}, {}], "to": ["yes", 'a"b']},
    {"read": {"public": "read"}},
    "none",
]
WRITTEN_COMMENTS = st.one_of(st.none(), COLLECTIONS.filter(str.strip))
ROOT_KEYS = [
    (t, k)
    for t, kinds in KINDS.items()
    for k in kinds
    if TYPES[t].is_key and not k.startswith("binary_")
]


COLUMN_KINDS = [(t, k) for t, kinds in KINDS.items() for k in kinds if k not in KEY_KINDS]
COLUMN_KINDS += [("varchar(20)", "string"), ("numeric(10,2)[]", "number"), ("text", "pointer(C)")]
COLUMN_KINDS += [("timestamptz(3)", "iso"), ("uuid[]", "dbref(users)")]


class Reads:
    """The paths of a table: of two that overlap only the first is kept."""

    def __init__(self, *, is_root: bool) -> None:
        self.taken: list[tuple[str, ...]] = [("_id",)] if is_root else []

    def take(self, keys: tuple[str, ...]) -> bool:
        lengths = [(other, min(len(keys), len(other))) for other in self.taken]
        is_free = not any(keys[:length] == other[:length] for other, length in lengths)
        if is_free:
            self.taken.append(keys)
        return is_free


@st.composite
def draw_columns(draw: st.DrawFn, reads: Reads, taken: set[str]) -> dict[str, Column]:
    columns = {}
    for name in draw(st.lists(NAMES, max_size=6, unique=True)):
        paths = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
        keys = draw(st.one_of(st.just((name,)), paths))
        if name not in taken and all(map(is_nameable, keys)) and reads.take(keys):
            column_type, kind = draw(st.sampled_from(COLUMN_KINDS))
            comment = draw(WRITTEN_COMMENTS)
            columns[name] = Column(
                type=column_type,
                kind=kind,
                from_=format_path(keys),
                absent=draw(st.sampled_from([None, "null", "missing"])),
                comment=comment,
            )
    return columns


def add_access(table: Table, access: object) -> Table:
    """The table with a rule; other packages' keys are known by their names in the file alone."""
    facts = {name: value for name, value in vars(table).items() if name != "access_"}
    return Table.model_validate({**facts, "access": access})


@st.composite
def draw_paths(draw: st.DrawFn, reads: Reads) -> tuple[str, ...] | None:
    paths = draw(st.lists(st.lists(KEYS, min_size=1, max_size=2).map(tuple), max_size=2))
    return tuple(format_path(keys) for keys in paths if reads.take(keys)) or None


@st.composite
def draw_asked(draw: st.DrawFn, columns: dict[str, Column]) -> dict[str, Any]:
    """Indexes over some columns; and columns with what rows must fulfil, in place."""
    chosen = [name for name in columns if columns[name].type != "jsonb"]
    plain = [name for name in chosen if not columns[name].type.endswith("[]")]
    for name in plain:
        asked = {
            "unique": draw(st.sampled_from([None, True, "nulls not distinct"])),
            "not_null": draw(st.sampled_from([None, True])),
            "default": draw(st.sampled_from([None, "null", "5", "now()"])),
            "values": draw(st.sampled_from([None, ("a", "true", "7")])),
        }
        given = {key: value for key, value in asked.items() if value is not None}
        facts = columns[name].model_dump(exclude_unset=True, by_alias=True)
        columns[name] = Column.model_validate({**facts, **given})
    lists = (
        draw(
            st.lists(
                st.lists(st.sampled_from(chosen), min_size=1, max_size=3, unique=True), max_size=2
            )
        )
        if chosen
        else []
    )
    indexes = []
    for names in lists:
        index: dict[str, object] = {"columns": names}
        if draw(st.booleans()):
            index["unique"] = True
        if index not in indexes:
            indexes.append(index)
    return {"indexes": tuple(indexes)} if indexes else {}


@st.composite
def draw_manifests(draw: st.DrawFn) -> Manifest:
    tables: dict[str, Table] = {}
    reads: dict[str, Reads] = {}
    names = draw(st.lists(TABLES, max_size=5, unique=True))
    for name, collection in zip(
        names, draw(st.lists(COLLECTIONS, min_size=5, max_size=5, unique=True)), strict=False
    ):
        parent = draw(st.sampled_from([None, *tables]))
        reads[name] = Reads(is_root=parent is None)
        if parent is None:
            key = draw(NAMES)
            column_type, kind = draw(st.sampled_from(ROOT_KEYS))
            key_column = (
                Column(type=column_type, kind=kind)
                if kind == "offset"
                else Column(type=column_type, kind=kind, from_="_id")
            )
            columns = {key: key_column} | draw(draw_columns(reads[name], {key}))
            comment = draw(WRITTEN_COMMENTS)
            asked = draw(draw_asked(columns))
            tables[name] = Table(
                collection=collection, primary_key=(key,), columns=columns, comment=comment, **asked
            )
        else:
            keys = tuple(draw(st.lists(KEYS, min_size=1, max_size=2)))
            if reads[parent].take(keys):
                primary_key = (*tables[parent].primary_key, f"_position_{len(tables)}")
                columns = draw(draw_columns(reads[name], set(primary_key)))
                tables[name] = Table(
                    parent=parent,
                    from_=format_child_path(keys),
                    primary_key=primary_key,
                    absent=draw(st.sampled_from([None, "null", "[]", "missing"])),
                    nulls=draw(draw_paths(reads[name])),
                    documents=draw(draw_paths(reads[name])),
                    columns=columns,
                )
    server = draw(
        st.sampled_from(
            [
                "embedded",
                "postgresql://u:p@h/d?x=y#z",
                "${A}",
                "${A:-embedded}",
                'postgres://"\n',
                {"main": {"url": "${A}", "app": "${B:-}", "replica": "postgresql://r@h/d"}},
                {"main": {"app": "postgresql://app:p@h/d"}},
                {"main": {}, "auth": {"url": "${B}", "rest": "${C}", "service_key": "${D}"}},
            ]
        )
    )
    ruled = {
        name: add_access(table, draw(st.sampled_from(ACCESS)))
        for name, table in tables.items()
        if not any("." in each for each in tables) and draw(st.integers(0, 1))
    }
    named = draw(st.sampled_from([{"prefix": "yes"}, "none"]))
    roles = {"roles": named} if ruled else {}
    facts = {"name": draw(st.sampled_from(["a", "yes", "null", "A-b_1"])), "postgres": server}
    return Manifest.model_validate({"assise": 1, **facts, **roles, "tables": {**tables, **ruled}})
