"""Which events there are to ask for: those that are declared, and those that have been."""

from __future__ import annotations

from collections.abc import Collection

from assise.analytics.kinds import PROPERTIES
from assise.analytics.picture import ANY
from assise.analytics.tables import QUERIES
from assise.errors import UsageError
from assise.postgres.asking import Asking
from assise.wording import nearest


def check_known(events: Collection[str], own: Collection[str]) -> Asking[None]:
    """Refuse an event that is neither declared nor has ever been; `own` are the manifest's.

    Raises:
        UsageError: with the event that was probably meant.
    """
    declared = {ANY, *PROPERTIES, *own}
    asked = sorted({*events} - declared)
    if not asked:
        return
    unknown = yield QUERIES["unknown_events"], {"events": asked}
    if unknown:
        been = yield QUERIES["event_names"], {}
        known = (declared - {ANY}) | {str(row["event"]) for row in been}
        event = unknown[0]["event"]
        raise UsageError(f"there is no event {event!r}", remedy=nearest(event, sorted(known)))
