"""Workspace: what every job is handed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, TypeVar, get_args

from assise.errors import AssiseError, TargetError, UsageError
from assise.files import write_file
from assise.manifest.json_schema import json_schema
from assise.manifest.model import Manifest
from assise.manifest.read import load_manifest
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.mongo import MONGO, MongoAddress
from assise.manifest.sections.postgres import ELSEWHERE, RoleName
from assise.manifest.sections.redis import EMBEDDED as EMBEDDED_REDIS
from assise.manifest.sections.redis import REDIS, RedisUse
from assise.manifest.sections.revisions import SQL
from assise.manifest.sections.servers import MAIN
from assise.manifest.sections.views import VIEWS
from assise.mongo.pool import PoolSizes
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe, sign_in_as
from assise.postgres.embedded import Embedded
from assise.postgres.rights import Rights
from assise.progress import Log, OnProgress
from assise.redis.embedded import EmbeddedRedis
from assise.rows.model import WovenColumns
from assise.schema.objects import Lesser
from assise.schema.roles import list_others, role_name
from assise.schema.script import SqlText
from assise.schema.sql import quote_table
from assise.schema.view_steps import sort_files
from assise.schema.views import write_view
from assise.settings import (
    MONGO_SETTINGS,
    STATEMENT_TIMEOUT,
    Setting,
    check_names,
    expand,
    read_setting,
)
from assise.wording import nearest

T = TypeVar("T")

Confirm = Callable[[str], bool]
"""Is asked before the first write to a server that is not the embedded one, and before a drop.

The text says what is written or dropped, and where.
"""


UNSET = -1
"""What stands for a setting that nobody has given a value."""

_END = re.compile(r";\s*((?:--[^\n]*\s*)*)$")
"""The last semicolon of a file, which comments may follow."""

CONFIRM = "Confirm with --yes. From Python: confirm=lambda question: True."
"""The remedy where the answer was no."""


def keep_silent(_line: object) -> None:
    """Log nothing, show no progress."""


def refuse(_question: str) -> bool:
    """Answer for a caller that nobody can ask."""
    return False


def find_manifest(path: Path | str) -> Path:
    """Return the path of a manifest that is given as itself, or as the folder that it lies in.

    Raises:
        UsageError: there is no such folder.
    """
    path = Path(path).absolute()
    if not path.suffix and not os.path.lexists(path):
        raise UsageError(
            f"{path} does not exist",
            remedy="Make it; a new manifest's name ends in .yaml.",
        )
    return path / "assise.yaml" if path.is_dir() else path


def read_sql(path: Path, manifest: Manifest) -> list[SqlText]:
    """What no key says: the texts of the files that `sql:` names, then the views.

    The files lie below the folder of the manifest. Each text ends without a semicolon, and that of a
    file with an end of line: its last line may be a comment.

    Raises:
        UsageError: a file cannot be read, or views read each other.
    """
    texts = [SqlText(_read_file(path.parent / name), name) for name in SQL.of(manifest) or ()]
    views = VIEWS.of(manifest) or {}
    is_ruled = ROLES.of(manifest) is not None
    selects = {name: _read_file(path.parent / view.file) for name, view in views.items()}
    ordered, circle = sort_files(selects)
    if circle:
        raise UsageError(
            f"the views {', '.join(circle)} read each other",
            remedy="Put what they share into a view that reads none of them.",
        )
    for name in ordered:
        *before, make = write_view(name, views[name], selects[name], is_ruled=is_ruled)
        file = views[name].file
        texts += [SqlText(text, file) for text in before]
        texts.append(SqlText(make, file, quote_table(None, name)))
    return texts


def _read_file(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{file} cannot be read: {error}",
            remedy="Put the file there, in UTF-8, or take it out of the manifest.",
        ) from error
    return _END.sub(r"\n\1", text.rstrip()) + "\n"


@dataclass(frozen=True)
class Job:
    """What the worker runs when it is due, in the form of cron.

    `run` gets a connection, and whether it should end early; it says in words what it did, or
    nothing. The connection is that of the worker's login, or the operator's where only the owner of
    the tables may do it.
    """

    name: str
    cron: str
    run: Callable[[Connection, Callable[[], bool]], str]
    as_owner: bool = False


Move = Callable[[Sequence[tuple[str, ...]]], None]
"""Changes what a load keeps of its tables, in the open transaction: `("rename", table, old, new)`,
`("table", old, new)`, `("close", column, revision)`, `("born", table)`: one that no load writes, `("schema", name)`: one that revisions have made, or
`("own",)`: revisions own the schema from now on.
"""


@dataclass(frozen=True)
class LoadedTables:
    """The tables of a finished load, for parts that add something to them.

    transactions: SQL that selects the transactions that have written the load's rows.
    record: counts the open transaction among them.
    home: where the manifest lies.
    find_redis: for jobs, the URL of the cache's Redis; an embedded server is started for it.
    move: changes what the load keeps of its tables.
    columns: those that the load has written, such as `users.name`.
    list_broken: the ids of the keys that its rows break.
    """

    name: str
    schema: str
    manifest: Manifest
    transactions: str
    record: Callable[[], None]
    move: Move
    columns: Collection[str]
    home: Path
    find_redis: Callable[[], str] = str
    list_broken: Callable[[], set[str]] = set


AddWoven = Callable[[Connection, LoadedTables], WovenColumns]
"""Makes the columns of ours that a load writes beside its own, and says which they are."""

CheckManifest = Callable[[Connection, Manifest], None]
"""Refuses, before anything is written, what a part could not make behind a load."""

OpenTables = Callable[[], AbstractContextManager[tuple[Connection, LoadedTables]]]
"""Connects to the tables of the finished load."""

OpenTarget = Callable[[], AbstractContextManager[tuple[Connection, LoadedTables | None]]]
"""Connects to the target, where something is loaded, or revisions alone have made the tables."""


class Owner(Protocol):
    """Who owns the schema where there is a folder of revisions: a module with these functions."""

    def owns_schema(self, path: Path) -> bool:
        """Whether there are revisions beside the manifest at `path`."""

    def check_manifest(self, path: Path, manifest: Manifest, schema: str) -> None:
        """Check that the revisions lead to the manifest."""

    def check_applied(self, connection: Connection, path: Path, name: str) -> None:
        """Check that a database has all revisions, whole."""

    def list_lesser(self, path: Path) -> Mapping[str, Lesser]:
        """The keys that revisions leave out, by their ids."""

    def mark_all(self, connection: Connection, path: Path, tables: LoadedTables) -> None:
        """Note that a database which was built from the manifest has all revisions."""


class Additions(Protocol):
    """What a part adds to the tables of a load: a module with these functions.

    IN_SCRIPT: whether `assise schema sql` has all of it, so that revisions may own it.
    """

    IN_SCRIPT: bool

    def apply_manifest(self, connection: Connection, tables: LoadedTables, *, log: Log) -> None:
        """Make it as the manifest says, or change it in place."""

    def list_additions(self, connection: Connection, load: str) -> set[tuple[str, str]]:
        """What was added: the table, and a kind with a name, such as `policy app_read`."""

    def forget(self, connection: Connection, load: str) -> None:
        """Drop what is left of it, in the transaction in which the tables were dropped."""


@dataclass(frozen=True)
class Workspace:
    """The manifest's path, the target in place of its own, the settings, and who listens.

    `additions` are the parts that add something to the tables of a load, `add_woven` what is added
    before their rows, `checks` what refuses a manifest before; `owner` knows whether revisions own
    the schema.
    """

    path: Path
    to: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    log: Log = keep_silent
    progress: OnProgress = keep_silent
    confirm: Confirm = refuse
    additions: Sequence[Additions] = ()
    add_woven: AddWoven | None = None
    checks: Sequence[CheckManifest] = ()
    owner: Owner | None = None

    def __post_init__(self) -> None:
        check_names(self.settings)

    def check_parts(self, connection: Connection, manifest: Manifest) -> None:
        """Check that parts can do what the manifest asks of them in this database.

        Raises:
            UsageError: one cannot.
        """
        for check in self.checks:
            check(connection, manifest)

    @property
    def embedded(self) -> Embedded:
        """The embedded server beside the manifest."""
        return self.embedded_of(MAIN)

    def embedded_of(self, server: str) -> Embedded:
        """The embedded server of this name: each is a cluster of its own."""
        folder = self.path.parent / ".assise"
        return Embedded(folder if server == MAIN else folder / "servers" / server)

    def manifest(self) -> Manifest:
        """Read the manifest, with the tables of the server `main` alone.

        Raises:
            UsageError: there is none yet. ManifestError: it cannot be used.
        """
        return self.whole_manifest().on(MAIN)

    def whole_manifest(self) -> Manifest:
        """Read the manifest, with the tables of all servers.

        Raises:
            UsageError: there is none yet. ManifestError: it cannot be used.
        """
        if not self.path.exists():
            raise UsageError(
                f"there is no manifest file {self.path}",
                remedy="`assise infer SOURCE` writes one from a source.",
            )
        return load_manifest(self.path)

    def setting(self, setting: Setting[T]) -> T:
        """Return the value of a setting: as given, from the environment, or its default."""
        return read_setting(setting, self.settings.get(setting.name))

    def connect(self, manifest: Manifest, *, on: str = MAIN) -> Connection:
        """Connect to the target, or another server; an embedded one is started for it."""
        if not self.is_embedded(manifest, on=on):
            return Connection(self._conninfo(manifest, on=on))
        embedded = self.embedded_of(on)
        if not embedded.is_running():
            embedded.start()
            self.log("the embedded server keeps running after this; `assise pg stop` stops it")
        embedded.create_database(manifest.name)
        return Connection(embedded.conninfo(manifest.name), shown=embedded.url(manifest.name))

    def find_connection(self, manifest: Manifest) -> Connection | None:
        """Connect to the target as it is: nothing is started or made.

        None where it cannot be asked, which is logged, or where no server was started yet.
        """
        embedded = self.embedded
        try:
            if not self.is_embedded(manifest):
                return Connection(self._conninfo(manifest))
            if embedded.is_running():
                return Connection(embedded.conninfo(manifest.name), shown=manifest.name)
        except TargetError as error:
            self.log(f"what is loaded is not known: {error.message}")
            return None
        if embedded.data.exists():
            self.log("what is loaded is not known: the embedded server is stopped")
        return None

    def is_embedded(self, manifest: Manifest, *, on: str = MAIN) -> bool:
        """Say whether the target, or another server, is an embedded one."""
        return self._to(on) is None and self._url(manifest, on=on) == "embedded"

    def check_server(self, server: str) -> None:
        """Check that a server besides `main` is one of the manifest, and an embedded one.

        Raises:
            UsageError: it is not.
        """
        manifest = self.whole_manifest()
        others = manifest.postgres.others
        if server not in others:
            raise UsageError(f"there is no server {server!r}", remedy=nearest(server, others))
        if not self.is_embedded(manifest, on=server):
            raise UsageError(
                f"the server {server} is not an embedded one", remedy="Ask it with psql."
            )

    def describe_target(self, manifest: Manifest, *, on: str = MAIN) -> str:
        """Name the target, or another server, without its password and without asking it."""
        if self.is_embedded(manifest, on=on):
            data = self.embedded_of(on).data
            return f"the embedded server in {data}, database {manifest.name}"
        return describe(self._conninfo(manifest, on=on))

    def login(self, manifest: Manifest, role: RoleName, *, on: str = MAIN) -> str:
        """The connection string of an application's role; an embedded server is started for it.

        Raises:
            UsageError: there are no roles, or the role has no URL.
        """
        roles = ROLES.of(manifest)
        if roles is None:
            raise UsageError(
                f"{self.path} has no roles, so that no login has rules",
                remedy="Write roles: {prefix: NAME}, and access: on its tables.",
            )
        name, to = role_name(roles.prefix, role), self._to(on)
        if to is not None:
            return to if roles.are_none else sign_in_as(to, name)
        if url := self.role_url(manifest, "app" if roles.are_none else role, on=on):
            return url
        is_embedded = self.is_embedded(manifest, on=on)
        if roles.are_none and not is_embedded:
            return self._conninfo(manifest, on=on)
        if not is_embedded:
            raise UsageError(
                f"role {role} has no URL" + ("" if on == MAIN else f" on the server {on}"),
                remedy=f"Write that of {name} into the manifest:"
                f" postgres: {{{on}: {{url: …, {role}: …}}}}.",
            )
        embedded = self.embedded_of(on)
        if not embedded.is_running():
            embedded.start()
        conninfo = embedded.conninfo(manifest.name)
        return conninfo if roles.are_none else sign_in_as(conninfo, name)

    def rights(self, manifest: Manifest, role: RoleName, *, on: str = MAIN) -> Rights:
        """The rights of an application's session, still without a user.

        Raises:
            UsageError: there is no such server, or no such role on it.
        """
        servers = (MAIN, *manifest.postgres.others)
        if on not in servers:
            raise UsageError(f"there is no server {on!r}", remedy=nearest(on, servers))
        known = get_args(RoleName) if on == MAIN else ELSEWHERE
        if role not in known:
            where = "" if on == MAIN else f" on the server {on}, which knows app and admin"
            raise UsageError(f"there is no role {role!r}{where}", remedy=nearest(role, known))
        roles = ROLES.of(manifest)
        timeout_ms = self.setting(STATEMENT_TIMEOUT)
        if roles is not None and roles.are_none:
            said = "" if role == "app" else role
            return Rights(statement_timeout_ms=timeout_ms, role=said, has_claims=on != MAIN)
        others = list_others(roles.prefix, role) if roles and on == MAIN else ()
        return Rights(statement_timeout_ms=timeout_ms, has_claims=on != MAIN, others=others)

    def role_url(
        self, manifest: Manifest, name: Literal[RoleName, "replica"], *, on: str = MAIN
    ) -> str:
        """The URL that the manifest has for a role or the replica; empty where it has none.

        Raises:
            UsageError: it names a variable that is not set.
        """
        url: str | None = getattr(manifest.postgres.find(on), name, None)
        return "" if url is None else self._expand(url, f"postgres.{on}.{name}").strip()

    def rest(self, manifest: Manifest, server: str) -> tuple[str, str] | None:
        """Address and service key of a server's REST interface; None where it has none.

        Raises:
            UsageError: one of them names a variable that is not set.
        """
        found = manifest.postgres.others.get(server)
        if found is None or found.rest is None:
            return None
        address = self._expand(found.rest, f"postgres.{server}.rest").strip()
        key = self._expand(found.service_key or "", f"postgres.{server}.service_key").strip()
        return address, key

    def mongo_address(self, manifest: Manifest) -> MongoAddress:
        """The MongoDB of the collections that stay, its variables replaced.

        Raises:
            UsageError: there is none, or it names a variable that is not set.
        """
        address = MONGO.of(manifest)
        url = "" if address is None else self._expand(address.url, "mongo").strip()
        if address is None or not url:
            raise UsageError(
                f"{self.path} has no MongoDB" if address is None else "the URL of MongoDB is empty",
                remedy='Write mongo: "${MONGO_URL}", and set the variable.',
            )
        name = address.database and self._expand(address.database, "mongo.database")
        return address.model_copy(update={"url": url, "database": name})

    def mongo_pool(self, manifest: Manifest) -> PoolSizes:
        """What an application's client of MongoDB is opened with.

        Raises:
            UsageError: there is no MongoDB, or a setting cannot be used.
        """
        address = self.mongo_address(manifest)
        given, others = {}, {}
        for setting in MONGO_SETTINGS:
            name = setting.name.rpartition(".")[2]
            value = self.setting(replace(setting, default=UNSET))
            written = getattr(address, name)
            if value != UNSET:
                given[name] = value
            else:
                others[name] = setting.default if written is None else written
        return PoolSizes(address.url, address.database, given, others)

    def redis(self, use: RedisUse) -> EmbeddedRedis:
        """The embedded server of Redis for a use."""
        return EmbeddedRedis(self.path.parent / ".assise", use)

    def redis_url(self, manifest: Manifest, use: RedisUse, *, starts: bool = True) -> str:
        """The URL of the server of Redis for a use; an embedded one is started for it.

        Raises:
            UsageError: the manifest has none, or names a variable that is not set.
            RedisError: the embedded server cannot run here.
        """
        servers = REDIS.of(manifest)
        if servers is None:
            raise UsageError(
                f"{self.path} has no Redis",
                remedy="Write redis: embedded, or redis: {cache: URL, data: URL}.",
            )
        url = self._expand(servers.url(use), f"redis.{use}").strip()
        if url != EMBEDDED_REDIS:
            return url
        return self.redis(use).start() if starts else self.redis(use).url

    def _to(self, server: str) -> str | None:
        return self.to if server == MAIN else None

    def _url(self, manifest: Manifest, *, on: str = MAIN) -> str:
        server = manifest.postgres.others.get(on)
        if server is not None and not server.is_connected:
            raise UsageError(
                f"the server {on} is read by its REST interface alone",
                remedy=f"Give postgres: {{{on}: {{url: …}}}} its URL of PostgreSQL too.",
            )
        key = "postgres" if on == MAIN else f"postgres.{on}"
        return self._expand(manifest.postgres.find(on).url, key)

    def _expand(self, url: str, key: str) -> str:
        try:
            return expand(url)
        except UsageError as error:
            message = f"{self.path}: {key}: {error.message}"
            raise UsageError(message, remedy=error.remedy) from None

    def _conninfo(self, manifest: Manifest, *, on: str = MAIN) -> str:
        to = self._to(on)
        conninfo = self._url(manifest, on=on) if to is None else to
        if not conninfo.strip():
            raise UsageError(
                "the URL of the target is empty"
                if on == MAIN
                else f"the URL of the server {on} is empty",
                remedy="Give --to URL, or set the variables that `postgres:` in the manifest "
                "names.",
            )
        return conninfo

    def write_schema(self) -> None:
        """Write the JSON Schema that the first line of the manifest names, for editors.

        Where it cannot be written, editors do without.
        """
        folder = self.path.parent / ".assise"
        try:
            folder.mkdir(exist_ok=True)
            write_file(folder / ".gitignore", "*\n")
            schema = json.dumps(json_schema())
            write_file(folder / "manifest.schema.json", schema + "\n")
        except (OSError, AssiseError):
            self.log(f"{folder} cannot be written, so editors get no JSON Schema")
