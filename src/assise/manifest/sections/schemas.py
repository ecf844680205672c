"""The schemas of tables such as `auth.users`, and their comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.names import list_schemas
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.comments import check_comment
from assise.wording import nearest, show


class SchemaEntry(Keyed):
    """What a manifest says of a schema."""

    comment: str | None = None


def _check_schemas(
    place: Place, entries: Mapping[str, SchemaEntry], tables: Tables
) -> Iterator[Problem]:
    known = list_schemas(tables)
    for name, entry in entries.items():
        if name not in known:
            remedy = nearest(name, known) if known else "Name a table in it, such as auth.users."
            yield Problem((*place, name), "is the schema of no table", show(name), remedy)
        if entry.comment is not None:
            yield from check_comment((*place, name, "comment"), entry.comment, tables)


SCHEMAS: Key[dict[str, SchemaEntry]] = Key(
    "schemas",
    "manifest",
    help="what is said of the schemas of tables such as auth.users: {auth: {comment: text}}",
    affects="schema",
    type=dict[str, SchemaEntry],
    check=_check_schemas,
    default="none",
)
KEYS = (SCHEMAS,)
