"""`updated_at` of served tables as SQL: set where an application changes what requests may write.

A load and a repair have no user, not even an empty one, so that they keep what the source says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assise.manifest.sections.api import UPDATED, is_stamp
from assise.schema.copies import make_trigger
from assise.schema.guards import make_name
from assise.schema.managed import Managed
from assise.schema.sql import quote, quote_list

if TYPE_CHECKING:
    from assise.schema.access import AccessRules

HEAD = "RETURNS trigger LANGUAGE plpgsql"
BODY = f"BEGIN NEW.{quote(UPDATED)} := now(); RETURN NEW; END"
_IN_SESSION = "current_setting('app.user_id', true) IS NOT NULL"


def list_stamped(rules: AccessRules) -> Iterator[str]:
    """The served tables with a column `updated_at` that may be changed."""
    for name, resource in rules.resources.items():
        if resource.update and is_stamp(UPDATED, name, rules.manifest.tables):
            yield name


def name_stamp(table: str) -> str:
    """The trigger of a table, and its function."""
    return make_name("_stamp", table)


def list_stamps(rules: AccessRules) -> Iterator[Managed]:
    """The triggers; a row that is deleted softly or restored keeps its time."""
    for table in list_stamped(rules):
        when = f"BEFORE UPDATE OF {quote_list(rules.resources[table].update)}"
        yield make_trigger(rules, table, name_stamp(table), when, f" WHEN ({_IN_SESSION})")
