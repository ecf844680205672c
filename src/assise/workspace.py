"""Workspace: what every job is handed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar, get_args

from assise.errors import AssiseError, TargetError, UsageError
from assise.files import write_file
from assise.manifest.json_schema import json_schema
from assise.manifest.model import Manifest
from assise.manifest.read import load_manifest
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.postgres import RoleName
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe, sign_in_as
from assise.postgres.embedded import Embedded
from assise.postgres.rights import Rights
from assise.progress import Log, OnProgress
from assise.schema.roles import list_others, role_name
from assise.settings import STATEMENT_TIMEOUT, Setting, check_names, expand, read_setting
from assise.wording import nearest

T = TypeVar("T")

Confirm = Callable[[str], bool]
"""Is asked before the first write to a server that is not the embedded one, and before a drop.

The text says what is written or dropped, and where.
"""


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


@dataclass(frozen=True)
class Job:
    """What the worker runs when it is due, in the form of cron.

    `run` gets a connection of the operator's, and whether it should end early; it says in words
    what it did, or nothing.
    """

    name: str
    cron: str
    run: Callable[[Connection, Callable[[], bool]], str]


@dataclass(frozen=True)
class LoadedTables:
    """The tables of a finished load, for parts that add something to them.

    transactions: SQL that selects the transactions that have written the load's rows.
    record: counts the open transaction among them.
    """

    name: str
    schema: str
    manifest: Manifest
    transactions: str
    record: Callable[[], None]


class Additions(Protocol):
    """What a part adds to the tables of a load: a module with these functions."""

    def apply_manifest(self, connection: Connection, tables: LoadedTables, *, log: Log) -> None:
        """Make it as the manifest says, or change it in place."""

    def list_additions(self, connection: Connection, load: str) -> set[tuple[str, str]]:
        """What was added: the table, and a kind with a name, such as `policy app_read`."""

    def forget(self, connection: Connection, load: str) -> None:
        """Drop what is left of it, in the transaction in which the tables were dropped."""


@dataclass(frozen=True)
class Workspace:
    """The manifest's path, the target in place of its own, the settings, and who listens.

    `additions` are the parts that add something to the tables of a load.
    """

    path: Path
    to: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    log: Log = keep_silent
    progress: OnProgress = keep_silent
    confirm: Confirm = refuse
    additions: Sequence[Additions] = ()

    def __post_init__(self) -> None:
        check_names(self.settings)

    @property
    def embedded(self) -> Embedded:
        """The embedded server beside the manifest."""
        return Embedded(self.path.parent / ".assise")

    def manifest(self) -> Manifest:
        """Read the manifest.

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

    def connect(self, manifest: Manifest) -> Connection:
        """Connect to the target; the embedded server is started when it is the target."""
        if not self.is_embedded(manifest):
            return Connection(self._conninfo(manifest))
        embedded = self.embedded
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

    def is_embedded(self, manifest: Manifest) -> bool:
        """Say whether the target is the embedded server."""
        return self.to is None and self._url(manifest) == "embedded"

    def describe_target(self, manifest: Manifest) -> str:
        """Name the target, without its password and without asking it."""
        if self.is_embedded(manifest):
            return f"the embedded server in {self.embedded.data}, database {manifest.name}"
        return describe(self._conninfo(manifest))

    def login(self, manifest: Manifest, role: RoleName) -> str:
        """The connection string of an application's role; the embedded server is started for it.

        Raises:
            UsageError: there are no roles, or the role has no URL.
        """
        roles = ROLES.of(manifest)
        if roles is None:
            raise UsageError(
                f"{self.path} has no roles, so that no login has rules",
                remedy="Write roles: {prefix: NAME}, and access: on its tables.",
            )
        name = role_name(roles.prefix, role)
        if self.to is not None:
            return self.to if roles.are_none else sign_in_as(self.to, name)
        if url := self.role_url(manifest, "app" if roles.are_none else role):
            return url
        is_embedded = self.is_embedded(manifest)
        if roles.are_none and not is_embedded:
            return self._conninfo(manifest)
        if not is_embedded:
            raise UsageError(
                f"role {role} has no URL",
                remedy=f"Write that of {name} into the manifest:"
                f" postgres: {{main: {{url: …, {role}: …}}}}.",
            )
        embedded = self.embedded
        if not embedded.is_running():
            embedded.start()
        conninfo = embedded.conninfo(manifest.name)
        return conninfo if roles.are_none else sign_in_as(conninfo, name)

    def rights(self, manifest: Manifest, role: RoleName) -> Rights:
        """The rights of an application's session, still without a user.

        Raises:
            UsageError: there is no such role.
        """
        if role not in get_args(RoleName):
            raise UsageError(f"there is no role {role!r}", remedy=nearest(role, get_args(RoleName)))
        roles = ROLES.of(manifest)
        timeout_ms = self.setting(STATEMENT_TIMEOUT)
        if roles is not None and roles.are_none:
            return Rights(statement_timeout_ms=timeout_ms, role="" if role == "app" else role)
        others = list_others(roles.prefix, role) if roles else ()
        return Rights(statement_timeout_ms=timeout_ms, others=others)

    def role_url(self, manifest: Manifest, name: Literal[RoleName, "replica"]) -> str:
        """The URL that the manifest has for a role or the replica; empty where it has none.

        Raises:
            UsageError: it names a variable that is not set.
        """
        url: str | None = getattr(manifest.postgres.main, name)
        return "" if url is None else self._expand(url, f"postgres.main.{name}").strip()

    def _url(self, manifest: Manifest) -> str:
        return self._expand(manifest.postgres.main.url, "postgres")

    def _expand(self, url: str, key: str) -> str:
        try:
            return expand(url)
        except UsageError as error:
            message = f"{self.path}: {key}: {error.message}"
            raise UsageError(message, remedy=error.remedy) from None

    def _conninfo(self, manifest: Manifest) -> str:
        conninfo = self._url(manifest) if self.to is None else self.to
        if not conninfo.strip():
            raise UsageError(
                "the URL of the target is empty",
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
            schema = json.dumps(json_schema(), indent=2)
            write_file(folder / "manifest.schema.json", schema + "\n")
        except (OSError, AssiseError):
            self.log(f"{folder} cannot be written, so editors get no JSON Schema")
