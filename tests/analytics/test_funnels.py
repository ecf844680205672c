"""Funnels of one person, against brute force over all ways to choose the steps."""

from __future__ import annotations

import datetime as dt
import random
from itertools import permutations

import pytest

from assise.analytics.funnels import Did, FunnelOrder, FunnelQuestion, find_attempt

DAY = dt.date(2026, 1, 1)
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
END = START + dt.timedelta(days=5)


def ask(*steps: str, order: FunnelOrder = "ordered", hours: int = 48) -> FunnelQuestion:
    return FunnelQuestion(steps, DAY, DAY, dt.timedelta(hours=hours), order)


def make(text: str) -> list[Did]:
    """Events as `a0 b1`: a name of one letter, and an hour."""
    return [Did(each[0], START + dt.timedelta(hours=int(each[1:]))) for each in text.split()]


@pytest.mark.parametrize(
    ("text", "steps", "order", "expected"),
    [
        ("a0 b1 c2", "abc", "ordered", 3),
        ("a0 c1 b2", "abc", "ordered", 2),
        ("a0 b1 x1 c2", "abc", "strict", 2),
        ("a0 x0 a1 b2 c3", "abc", "strict", 3),
        ("c0 b1 a2", "abc", "unordered", 3),
        ("b0 a0 c0", "abc", "ordered", 3),
        ("a0 a0 a0", "aaa", "ordered", 3),
        ("a0 a1", "aaa", "ordered", 2),
        ("a0 b49", "ab", "ordered", 1),
        ("a0 b48", "ab", "ordered", 2),
        ("a0 a47 b60", "ab", "ordered", 2),
        ("b0 a1", "ab", "ordered", 1),
        ("a120 b121", "ab", "ordered", 0),
        ("a119 b121", "ab", "ordered", 2),
        ("a0 a1", "ab", "unordered", 1),
    ],
)
def test_how_far_a_person_comes(text: str, steps: str, order: FunnelOrder, expected: int) -> None:
    assert find_attempt(make(text), ask(*steps, order=order), END).steps == expected


def test_the_furthest_attempt_counts_and_of_those_the_earliest() -> None:
    found = find_attempt(make("a0 a10 b50 a60 b61"), ask("a", "b"), END)
    assert [str(time) for time in found.times] == [
        str(START + dt.timedelta(hours=n)) for n in (10, 50)
    ]


def count_by_brute_force(did: list[Did], asked: FunnelQuestion) -> int:
    """The most steps of any choice of different rows, in the order of their times."""
    best = 0
    for size in range(1, len(asked.steps) + 1):
        for rows in permutations(range(len(did)), size):
            chosen = [did[row] for row in rows]
            times = [each.at for each in chosen]
            is_whole = [each.event for each in chosen] == list(asked.steps[:size])
            is_timely = times == sorted(times) and times[-1] - times[0] <= asked.within
            if is_whole and is_timely and times[0] < END:
                best = size
    return best


def test_ordered_funnels_are_as_brute_force_counts_them() -> None:
    chance = random.Random(5)
    for _ in range(300):
        hours = sorted(chance.choices(range(8), k=6))
        did = make(" ".join(f"{chance.choice('abc')}{hour}" for hour in hours))
        asked = ask(*chance.choices("abc", k=3), hours=chance.randrange(1, 8))
        assert find_attempt(did, asked, END).steps == count_by_brute_force(did, asked)
