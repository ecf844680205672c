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
    add_command,
    open_project,
)
from assise.cli.progress import Terminal
from assise.errors import UsageError
from assise.postgres.cluster import find_old_client
from assise.postgres.embedded import Status
from assise.project import Project

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["pg"].help)


@add_command(app, "assise pg start")
def start(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Start the embedded server; it goes on when this command ends."""
    terminal: Terminal = context.obj.terminal
    project = open_project(terminal, manifest)
    project.embedded.start()
    terminal.say(f"running, data in {project.embedded.data}")
    if as_json:
        print(json.dumps({"running": True}))
    return 0


@add_command(app, "assise pg stop")
def stop(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Stop the embedded server."""
    terminal: Terminal = context.obj.terminal
    was_running = open_project(terminal, manifest).embedded.stop()
    terminal.say("stopped" if was_running else "was not running")
    if as_json:
        print(json.dumps({"running": False, "was_running": was_running}))
    return 0


@add_command(app, "assise pg status", "assise pg status --json")
def status(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Say whether the embedded server runs, and where."""
    terminal: Terminal = context.obj.terminal
    found = open_project(terminal, manifest).embedded.status()
    print_status(found, as_json=as_json)
    _name_programs(terminal, found)
    return 0


@add_command(app, "assise pg shell", "echo 'SELECT count(*) FROM users' | assise pg shell")
def shell(
    context: typer.Context, manifest: ManifestOption = Path(), database: DatabaseOption = None
) -> int:
    """Open psql on the embedded server, in the manifest's database."""
    project, name = _start(context.obj.terminal, manifest, database)
    command, environment = project.embedded.shell_command(name)
    os.execvpe(command[0], command, environment)  # noqa: S606
    return 0


@add_command(app, "psql $(assise pg url)")
def url(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    database: DatabaseOption = None,
    *,
    as_json: JsonOption = False,
) -> int:
    """Print a URL of the embedded server for other programs on this machine."""
    project, name = _start(context.obj.terminal, manifest, database)
    found = project.embedded.url(name)
    print(json.dumps({"url": found}) if as_json else found)
    _name_programs(context.obj.terminal, project.embedded.status())
    return 0


def _start(terminal: Terminal, manifest: Path, database: str | None) -> tuple[Project, str]:
    """Start the server; return the project and the name of the database.

    The manifest's own database is made if it is missing, one that is named is not.
    """
    project = open_project(terminal, manifest)
    if database is not None:
        project.embedded.start()
        return project, database
    found = project.manifest
    if not project.workspace.is_embedded(found):
        raise UsageError(
            "the manifest's target is your own server",
            remedy="Ask it with psql; --database names a database of the embedded server.",
        )
    project.embedded.start()
    project.embedded.create_database(found.name)
    return project, found.name


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
