"""Findings of a check: they add up, cross as JSON, and say only the first differences."""

from __future__ import annotations

import json
from array import array

from hypothesis import given
from hypothesis import strategies as st

from assise.transfer.check import SHOWN, Findings
from assise.transfer.report import Verified

counts = st.integers(0, 1 << 40)
findings = st.builds(
    Findings,
    st.builds(Verified, counts, counts, counts, counts),
    st.lists(st.text(), max_size=SHOWN),
    st.lists(counts, unique=True).map(lambda offsets: array("q", sorted(offsets))),
)


@given(findings)
def test_findings_come_back_from_json_as_they_were(found: Findings) -> None:
    assert Findings.from_json(json.loads(json.dumps(found.as_json()))) == found


@given(st.lists(findings, max_size=4))
def test_findings_of_parts_add_up_and_the_first_differences_are_kept(parts: list[Findings]) -> None:
    total = Findings()
    for part in parts:
        total.add(part)
    lines = [line for part in parts for line in part.differences]
    assert total.differences == lines[:SHOWN]
    assert [*total.wrong] == [offset for part in parts for offset in part.wrong]
    for name in ("equal", "different", "missing", "extra"):
        assert getattr(total.verified, name) == sum(getattr(part.verified, name) for part in parts)
