"""The states that rows of subscriptions have had, as times in which customers pay."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from assise.analytics.revenue.rows import Charge, RowReading
from assise.analytics.revenue.terms import is_paying


class SubscriptionState(NamedTuple):
    """A row as it was from `since` on and before `until`.

    Where `since` is None it is the first state that is known: it holds from `started` on.
    """

    key: str
    customer: str | None
    amount: Decimal | None
    currency: str | None
    interval: str | None
    quantity: Decimal
    started: dt.datetime | None
    ended: dt.datetime | None
    status: str
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def read(self, *, is_minor: bool) -> Charge | None:
        """The charge of the row; None where a cell that it needs is NULL."""
        if self.customer is None or self.amount is None or self.started is None:
            return None
        if self.currency is None or self.interval is None:
            return None
        return Charge(
            self.key,
            self.customer,
            self.amount,
            self.currency,
            self.interval,
            self.started,
            ended=self.ended,
            status=self.status,
            quantity=self.quantity,
            is_minor=is_minor,
        )


def read_states(
    states: Iterable[SubscriptionState], reading: RowReading, *, is_minor: bool
) -> Iterator[Charge]:
    """The charges of all states. What a row says of its end now holds for its earlier states too.

    Raises:
        AmountError: a status is unknown.
    """
    by_key: dict[str, list[SubscriptionState]] = defaultdict(list)
    for state in states:
        by_key[state.key].append(state)
    for versions in by_key.values():
        versions.sort(key=lambda each: (each.since is not None, each.since))
        for state in versions:
            charge = state.read(is_minor=is_minor)
            if charge is None:
                reading.incomplete.append(state.key)
            elif state.since is None and state.until is None:
                yield charge
            elif is_paying(state.status, row=f"{state.key}: ") or state.until is None:
                yield from _cut(charge, state, versions[-1].ended)


def _cut(charge: Charge, state: SubscriptionState, ended: dt.datetime | None) -> Iterator[Charge]:
    """The charge for the time in which the row was so, and before its end."""
    started = max(charge.started, state.since or charge.started)
    ends = [each for each in (state.until, ended) if each is not None]
    if not ends or min(ends) > started:
        yield charge._replace(started=started, ended=min(ends, default=None))
