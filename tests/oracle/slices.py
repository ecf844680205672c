"""A law in parts: each a test of its own with examples of its own, so that none takes long."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, seed, settings
from hypothesis import strategies as st

FEWEST = 6
"""Examples of a slice at least: with these, each meets all the rules that it is for."""


def check_slice(
    law: Callable[..., None], *examples: st.SearchStrategy[object], number: int, share: int
) -> None:
    """Check slice `number` of a law, with `share` of every 200 examples.

    Where examples repeat from run to run, the number is their seed.
    """
    count = max(FEWEST, share * settings().max_examples // 200)
    check = settings(max_examples=count, report_multiple_bugs=False)(given(*examples)(law))
    (seed(number)(check) if settings().derandomize else check)()
