"""`assise redis`: the servers of Redis, and the keys that the manifest declares."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

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
from assise.wording import count_of, show_controls

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["redis"].help)


@add_command(app, "assise redis keys", name="keys")
def keys(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """List the keys that the manifest declares, and how many of each are there."""
    found = open_project(context.obj.terminal, manifest).redis.keys()
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return 0
    for each in found:
        kept = f"for {each.keep}" if each.keep else "for ever"
        place = f"{each.type} in {each.server} {each.db}, {kept}"
        print(f"{each.name}: {each.pattern}, {place}: {count_of(each.keys, 'key')}")
    return 0


@add_command(app, "assise redis check", name="check")
def check(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Say what is wrong with the servers and their keys; exit code 3 if anything is."""
    found = open_project(context.obj.terminal, manifest).redis.check()
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
    else:
        for each in found:
            print(show_controls(f"{each.server}: {each.what}"))
            print(f"    {each.remedy}")
        context.obj.terminal.say(count_of(len(found), "finding"))
    return 3 if found else 0


@add_command(app, "assise redis ensure --dry-run", "assise redis ensure --yes", name="ensure")
def ensure(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> int:
    """Give declared keys the time to live that they lack, and the cache's server its policy."""
    terminal = context.obj.terminal
    confirm = partial(terminal.ask, yes=yes)
    done = open_project(terminal, manifest).redis.ensure(dry_run=dry_run, confirm=confirm)
    if as_json:
        print(json.dumps({"done": done, "dry_run": dry_run}))
    else:
        print("\n".join(done) or "all is as declared")
    return 0


@add_command(app, "assise redis stop", name="stop")
def stop(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Stop the embedded servers of Redis; what must not be lost is on disk then."""
    stopped = open_project(context.obj.terminal, manifest).redis.stop()
    context.obj.terminal.say(f"stopped: {', '.join(stopped)}" if stopped else "was not running")
    if as_json:
        print(json.dumps({"stopped": stopped}))
    return 0
