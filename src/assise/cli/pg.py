"""`assise pg`: the embedded PostgreSQL."""

from __future__ import annotations

import json
import os
from pathlib import Path

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    DatabaseOption,
    JsonOption,
    ManifestOption,
    ServerOption,
    add_command,
    open_project,
)
from assise.cli.progress import Terminal
from assise.errors import UsageError
from assise.manifest.sections.servers import MAIN
from assise.postgres.cluster import find_old_client
from assise.postgres.embedded import Embedded, Status
from assise.project import Project

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["pg"].help)


@add_command(app, "assise pg start")
def start(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    on: ServerOption = MAIN,
    as_json: JsonOption = False,
) -> int:
    """Start the embedded server; it goes on when this command ends."""
    terminal: Terminal = context.obj.terminal
    embedded = _embedded_of(open_project(terminal, manifest), on)
    embedded.start()
    terminal.say(f"running, data in {embedded.data}")
    if as_json:
        print(json.dumps({"running": True}))
    return 0


@add_command(app, "assise pg stop")
def stop(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    on: ServerOption = MAIN,
    as_json: JsonOption = False,
) -> int:
    """Stop the embedded server."""
    terminal: Terminal = context.obj.terminal
    was_running = _embedded_of(open_project(terminal, manifest), on).stop()
    terminal.say("stopped" if was_running else "was not running")
    if as_json:
        print(json.dumps({"running": False, "was_running": was_running}))
    return 0


@add_command(app, "assise pg status", "assise pg status --json")
def status(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    on: ServerOption = MAIN,
    as_json: JsonOption = False,
) -> int:
    """Say whether the embedded server runs, and where."""
    terminal: Terminal = context.obj.terminal
    found = _embedded_of(open_project(terminal, manifest), on).status()
    print_status(found, as_json=as_json)
    _name_programs(terminal, found)
    return 0


@add_command(app, "assise pg shell", "echo 'SELECT count(*) FROM users' | assise pg shell")
def shell(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    database: DatabaseOption = None,
    on: ServerOption = MAIN,
) -> int:
    """Open psql on the embedded server, in the manifest's database."""
    embedded, name = _start(context.obj.terminal, manifest, database, on=on)
    command, environment = embedded.shell_command(name)
    os.execvpe(command[0], command, environment)  # noqa: S606
    return 0


@add_command(app, "psql $(assise pg url)")
def url(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    database: DatabaseOption = None,
    *,
    on: ServerOption = MAIN,
    as_json: JsonOption = False,
) -> int:
    """Print a URL of the embedded server for other programs on this machine."""
    embedded, name = _start(context.obj.terminal, manifest, database, on=on)
    found = embedded.url(name)
    print(json.dumps({"url": found}) if as_json else found)
    _name_programs(context.obj.terminal, embedded.status())
    return 0


def _embedded_of(project: Project, server: str) -> Embedded:
    """The embedded server of a name; that of `main` needs no manifest.

    Raises:
        UsageError: the manifest has no such server, or it is not an embedded one.
    """
    if server != MAIN:
        project.workspace.check_server(server)
    return project.workspace.embedded_of(server)


def _start(
    terminal: Terminal, manifest: Path, database: str | None, *, on: str
) -> tuple[Embedded, str]:
    """Start the server; return it and the name of the database.

    The manifest's own database is made if it is missing, one that is named is not.
    """
    project = open_project(terminal, manifest)
    embedded = _embedded_of(project, on)
    if database is not None:
        embedded.start()
        return embedded, database
    found = project.manifest
    if not project.workspace.is_embedded(found, on=on):
        raise UsageError(
            "the manifest's target is your own server",
            remedy="Ask it with psql; --database names a database of the embedded server.",
        )
    embedded.start()
    embedded.create_database(found.name)
    return embedded, found.name


def _name_programs(terminal: Terminal, status: Status) -> None:
    """Say where the server's own clients lie, if the system's are too old for it."""
    if old := find_old_client(status.version):
        terminal.say(
            f"pg_dump of this system is version {old}, too old for this server;"
            f" the server's own psql and pg_dump {status.version} lie in {status.programs}"
        )


def print_status(status: Status, *, as_json: bool) -> None:
    """Print the state of the embedded server, a fact a line."""
    facts = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(status).items()
    }
    if as_json:
        print(json.dumps(facts))
        return
    facts["running"] = "yes" if status.running else "no"
    facts["size_bytes"] = f"{status.size_bytes:,}"
    for name, value in facts.items():
        if value is not None:
            print(f"{name:<14} {value}")
