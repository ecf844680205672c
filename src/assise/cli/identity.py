"""`assise identity`: tokens for development."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import JsonOption, ManifestOption, add_command
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


@app.callback()
def _list_verbs() -> None:
    """Keep `token` a verb, though it is the only one."""


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
