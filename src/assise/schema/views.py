"""Views of the manifest as SQL."""

from __future__ import annotations

from assise.manifest.names import split_table
from assise.manifest.sections.views import View
from assise.schema.sql import quote, quote_list, quote_table, quote_text


def write_view(name: str, view: View, select: str, *, is_ruled: bool) -> list[str]:
    """The statements that make a view of the SELECT in its file, in the first schema of the path.

    is_ruled: whether tables may have access rules. A plain view then reads them with the rights of who
    asks; a materialized one has its owner's, and nobody is granted it.

    A materialized one is empty until the worker fills it. The parentheses keep a second statement of
    the file from being run.
    """
    called = quote_table(None, name)
    before = [f"CREATE EXTENSION IF NOT EXISTS {quote(view.needs)}"] if view.needs else []
    if view.materialized is None:
        rights = " WITH (security_invoker = true)" if is_ruled else ""
        return [*before, f"CREATE VIEW {called}{rights} AS (\n{select})"]
    key = quote_list(view.materialized.key)
    index = quote(f"{split_table(name)[1][:59]}_key")
    return [
        *before,
        f"CREATE MATERIALIZED VIEW {called} AS (\n{select}) WITH NO DATA",
        f"CREATE UNIQUE INDEX {index} ON {called} ({key})",
    ]


def revoke_defaults(called: str) -> str:
    """What takes from a new table or view the rights that default privileges of the database give to others."""
    return (
        "DO $revoke$ DECLARE _statement text; BEGIN FOR _statement IN SELECT DISTINCT"
        " format('REVOKE ALL ON %s FROM %s', oid::regclass, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE"
        " quote_ident(pg_get_userbyid(grantee)) END) FROM pg_class, aclexplode(relacl)"
        f" WHERE oid = {quote_text(called)}::regclass AND grantee <> relowner"
        " LOOP EXECUTE _statement; END LOOP; END $revoke$"
    )


def refresh_view(called: str, *, is_filled: bool) -> str:
    """The REFRESH of a view, beside its readers where it has rows already."""
    return f"REFRESH MATERIALIZED VIEW {'CONCURRENTLY ' if is_filled else ''}{called}"
