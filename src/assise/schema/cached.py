"""Cached tables as SQL: the outbox of what is to be invalidated, and the triggers that fill it.

A trigger writes one row a statement, in the statement's transaction. All of it lies in the schema
of the tables, and needs nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from assise.manifest.model import Manifest
from assise.manifest.sections.cached import CACHE, split_tag
from assise.manifest.sections.redis import REDIS
from assise.schema.access import AccessRules
from assise.schema.guards import make_place
from assise.schema.managed import Managed, drop_of
from assise.schema.roles import role_name
from assise.schema.sql import quote, quote_table, quote_text

OUTBOX = "_cache_outbox"
MANY = 1_000
"""Tags of one statement; a statement with more invalidates all tags of the table."""

FUNCTIONS = {
    "invalidate_cache": ("invalidate", "text[]"),
    "_cache_written": ("written", ""),
    "_cache_take": ("take", "integer"),
    "_cache_done": ("done", "bigint[]"),
}
"""The functions of the outbox: their files, and the types of their arguments."""

_EVENTS = {
    "INSERT": "REFERENCING NEW TABLE AS added ",
    "UPDATE": "REFERENCING NEW TABLE AS added OLD TABLE AS gone ",
    "DELETE": "REFERENCING OLD TABLE AS gone ",
    "TRUNCATE": "",
}
IS_THERE = "SELECT to_regprocedure('_cache_written()') IS NOT NULL AS found"
WRITTEN = "SELECT id, tags, patterns FROM _cache_written()"
TAKE = "SELECT id, tags, patterns FROM _cache_take(%s)"
DONE = "SELECT _cache_done(%s)"
INVALIDATE = "SELECT invalidate_cache(%s)"


def take_rows(schema: str) -> str:
    """Take rows of the outbox of a schema: deleted, unless the transaction is rolled back."""
    return f"SELECT id, tags, patterns FROM {quote(schema)}._cache_take(%(size)s)"


def list_cache_objects(manifest: Manifest, schema: str) -> list[Managed]:
    """What the cache needs in the database; nothing where the manifest has no Redis."""
    if REDIS.of(manifest) is None:
        return []
    return [*_Objects(AccessRules(manifest, schema)).list_objects()]


def glob_tag(tag: str) -> str:
    """A tag as a pattern of Redis, which stands for all values of its fields."""
    literals = [(_escape(literal), field) for literal, field in split_tag(tag)]
    return "".join(literal + ("" if field is None else "*") for literal, field in literals)


def _escape(text: str) -> str:
    return "".join(f"\\{each}" if each in "*?[]\\^" else each for each in text)


class _Objects:
    def __init__(self, rules: AccessRules) -> None:
        self.rules, self.schema = rules, rules.schema
        self.outbox = quote(self.schema, OUTBOX)

    def list_objects(self) -> Iterator[Managed]:
        place = f"TABLE {self.outbox}"
        create = [self._fill("outbox"), *self._own(place)]
        yield Managed(
            "table", "", OUTBOX, ";\n".join(create), f"DROP TABLE IF EXISTS {self.outbox}"
        )
        for name, (file, arguments) in FUNCTIONS.items():
            yield self._function(name, self._fill(file), arguments, is_called=True)
        for name, table in self.rules.manifest.tables.items():
            if cache := CACHE.of(table):
                yield from self._list_of(name, cache.tags)

    def _list_of(self, table: str, tags: tuple[str, ...]) -> Iterator[Managed]:
        name = make_place("_cache", table)
        function, place = (quote_table(self.schema, each) for each in (name, table))
        patterns = ", ".join(quote_text(glob_tag(tag)) for tag in tags)
        body = self._fill(
            "table",
            function=function,
            tags=f"ARRAY[{', '.join(map(_write_tag, tags))}]",
            patterns=f"ARRAY[{patterns}]",
            many=str(MANY + 1),
        )
        yield self._function(name, body, "", is_called=False)
        for event, tables in _EVENTS.items():
            trigger = f"_cache_{event.lower()}"
            create = (
                f"CREATE TRIGGER {trigger} AFTER {event} ON {place} {tables}"
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            )
            yield Managed("trigger", table, trigger, create, drop_of("TRIGGER", trigger, place))

    def _function(self, name: str, body: str, arguments: str, *, is_called: bool) -> Managed:
        function = f"FUNCTION {quote_table(self.schema, name)}({arguments})"
        create = [body, *self._own(function), f"REVOKE ALL ON {function} FROM PUBLIC"]
        if is_called and self.rules.has_roles:
            names = [role_name(self.rules.prefix, role) for role in ("app", "admin", "worker")]
            to = ", ".join(map(quote, names))
            create.append(f"GRANT EXECUTE ON {function} TO {to}")
        return Managed("function", "", name, ";\n".join(create), f"DROP {function}")

    def _own(self, what: str) -> list[str]:
        return [f"ALTER {what} OWNER TO {quote(self.rules.owner)}"] if self.rules.has_roles else []

    def _fill(self, file: str, **parts: str) -> str:
        folder = files("assise.schema").joinpath("cache_sql")
        text = folder.joinpath(f"{file}.sql").read_text(encoding="utf-8").strip()
        for name, part in {"schema": quote(self.schema), "outbox": self.outbox, **parts}.items():
            text = text.replace(f"{{{name}}}", part)
        return text


def _write_tag(tag: str) -> str:
    """A tag as SQL, of the row `t`; NULL is empty."""
    parts = []
    for literal, field in split_tag(tag):
        if literal:
            parts.append(quote_text(literal))
        if field is not None:
            parts.append(f"coalesce(t.{quote(field)}::text, '')")
    return " || ".join(parts) or "''"
