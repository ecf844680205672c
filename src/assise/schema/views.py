"""Views of the manifest as SQL."""

from __future__ import annotations

from assise.manifest.names import split_table
from assise.manifest.sections.views import View
from assise.schema.sql import quote, quote_list


def write_view(name: str, view: View, select: str) -> list[str]:
    """The statements that make a view of the SELECT in its file, in the first schema of the path.

    A materialized one is empty until the worker fills it. The parentheses keep a second statement of
    the file from being run.
    """
    called = quote(*filter(None, split_table(name)))
    before = [f"CREATE EXTENSION IF NOT EXISTS {quote(view.needs)}"] if view.needs else []
    if view.materialized is None:
        return [*before, f"CREATE VIEW {called} AS (\n{select})"]
    key = quote_list(view.materialized.key)
    index = quote(f"{split_table(name)[1][:59]}_key")
    return [
        *before,
        f"CREATE MATERIALIZED VIEW {called} AS (\n{select}) WITH NO DATA",
        f"CREATE UNIQUE INDEX {index} ON {called} ({key})",
    ]


def refresh_view(called: str, *, is_filled: bool) -> str:
    """The REFRESH of a view, beside its readers where it has rows already."""
    return f"REFRESH MATERIALIZED VIEW {'CONCURRENTLY ' if is_filled else ''}{called}"
