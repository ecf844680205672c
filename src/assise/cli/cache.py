"""`assise cache`: how the cache is doing, and clear it."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import JsonOption, ManifestOption, YesOption, add_command, open_project
from assise.redis.facts import ServerFacts
from assise.wording import count_of, show_controls

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["cache"].help)

TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Let no value with this tag hold; repeatable.", show_default=False),
]
PatternOption = Annotated[
    str,
    typer.Option(
        "--pattern",
        help="Delete the values whose keys fit a pattern of Redis; '*' is everything.",
        show_default=False,
    ),
]


@add_command(app, "assise cache stats", "assise cache stats --json")
def stats(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Say what the cache's server holds, and how often it answered, function by function."""
    found = open_project(context.obj.terminal, manifest).cache.stats()
    if as_json:
        functions = [{**asdict(each), "hit_rate": each.hit_rate} for each in found.functions]
        print(json.dumps({"server": asdict(found.server), "functions": functions}))
        return 0
    print(describe_server(found.server))
    for each in found.functions:
        print(
            show_controls(
                f"{each.name}: {each.hit_rate:.0%} of {each.hits + each.loads + each.bypassed:,}"
                f" calls were hits; {count_of(each.loads, 'load')} of {each.load_ms:.1f} ms"
            )
        )
    return 0


def describe_server(server: ServerFacts) -> str:
    """A server in one line."""
    limit = f" of {server.limit / (1 << 20):,.0f}" if server.limit else ""
    return (
        f"version {server.version}: {count_of(server.keys, 'key')},"
        f" {server.used / (1 << 20):,.1f}{limit} MiB, {server.policy or 'policy unknown'},"
        f" {server.evicted:,} evicted"
    )


@add_command(
    app, "assise cache clear --tag projects:42", "assise cache clear --pattern 'reports:*'"
)
def clear(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    tags: TagOption = None,
    pattern: PatternOption = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> int:
    """Invalidate tags, or delete the values whose keys fit a pattern; asks before it deletes all."""
    terminal = context.obj.terminal
    count = open_project(terminal, manifest).cache.clear(
        tags=tags or (), pattern=pattern, confirm=partial(terminal.ask, yes=yes)
    )
    if as_json:
        print(json.dumps({"tags": tags or [], "deleted": count}))
    else:
        said = [count_of(len(tags), "tag") + " invalidated"] if tags else []
        said += [count_of(count, "key") + " deleted"] if pattern else []
        print(", ".join(said))
    return 0
