"""Overlaps: as sets count them, where all are few, where all are many, and between."""

from __future__ import annotations

import random

import pytest

from assise.analytics.overlaps import Overlaps
from assise.analytics.picture import make_bitmap

SIZE = 140_000


@pytest.mark.parametrize("counts", [(0, 3, 900), (0, 30_000, 5), (5_000, 80_000, SIZE)])
def test_overlaps_are_those_of_sets(counts: tuple[int, ...]) -> None:
    chance = random.Random(4)
    sets = [{*chance.sample(range(SIZE), count)} for count in counts]
    found = Overlaps([make_bitmap(each) for each in sets], SIZE)
    for own in [set[int](), {0, SIZE - 1}, *sets]:
        expected = [len(own & each) for each in sets]
        assert found.count(make_bitmap(own), slice(0, 3)) == expected
        assert found.count(make_bitmap(own), slice(1, 2)) == expected[1:2]


def test_without_anybody_there_is_none() -> None:
    assert Overlaps([make_bitmap()], 0).count(make_bitmap(), slice(0, 1)) == [0]
    assert Overlaps([], 0).count(make_bitmap(), slice(0, 0)) == []
