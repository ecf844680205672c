"""Child tables: the parent, and the array in its documents."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.paths import check_path, parse_child_path
from assise.manifest.problems import Place, Problem
from assise.wording import nearest, show


def list_ancestors(name: str, tables: Tables) -> list[str]:
    """The tables above a child table, its collection's table last, or as far as there is one."""
    found: dict[str, None] = {}
    above = tables[name].parent
    while above is not None and above in tables and above not in found:
        found[above] = None
        above = tables[above].parent
    return list(found)


def _check_parent(place: Place, parent: str, tables: Tables) -> Iterator[Problem]:
    if parent not in tables:
        remedy = nearest(parent, tables)
        yield Problem(place, "is not a table of this manifest", show(parent), remedy)
    elif place[1] in list_ancestors(place[1], tables):
        remedy = "Let each child table end at a collection's table."
        yield Problem(place, "leads back to this table", show(parent), remedy)


def _check_from(place: Place, path: str, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    if table.parent is not None:
        yield from check_path(place, path, parse_child_path)
    elif table.collection is not None:
        remedy = "Remove it: a collection's table holds whole documents."
        yield Problem(place, "belongs to child tables only", show(path), remedy)


PARENT = Key(
    "parent",
    "table",
    help="of a child table: the table whose documents hold the array",
    affects="rows",
    check=_check_parent,
    default="this or `collection`",
)
FROM = Key(
    "from",
    "table",
    help="of a child table: the array inside the parent's document, ending in its one *,"
    " such as orders.* or report.files.*",
    affects="rows",
    check=_check_from,
    default="required with `parent`",
)
KEYS = (PARENT, FROM)
