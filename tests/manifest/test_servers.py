"""Tables on another server: what may be said of them, and what no server can join."""

from __future__ import annotations

import pytest

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest

MANIFEST = """assise: 1
name: chat
postgres: {{main: {{url: embedded}}, auth: {{url: embedded}}{servers}}}
roles: {{prefix: chat}}
tables:
  talks:
    collection: talks
    primary_key: id
    access: {access}
    columns:
      id: {{type: int4, from: _id}}
      user_id: {{type: uuid{column}}}
{main}  users:
    on: {on}
    mirror: auth.users
    access: {{owner: id}}
    primary_key: {key}
    {users}
    columns:
      id: uuid
      email: {{type: text{email}}}
{more}"""
DEFAULTS = {
    "servers": "",
    "access": "{owner: user_id}",
    "column": "",
    "main": "",
    "on": "auth",
    "key": "id",
    "users": "fallback: {email: '{key}'}",
    "email": "",
    "more": "",
}
JOINS = "joins the server main to users, which is on the server auth"
CHILD = "  parts: {parent: users, from: a.*, primary_key: [id, n], columns: {a: text}}\n"
KEYS = "    foreign_keys: [{columns: [user_id], references: users}]\n"
OTHER = "  others: {on: auth, mirror: auth.users, primary_key: id, columns: {id: uuid}}\n"
PLANS = "  plans: {{on: auth, primary_key: {}, columns: {{id: {}}}}}\n"


def parse(**parts: str) -> None:
    """Read the manifest with other parts."""
    parse_manifest(MANIFEST.format(**{**DEFAULTS, **parts}))


WRONG: list[tuple[dict[str, str], str]] = [
    ({"column": ", references: users"}, f"talks.columns.user_id.references: {JOINS}"),
    ({"main": KEYS}, f"talks.foreign_keys.0: {JOINS}"),
    ({"main": CHILD}, f"parts.parent: {JOINS}"),
    (
        {"access": "{members: {table: users, user: id, group: user_id}}"},
        f"talks.access.members: {JOINS}",
    ),
    ({"email": ", references: talks"}, "joins the server auth to talks, which is on the server"),
    ({"on": "aut"}, "users.on: aut: is not a server of postgres"),
    ({"on": "main"}, "users.on: main: is the server of all tables"),
    ({"key": "[id, email]"}, "users.primary_key: id: is not one column of this table"),
    ({"key": "email"}, "users.primary_key: is not the id of auth.users"),
    ({"users": "collection: users"}, "users.collection: has no effect on a table on the server"),
    ({"users": "indexes: [email]"}, "users.indexes: has no effect on a table on the server auth"),
    ({"users": "soft_delete: true"}, "users.soft_delete: has no effect on a table on the server"),
    ({"email": ", unique: true"}, "users.columns.email.unique: has no effect on a table on"),
    ({"email": ", from: mail"}, "users.columns.email.from: mail: is not a column of auth.users"),
    ({"email": ", from: email.domain"}, "email.from: email.domain: reads inside a plain value"),
    ({"users": "fallback: {mail: x}"}, "users.fallback.mail: mail: is not a column of users"),
    ({"users": "fallback: {id: x}"}, "users.fallback.id: x: is no uuid"),
    ({"more": OTHER}, "others.mirror: auth.users: is mirrored by users already"),
    ({"more": PLANS.format("id", "numeric")}, "plans.primary_key: id: is of type numeric"),
    ({"more": PLANS.format("code", "int4")}, "plans.primary_key: code: is not one column"),
    ({"servers": ", Auth: {url: embedded}"}, "postgres.Auth: cannot be the name of a server"),
    ({"servers": ", b: {url: mysql://h}"}, "postgres.b.url: is neither embedded nor a URL"),
    ({"servers": ", b: {rest: 'ftp://h'}"}, "postgres.b.rest: is no address of HTTP"),
    ({"servers": ", b: {service_key: k}"}, "postgres.b.service_key: belongs to rest"),
    (
        {"servers": ", b: {replica: 'postgresql://h/d'}"},
        "postgres.b.replica: is not a manifest key",
    ),
]


@pytest.mark.parametrize(("parts", "message"), WRONG)
def test_what_cannot_be_is_refused_by_name(parts: dict[str, str], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(**parts)
    assert message in str(caught.value)


ELSEWHERE = {
    "identity.match": "identity: {{issuer: x, audience: y, secret: z, match: {}.id}}\n",
    "analytics.users.table": "analytics: {{users: {{table: {}, created: id}}}}\n",
    "analytics.deployments.table": "analytics: {{deployments: {{table: {}, at: id, ok: id = 1}}}}\n",
}


@pytest.mark.parametrize("place", ELSEWHERE)
def test_what_main_reads_is_on_main(place: str) -> None:
    message = rf"{place}: reads users, which is on the server auth: .*app\.merge\(rows, key=…, table='users'\)"
    with pytest.raises(ManifestError, match=f"(?s){message}"):
        parse(more=ELSEWHERE[place].format("users"))
    with pytest.raises(ManifestError) as caught:
        parse(more=ELSEWHERE[place].format("users"), on="main")
    assert "SQL on main cannot" not in str(caught.value)


def test_a_refused_join_names_the_way_that_works() -> None:
    with pytest.raises(ManifestError, match=r"app\.merge\(rows, key=…, table='users'\)"):
        parse(column=", references: users")


def test_a_mirror_has_one_rule() -> None:
    parse()
    text = MANIFEST.format(**DEFAULTS)
    for rule in ("{owner: email}", "{public: read}", "{read: {owner: id}}"):
        with pytest.raises(ManifestError, match="is not the rule of a mirror"):
            parse_manifest(text.replace("    access: {owner: id}\n", f"    access: {rule}\n"))


def test_no_error_shows_an_address_with_its_key() -> None:
    servers = ", b: {url: 'mysql://u:secret@h', rest: 'ftp://secret', service_key: secret}"
    with pytest.raises(ManifestError) as caught:
        parse(servers=servers)
    assert "secret" not in str(caught.value)
