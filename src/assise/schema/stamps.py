"""`updated_at` as SQL: set where an application changes a row.

A load, a repair and a revision keep what rows say: their sessions are called `assise`, and have no
user, not even an empty one. Elsewhere who sets `updated_at` by hand is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from assise.manifest.sections.api import UPDATED, is_stamp
from assise.manifest.sections.computed import TIMES, TIMESTAMPS, list_generated
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.schema.copies import make_trigger
from assise.schema.guards import make_place
from assise.schema.managed import Managed
from assise.schema.sql import quote, quote_list

if TYPE_CHECKING:
    from assise.schema.access import AccessRules

HEAD = "RETURNS trigger LANGUAGE plpgsql"
BODY = f"BEGIN NEW.{quote(UPDATED)} := now(); RETURN NEW; END"
_IN_SESSION = "current_setting('app.user_id', true) IS NOT NULL"
_BY_HAND = f"NEW.{quote(UPDATED)} IS DISTINCT FROM OLD.{quote(UPDATED)}"
_BY_OTHERS = f"({_IN_SESSION} OR current_setting('application_name') <> 'assise')"


def list_stamped(rules: AccessRules) -> Iterator[str]:
    """The tables that say `timestamps`, and the served ones with an `updated_at` that may change."""
    for name, table in rules.manifest.tables.items():
        resource = rules.resources.get(name)
        is_served = resource is not None and bool(resource.update)
        if TIMESTAMPS.of(table) or (is_served and is_stamp(UPDATED, name, rules.manifest.tables)):
            yield name


def name_stamp(table: str) -> str:
    """The trigger of a table, and its function."""
    return make_place("_stamp", table)


def list_stamps(rules: AccessRules) -> Iterator[Managed]:
    """The triggers; a row that is deleted softly or restored keeps its time."""
    for table in list_stamped(rules):
        condition = _IN_SESSION
        if TIMESTAMPS.of(rules.manifest.tables[table]):
            condition = f"{_BY_OTHERS} AND NOT {_BY_HAND}"
        watched = quote_list(_list_watched(rules, table))
        when = f"BEFORE UPDATE OF {watched}" if watched else "BEFORE UPDATE"
        yield make_trigger(rules, table, name_stamp(table), when, f" WHEN ({condition})")


def _list_watched(rules: AccessRules, name: str) -> Sequence[str]:
    """The columns whose change is one of the row: those of requests alone where it is served."""
    table = rules.manifest.tables[name]
    if not TIMESTAMPS.of(table):
        return [*rules.resources[name].update]
    deletion = SOFT_DELETE.of(table)
    others = {*TIMES, deletion.column if deletion else ""}
    others |= {*list_generated(name, rules.manifest.tables)}
    return [each for each in table.columns if each not in others]
