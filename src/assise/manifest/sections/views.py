"""Views: a SELECT in a file, and when a materialized one is refreshed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.names import check_name, check_table_name
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.revisions import check_file
from assise.wording import show

_REFRESH = re.compile(r"[1-9]\d{0,5} (minute|hour|day|week)s?")


class Materialized(Keyed):
    """How often a view is refreshed, and the columns that tell its rows."""

    refresh: str
    key: tuple[str, ...]


class View(Keyed):
    """A view: the file of its SELECT, whether its rows are kept, and the extension that it reads."""

    file: str
    materialized: Materialized | None = None
    needs: str | None = None


def _check_views(place: Place, views: dict[str, View], tables: Tables) -> Iterator[Problem]:
    for name, view in views.items():
        at = (*place, name)
        yield from check_table_name(at, name)
        if name in tables:
            yield Problem(at, "is the name of a table", remedy="Give the view another one.")
        yield from check_file((*at, "file"), view.file)
        if view.needs is not None:
            yield from check_name((*at, "needs"), view.needs)
        if view.materialized is not None:
            yield from _check_materialized((*at, "materialized"), view.materialized)


def _check_materialized(place: Place, kept: Materialized) -> Iterator[Problem]:
    if not _REFRESH.fullmatch(kept.refresh):
        remedy = "Write a number and minutes, hours, days or weeks: 5 minutes."
        yield Problem((*place, "refresh"), "is no time", show(kept.refresh), remedy)
    if not kept.key:
        remedy = "Name the columns that tell its rows: [day]."
        yield Problem((*place, "key"), "is empty", remedy=remedy)


VIEWS = Key(
    "views",
    "manifest",
    help="views by name: {NAME: {file: sql/NAME.sql}}, and materialized: {refresh: 5 minutes,"
    " key: [day]} where the worker keeps their rows",
    affects="nothing",
    type=dict[str, View],
    check=_check_views,
    default="none",
)
KEYS = (VIEWS,)
