"""Which partitions there must be, by the clock alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest
from assise.schema.partitions import (
    Partition,
    Partitioning,
    begin_of,
    next_begin,
    read_bounds,
)

MOMENTS = st.integers(946_684_800, 13_569_465_600).map(lambda at: datetime.fromtimestamp(at, UTC))
PERIODS = st.sampled_from(["day", "week", "month", "year"])
PAYMENTS = Partitioning("public", "payments", "at", ahead=2)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_new_table_reaches_from_ever_to_ever_with_months_ahead() -> None:
    made = [*PAYMENTS.list_missing([], day("2026-11-30T23:59:59"))]
    assert made == [
        Partition("payments_past", None, day("2026-11-01")),
        Partition("payments_2026_11", day("2026-11-01"), day("2026-12-01")),
        Partition("payments_2026_12", day("2026-12-01"), day("2027-01-01")),
        Partition("payments_2027_01", day("2027-01-01"), day("2027-02-01")),
        Partition("payments_far", day("2046-01-01"), None),
    ]
    assert PAYMENTS.count_ahead(made, day("2026-11-30")) == 2
    assert PAYMENTS.count_ahead(made, day("2027-01-31")) == 0
    assert PAYMENTS.count_ahead(made, day("2027-02-01")) == -1


def test_months_that_nobody_made_are_made_up_for_and_retired_ones_are_not() -> None:
    made = [*PAYMENTS.list_missing([], day("2026-11-30"))][2:]
    later = [each.name for each in PAYMENTS.list_missing(made, day("2027-04-02"))]
    assert later == [f"payments_2027_{month:02}" for month in range(2, 7)]


def test_bounds_are_those_of_utc_wherever_the_clock_stands() -> None:
    paris = datetime(2027, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert begin_of("month", paris) == day("2026-12-01")


@given(PERIODS, MOMENTS, st.integers(1, 15), st.integers(0, 300))
def test_partitions_never_overlap_and_leave_no_gap(
    every: str, begin: datetime, ahead: int, days: int
) -> None:
    of = Partitioning("public", "t", "at", every, ahead)  # type: ignore[arg-type]
    found = [*of.list_missing([], begin)]
    now = begin + timedelta(days=days)
    found += of.list_missing(found, now)
    middle = sorted(
        (each for each in found if each.lower and each.upper), key=lambda each: each.lower or begin
    )
    assert [each.lower for each in middle[1:]] == [each.upper for each in middle[:-1]]
    assert of.count_ahead(found, now) == ahead
    assert len({each.name for each in found}) == len(found)
    assert not [*of.list_missing(found, now)]


@given(PERIODS, MOMENTS)
def test_a_moment_lies_in_its_period(every: str, moment: datetime) -> None:
    begin = begin_of(every, moment)  # type: ignore[arg-type]
    assert begin <= moment < next_begin(every, begin)  # type: ignore[arg-type]
    text = f"FOR VALUES FROM ('{begin:%Y-%m-%d %H:%M:%S}+00') TO (MAXVALUE)"
    assert read_bounds(text) == (begin, None)


def test_the_years_at_the_end_do_not_overlap_far() -> None:
    of = Partitioning("public", "t", "at", "year", 30)
    made = [*of.list_missing([], day("2026-05-05"))]
    assert [each.name for each in made][-2:] == ["t_2045", "t_far"]


def test_long_names_are_cut_alike_and_stay_apart() -> None:
    names = [
        each.name
        for table in ("a" * 63, "a" * 62 + "b")
        for each in Partitioning("public", table, "at").list_missing([], day("2026-11-30"))
    ]
    assert len({*names}) == len(names)
    assert max(len(name) for name in names) <= 63


TABLE = """assise: 1
name: app
tables:
  t:
    primary_key: [id, at]
    columns: {id: int8, at: {type: timestamptz, default: now()}, mail: text}
    partition: {by: at}
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{by: at}", "{by: when}", "by: when: is not a column of this table"),
        ("[id, at]", "[id]", "by: at: is no part of the primary key"),
        (", default: now()", "", "by: at: has no default"),
        ("timestamptz, default: now()", "int8, default: 1", "which tells no time"),
        ("mail: text", "mail: {type: text, unique: true}", "mail.unique: cannot be unique: the"),
        ("{by: at}", "{by: at}\n    indexes: [{columns: [mail], unique: true}]", "cannot be uniq"),
        ("{by: at}", "{by: at, keep: soon}", "keep: soon: is no time"),
        ("{by: at}", "{by: at, ahead: 0}", "ahead"),
        ("primary_key: [id", "collection: t\n    primary_key: [id", "_id alone must tell a docum"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_reason(old: str, new: str, problem: str) -> None:
    parse_manifest(TABLE)
    assert old in TABLE
    with pytest.raises(ManifestError) as caught:
        parse_manifest(TABLE.replace(old, new, 1))
    assert problem in str(caught.value)
