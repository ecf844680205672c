"""The table of requests that were made with an idempotency key, in the schema of the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assise.schema.managed import Managed
from assise.schema.sql import quote

if TYPE_CHECKING:
    from assise.schema.access import AccessRules

REQUESTS = "api_requests"
KEPT = "24 hours"


def make_requests(rules: AccessRules) -> Managed:
    """The table: each user sees its own requests alone."""
    place = quote(rules.schema, REQUESTS)
    to = "CURRENT_USER" if rules.is_forced else quote(*rules.name_all("app"))
    forced = ", FORCE ROW LEVEL SECURITY" if rules.is_forced else ""
    columns = (
        "user_id text, method text, route text, key text, body_hash bytea NOT NULL, status int,"
        " body text, created_at timestamptz NOT NULL DEFAULT now()"
    )
    key = "PRIMARY KEY (user_id, method, route, key)"
    is_own = "user_id = (select current_setting('app.user_id', true))"
    statements = [
        f"CREATE TABLE {place} ({columns}, {key})",
        f"ALTER TABLE {place} ENABLE ROW LEVEL SECURITY{forced}",
        f"CREATE POLICY app_own ON {place} TO {to} USING ({is_own})",
    ]
    if not rules.is_forced:
        statements.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {place} TO {to}")
        statements.append(f"ALTER TABLE {place} OWNER TO {quote(rules.owner)}")
    drop = f"DROP TABLE IF EXISTS {place}"
    return Managed("table", "", REQUESTS, ";\n".join(statements), drop)


def claim_request(schema: str) -> str:
    """Forget the user's old requests, and note one; no row where the key is taken.

    It waits for another transaction that notes the same key.
    """
    place = quote(schema, REQUESTS)
    old = f"created_at < now() - interval '{KEPT}'"
    return (
        f"WITH gone AS (DELETE FROM {place} WHERE user_id = %(user)s AND {old}"
        " AND (method, route, key) <> (%(method)s, %(route)s, %(key)s))"
        f" INSERT INTO {place} AS r (user_id, method, route, key, body_hash)"
        " VALUES (%(user)s, %(method)s, %(route)s, %(key)s, %(hash)s)"
        " ON CONFLICT (user_id, method, route, key) DO UPDATE SET body_hash = excluded.body_hash,"
        f" created_at = now(), status = NULL, body = NULL WHERE r.{old} RETURNING 1 AS is_new"
    )


def purge_requests(schema: str) -> str:
    """Forget the old requests of all users; a row for each."""
    old = f"created_at < now() - interval '{KEPT}'"
    return f"DELETE FROM {quote(schema, REQUESTS)} WHERE {old} RETURNING 1"


def read_request(schema: str) -> str:
    """What was answered to a request."""
    return (
        f"SELECT body_hash, status, body FROM {quote(schema, REQUESTS)} WHERE user_id = %(user)s"
        " AND method = %(method)s AND route = %(route)s AND key = %(key)s"
    )


def keep_answer(schema: str) -> str:
    """Keep what is answered."""
    return (
        f"UPDATE {quote(schema, REQUESTS)} SET status = %(status)s, body = %(body)s"
        " WHERE user_id = %(user)s AND method = %(method)s AND route = %(route)s AND key = %(key)s"
    )
