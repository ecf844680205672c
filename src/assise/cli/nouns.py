"""What may follow `assise`: the verbs of the main job, and nouns with verbs of their own.

Their help stands here, so that the list of commands imports none of their modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import typer.main
from typer.core import TyperCommand, TyperGroup

from assise.extras import load

if TYPE_CHECKING:
    from typer._click import Command, Context


class Noun(NamedTuple):
    """The module of a word, and its line in the list of commands."""

    module: str
    help: str


NOUNS = {
    "migrate": Noun(
        "assise.cli.migrate",
        "Infer the manifest if there is none, load, and verify every document.",
    ),
    "infer": Noun(
        "assise.cli.migrate",
        "Read every document and write the manifest that fits them, with the evidence as comments.",
    ),
    "load": Noun(
        "assise.cli.migrate", "Load what is not loaded yet into the tables of the manifest."
    ),
    "verify": Noun(
        "assise.cli.migrate",
        "Compare every document of the source, value by value, with what the tables give back; "
        "with --repair write what differs again.",
    ),
    "rejects": Noun(
        "assise.cli.loaded",
        "List the documents that were not loaded, with reason and place; "
        "or print the bytes of one.",
    ),
    "export": Noun(
        "assise.cli.loaded",
        "Print the documents of a collection as their rows are now, "
        "or write what mongorestore reads.",
    ),
    "undo": Noun(
        "assise.cli.loaded",
        "Drop what the load created; refuse where rows or tables were edited since.",
    ),
    "access": Noun(
        "assise.cli.access", "Who may see what: check what goes around the rules, explain."
    ),
    "analytics": Noun(
        "assise.cli.analytics",
        "Count users and events: active, trend, retention, cohorts, funnel, lifecycle, sessions,"
        " churn; revenue, check; import, erase.",
    ),
    "cache": Noun("assise.cli.cache", "The cache in Redis: stats, clear."),
    "identity": Noun(
        "assise.cli.identity",
        "Who is calling: a token for development; keep a copy of Supabase's users in step.",
    ),
    "mcp": Noun(
        "assise.cli.mcp",
        "Give agents tools over MCP, with the rights of a user: search, similar, ask, tables.",
    ),
    "mongo": Noun(
        "assise.cli.mongo",
        "Collections that stay in MongoDB: diff, ensure; explain, slow, indexes.",
    ),
    "pg": Noun("assise.cli.pg", "The embedded PostgreSQL: start, stop, status, shell, url."),
    "redis": Noun(
        "assise.cli.redis",
        "The keys of Redis that are declared: keys, ensure, check; stop the embedded one.",
    ),
    "schema": Noun(
        "assise.cli.revisions",
        "The tables of the manifest: sql, diagram, models; and their revisions: diff, revise, "
        "apply, revert, status, lint, mark.",
    ),
    "search": Noun(
        "assise.cli.search",
        "Search tables: query, ask, suggest, explain, eval, report; build, embed, status, check.",
    ),
    "serve": Noun(
        "assise.cli.serve",
        "Serve the tables that say `api:` over HTTP, with health, metrics and their documentation.",
    ),
    "audit": Noun(
        "assise.cli.audit",
        "Who changed which row: the changes of one, and whether the log is whole.",
    ),
    "partitions": Noun(
        "assise.cli.partitions",
        "Tables that are cut by time: make partitions ahead, retire old ones, show them.",
    ),
    "worker": Noun(
        "assise.cli.worker",
        "Run the jobs of the manifest when they are due, such as the purge of deleted rows.",
    ),
}


def load_command(name: str) -> Command:
    """Import the command of a word: a verb, or the group of a noun."""
    module = load(NOUNS[name].module)
    group = typer.main.get_group(module.app)
    return group.commands.get(name, group)


def list_commands() -> Iterator[tuple[str, Command]]:
    """List every command by the words that call it, in the order of the help."""
    for noun in NOUNS:
        command = load_command(noun)
        verbs = getattr(command, "commands", None)
        if verbs is None:
            yield noun, command
        else:
            yield from ((f"{noun} {verb}", verbs[verb]) for verb in verbs)


class Nouns(TyperGroup):
    """The program: it lists its commands without importing them, and imports what is called."""

    def __init__(self) -> None:
        super().__init__(
            name="assise",
            commands=[TyperCommand(name, short_help=noun.help) for name, noun in NOUNS.items()],
            no_args_is_help=True,
            rich_markup_mode=None,
            context_settings={"help_option_names": ["-h", "--help"]},
            help="The data layer under an application, declared in one file. Moves an "
            "application's data out of MongoDB and proves that nothing was lost.",
        )

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Find the command of the first word, and import it."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else None, rest
