"""Access rules of a manifest, resolved: the conditions of each table, and what children copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple

from assise.manifest.model import Manifest
from assise.manifest.names import MAX_NAME_BYTES, cut_name, shorten, split_table
from assise.manifest.sections.access import (
    ACCESS,
    Access,
    Members,
    find_pairs,
)
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import DELETED_TYPE, SOFT_DELETE


class Condition(NamedTuple):
    """A column that must equal a setting, or must be one of the groups of the user."""

    setting: Literal["user", "tenant"]
    column: str
    groups: Members | None = None


class Copy(NamedTuple):
    """A column of a child table that holds the value of a column of its parent's row."""

    column: str
    source: str
    type: str


class Link(NamedTuple):
    """How the rows of a child find their parent's: pairs of columns, and what is copied."""

    child: str
    parent: str
    pairs: tuple[tuple[str, str], ...]
    copies: tuple[Copy, ...]

    @property
    def own_key(self) -> list[str]:
        """The columns of the child that name its parent's row."""
        return [own for own, _ in self.pairs]

    @property
    def parent_key(self) -> list[str]:
        """The columns of the parent that they name."""
        return [theirs for _, theirs in self.pairs]

    @property
    def copied(self) -> list[str]:
        """The columns of the child that hold copies."""
        return [copy.column for copy in self.copies]

    @property
    def sources(self) -> list[str]:
        """The columns of the parent that are copied."""
        return [copy.source for copy in self.copies]


@dataclass(frozen=True)
class Guard:
    """The rule of one table, resolved: of the conditions one must hold.

    hidden: columns that say when a row, or one that it belongs to, was deleted.
    """

    table: str
    read: tuple[Condition, ...]
    write: tuple[Condition, ...]
    is_public: bool
    to: tuple[str, ...]
    links: tuple[Link, ...]
    hidden: tuple[str, ...]


def find_guards(manifest: Manifest) -> dict[str, Guard]:
    """The resolved rule of each table that has one, parents before their children."""
    found = _Guards(manifest)
    for name in manifest.tables:
        found.resolve(name)
    return found.guards


def is_of_users(manifest: Manifest, table: str) -> bool:
    """Whether the rows of a table are users: the owner of a row is its own key."""
    access, key = ACCESS.of(manifest.tables[table]), manifest.tables[table].primary_key
    entries = [entry for _, entry in access.list_entries()] if access else []
    return any((entry.owner,) == key for entry in entries)


def make_name(kind: str, *parts: str) -> str:
    """A name of ours, which no other parts of this kind have.

    >>> make_name("_copy", "files", "projects"), make_name("_copy", "a_", "b")
    ('_copy_files__projects', '_copy_a___b_a00766a3')
    """
    name = f"{kind}_{'__'.join(parts)}"
    is_plain = "." not in name and not any(map(_is_open, parts[:-1]))
    if is_plain and len(name.encode()) <= MAX_NAME_BYTES:
        return name
    digest = sha256("\0".join(parts).encode()).hexdigest()
    return f"{cut_name(name.replace('.', '_'), MAX_NAME_BYTES - 9)}_{digest[:8]}"


def make_place(kind: str, home: str, *tables: str) -> str:
    """Such a name of tables, or of `home`, in the schema of `home`, as the manifest names tables.

    >>> make_place("_copy", "core.files", "core.files", "core.users"), make_place("_stamp", "users")
    ('core._copy_files__users', '_stamp_users')
    """
    schema = split_table(home)[0]
    names = [split_table(each) for each in tables or (home,)]
    parts = [name if own == schema else f"{own or ''}.{name}" for own, name in names]
    return put_beside(home, make_name(kind, *parts))


def put_beside(table: str, name: str) -> str:
    """A name in the schema of a table, as the manifest names tables.

    >>> put_beside("core.users", "users_delete"), put_beside("users", "users_delete")
    ('core.users_delete', 'users_delete')
    """
    schema = split_table(table)[0]
    return name if schema is None else f"{schema}.{name}"


def _is_open(part: str) -> bool:
    """Whether the end of a part of a name cannot be told from what follows."""
    return part.endswith("_") or "__" in part


def groups_name(members: Members) -> str:
    """The function that gives the groups of a session's user."""
    bare = split_table(members.table)[1]
    return put_beside(members.table, make_name("_memberships", bare, members.user, members.group))


@dataclass(frozen=True)
class _Guards:
    manifest: Manifest
    guards: dict[str, Guard] = field(default_factory=dict)

    def resolve(self, name: str) -> Guard | None:
        """Resolve a table's rule, behind those of its parents."""
        access = ACCESS.of(self.manifest.tables[name])
        if name not in self.guards and access is not None:
            self.guards[name] = _Resolver(self, name, access).resolve()
        return self.guards.get(name)


@dataclass(frozen=True)
class _Resolver:
    """Resolves the rule of one table."""

    guards: _Guards
    table: str
    access: Access

    def resolve(self) -> Guard:
        read, write = list[Condition](), list[Condition]()
        links: dict[str, Link] = {}
        is_public = False
        for place, rule in self.access.list_rules():
            for _, entry in rule.list_entries():
                opens = self._through(entry, links) or entry.public is not None
                is_public = is_public or (opens and place != ("write",))
                if place != ("write",):
                    read += self._conditions(entry, "read", links)
                if place != ("read",):
                    write += self._conditions(entry, "write", links)
        above = self._parent
        if above is not None and above.hidden and above.table not in links:
            links[above.table] = self._link(above, links.values(), is_ruling=False)
        everything = tuple(dict.fromkeys([*read, *write]))
        return Guard(
            self.table,
            everything,
            tuple(dict.fromkeys(write)),
            is_public,
            self.access.to or (),
            tuple(links.values()),
            tuple(self._list_hidden(links.values())),
        )

    @property
    def _parent(self) -> Guard | None:
        """The resolved rule of the table whose documents hold this one's rows."""
        parent = self.guards.manifest.tables[self.table].parent
        return self.guards.resolve(parent) if parent is not None else None

    def _list_hidden(self, links: Iterable[Link]) -> Iterator[str]:
        deletion = SOFT_DELETE.of(self.guards.manifest.tables[self.table])
        if deletion is not None:
            yield deletion.column
        for link in links:
            hidden = self.guards.guards[link.parent].hidden
            yield from (copy.column for copy in link.copies if copy.source in hidden)

    def _through(self, entry: Access, links: dict[str, Link]) -> bool:
        """Make the link to the parent of an entry; whether everybody may read its rows."""
        if entry.through is None:
            return False
        parent = self.guards.resolve(entry.through)
        if parent is None:
            return False
        links.setdefault(entry.through, self._link(parent, links.values()))
        return parent.is_public

    def _link(self, parent: Guard, others: Iterable[Link], *, is_ruling: bool = True) -> Link:
        """How rows find their parent's, whose key of the rule they copy if it rules them."""
        tables = self.guards.manifest.tables
        pairs = find_pairs(self.table, parent.table, tables)[0]
        same = {theirs: own for own, theirs in pairs}
        taken = {
            *list_columns(self.table, tables),
            self.guards.manifest.extra_of(self.table),
        }
        taken |= {copy.column for link in others for copy in link.copies}
        deletion = SOFT_DELETE.of(tables[self.table])
        taken |= {deletion.column} if deletion else set()
        types = list_columns(parent.table, tables)
        types |= {copy.column: copy.type for link in parent.links for copy in link.copies}
        types |= dict.fromkeys(parent.hidden, DELETED_TYPE)
        ruling = [each.column for each in (*parent.read, *parent.write)] if is_ruling else []
        copies = []
        for source in dict.fromkeys([*ruling, *parent.hidden]):
            if source not in same:
                column = source
                while column in taken:
                    column = shorten(f"_{column}")
                taken.add(column)
                copies.append(Copy(column, source, types[source]))
        return Link(self.table, parent.table, pairs, tuple(copies))

    def _conditions(
        self, entry: Access, of: Literal["read", "write"], links: dict[str, Link]
    ) -> Iterator[Condition]:
        if entry.owner is not None:
            yield Condition("user", entry.owner)
        if entry.tenant is not None:
            yield Condition("tenant", entry.tenant)
        if entry.members is not None:
            yield Condition("user", entry.members.group, entry.members)
        if entry.through is not None:
            parent, link = self.guards.guards[entry.through], links[entry.through]
            own = {theirs: ours for ours, theirs in link.pairs}
            own |= {copy.source: copy.column for copy in link.copies}
            for condition in parent.read if of == "read" else parent.write:
                yield condition._replace(column=own[condition.column])
