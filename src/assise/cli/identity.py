"""`assise identity`: a token for development, and the copy of Supabase's users."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    DryRunOption,
    JsonOption,
    ManifestOption,
    YesOption,
    add_command,
    open_project,
)
from assise.cli.progress import Terminal
from assise.workspace import find_manifest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["identity"].help)

TokenUserOption = Annotated[
    str, typer.Option("--user", help="The key of the user.", show_default=False)
]
TokenTenantOption = Annotated[
    str | None, typer.Option("--tenant", help="The key of the tenant.", show_default=False)
]
RoleOption = Annotated[
    list[str] | None,
    typer.Option("--role", help="A role such as admin; repeatable.", show_default=False),
]


@add_command(app, "assise identity token --user 507f1f77-bcf8-86cd-8799-439011000000", name="token")
def token(
    context: typer.Context,
    user: TokenUserOption,
    manifest: ManifestOption = Path(),
    *,
    tenant: TokenTenantOption = None,
    role: RoleOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print a token of a user that `assise serve` takes on this machine, for twelve hours."""
    from assise.identity.development import make_token

    folder = find_manifest(manifest).parent / ".assise"
    found = make_token(folder, user, tenant=tenant, roles=role or ())
    context.obj.terminal.say("for development: taken on this machine alone")
    print(json.dumps({"token": found}) if as_json else found)
    return 0


@add_command(app, "assise identity repair --dry-run", "assise identity repair --yes")
def repair(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make the table that mirrors Supabase's auth.users, its triggers and its rules, and copy the
    users that it lacks; it may be called again at any time.
    """
    from assise.identity.mirror import describe

    terminal: Terminal = context.obj.terminal
    verbs = open_project(terminal, manifest).identity
    found = verbs.repair(confirm=partial(terminal.ask, yes=yes), dry_run=dry_run)
    if as_json:
        print(json.dumps({"mirrors": [each.as_json() for each in found]}, ensure_ascii=False))
    else:
        for each in found:
            print("\n".join(describe(each, dry_run=dry_run)))
    return 3 if any(each.failed for each in found) else 0
