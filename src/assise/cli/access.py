"""`assise access`: who may see what."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assise.access.explain import Explanation
from assise.cli.nouns import NOUNS
from assise.cli.options import (
    JsonOption,
    ManifestOption,
    TenantOption,
    ToOption,
    UserOption,
    add_command,
    open_project,
)
from assise.wording import count_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["access"].help)

TableArgument = Annotated[str, typer.Argument(help="A table with a rule.", show_default=False)]


@add_command(app, "assise access check", "assise access check --json")
def check(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """List what goes around the rules, with remedies: tables without rules, views, functions,
    grants and memberships.
    """
    found = open_project(context.obj.terminal, manifest, to).access.check()
    if as_json:
        findings = [asdict(each) for each in found]
        print(json.dumps({"findings": findings}, ensure_ascii=False))
    else:
        for each in found:
            print(f"{each.object} {each.says}\n  {each.remedy}")
        context.obj.terminal.say(count_of(len(found), "finding"))
    return 3 if found else 0


@add_command(app, "assise access explain projects --user 507f1f77-bcf8-86cd-8799-430007000000")
def explain(
    context: typer.Context,
    table: TableArgument,
    manifest: ManifestOption = Path(),
    *,
    user: UserOption = None,
    tenant: TenantOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what a user sees of a table: the policies, the plan, and how many rows."""
    access = open_project(context.obj.terminal, manifest, to).access
    found = access.explain(table, user_id=user, tenant_id=tenant)
    if as_json:
        print(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        _print_explanation(found)
    return 0


def _print_explanation(found: Explanation) -> None:
    for policy in found.policies:
        texts = {"using": policy.using, "check": policy.check}
        words = " ".join(f"{name} {text}" for name, text in texts.items() if text is not None)
        print(f"{policy.name} {policy.command.lower()} {words}")
    print("\n".join(["", *found.plan, ""]))
    more = ", …" if found.rows > len(found.first) else ""
    keys = f": {'; '.join(found.first)}{more}" if found.first else ""
    print(f"sees {found.rows:,} of {count_of(found.of, 'row')} of {found.table}{keys}")
